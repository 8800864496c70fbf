/* kv_cache.c: keys and values of the tokens so far, one tensor of each a layer. */
#include "model/model.h"
#include "base/memory.h"

static void plan(glot_kv_cache *c, glot_pool *pool, const glot_model_config *config)
{
    for (int64_t l = 0; l < config->n_layers; l++) {
        c->k[l] = c->v[l] = glot_tensor_3d(pool->be->real, c->capacity, config->n_kv_heads, config->head_dim);
        glot_pool_take(pool, &c->k[l]);
        glot_pool_take(pool, &c->v[l]);
    }
}

glot_status glot_kv_cache_create(glot_kv_cache **out, const glot_model *m, int64_t capacity, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_kv_cache *c = NULL;
    size_t n_layers = (size_t)m->config.n_layers;
    GLOT_TRY(glot_new(&c, 1, sizeof *c, "a kv cache", err));
    *c = (glot_kv_cache){.be = m->be, .capacity = capacity};
    GLOT_TRY_OUT(glot_new(&c->k, n_layers, sizeof *c->k, "a kv cache", err));
    GLOT_TRY_OUT(glot_new(&c->v, n_layers, sizeof *c->v, "a kv cache", err));
    glot_pool measure;
    glot_pool_measure(&measure, m->be);
    plan(c, &measure, &m->config);
    GLOT_TRY_OUT(glot_pool_init(&c->pool, m->be, measure.peak, "a kv cache", err));
    plan(c, &c->pool, &m->config);
out:
    if (status == GLOT_OK)
        *out = c;
    else
        glot_kv_cache_free(c);
    return status;
}

void glot_kv_cache_free(glot_kv_cache *c)
{
    if (!c)
        return;
    glot_pool_release(&c->pool);
    glot_free(c->k);
    glot_free(c->v);
    glot_free(c);
}
