/* test_params.c: the table of parameters: names, order, links, random weights, gradients, hashes. */
#include "model_util.h"
#include "unit/ref_backend.h"
#include "model/params.h"

#include <math.h>

/* Three layers with 1, 3 and 2 experts, QKV bias, an untied head, a gate and the exact path's table. */
static glot_model_config full_config(void)
{
    glot_model_config c = {.hidden_size = 24,
                           .intermediate_size = 10,
                           .n_layers = 3,
                           .n_heads = 4,
                           .n_kv_heads = 2,
                           .head_dim = 6,
                           .vocab_size = 31,
                           .context_length = 32,
                           .rms_norm_eps = 1e-5,
                           .rope = {.type = GLOT_ROPE_DEFAULT, .theta = 100.0},
                           .has_qkv_bias = true,
                           .bos_id = 0,
                           .eos_id = 1,
                           .is_expanded = true,
                           .top_k = 2,
                           .n_groups = 2,
                           .n_experts = {1, 3, 2},
                           .gate = {.n_layers = 1, .layers = {2}},
                           .exact = {.is_on = true, .threshold = 3.0}};
    strcpy(c.model_type, "qwen2");
    strcpy(c.architecture, "Qwen2ForCausalLM");
    for (int l = 0; l < 3; l++)
        for (int e = 1; e < c.n_experts[l]; e++)
            c.expert_group[l][e] = 1;
    return c;
}

static glot_model *full_model(uint64_t seed)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_model_config c = full_config();
    assert_ok(glot_model_create_random(&m, backend, &c, seed, &err));
    return m;
}

static const float *floats_of(const glot_param *p)
{
    assert_int_equal(p->weight.dtype, GLOT_F32);
    return p->weight.addr;
}

static void test_names_and_order(void **state)
{
    static const char *const expected[] = {
        "model.embed_tokens.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.v_proj.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.self_attn.k_proj.bias",
        "model.layers.0.self_attn.v_proj.bias",
        "model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.up_proj.weight",
        "model.layers.0.mlp.down_proj.weight",
        "model.layers.1.input_layernorm.weight",
    };
    static const char *const last[] = {
        "model.layers.2.mlp.router.weight",
        "model.layers.2.mlp.language_gate.weight",
        "model.layers.2.mlp.experts.0.gate_proj.weight",
        "model.layers.2.mlp.experts.0.up_proj.weight",
        "model.layers.2.mlp.experts.0.down_proj.weight",
        "model.layers.2.mlp.experts.1.gate_proj.weight",
        "model.layers.2.mlp.experts.1.up_proj.weight",
        "model.layers.2.mlp.experts.1.down_proj.weight",
        "model.norm.weight",
        "lm_head.weight",
        "model.exact_evidence",
    };
    enum { N_FIRST = sizeof expected / sizeof expected[0], N_LAST = sizeof last / sizeof last[0] };
    glot_model *m = full_model(1);
    (void)state;
    assert_int_equal(m->n_params, 1 + 12 + (9 + 1 + 9) + (9 + 2 + 6) + 3);
    for (size_t i = 0; i < N_FIRST; i++)
        assert_string_equal(m->params[i]->name, expected[i]);
    for (size_t i = 0; i < N_LAST; i++)
        assert_string_equal(m->params[m->n_params - N_LAST + i]->name, last[i]);
    assert_int_equal(m->layers[1].moe.top_k, 2);
    assert_int_equal(m->layers[0].moe.top_k, 1); /* K never exceeds E */
    assert_ptr_equal(m->layers[2].moe.router, &m->layers[2].router->weight);
    assert_int_equal(m->layers[1].router->weight.shape[0], 3);
    assert_int_equal(m->layers[2].language_gate->weight.shape[0], 2);
    assert_int_equal(m->exact_evidence->weight.shape[0], 31);
    glot_model_close(m);
}

/* A table that lacks a parameter or has one too many is a fault that linking finds. */
static void test_incomplete_tables(void **state)
{
    glot_error err = {0};
    glot_model *m = full_model(1);
    glot_param *p;
    (void)state;
    assert_ok(glot_model_add_param(&p, m, GLOT_ROLE_LM_HEAD, -1, -1, GLOT_F32, &err));
    assert_refused(glot_model_link(m, &err), GLOT_INTERNAL,
                   "has 'lm_head.weight' where 'model.exact_evidence' belongs");
    glot_model_remove_param(m, p);
    assert_ok(glot_model_link(m, &err));
    glot_model_remove_param(m, m->layers[1].up_proj[2]);
    assert_refused(glot_model_link(m, &err), GLOT_INTERNAL,
                   "has 'model.layers.1.mlp.experts.2.down_proj.weight' where "
                   "'model.layers.1.mlp.experts.2.up_proj.weight' belongs");
    glot_model_close(m);
}

static double std_of(const glot_param *p)
{
    const float *values = floats_of(p);
    int64_t n = glot_tensor_elements(&p->weight);
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum / (double)n);
}

static void check_constant(const glot_param *p, float expected)
{
    for (int64_t i = 0; i < glot_tensor_elements(&p->weight); i++)
        assert_true(floats_of(p)[i] == expected);
}

static void check_std(const glot_param *p, double expected)
{
    double n = (double)glot_tensor_elements(&p->weight), got = std_of(p);
    bool ok = fabs(got - expected) <= 4.0 * expected / sqrt(2.0 * n); /* four standard errors */
    if (!ok)
        fail_msg("'%s' has std %g, expected %g", p->name, got, expected);
}

static void test_random_weights(void **state)
{
    glot_model *m = full_model(1);
    (void)state;
    check_std(m->embedding, 0.02);
    check_std(m->lm_head, 0.02);
    check_std(m->layers[1].q, 0.02);
    check_std(m->layers[1].down_proj[2], 0.02);
    check_std(m->layers[1].router, sqrt(2.0 / (24 + 3)));
    check_std(m->layers[2].router, sqrt(2.0 / (24 + 2)));
    check_std(m->layers[2].language_gate, sqrt(2.0 / (24 + 2)));
    check_constant(m->layers[0].attn_norm, 1.0f);
    check_constant(m->layers[2].ffn_norm, 1.0f);
    check_constant(m->final_norm, 1.0f);
    check_constant(m->layers[1].k_bias, 0.0f);
    check_constant(m->exact_evidence, 0.0f);
    glot_model_close(m);
}

/* A tensor's numbers depend on the seed and its name, and on nothing else of the model. */
static void test_random_streams(void **state)
{
    glot_error err = {0};
    glot_model *m = full_model(1), *same = full_model(1), *other = full_model(2), *smaller = NULL;
    glot_model_config c = full_config();
    char a[65], b[65];
    (void)state;
    assert_ok(glot_model_sha256(a, m, false, &err));
    assert_ok(glot_model_sha256(b, same, false, &err));
    assert_string_equal(a, b);
    assert_ok(glot_model_sha256(b, other, false, &err));
    assert_string_not_equal(a, b);
    c.has_qkv_bias = false;
    c.n_layers = 2;
    c.gate.n_layers = 0;
    assert_ok(glot_model_create_random(&smaller, backend, &c, 1, &err));
    assert_memory_equal(floats_of(m->layers[1].gate_proj[2]), floats_of(smaller->layers[1].gate_proj[2]),
                        240 * sizeof(float));
    assert_memory_not_equal(floats_of(m->layers[1].gate_proj[2]), floats_of(m->layers[1].gate_proj[1]),
                            240 * sizeof(float));
    glot_model_close(m);
    glot_model_close(same);
    glot_model_close(other);
    glot_model_close(smaller);
}

/* In float64 the same float32 numbers stand. */
static void test_random_float64(void **state)
{
    glot_error err = {0};
    glot_backend *wide = NULL;
    glot_model *m = full_model(1), *w = NULL;
    glot_model_config c = full_config();
    (void)state;
    assert_ok(glot_ref_backend_create(&wide, GLOT_F64, &err));
    assert_ok(glot_model_create_random(&w, wide, &c, 1, &err));
    const double *doubles = w->layers[1].o->weight.addr;
    assert_int_equal(w->layers[1].o->weight.dtype, GLOT_F64);
    for (int64_t i = 0; i < 24 * 24; i++)
        assert_true(doubles[i] == (double)floats_of(m->layers[1].o)[i]);
    glot_model_close(m);
    glot_model_close(w);
    glot_backend_close(wide);
}

static void test_impossible_configurations(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_model_config c = full_config();
    (void)state;
    c.n_experts[1] = 257;
    assert_refused(glot_model_create_random(&m, backend, &c, 1, &err), GLOT_BAD_VALUE,
                   "'random weights': layer 1 has 257 experts, expected 1 to 256");
    c = full_config();
    c.is_expanded = false;
    assert_refused(glot_model_create_random(&m, backend, &c, 1, &err), GLOT_BAD_VALUE,
                   "layer 1 of a model that is not expanded has 3 experts");
}

/* Trained parameters own float32 weights and have zeroed gradients; frozen ones stay where they are. */
static void test_gradients(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "qwen2_tied", &err));
    glot_param *p = m->layers[1].up_proj[0], *frozen = m->layers[1].down_proj[0];
    const void *mapped = frozen->weight.addr;
    uint16_t first = *(const uint16_t *)p->weight.addr;
    p->is_trainable = true;
    assert_ok(glot_model_allocate_grads(m, &err));
    assert_int_equal(p->weight.dtype, GLOT_F32);
    assert_true(p->is_owned && floats_of(p)[0] == glot_bf16_to_f32(first));
    assert_true(glot_tensor_same_shape(&p->grad, &p->weight));
    for (int64_t i = 0; i < glot_tensor_elements(&p->grad); i++)
        assert_true(((const float *)p->grad.addr)[i] == 0.0f);
    assert_ptr_equal(m->layers[1].moe.d_up_proj[0], &p->grad);
    assert_null(m->layers[1].moe.d_down_proj[0]);
    assert_ptr_equal(frozen->weight.addr, mapped);
    assert_null(frozen->grad.addr);
    ((float *)p->grad.addr)[3] = 5.0f;
    glot_model_zero_grads(m);
    assert_true(((const float *)p->grad.addr)[3] == 0.0f);
    p->is_trainable = false;
    frozen->is_trainable = true;
    assert_ok(glot_model_allocate_grads(m, &err));
    assert_null(p->grad.addr);
    assert_null(m->layers[1].moe.d_up_proj[0]);
    assert_ptr_equal(m->layers[1].moe.d_down_proj[0], &frozen->grad);
    glot_model_close(m);
}

/* The hash of all: values, types and names; the hash of what is frozen: nothing else. */
static void test_hashes(void **state)
{
    glot_error err = {0};
    glot_model *m = full_model(1);
    char all[65], frozen[65], now[65];
    (void)state;
    glot_param *trained = m->layers[1].gate_proj[1];
    assert_ok(glot_model_sha256(all, m, false, &err));
    assert_ok(glot_model_sha256(now, m, true, &err));
    assert_string_not_equal(all, now); /* the evidence of the exact path is never among what is frozen */
    trained->is_trainable = true;
    assert_ok(glot_model_sha256(frozen, m, true, &err));
    assert_string_not_equal(now, frozen);
    ((float *)m->exact_evidence->weight.addr)[3] += 1.0f;
    ((float *)trained->weight.addr)[239] += 1.0f;
    assert_ok(glot_model_sha256(now, m, true, &err));
    assert_string_equal(frozen, now);
    assert_ok(glot_model_sha256(now, m, false, &err));
    assert_string_not_equal(all, now);
    ((float *)m->final_norm->weight.addr)[23] = nextafterf(1.0f, 2.0f);
    assert_ok(glot_model_sha256(now, m, true, &err));
    assert_string_not_equal(frozen, now);
    glot_model_close(m);
}

/* SHA-256 of the text that model.h promises, made by hand for a small model. */
static void test_hash_bytes(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_model_config c = full_config();
    glot_sha256 *h;
    char got[65], expected[65];
    (void)state;
    c.is_expanded = c.exact.is_on = c.has_qkv_bias = false;
    c.gate.n_layers = c.n_groups = 0;
    c.n_layers = 1;
    assert_ok(glot_model_create_random(&m, backend, &c, 1, &err));
    assert_ok(glot_model_sha256(expected, m, true, &err)); /* nothing trains and there is no evidence: all is frozen */
    assert_ok(glot_model_sha256(got, m, false, &err));
    assert_string_equal(got, expected);
    static const char *const sorted[] = {"lm_head.weight",
                                         "model.embed_tokens.weight",
                                         "model.layers.0.input_layernorm.weight",
                                         "model.layers.0.mlp.down_proj.weight",
                                         "model.layers.0.mlp.gate_proj.weight",
                                         "model.layers.0.mlp.up_proj.weight",
                                         "model.layers.0.post_attention_layernorm.weight",
                                         "model.layers.0.self_attn.k_proj.weight",
                                         "model.layers.0.self_attn.o_proj.weight",
                                         "model.layers.0.self_attn.q_proj.weight",
                                         "model.layers.0.self_attn.v_proj.weight",
                                         "model.norm.weight"};
    assert_int_equal(m->n_params, sizeof sorted / sizeof sorted[0]);
    assert_ok(glot_sha256_create(&h, &err));
    for (size_t i = 0; i < m->n_params; i++)
        for (size_t k = 0; k < m->n_params; k++) {
            const glot_param *p = m->params[k];
            char shape[96];
            if (strcmp(p->name, sorted[i]) != 0)
                continue;
            glot_tensor_shape_text(&p->weight, shape);
            glot_sha256_update(h, p->name, strlen(p->name) + 1);
            glot_sha256_update(h, "F32", 4);
            glot_sha256_update(h, shape, strlen(shape) + 1);
            glot_sha256_update(h, p->weight.addr, glot_tensor_bytes(&p->weight));
        }
    glot_sha256_finish(h, expected);
    glot_sha256_free(h);
    assert_string_equal(got, expected);
    glot_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_order), cmocka_unit_test(test_incomplete_tables),
        cmocka_unit_test(test_random_weights),  cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_random_float64),  cmocka_unit_test(test_impossible_configurations),
        cmocka_unit_test(test_gradients),       cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_hash_bytes)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
