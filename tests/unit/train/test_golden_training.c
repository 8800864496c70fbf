/* test_golden_training.c: training and review against a PyTorch implementation of METHOD 1 to 3, 6 and 7 that shares
 * nothing with this program (tools/models/reference_moe.py, which describes the files): losses, gradient
 * norms, learning rates and final weights of every case, in float64 on the reference backend and in float32
 * on the CPU. */
#include "base/memory.h"
#include "expand/trainable.h"
#include "train/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define GOLDEN GLOT_SOURCE_DIR "/tests/golden/training"

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        if ((call) != GLOT_OK)                                                                               \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                          \
    } while (0)

/* The blocks of text.safetensors, from the first one and round again. */
typedef struct golden_text {
    glot_safetensors *file;
    const int32_t *ids, *languages, *is_start, *lengths;
    int64_t n_blocks, length, next;
    int32_t n_languages;
} golden_text;

static const int32_t *text_tensor(const golden_text *text, const char *name)
{
    const glot_stored_tensor *t = glot_safetensors_find(text->file, name);
    assert_non_null(t);
    assert_int_equal(t->tensor.dtype, GLOT_I32);
    return t->tensor.addr;
}

static golden_text open_text(int32_t n_languages)
{
    glot_error err = {0};
    golden_text text = {.n_languages = n_languages};
    assert_ok(glot_safetensors_open(&text.file, GOLDEN "/text.safetensors", &err));
    text.ids = text_tensor(&text, "ids");
    text.languages = text_tensor(&text, "languages");
    text.is_start = text_tensor(&text, "is_start");
    text.lengths = text_tensor(&text, "lengths");
    const glot_stored_tensor *ids = glot_safetensors_find(text.file, "ids");
    text.n_blocks = ids->tensor.shape[0];
    text.length = ids->tensor.shape[1];
    return text;
}

static void next_block(void *user, glot_block *block)
{
    golden_text *text = user;
    int64_t b = text->next++ % text->n_blocks;
    block->n = text->lengths[b];
    for (int64_t i = 0; i < block->n; i++) {
        int64_t at = b * text->length + i;
        block->ids[i] = text->ids[at];
        block->languages[i] = text->languages[at] % text->n_languages;
        block->is_start[i] = (uint8_t)text->is_start[at];
    }
}

/* ---- a case's settings ---- */

static double real_of(const json_t *c, const char *key)
{
    double value = 0.0;
    glot_error err = {0};
    assert_ok(glot_json_get_real(c, key, &value, "cases.json", &err));
    return value;
}

static bool is_text(const json_t *c, const char *key, const char *expected)
{
    const char *text = "";
    glot_error err = {0};
    assert_ok(glot_json_get_string(c, key, &text, "cases.json", &err));
    return strcmp(text, expected) == 0;
}

static glot_train_settings settings_of(const json_t *c)
{
    glot_train_settings s = {.phase = is_text(c, "phase", "review") ? GLOT_PHASE_REVIEW : GLOT_PHASE_TRAIN};
    s.steps = (int64_t)real_of(c, "steps");
    s.batch = (int64_t)real_of(c, "batch");
    s.micro_batch = (int64_t)real_of(c, "micro_batch");
    s.length = (int64_t)real_of(c, "length");
    s.schedule = is_text(c, "schedule", "cosine")     ? GLOT_SCHEDULE_COSINE
                 : is_text(c, "schedule", "constant") ? GLOT_SCHEDULE_CONSTANT
                                                      : GLOT_SCHEDULE_LINEAR;
    s.lr = real_of(c, "lr");
    s.min_lr = real_of(c, "min_lr");
    s.router_lr = real_of(c, "router_lr");
    s.warmup_steps = (int64_t)real_of(c, "warmup_steps");
    s.beta1 = real_of(c, "beta1");
    s.beta2 = real_of(c, "beta2");
    s.eps = real_of(c, "eps");
    s.weight_decay = real_of(c, "weight_decay");
    s.clip = real_of(c, "clip");
    s.balance_coef = real_of(c, "balance_coef");
    s.is_balance_released = is_text(c, "balance_form", "released");
    s.lpr_coef = real_of(c, "lpr_coef");
    s.lpr_form = is_text(c, "lpr_form", "released") ? GLOT_LPR_RELEASED : GLOT_LPR_PAPER;
    s.gate_coef = real_of(c, "gate_coef");
    s.is_lpr_original_only = is_text(c, "lpr_groups", "original");
    s.is_cross_document = json_is_true(json_object_get(c, "cross_document"));
    return s;
}

static glot_trainable trainable_of(const json_t *c)
{
    static const char *const names[] = {[GLOT_TRAIN_NEW_EXPERTS] = "new_experts",
                                        [GLOT_TRAIN_ALL_EXPERTS] = "all_experts",
                                        [GLOT_TRAIN_ALL] = "all",
                                        [GLOT_TRAIN_LORA] = "lora",
                                        [GLOT_TRAIN_ROUTERS] = "routers"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_text(c, "trainable", names[i]))
            return (glot_trainable)i;
    fail_msg("'%s' is not known", json_string_value(json_object_get(c, "trainable")));
    return GLOT_TRAIN_ALL;
}

/* ---- comparing ---- */

static void check_number(const char *name, const char *what, int64_t step, double got, double expected,
                         double tolerance)
{
    bool ok = fabs(got - expected) <= tolerance * (1.0 + fabs(expected));
    if (!ok)
        fail_msg("%s, %s of step %" PRId64 ": got %.12g, expected %.12g", name, what, step, got, expected);
}

static void check_report(const char *name, const glot_step_report *r, const json_t *expected, int64_t step,
                         double tolerance)
{
    check_number(name, "loss", step, r->loss, real_of(expected, "loss"), tolerance);
    check_number(name, "ce", step, r->ce, real_of(expected, "ce"), tolerance);
    check_number(name, "balance", step, r->balance, real_of(expected, "balance"), tolerance);
    check_number(name, "lpr", step, r->lpr, real_of(expected, "lpr"), tolerance);
    check_number(name, "gate", step, r->gate, real_of(expected, "gate"), tolerance);
    check_number(name, "grad_norm", step, r->grad_norm, real_of(expected, "grad_norm"), tolerance * 10);
    check_number(name, "lr", step, r->lr, real_of(expected, "lr"), 1e-12);
}

static double *weight_as_double(const glot_model *m, const glot_tensor *t)
{
    int64_t n = glot_tensor_elements(t);
    double *out = malloc((size_t)n * sizeof *out);
    float *narrow = malloc((size_t)n * sizeof *narrow);
    assert_true(out && narrow);
    m->be->download(m->be, t->dtype == GLOT_F64 ? (void *)out : (void *)narrow, t);
    for (int64_t i = 0; i < n && t->dtype == GLOT_F32; i++)
        out[i] = (double)narrow[i];
    free(narrow);
    return out;
}

static const glot_param *find_param(const glot_model *m, const char *name)
{
    for (size_t i = 0; i < m->n_params + m->n_adapters; i++) {
        const glot_param *p = i < m->n_params ? m->params[i] : m->adapters[i - m->n_params];
        if (strcmp(p->name, name) == 0)
            return p;
    }
    fail_msg("the model has no '%s'", name);
    return NULL;
}

/* The gradients of the first step are still there: a step does not zero them afterwards. */
static void check_gradients(const char *name, const glot_model *m, const json_t *norms, double tolerance)
{
    const char *tensor;
    json_t *expected;
    json_object_foreach((json_t *)norms, tensor, expected)
    {
        const glot_param *p = find_param(m, tensor);
        double *values = weight_as_double(m, &p->grad), sum = 0.0;
        for (int64_t i = 0; i < glot_tensor_elements(&p->grad); i++)
            sum += values[i] * values[i];
        free(values);
        check_number(name, tensor, 0, sqrt(sum), json_number_value(expected), tolerance);
    }
}

/* The file of a case: "" its trained tensors, ".merged" and ".start" LoRA's. */
static glot_safetensors *open_tensors(const char *name, const char *which)
{
    glot_error err = {0};
    glot_safetensors *s = NULL;
    char path[512];
    snprintf(path, sizeof path, GOLDEN "/%s%s.safetensors", name, which);
    assert_ok(glot_safetensors_open(&s, path, &err));
    return s;
}

static void check_weights(const char *name, const char *which, const glot_model *m, double tolerance)
{
    glot_safetensors *s = open_tensors(name, which);
    assert_true(glot_safetensors_count(s) > 0);
    for (size_t i = 0; i < glot_safetensors_count(s); i++) {
        const glot_stored_tensor *expected = glot_safetensors_at(s, i);
        const glot_param *p = find_param(m, expected->name);
        assert_true((p->is_trainable || *which) && glot_tensor_same_shape(&p->weight, &expected->tensor));
        double *got = weight_as_double(m, &p->weight);
        for (int64_t k = 0; k < glot_tensor_elements(&p->weight); k++)
            check_number(name, expected->name, -1, got[k], (double)((const float *)expected->tensor.addr)[k],
                         tolerance);
        free(got);
    }
    glot_safetensors_close(s);
}

/* ---- running ---- */

/* Adapters of the case's rank with the A that the reference began with. */
static void add_lora(glot_model *m, const json_t *c)
{
    glot_error err = {0};
    glot_safetensors *s = open_tensors(json_string_value(json_object_get(c, "name")), ".start");
    glot_lora_settings lora = {(int64_t)real_of(c, "rank"), real_of(c, "alpha")};
    assert_ok(glot_model_add_lora(m, &lora, 1, &err));
    assert_int_equal(m->n_adapters, 2 * glot_safetensors_count(s));
    for (size_t i = 0; i < glot_safetensors_count(s); i++) {
        const glot_stored_tensor *a = glot_safetensors_at(s, i);
        m->be->copy(m->be, &find_param(m, a->name)->weight, &a->tensor);
    }
    glot_safetensors_close(s);
}

typedef struct tolerances {
    double losses, gradients, weights;
} tolerances;

static void run_case(const json_t *c, glot_backend *be, const tolerances *tolerance)
{
    static const int32_t groups[] = {0, 1, 2};
    glot_error err = {0};
    glot_model *m = NULL;
    glot_trainer *t = NULL;
    char start[512], before[65], after[65];
    const char *name = json_string_value(json_object_get(c, "name"));
    int32_t n_languages = (int32_t)real_of(c, "n_languages");
    golden_text text = open_text(n_languages);
    glot_train_settings s = settings_of(c);
    snprintf(start, sizeof start, GOLDEN "/%s", json_string_value(json_object_get(c, "start")));
    assert_ok(glot_model_open(&m, be, start, &err));
    if (trainable_of(c) == GLOT_TRAIN_LORA)
        add_lora(m, c);
    assert_ok(glot_set_trainable(m, trainable_of(c), &err));
    assert_ok(glot_model_allocate_grads(m, &err));
    assert_int_equal(glot_model_trained(m, NULL), json_object_size(json_object_get(c, "first_grad_norms")));
    assert_ok(glot_model_sha256(before, m, true, &err));
    assert_ok(glot_trainer_create(&t, m, NULL, groups, (size_t)n_languages, &s, &err));
    t->next_block = next_block;
    t->next_block_user = &text;
    for (int64_t step = 0; step < s.steps; step++) {
        glot_step_report report;
        assert_ok(glot_trainer_step(t, &report, &err));
        if (step == 0)
            check_gradients(name, m, json_object_get(c, "first_grad_norms"), tolerance->gradients);
        check_report(name, &report, json_array_get(json_object_get(c, "expected"), (size_t)step), step,
                     tolerance->losses);
    }
    check_weights(name, "", m, tolerance->weights);
    assert_ok(glot_model_sha256(after, m, true, &err));
    assert_string_equal(before, after);
    glot_trainer_free(t);
    if (m->n_adapters) {
        assert_ok(glot_model_merge_lora(m, &err));
        check_weights(name, ".merged", m, tolerance->weights);
    }
    glot_model_close(m);
    glot_safetensors_close(text.file);
}

static void run_all(glot_backend *be, const tolerances *tolerance)
{
    glot_error err = {0};
    json_t *cases = NULL, *c;
    size_t i;
    assert_ok(glot_json_load_file(&cases, GOLDEN "/cases.json", &err));
    assert_true(json_array_size(cases) >= 21);
    json_array_foreach(cases, i, c) run_case(c, be, tolerance);
    json_decref(cases);
    glot_backend_close(be);
}

static void test_float64(void **state)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    (void)state;
    assert_ok(glot_ref_backend_create(&be, GLOT_F64, &err));
    run_all(be, &(tolerances){1e-10, 1e-9, 1e-7});
}

/* AdamW turns small errors of small gradients into larger ones of weights: within 1e-4 after ten steps. */
static void test_float32(void **state)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    (void)state;
    assert_ok(glot_cpu_backend_create(&be, 2, NULL, &err));
    run_all(be, &(tolerances){1e-5, 1e-5, 1e-4});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_float64), cmocka_unit_test(test_float32)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
