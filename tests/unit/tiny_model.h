/* tiny_model.h: a small random model and random text, for the tests of what stands on models. */
#ifndef GLOT_TESTS_TINY_MODEL_H
#define GLOT_TESTS_TINY_MODEL_H

#include "base/memory.h"
#include "base/rng.h"
#include "expand/trainable.h"
#include "expand/upcycle.h"
#include "model/model.h"
#include "text/mix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define OK(call)                                                                                                  \
    do {                                                                                                          \
        if ((call) != GLOT_OK)                                                                                    \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                               \
    } while (0)

enum { TINY_VOCAB = 61, TINY_LAYERS = 3, TINY_LENGTH = 24 };

/* Odd sizes: tails everywhere. */
static inline glot_model_config tiny_dense_config(void)
{
    glot_model_config c = {.hidden_size = 24, .intermediate_size = 37, .n_layers = TINY_LAYERS, .n_heads = 6, .n_kv_heads = 2,
                           .head_dim = 4, .vocab_size = TINY_VOCAB, .context_length = 64, .rms_norm_eps = 1e-5,
                           .rope = {.type = GLOT_ROPE_DEFAULT, .theta = 100.0, .factor = 1.0},
                           .has_tied_embeddings = true, .bos_id = 0, .eos_id = 1, .top_k = 1, .n_experts = {1, 1, 1}};
    strcpy(c.model_type, "llama");
    strcpy(c.architecture, "LlamaForCausalLM");
    return c;
}

/* New experts that differ from the original and from one another. */
static inline void tiny_part_experts(glot_model *m, glot_rng *rng)
{
    for (size_t i = 0; i < m->n_params; i++) {
        glot_param *p = m->params[i];
        if (p->expert < 1)
            continue;
        int64_t n = glot_tensor_elements(&p->weight);
        float *host = malloc((size_t)n * sizeof *host);
        for (int64_t k = 0; k < n; k++)
            host[k] = 0.2f * (float)glot_rng_normal(rng);
        m->be->upload(m->be, &p->weight, host);
        free(host);
    }
}

/* Weights of some size: with 0.02 a tiny model's layers would hardly matter. */
static inline void tiny_spread(glot_model *m, float scale)
{
    glot_backend *be = m->be;
    for (size_t i = 0; i < m->n_params; i++) {
        glot_param *p = m->params[i];
        if (p->weight.n_dims < 2)
            continue;
        int64_t n = glot_tensor_elements(&p->weight);
        float *host = malloc((size_t)n * sizeof *host);
        be->download(be, host, &p->weight);
        for (int64_t k = 0; k < n; k++)
            host[k] *= scale;
        be->upload(be, &p->weight, host);
        free(host);
    }
}

static inline glot_model *tiny_dense(glot_backend *be, uint64_t seed)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_model_config c = tiny_dense_config();
    OK(glot_model_create_random(&m, be, &c, seed, &err));
    tiny_spread(m, 12.0f);
    return m;
}

static inline glot_model *tiny_expanded(glot_backend *be, const int32_t *n_experts, glot_trainable what)
{
    glot_error err = {0};
    glot_model *m = tiny_dense(be, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    OK(glot_upcycle(m, n_experts, &settings, &err));
    OK(glot_set_trainable(m, what, &err));
    OK(glot_model_allocate_grads(m, &err));
    return m;
}

/* Random blocks of two languages, documents of random lengths. */
typedef struct tiny_text {
    glot_rng rng;
    int64_t n; /* ids in a block */
} tiny_text;

static inline void tiny_next_block(void *user, glot_block *block)
{
    tiny_text *text = user;
    int32_t language = 0;
    for (int64_t i = 0; i < text->n; i++) {
        block->is_start[i] = i == 0 || glot_rng_below(&text->rng, 9) == 0;
        if (block->is_start[i])
            language = (int32_t)glot_rng_below(&text->rng, 2);
        block->languages[i] = language;
        block->ids[i] = (int32_t)glot_rng_below(&text->rng, TINY_VOCAB);
    }
    block->n = text->n;
}

/* All parameters, one behind the other; the caller frees. */
static inline float *tiny_weights(const glot_model *m, size_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < m->n_params; i++)
        *bytes += glot_tensor_bytes(&m->params[i]->weight);
    char *all = malloc(*bytes);
    size_t used = 0;
    for (size_t i = 0; i < m->n_params; i++) {
        m->be->download(m->be, all + used, &m->params[i]->weight);
        used += glot_tensor_bytes(&m->params[i]->weight);
    }
    return (float *)(void *)all;
}

#endif
