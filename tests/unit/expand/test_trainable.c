/* test_trainable.c: which parameters each stage trains, counted by kind. */
#include "unit/ref_backend.h"
#include "unit/tiny_model.h"

typedef struct counts {
    int routers, gates, originals, experts[4] /* by group */, others;
} counts;

static counts count(const glot_model *m)
{
    counts n = {0};
    for (size_t i = 0; i < m->n_params; i++) {
        const glot_param *p = m->params[i];
        if (!p->is_trainable)
            continue;
        if (p->role == GLOT_ROLE_ROUTER)
            n.routers++;
        else if (p->role == GLOT_ROLE_LANGUAGE_GATE)
            n.gates++;
        else if (p->expert == 0)
            n.originals++;
        else if (p->expert > 0)
            n.experts[m->config.expert_group[p->layer][p->expert]]++;
        else
            n.others++;
    }
    return n;
}

static void check(const glot_model *m, counts expected)
{
    counts got = count(m);
    if (memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("trained: %d routers, %d gates, %d originals, %d + %d of groups 1 and 2, %d others",
                 got.routers, got.gates, got.originals, got.experts[1], got.experts[2], got.others);
}

/* Layers with 3, 1 and 2 experts; `is_grown` adds one to the first two. A gate on layer 2. */
static glot_model *make(bool is_grown)
{
    static const int32_t first[TINY_LAYERS] = {3, 1, 2}, second[TINY_LAYERS] = {4, 2, 2};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    glot_param *gate;
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    OK(glot_upcycle(m, first, &settings, &err));
    if (is_grown)
        OK(glot_upcycle(m, second, &settings, &err));
    m->config.gate.n_layers = 1;
    m->config.gate.layers[0] = 2;
    OK(glot_model_add_param(&gate, m, GLOT_ROLE_LANGUAGE_GATE, 2, -1, GLOT_F32, &err));
    OK(glot_model_link(m, &err));
    return m;
}

static void test_modes(void **state)
{
    glot_error err = {0};
    glot_model *m = make(false);
    (void)state;
    OK(glot_set_trainable(m, GLOT_TRAIN_NEW_EXPERTS, &err));
    check(m, (counts){.routers = 2, .experts = {0, 9}});
    OK(glot_set_trainable(m, GLOT_TRAIN_ALL_EXPERTS, &err));
    check(m, (counts){.routers = 2, .originals = 6, .experts = {0, 9}}); /* layer 1 keeps its plain FFN */
    OK(glot_set_trainable(m, GLOT_TRAIN_ALL, &err));
    check(m, (counts){.routers = 2, .originals = 9, .experts = {0, 9}, .others = 2 + 3 * 6});
    OK(glot_set_trainable(m, GLOT_TRAIN_ROUTERS, &err));
    check(m, (counts){.routers = 2, .gates = 1});
    glot_model_close(m);
}

/* After growing only the newest experts are new. */
static void test_grown(void **state)
{
    glot_error err = {0};
    glot_model *m = make(true);
    (void)state;
    OK(glot_set_trainable(m, GLOT_TRAIN_NEW_EXPERTS, &err));
    check(m, (counts){.routers = 3, .experts = {0, 0, 6}});
    OK(glot_set_trainable(m, GLOT_TRAIN_ALL_EXPERTS, &err));
    check(m, (counts){.routers = 3, .originals = 9, .experts = {0, 9, 6}});
    glot_model_close(m);
}

static void test_dense(void **state)
{
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    (void)state;
    assert_int_equal(glot_set_trainable(m, GLOT_TRAIN_NEW_EXPERTS, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message,
                        "'random weights': nothing would train: no layer has more than one expert");
    OK(glot_set_trainable(m, GLOT_TRAIN_ALL, &err));
    assert_int_equal(count(m).others, 2 + 3 * 6);
    glot_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modes), cmocka_unit_test(test_grown),
                                       cmocka_unit_test(test_dense)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
