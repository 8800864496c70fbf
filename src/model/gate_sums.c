/* gate_sums.c: what the language gates (METHOD 6) keep of a document between its batches. */
#include "model/model.h"
#include "base/memory.h"

static void plan(glot_gate_sums *s, glot_pool *pool, const glot_model_config *c, int64_t n_slots)
{
    for (int64_t l = 0; l < c->n_layers; l++) {
        s->layers[l] = glot_tensor_2d(GLOT_F64, n_slots, c->hidden_size);
        if (glot_config_is_gated(c, l))
            glot_pool_take(pool, &s->layers[l]);
    }
}

glot_status glot_gate_sums_create(glot_gate_sums **out, const glot_model *m, int64_t n_slots, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_gate_sums *s = NULL;
    const char *what = "the language gates' sums";
    GLOT_TRY(glot_new(&s, 1, sizeof *s, what, err));
    s->be = m->be;
    GLOT_TRY_OUT(glot_new(&s->layers, (size_t)m->config.n_layers, sizeof *s->layers, what, err));
    glot_pool measure;
    glot_pool_measure(&measure, m->be);
    plan(s, &measure, &m->config, n_slots);
    GLOT_TRY_OUT(glot_pool_init(&s->pool, m->be, measure.peak, what, err));
    plan(s, &s->pool, &m->config, n_slots);
out:
    if (status == GLOT_OK)
        *out = s;
    else
        glot_gate_sums_free(s);
    return status;
}

void glot_gate_sums_free(glot_gate_sums *s)
{
    if (!s)
        return;
    glot_pool_release(&s->pool);
    glot_free(s->layers);
    glot_free(s);
}

void glot_gate_document(int32_t row[4], const glot_model_config *c, int64_t first, const int32_t *ids,
                        int64_t n, int32_t slot, int64_t *n_counted)
{
    row[0] = (int32_t)first;
    row[1] = (int32_t)n;
    row[2] = slot;
    row[3] = (int32_t)*n_counted;
    for (int64_t t = 0; t < n; t++)
        *n_counted += ids[t] != glot_config_start_id(c);
}
