/* test_lora.c: adapters as they are put beside a model and taken into it: names, shapes and numbers at the start, which change nothing of what
 * the model computes; what is refused; memory that runs out. What they learn: test_gradients, test_golden_training. */
#include "model/model.h"
#include "unit/tiny_model.h"

#include <math.h>

static glot_backend *backend;
static const glot_lora_settings lora = {.rank = 3, .alpha = 6.0};

static int make_backend(void **state)
{
    glot_error err = {0};
    (void)state;
    return glot_cpu_backend_create(&backend, 1, NULL, &err) == GLOT_OK ? 0 : -1;
}

static int close_backend(void **state)
{
    (void)state;
    glot_backend_close(backend);
    return 0;
}

static glot_model *adapted(uint64_t seed)
{
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    OK(glot_model_add_lora(m, &lora, seed, &err));
    return m;
}

static const float *floats_of(const glot_param *p)
{
    return p->weight.addr;
}

static float largest(const glot_param *p)
{
    float most = 0.0f;
    for (int64_t i = 0; i < glot_tensor_elements(&p->weight); i++)
        most = fmaxf(most, fabsf(floats_of(p)[i]));
    return most;
}

/* Seven layers of each block have an adapter: A within 1 / sqrt(inputs) and spread over it, B zero; each by its name. */
static void test_start(void **state)
{
    (void)state;
    glot_model *m = adapted(4), *same = adapted(4), *other = adapted(5);
    uint64_t n = 0;
    assert_int_equal(m->n_adapters, TINY_LAYERS * 7 * 2);
    assert_string_equal(m->layers[1].down_proj[0]->name, "model.layers.1.mlp.down_proj.weight");
    for (size_t i = 0; i < m->n_adapters; i++) {
        const glot_param *p = m->adapters[i];
        bool is_a = p->role == GLOT_ROLE_LORA_A;
        float bound = 1.0f / sqrtf((float)p->weight.shape[1]);
        assert_non_null(strstr(p->name, is_a ? "_proj.lora_A" : "_proj.lora_B"));
        assert_true(p->is_trainable && p->weight.shape[0] == 3);
        assert_true(is_a ? largest(p) <= bound && largest(p) > 0.8f * bound : largest(p) == 0.0f);
        assert_memory_equal(floats_of(p), floats_of(same->adapters[i]), glot_tensor_bytes(&p->weight));
        if (is_a)
            assert_memory_not_equal(floats_of(p), floats_of(other->adapters[i]), glot_tensor_bytes(&p->weight));
        n += (uint64_t)glot_tensor_elements(&p->weight);
    }
    assert_int_equal(glot_lora_elements(&m->config, 3), n);
    assert_ptr_equal(m->layers[2].moe.down_lora, &m->layers[2].down_proj[0]->lora);
    assert_null(m->embedding->lora.a);
    glot_model_close(m);
    glot_model_close(same);
    glot_model_close(other);
}

static void log_probs(float out[8 * TINY_VOCAB], const glot_model *m)
{
    static const int32_t ids[8] = {3, 7, 2, 60, 41, 0, 9, 9}, positions[8] = {0, 1, 2, 3, 4, 5, 6, 7}, segment[4] = {0, 8, 0, 8};
    glot_error err = {0};
    glot_workspace *ws = NULL;
    glot_batch batch = {.n_tokens = 8, .ids = ids, .positions = positions, .n_segments = 1, .segments = segment};
    OK(glot_workspace_create(&ws, m, GLOT_WORKSPACE_INFER, 8, 8, 8, &err));
    OK(glot_workspace_load(ws, &batch, &err));
    glot_model_forward(m, ws, NULL);
    glot_model_log_probs(m, ws, 0, 8, out);
    glot_workspace_free(ws);
}

/* With B zero an adapter changes no bit, beside the weights or merged; with another B the merged model computes what the adapted one did. */
static void test_merging(void **state)
{
    static float base[8 * TINY_VOCAB], beside[8 * TINY_VOCAB], merged[8 * TINY_VOCAB];
    glot_error err = {0};
    glot_model *plain = tiny_dense(backend, 1), *m = adapted(4);
    (void)state;
    log_probs(base, plain);
    log_probs(beside, m);
    assert_memory_equal(base, beside, sizeof base);
    for (size_t i = 1; i < m->n_adapters; i += 2)
        ((float *)m->adapters[i]->weight.addr)[2] = 0.5f;
    log_probs(beside, m);
    assert_memory_not_equal(base, beside, sizeof base);
    OK(glot_model_merge_lora(m, &err));
    assert_true(m->n_adapters == 0 && m->lora_rank == 0 && !m->layers[0].q->lora.a && !m->layers[0].moe.up_lora);
    log_probs(merged, m);
    for (size_t i = 0; i < 8 * TINY_VOCAB; i++) {
        bool ok = fabsf(merged[i] - beside[i]) <= 1e-4f * (1.0f + fabsf(beside[i]));
        assert_true(ok);
    }
    glot_model_close(m);
    m = adapted(4);
    OK(glot_model_merge_lora(m, &err));
    log_probs(merged, m);
    assert_memory_equal(base, merged, sizeof base);
    glot_model_close(m);
    glot_model_close(plain);
}

static void test_refused(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {1, 2, 1};
    const glot_lora_settings wide = {.rank = 9, .alpha = 1.0}; /* k and v have 8 rows */
    glot_error err = {0};
    (void)state;
    glot_model *dense = tiny_dense(backend, 1), *expanded = tiny_expanded(backend, layout, GLOT_TRAIN_NEW_EXPERTS);
    assert_int_equal(glot_model_add_lora(dense, &wide, 1, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "rank 9 is larger than 'model.layers.0.self_attn.k_proj.weight' [8, 24] is wide");
    assert_int_equal(glot_model_add_lora(expanded, &lora, 1, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "layer 1 has 2 experts; LoRA is for dense models"));
    assert_int_equal(glot_set_trainable(dense, GLOT_TRAIN_LORA, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "nothing would train: no layer has an adapter"));
    glot_model_close(dense);
    glot_model_close(expanded);
}

/* Every allocation fails once; what there is then is closed whole. */
static void test_no_memory(void **state)
{
    glot_status status = GLOT_NOMEM;
    (void)state;
    for (uint64_t n = 1; status != GLOT_OK; n++) {
        glot_error err = {0};
        glot_model *m = tiny_dense(backend, 1);
        glot_heap_fail_after(n);
        status = glot_model_add_lora(m, &lora, 4, &err);
        glot_heap_fail_after(0);
        assert_true(status == GLOT_OK || status == GLOT_NOMEM);
        glot_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_start), cmocka_unit_test(test_merging), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, make_backend, close_backend);
}
