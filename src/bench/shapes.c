/* shapes.c: the numbers are those of the models' published config.json files. */
#include "bench/shapes.h"

#include <stdio.h>
#include <string.h>

typedef struct shape {
    const char *name, *model_type, *architecture;
    int64_t hidden, ffn, layers, heads, kv_heads, head_dim, vocab, context;
    double theta, eps;
    bool has_qkv_bias, is_tied;
} shape;

static const shape shapes[] = {
    {"smollm2-135m", "llama", "LlamaForCausalLM", 576, 1536, 30, 9, 3, 64, 49152, 8192, 1e5, 1e-5, false,
     true},
    {"qwen1.5-1.8b", "qwen2", "Qwen2ForCausalLM", 2048, 5504, 24, 16, 16, 128, 151936, 32768, 1e6, 1e-6, true,
     false},
    {"llama-3.2-1b", "llama", "LlamaForCausalLM", 2048, 8192, 16, 32, 8, 64, 128256, 131072, 5e5, 1e-5, false,
     true},
    {"llama-3.2-3b", "llama", "LlamaForCausalLM", 3072, 8192, 28, 24, 8, 128, 128256, 131072, 5e5, 1e-5,
     false, true},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static void fill(glot_model_config *c, const shape *s, int64_t n_layers)
{
    memset(c, 0, sizeof *c);
    snprintf(c->model_type, sizeof c->model_type, "%s", s->model_type);
    snprintf(c->architecture, sizeof c->architecture, "%s", s->architecture);
    c->hidden_size = s->hidden;
    c->intermediate_size = s->ffn;
    c->n_layers = n_layers > 0 ? n_layers : s->layers;
    c->n_heads = s->heads;
    c->n_kv_heads = s->kv_heads;
    c->head_dim = s->head_dim;
    c->vocab_size = s->vocab;
    c->context_length = s->context;
    c->rms_norm_eps = s->eps;
    c->rope = (glot_rope_config){.type = GLOT_ROPE_DEFAULT, .theta = s->theta, .factor = 1.0};
    c->has_qkv_bias = s->has_qkv_bias;
    c->has_tied_embeddings = s->is_tied;
    c->bos_id = 1;
    c->eos_id = 2;
    c->top_k = 1;
    for (int64_t l = 0; l < c->n_layers; l++)
        c->n_experts[l] = 1;
}

glot_status glot_shape_config(glot_model_config *c, const char *name, int64_t n_layers, glot_error *err)
{
    for (int i = 0; i < N_SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0) {
            if (n_layers > shapes[i].layers)
                return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                                 "%s has %" PRId64 " layers, %" PRId64 " were asked for", name,
                                 shapes[i].layers, n_layers);
            fill(c, &shapes[i], n_layers);
            return GLOT_OK;
        }
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                     "no shape '%s'; there are smollm2-135m, qwen1.5-1.8b, llama-3.2-1b and llama-3.2-3b",
                     name);
}
