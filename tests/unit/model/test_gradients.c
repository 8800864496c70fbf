/* test_gradients.c: the whole model's backward pass against central differences, in float64 on the reference backend: every parameter of every
 * kind, both router losses in both forms, and the rule that frozen parameters change nothing. */
#include "model/model.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_TOKENS = 11, VOCAB = 29 };

static const int32_t ids[N_TOKENS] = {3, 17, 8, 2, 28, 0, 5, 5, 19, 11, 7};
static const int32_t positions[N_TOKENS] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4};
static const int32_t segments[2 * 4] = {0, 6, 0, 6, 6, 5, 6, 5};
static const int32_t targets[N_TOKENS] = {17, 8, 2, 28, 0, -1, 5, 19, 11, 7, -1};
static const int32_t documents[2 * 4] = {0, 6, -1, 0, 6, 5, -1, 0}, block[4] = {0, N_TOKENS, -1, 0};
static const uint8_t groups[N_TOKENS] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
static const uint8_t three_groups[N_TOKENS] = {0, 1, 1, 2, 1, 0, 1, 1, 2, 0, 1};

/* Three layers with 1, 3 and 2 experts, grouped-query attention, bias and head norms together: every branch of the code at once. */
static glot_model_config tiny_config(bool is_tied, bool has_qk_norm)
{
    glot_model_config c = {.hidden_size = 12, .intermediate_size = 10, .n_layers = 3, .n_heads = 4, .n_kv_heads = 2,
                           .head_dim = 4, .vocab_size = VOCAB, .context_length = 32, .rms_norm_eps = 1e-5,
                           .rope = {.type = GLOT_ROPE_DEFAULT, .theta = 100.0, .factor = 1.0}, .has_qkv_bias = !has_qk_norm,
                           .has_qk_norm = has_qk_norm, .has_tied_embeddings = is_tied, .bos_id = 0, .eos_id = 1,
                           .is_expanded = true, .top_k = 2, .n_groups = 2, .n_experts = {1, 3, 2}};
    strcpy(c.model_type, has_qk_norm ? "qwen3" : "qwen2");
    strcpy(c.architecture, has_qk_norm ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM");
    for (int l = 0; l < 3; l++)
        for (int e = 1; e < c.n_experts[l]; e++)
            c.expert_group[l][e] = 1;
    return c;
}

typedef struct fixture {
    glot_backend *be;
    glot_model *m;
    glot_workspace *ws;
    glot_loss_settings settings;
    int64_t lora_rank; /* 0: no adapters */
} fixture;

/* The table's parameters, then the adapters. */
static glot_param *param_at(const glot_model *m, size_t i)
{
    return i < m->n_params ? m->params[i] : m->adapters[i - m->n_params];
}

/* Weights from N(0, 0.3): with the model's own 0.02 every gradient would be tiny and the routers would sit on ties. */
static void spread_weights(fixture *f)
{
    glot_rng rng = glot_rng_seed(7, 1);
    for (size_t i = 0; i < f->m->n_params + f->m->n_adapters; i++) {
        glot_param *p = param_at(f->m, i);
        int64_t n = glot_tensor_elements(&p->weight);
        double *host = malloc((size_t)n * sizeof *host);
        bool is_norm = p->weight.n_dims == 1 && p->role != GLOT_ROLE_Q_BIAS && p->role != GLOT_ROLE_K_BIAS && p->role != GLOT_ROLE_V_BIAS;
        for (int64_t k = 0; k < n; k++)
            host[k] = (is_norm ? 1.0 : 0.0) + 0.3 * glot_rng_normal(&rng);
        f->be->upload(f->be, &p->weight, host);
        free(host);
    }
}

static void setup_in(fixture *f, const glot_model_config *c, bool (*is_trainable)(const glot_param *), glot_workspace_mode mode)
{
    glot_error err = {0};
    if (glot_ref_backend_create(&f->be, GLOT_F64, &err) != GLOT_OK || glot_model_create_random(&f->m, f->be, c, 5, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < f->m->n_params; i++)
        f->m->params[i]->is_trainable = is_trainable(f->m->params[i]);
    glot_lora_settings lora = {f->lora_rank, 5.0};
    if (f->lora_rank && glot_model_add_lora(f->m, &lora, 6, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    if (glot_model_allocate_grads(f->m, &err) != GLOT_OK || glot_model_link(f->m, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    spread_weights(f);
    if (glot_workspace_create(&f->ws, f->m, mode, N_TOKENS, 16, 16, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    f->settings = (glot_loss_settings){.ce_scale = 1.0 / 9, .balance_scale = 0.05, .lpr_scale = 0.02, .gate_scale = 0.03};
}

static void setup(fixture *f, const glot_model_config *c, bool (*is_trainable)(const glot_param *))
{
    setup_in(f, c, is_trainable, GLOT_WORKSPACE_TRAIN);
}

static void teardown(fixture *f)
{
    glot_workspace_free(f->ws);
    glot_model_close(f->m);
    glot_backend_close(f->be);
}

static double run(fixture *f)
{
    glot_error err = {0};
    double losses[GLOT_N_LOSSES];
    glot_batch b = {.n_tokens = N_TOKENS, .ids = ids, .positions = positions, .n_segments = 2, .segments = segments,
                    .targets = targets, .token_group = f->m->config.n_groups > 2 ? three_groups : groups, .n_documents = 2, .documents = documents};
    if (f->m->config.gate.is_sequence_sum) {
        b.n_documents = 1;
        b.documents = block;
    }
    assert_int_equal(glot_workspace_load(f->ws, &b, &err), GLOT_OK);
    glot_model_forward(f->m, f->ws, NULL);
    glot_model_backward(f->m, f->ws, &f->settings, false);
    f->be->download(f->be, losses, &f->ws->losses);
    return f->settings.ce_scale * losses[GLOT_LOSS_CE] + f->settings.balance_scale * losses[GLOT_LOSS_BALANCE] +
           f->settings.lpr_scale * losses[GLOT_LOSS_LPR] + f->settings.gate_scale * losses[GLOT_LOSS_GATE];
}

/* Loss with element k of p moved by h. */
static double moved(fixture *f, const glot_param *p, double *weights, int64_t k, double h)
{
    double old = weights[k];
    weights[k] = old + h;
    f->be->upload(f->be, &p->weight, weights);
    double loss = run(f);
    weights[k] = old;
    f->be->upload(f->be, &p->weight, weights);
    return loss;
}

/* A gate may send every token past the router. */
static bool is_behind_gate(const glot_model *m, const glot_param *p)
{
    return p->layer >= 0 && p->role >= GLOT_ROLE_ROUTER && p->role != GLOT_ROLE_LANGUAGE_GATE && glot_config_is_gated(&m->config, p->layer);
}

static void check_param(fixture *f, const glot_param *p, glot_rng *rng)
{
    int64_t n = glot_tensor_elements(&p->weight);
    double *weights = malloc((size_t)n * sizeof *weights), *grad = malloc((size_t)n * sizeof *grad), largest = 0.0;
    run(f);
    f->be->download(f->be, weights, &p->weight);
    f->be->download(f->be, grad, &p->grad);
    for (int64_t k = 0; k < n; k++)
        largest = fabs(grad[k]) > largest ? fabs(grad[k]) : largest;
    for (int i = 0; i < 6; i++) {
        int64_t k = glot_rng_below(rng, (uint32_t)n);
        double h = 6e-6 * fmax(1.0, fabs(weights[k]));
        double numeric = (moved(f, p, weights, k, h) - moved(f, p, weights, k, -h)) / (2.0 * h);
        bool ok = fabs(numeric - grad[k]) <= 1e-6 * fmax(1e-3, fabs(grad[k])) + 1e-9;
        if (!ok)
            fail_msg("%s[%lld]: gradient %.12g, difference quotient %.12g", p->name, (long long)k, grad[k], numeric);
    }
    if (!(largest > 0.0) && !is_behind_gate(f->m, p))
        fail_msg("%s: no gradient at all, which proves nothing", p->name);
    free(weights);
    free(grad);
}

static bool everything(const glot_param *p)
{
    (void)p;
    return true;
}

static void check_all(const glot_model_config *c, const glot_loss_settings *settings)
{
    fixture f = {0};
    glot_rng rng = glot_rng_seed(3, 9);
    setup(&f, c, everything);
    f.settings = *settings;
    for (size_t i = 0; i < f.m->n_params; i++)
        check_param(&f, f.m->params[i], &rng);
    teardown(&f);
}

static void test_every_parameter(void **state)
{
    (void)state;
    glot_loss_settings s = {.ce_scale = 1.0 / 9, .balance_scale = 0.05, .lpr_scale = 0.02, .lpr_form = GLOT_LPR_PAPER};
    glot_model_config bias = tiny_config(false, false), norm = tiny_config(true, true);
    check_all(&bias, &s);
    check_all(&norm, &s);
}

static void test_released_forms(void **state)
{
    (void)state;
    glot_loss_settings s = {.ce_scale = 1.0 / 9, .balance_scale = 0.05, .is_balance_released = true, .lpr_scale = 0.02,
                            .lpr_form = GLOT_LPR_RELEASED};
    glot_model_config c = tiny_config(true, false);
    check_all(&c, &s);
}

/* Both forms of the language gate; the id 0 in row 5 is BOS, which its mean leaves out. */
static void test_gates(void **state)
{
    (void)state;
    glot_loss_settings s = {.ce_scale = 1.0 / 9, .lpr_scale = 0.02, .gate_scale = 0.03};
    glot_model_config causal = tiny_config(false, true), whole = tiny_config(true, false);
    causal.gate = whole.gate = (glot_gate_config){.n_layers = 2, .layers = {1, 2}};
    whole.gate.is_sequence_sum = true;
    check_all(&causal, &s);
    check_all(&whole, &s);
}

/* Group LPR of a second generation (METHOD 7): tokens of G1 are held to the experts up to theirs, those of the newest group to none. */
static void test_group_lpr(void **state)
{
    (void)state;
    static const uint8_t experts[3][4] = {{0}, {0, 1, 2}, {0, 1, 1, 2}};
    glot_loss_settings s = {.ce_scale = 1.0 / 9, .lpr_scale = 0.2};
    glot_model_config c = tiny_config(false, false);
    c.n_groups = 3;
    c.top_k = 4; /* every expert has tokens */
    for (int l = 1; l < 3; l++) {
        c.n_experts[l] = 2 + l;
        memcpy(c.expert_group[l], experts[l], sizeof experts[l]);
    }
    check_all(&c, &s);
    s.is_lpr_original_only = true;
    check_all(&c, &s);
    c.gate = (glot_gate_config){.n_layers = 1, .layers = {1}};
    s = (glot_loss_settings){.ce_scale = 1.0 / 9, .lpr_scale = 0.2, .gate_scale = 0.03};
    check_all(&c, &s);
}

static glot_model_config dense_config(bool has_qk_norm)
{
    glot_model_config c = tiny_config(!has_qk_norm, has_qk_norm);
    c.is_expanded = false;
    c.top_k = 1;
    c.n_groups = 0;
    for (int l = 0; l < 3; l++)
        c.n_experts[l] = 1;
    return c;
}

/* Adapters and, through them, every weight below. */
static void test_lora(void **state)
{
    (void)state;
    for (int has_qk_norm = 0; has_qk_norm < 2; has_qk_norm++) {
        glot_model_config c = dense_config(has_qk_norm);
        fixture f = {.lora_rank = 2};
        glot_rng rng = glot_rng_seed(4, 9);
        setup(&f, &c, everything);
        assert_int_equal(f.m->n_adapters, 3 * 7 * 2);
        f.settings = (glot_loss_settings){.ce_scale = 1.0 / 9};
        for (size_t i = 0; i < f.m->n_params + f.m->n_adapters; i++)
            check_param(&f, param_at(f.m, i), &rng);
        teardown(&f);
    }
}

static bool nothing(const glot_param *p)
{
    (void)p;
    return false;
}

static bool second_layer_router(const glot_param *p)
{
    return p->role == GLOT_ROLE_ROUTER && p->layer == 1;
}

static bool second_layer_gate(const glot_param *p)
{
    return p->role == GLOT_ROLE_LANGUAGE_GATE && p->layer == 1;
}

static bool new_experts(const glot_param *p)
{
    return p->role == GLOT_ROLE_ROUTER || p->expert > 0;
}

/* One step of both: the same loss, and the gradients that `some` has are those of `all`. */
static void check_same_gradients(fixture *some, fixture *all)
{
    double loss_all = run(all), loss_some = run(some);
    assert_true(loss_all == loss_some);
    for (size_t i = 0; i < some->m->n_params + some->m->n_adapters; i++) {
        glot_param *p = param_at(some->m, i), *q = param_at(all->m, i);
        assert_string_equal(p->name, q->name);
        if (!p->is_trainable) {
            assert_null(p->grad.addr);
            continue;
        }
        size_t bytes = glot_tensor_bytes(&p->grad);
        double *a = malloc(bytes), *b = malloc(bytes);
        some->be->download(some->be, a, &p->grad);
        all->be->download(all->be, b, &q->grad);
        assert_memory_equal(a, b, bytes);
        free(a);
        free(b);
    }
    teardown(all);
    teardown(some);
}

/* Freezing the rest must not change the gradients of what trains, and what is frozen must have none. */
static void check_frozen(const glot_model_config *c, int64_t lora_rank, bool (*is_trainable)(const glot_param *))
{
    fixture all = {.lora_rank = lora_rank}, some = all;
    setup(&all, c, everything);
    setup(&some, c, is_trainable);
    check_same_gradients(&some, &all);
}

static void test_frozen_changes_nothing(void **state)
{
    (void)state;
    glot_model_config c = tiny_config(false, true), dense = dense_config(true);
    c.gate = (glot_gate_config){.n_layers = 2, .layers = {1, 2}};
    check_frozen(&c, 0, second_layer_router);
    check_frozen(&c, 0, second_layer_gate);
    check_frozen(&c, 0, new_experts);
    check_frozen(&dense, 3, nothing);
}

/* Activations that are made again are the ones that were there: with biases or norms per head, with gates, with layers
 * of one expert and of several, with adapters. */
static void test_recomputed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        glot_model_config c = i == 4 ? dense_config(true) : tiny_config(i % 2, !(i % 2));
        if (i == 2 || i == 3)
            c.gate = (glot_gate_config){.n_layers = 2, .layers = {1, 2}};
        fixture kept = {.lora_rank = i == 4 ? 2 : 0}, again = kept;
        setup(&kept, &c, i == 3 ? new_experts : everything);
        setup_in(&again, &c, i == 3 ? new_experts : everything, GLOT_WORKSPACE_RECOMPUTE);
        check_same_gradients(&again, &kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_parameter), cmocka_unit_test(test_released_forms), cmocka_unit_test(test_gates),
                                       cmocka_unit_test(test_group_lpr), cmocka_unit_test(test_lora),
                                       cmocka_unit_test(test_frozen_changes_nothing), cmocka_unit_test(test_recomputed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
