/* test_step.c: one optimizer step: same bits whatever the threads, no heap call, frozen weights untouched, faults refused, means over micro-batches. */
#include "train/train.h"
#include "unit/tiny_model.h"

#include <math.h>

static const int32_t layerwise[TINY_LAYERS] = {3, 1, 4};

typedef struct run_result {
    float *weights;
    size_t bytes;
    glot_step_report last;
    char frozen_before[65], frozen_after[65];
} run_result;

static glot_train_settings tiny_settings(glot_phase phase)
{
    glot_train_settings s = glot_train_settings_default(phase);
    s.steps = 4;
    s.batch = 4;
    s.micro_batch = 4;
    s.length = TINY_LENGTH;
    s.lr = s.router_lr = 1e-2;
    return s;
}

static glot_trainable trainable_of(glot_phase phase)
{
    return phase == GLOT_PHASE_TRAIN ? GLOT_TRAIN_NEW_EXPERTS : GLOT_TRAIN_ROUTERS;
}

/* Four steps; the model's weights then. */
static run_result run_steps(glot_model *m, glot_phase phase, int64_t micro_batch, bool is_recomputed)
{
    static const int32_t groups[2] = {0, 1};
    glot_error err = {0};
    glot_trainer *t = NULL;
    run_result r = {0};
    glot_train_settings s = tiny_settings(phase);
    s.micro_batch = micro_batch;
    s.is_recomputed = is_recomputed;
    tiny_text text = {glot_rng_seed(5, 6), TINY_LENGTH};
    OK(glot_model_sha256(r.frozen_before, m, true, &err));
    OK(glot_trainer_create(&t, m, NULL, groups, 2, &s, &err));
    t->next_block = tiny_next_block;
    t->next_block_user = &text;
    for (int64_t i = 0; i < s.steps; i++) {
        uint64_t heap_calls = glot_heap_calls();
        OK(glot_trainer_step(t, &r.last, &err));
        assert_int_equal(glot_heap_calls() - heap_calls, 0);
    }
    OK(glot_model_sha256(r.frozen_after, m, true, &err));
    if (m->n_adapters)
        OK(glot_model_merge_lora(m, &err));
    r.weights = tiny_weights(m, &r.bytes);
    glot_trainer_free(t);
    return r;
}

static run_result train_as(glot_phase phase, int threads, const char *isa, int64_t micro_batch, bool is_recomputed)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    OK(glot_cpu_backend_create(&be, threads, isa, &err));
    glot_model *m = tiny_expanded(be, layerwise, trainable_of(phase));
    run_result r = run_steps(m, phase, micro_batch, is_recomputed);
    glot_model_close(m);
    glot_backend_close(be);
    return r;
}

static run_result train(glot_phase phase, int threads, const char *isa, int64_t micro_batch)
{
    return train_as(phase, threads, isa, micro_batch, false);
}

static glot_model *tiny_adapted(glot_backend *be)
{
    glot_error err = {0};
    glot_lora_settings lora = {.rank = 5, .alpha = 8.0};
    glot_model *m = tiny_dense(be, 1);
    OK(glot_model_add_lora(m, &lora, 4, &err));
    OK(glot_set_trainable(m, GLOT_TRAIN_LORA, &err));
    OK(glot_model_allocate_grads(m, &err));
    return m;
}

static run_result train_lora(int threads, const char *isa, glot_dtype products)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    OK(glot_cpu_backend_create(&be, threads, isa, &err));
    be->products = products;
    glot_model *m = tiny_adapted(be);
    run_result r = run_steps(m, GLOT_PHASE_TRAIN, 4, false);
    glot_model_close(m);
    glot_backend_close(be);
    return r;
}

static void assert_same_run(const run_result *a, const run_result *b)
{
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->weights, b->weights, a->bytes);
    assert_memory_equal(&a->last.loss, &b->last.loss, sizeof a->last.loss);
    assert_memory_equal(&a->last.grad_norm, &b->last.grad_norm, sizeof a->last.grad_norm);
}

static void check_threads(glot_phase phase)
{
    static const int threads[] = {2, 3, 8};
    run_result one = train(phase, 1, NULL, 4);
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        run_result many = train(phase, threads[i], NULL, 4);
        assert_same_run(&one, &many);
        free(many.weights);
    }
    for (const char *const *isa = glot_cpu_isas(); *isa; isa++) {
        run_result other = train(phase, 2, *isa, 4);
        assert_same_run(&one, &other);
        free(other.weights);
    }
    free(one.weights);
}

static void test_same_bits(void **state)
{
    (void)state;
    check_threads(GLOT_PHASE_TRAIN);
    check_threads(GLOT_PHASE_REVIEW);
}

/* LoRA: the merged weights are the same whatever the threads and the instruction set, in bf16 too. */
static void test_lora_same_bits(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        glot_dtype products = i ? GLOT_BF16 : GLOT_F32;
        run_result one = train_lora(1, NULL, products), many = train_lora(3, NULL, products);
        assert_string_equal(one.frozen_before, one.frozen_after);
        assert_true(one.last.grad_norm > 0.0);
        assert_same_run(&one, &many);
        for (const char *const *isa = glot_cpu_isas(); *isa; isa++) {
            run_result other = train_lora(2, *isa, products);
            assert_same_run(&one, &other);
            free(other.weights);
        }
        free(one.weights);
        free(many.weights);
    }
}

/* What a trainer of adapters takes is what was measured before. */
static void test_lora_memory(void **state)
{
    static const int32_t groups[2] = {0, 1};
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_trainer *t = NULL;
    glot_train_memory memory;
    glot_train_settings s = tiny_settings(GLOT_PHASE_TRAIN);
    (void)state;
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model *m = tiny_adapted(be);
    size_t adapters = (size_t)glot_lora_elements(&m->config, 5) * sizeof(float);
    OK(glot_trainer_measure(&memory, m, &s, &err));
    OK(glot_trainer_create(&t, m, NULL, groups, 2, &s, &err));
    assert_int_equal(memory.gradients, adapters);
    assert_int_equal(memory.moments, 2 * adapters);
    assert_int_equal(memory.workspace, t->ws->pool.size);
    for (size_t i = 0; i < m->n_params; i++)
        assert_null(m->params[i]->grad.addr);
    glot_trainer_free(t);
    glot_model_close(m);
    glot_backend_close(be);
}

static void test_frozen_hash_and_progress(void **state)
{
    (void)state;
    run_result r = train(GLOT_PHASE_TRAIN, 2, NULL, 4), v = train(GLOT_PHASE_REVIEW, 2, NULL, 4);
    assert_string_equal(r.frozen_before, r.frozen_after);
    assert_string_equal(v.frozen_before, v.frozen_after);
    assert_true(r.last.step == 4 && r.last.tokens == 4 * 4 * TINY_LENGTH);
    assert_true(r.last.balance >= 1.0 && r.last.balance < 4.0 && v.last.lpr > 0.0 && v.last.balance == 0.0);
    glot_error err = {0};
    glot_backend *be = NULL;
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    glot_model *untouched = tiny_expanded(be, layerwise, GLOT_TRAIN_NEW_EXPERTS);
    size_t bytes;
    float *before = tiny_weights(untouched, &bytes);
    assert_memory_not_equal(before, r.weights, bytes); /* it did train */
    free(before);
    free(r.weights);
    free(v.weights);
    glot_model_close(untouched);
    glot_backend_close(be);
}

/* Cross-entropy over micro-batches is the same mean; balance is a mean of means and may differ a little (METHOD 2). */
static void test_micro_batches(void **state)
{
    (void)state;
    run_result whole = train(GLOT_PHASE_REVIEW, 2, NULL, 4), parts = train(GLOT_PHASE_REVIEW, 2, NULL, 3);
    assert_true(fabs(whole.last.loss - parts.last.loss) <= 1e-4 * whole.last.loss);
    assert_true(fabs(whole.last.lpr - parts.last.lpr) <= 1e-4 * whole.last.lpr);
    free(whole.weights);
    free(parts.weights);
}

static void test_recompute_same_bits(void **state)
{
    (void)state;
    for (int phase = 0; phase < 2; phase++) {
        run_result kept = train((glot_phase)phase, 2, NULL, 3), again = train_as((glot_phase)phase, 2, NULL, 3, true);
        assert_same_run(&kept, &again);
        free(kept.weights);
        free(again.weights);
    }
}

/* Of the workspace of SmolLM2's shape, and of one whose layers differ. */
static void test_recompute_memory(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model m = {.be = be, .config = tiny_dense_config()};
    glot_model_config *c = &m.config;
    c->hidden_size = 576, c->intermediate_size = 1536, c->n_layers = 30, c->n_heads = 9, c->n_kv_heads = 3, c->head_dim = 64;
    c->vocab_size = 49152, c->context_length = 2048, c->top_k = 2;
    for (int even = 0; even < 2; even++) {
        for (int64_t l = 0; l < c->n_layers; l++)
            c->n_experts[l] = even || l % 3 == 0 ? 4 : 1;
        size_t kept, again;
        OK(glot_workspace_measure(&kept, &m, GLOT_WORKSPACE_TRAIN, 1024, 256, 256, &err));
        OK(glot_workspace_measure(&again, &m, GLOT_WORKSPACE_RECOMPUTE, 1024, 256, 256, &err));
        assert_true(2 * again <= kept);
    }
    glot_backend_close(be);
}

typedef struct fault {
    glot_backend *be;
    glot_model *m;
    glot_trainer *t;
    tiny_text text;
} fault;

static fault fault_setup(glot_phase phase, const int32_t *groups, glot_status expected, glot_error *err_out)
{
    fault f = {.text = {glot_rng_seed(5, 6), TINY_LENGTH}};
    glot_error err = {0};
    OK(glot_cpu_backend_create(&f.be, 2, NULL, &err));
    f.m = tiny_expanded(f.be, layerwise, trainable_of(phase));
    glot_train_settings s = tiny_settings(phase);
    assert_int_equal(glot_trainer_create(&f.t, f.m, NULL, groups, 2, &s, err_out), expected);
    return f;
}

static void fault_teardown(fault *f)
{
    glot_trainer_free(f->t);
    glot_model_close(f->m);
    glot_backend_close(f->be);
}

static void test_nan_is_refused(void **state)
{
    (void)state;
    static const int32_t groups[2] = {0, 1};
    glot_error err = {0};
    glot_step_report report;
    fault f = fault_setup(GLOT_PHASE_TRAIN, groups, GLOT_OK, &err);
    f.t->next_block = tiny_next_block;
    f.t->next_block_user = &f.text;
    float nan_value = NAN;
    glot_tensor flat = glot_tensor_prefix_1d(&f.m->layers[1].down_proj[0]->weight, 1);
    f.be->upload(f.be, &flat, &nan_value);
    size_t bytes;
    float *before = tiny_weights(f.m, &bytes);
    assert_int_equal(glot_trainer_step(f.t, &report, &err), GLOT_NUMERIC);
    assert_non_null(strstr(err.message, "step 1: the loss in text of language 0, language 1 is not finite"));
    float *after = tiny_weights(f.m, &bytes);
    assert_memory_equal(before, after, bytes);
    assert_int_equal(f.t->step, 0);
    free(before);
    free(after);
    fault_teardown(&f);
}

static bool any_infinite(const fault *f)
{
    float nll[4 * TINY_LENGTH];
    bool is_any = false;
    assert_true(f->t->ws->n_tokens <= 4 * TINY_LENGTH);
    glot_model_nll(f->m, f->t->ws, 0, nll);
    for (int64_t i = 0; i < f->t->ws->n_tokens; i++) {
        assert_false(isnan(nll[i]));
        is_any = is_any || isinf(nll[i]);
    }
    return is_any;
}

/* One step with the final norm's weights as large as that. */
static glot_status step_with_norm(float weight, bool *is_infinite, glot_error *err)
{
    static const int32_t groups[2] = {0, 1};
    glot_step_report report;
    fault f = fault_setup(GLOT_PHASE_TRAIN, groups, GLOT_OK, err);
    float weights[24];
    f.t->next_block = tiny_next_block;
    f.t->next_block_user = &f.text;
    for (int i = 0; i < 24; i++)
        weights[i] = weight;
    f.be->upload(f.be, &f.m->final_norm->weight, weights);
    glot_status status = glot_trainer_step(f.t, &report, err);
    *is_infinite = any_infinite(&f);
    assert_int_equal(f.t->step, status == GLOT_OK);
    fault_teardown(&f);
    return status;
}

/* Logits whose difference overflows and which are finite themselves: -log p is infinite, and no NaN anywhere. */
static void test_infinity_is_refused(void **state)
{
    (void)state;
    glot_error err = {0};
    bool is_infinite = false;
    glot_status status = GLOT_OK;
    for (float weight = 1e36f; !is_infinite; weight *= 1.1f) {
        err = (glot_error){0};
        status = step_with_norm(weight, &is_infinite, &err);
    }
    assert_int_equal(status, GLOT_NUMERIC);
    assert_non_null(strstr(err.message, "step 1: the loss in text of language "));
    assert_non_null(strstr(err.message, " is not finite (lower the learning rate"));
}

static void test_review_without_old_text(void **state)
{
    (void)state;
    static const int32_t groups[2] = {1, 1};
    glot_error err = {0};
    fault f = fault_setup(GLOT_PHASE_REVIEW, groups, GLOT_BAD_ARGUMENT, &err);
    assert_non_null(strstr(err.message, "old language"));
    fault_teardown(&f);
}

static void test_empty_blocks(void **state)
{
    (void)state;
    static const int32_t groups[2] = {0, 1};
    glot_error err = {0};
    glot_step_report report;
    fault f = fault_setup(GLOT_PHASE_TRAIN, groups, GLOT_OK, &err);
    f.text.n = 0;
    f.t->next_block = tiny_next_block;
    f.t->next_block_user = &f.text;
    OK(glot_trainer_step(f.t, &report, &err));
    assert_true(report.loss == 0.0 && report.grad_norm == 0.0 && report.tokens == 0);
    fault_teardown(&f);
}

static void test_schedules(void **state)
{
    (void)state;
    glot_train_settings s = glot_train_settings_default(GLOT_PHASE_TRAIN);
    s.steps = 10;
    s.min_lr = 0.1;
    assert_true(fabs(glot_learning_rate(&s, 1.0, 0) - 1.0) <= 1e-15);
    assert_true(fabs(glot_learning_rate(&s, 1.0, 5) - 0.55) <= 1e-15);
    s.schedule = GLOT_SCHEDULE_LINEAR;
    assert_true(fabs(glot_learning_rate(&s, 1.0, 5) - 0.55) <= 1e-15);
    assert_true(fabs(glot_learning_rate(&s, 1.0, 1) - 0.91) <= 1e-15);
    s.schedule = GLOT_SCHEDULE_CONSTANT;
    s.warmup_steps = 4;
    assert_true(fabs(glot_learning_rate(&s, 1.0, 0) - 0.25) <= 1e-15);
    assert_true(fabs(glot_learning_rate(&s, 1.0, 9) - 1.0) <= 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),        cmocka_unit_test(test_frozen_hash_and_progress),
        cmocka_unit_test(test_micro_batches),    cmocka_unit_test(test_nan_is_refused),
        cmocka_unit_test(test_infinity_is_refused),
        cmocka_unit_test(test_empty_blocks),     cmocka_unit_test(test_review_without_old_text),
        cmocka_unit_test(test_schedules),        cmocka_unit_test(test_lora_same_bits),
        cmocka_unit_test(test_lora_memory),      cmocka_unit_test(test_recompute_same_bits),
        cmocka_unit_test(test_recompute_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
