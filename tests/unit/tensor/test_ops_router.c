/* METHOD 1 on every backend: the choice of experts with its ties and NaN, tokens on the exact path, and
 * dispatch as a stable partition. */
#include "ops_util.h"

/* ---- the choice ---- */

typedef struct choice {
    bench b;
    glot_tensor logits, probs, ids, mix;
} choice;

static choice choose(glot_backend *be, const double *logits, int64_t T, int64_t E, int64_t K,
                     const char *exact)
{
    choice c = {.b = bench_start(be, 1)};
    c.logits = make(&c.b, glot_tensor_2d(be->real, T, E));
    c.probs = make(&c.b, c.logits);
    c.ids = make(&c.b, glot_tensor_2d(GLOT_I32, T, K));
    c.mix = make(&c.b, glot_tensor_2d(be->real, T, K));
    glot_tensor is_exact = make(&c.b, glot_tensor_1d(GLOT_U8, T));
    for (int64_t i = 0; i < T * E; i++)
        set(&c.logits, i, logits[i]);
    for (int64_t t = 0; exact && t < T; t++)
        set(&is_exact, t, exact[t] == 'x');
    glot_op_router_topk(be, &c.probs, &c.ids, &c.mix, &c.logits, exact ? &is_exact : NULL);
    return c;
}

static void assert_ids(const choice *c, const int32_t *expected)
{
    for (int64_t i = 0; i < glot_tensor_elements(&c->ids); i++)
        if (((const int32_t *)c->ids.addr)[i] != expected[i])
            fail_msg("%s: choice %lld is expert %d, expected %d", c->b.be->name, (long long)i,
                     (int)get(&c->ids, i), expected[i]);
}

static void check_order_and_ties(glot_backend *be)
{
    const double z[] = {
        0, 3,  1, 2, /* best first */
        5, 5,  5, 5, /* ties: the lower ids */
        1, 2,  1, 2, /* two and two */
        0, -1, 7, 7,
    };
    choice c = choose(be, z, 4, 4, 3, NULL);
    assert_ids(&c, (const int32_t[]){1, 3, 2, 0, 1, 2, 1, 3, 0, 2, 3, 0});
    for (int t = 0; t < 4; t++) {
        double sum = get(&c.mix, t * 3) + get(&c.mix, t * 3 + 1) + get(&c.mix, t * 3 + 2);
        assert_true(fabs(sum - 1) <= 1e-6);
    }
    double e1 = exp(3) + exp(2) + exp(1);
    assert_true(fabs(get(&c.mix, 0) - exp(3) / e1) <= 1e-6 && fabs(get(&c.mix, 2) - exp(1) / e1) <= 1e-6);
    assert_true(fabs(get(&c.probs, 1) - exp(3) / (e1 + 1)) <= 1e-6);
    assert_true(get(&c.mix, 3) == get(&c.mix, 4) && get(&c.mix, 4) == get(&c.mix, 5));
    bench_end(&c.b);
}

/* Logits whose probabilities underflow to equal zeros still order as they are. */
static void check_underflow(glot_backend *be)
{
    const double z[] = {0, -1500, -1400, 100};
    choice c = choose(be, z, 1, 4, 4, NULL);
    assert_ids(&c, (const int32_t[]){3, 0, 2, 1});
    assert_true(get(&c.mix, 0) == 1);
    bench_end(&c.b);
}

/* A NaN is chosen after every number, by its id; minus infinity is a number. */
static void check_nan(glot_backend *be)
{
    const double no = (double)NAN, least = -(double)INFINITY;
    const double z[] = {no, 1, no, 2, no, no, no, no, 3, no, least, 1};
    choice c = choose(be, z, 3, 4, 3, NULL);
    assert_ids(&c, (const int32_t[]){3, 1, 0, 0, 1, 2, 0, 3, 2});
    assert_true(isnan(get(&c.mix, 0)) && isnan(get(&c.mix, 3))); /* seen in the output, never hidden */
    bench_end(&c.b);
}

static void check_one_expert(glot_backend *be)
{
    choice c = choose(be, (const double[]){-3, 800}, 2, 1, 1, NULL);
    assert_ids(&c, (const int32_t[]){0, 0});
    assert_true(get(&c.mix, 0) == 1 && get(&c.mix, 1) == 1 && get(&c.probs, 0) == 1);
    bench_end(&c.b);
}

static void check_exact(glot_backend *be)
{
    const double z[] = {0, 3, 1, 0, 3, 1, (double)NAN, 3, 1};
    choice c = choose(be, z, 3, 3, 2, "x-x");
    assert_ids(&c, (const int32_t[]){0, -1, 1, 2, 0, -1});
    assert_true(get(&c.mix, 0) == 1 && get(&c.mix, 1) == 0 && get(&c.mix, 4) == 1 && get(&c.mix, 5) == 0);
    for (int e = 0; e < 3; e++) /* the probabilities are those of any other token: the LPR loss uses them */
        assert_true(is_same_element(&c.probs, (glot_tensor[1]){glot_tensor_slice(&c.probs, 1, 1)}, e));
    bench_end(&c.b);
}

static void test_choice(void **state)
{
    (void)state;
    on_every_backend(check_order_and_ties);
    on_every_backend(check_underflow);
    on_every_backend(check_nan);
    on_every_backend(check_one_expert);
    on_every_backend(check_exact);
}

/* A token with an unused slot has no gradient through its weights. */
static void check_unused_has_no_gradient(glot_backend *be)
{
    bench b = bench_start(be, 2);
    glot_tensor d = make(&b, glot_tensor_2d(be->real, 2, 3)), ids = make(&b, glot_tensor_2d(GLOT_I32, 2, 2));
    glot_tensor mix = make(&b, glot_tensor_2d(be->real, 2, 2)), d_mix = make_normal(&b, mix, 1);
    memcpy(ids.addr, (int32_t[4]){0, -1, 2, 0}, 16);
    for (int i = 0; i < 4; i++)
        set(&mix, i, (const double[]){0.5, 0.5, 0.75, 0.25}[i]);
    glot_op_router_topk_backward(be, &d, &d_mix, &mix, &ids);
    double through = 0.75 * 0.25 * (get(&d_mix, 2) - get(&d_mix, 3));
    const double expected[] = {0, 0, 0, -through, 0, through};
    for (int i = 0; i < 6; i++)
        assert_true(fabs(get(&d, i) - expected[i]) <= 1e-7);
    bench_end(&b);
}

static void test_unused_slots(void **state)
{
    (void)state;
    on_every_backend(check_unused_has_no_gradient);
}

/* ---- dispatch ---- */

typedef struct routes {
    int64_t T;
    int E, K;
    int keep_one_in; /* a token uses all its slots with this chance; 1: always */
    int only_below;  /* experts that are chosen at all */
} routes;

static glot_tensor draw_ids(bench *b, const routes *r)
{
    glot_tensor ids = make(b, glot_tensor_2d(GLOT_I32, r->T, r->K));
    for (int64_t t = 0; t < r->T; t++) {
        int32_t *row = (int32_t *)ids.addr + t * r->K;
        int32_t first = (int32_t)glot_rng_below(&b->rng, (uint32_t)r->only_below);
        bool is_exact = glot_rng_below(&b->rng, (uint32_t)r->keep_one_in) != 0;
        for (int s = 0; s < r->K; s++)
            row[s] = is_exact ? (s ? -1 : 0) : (first + s) % r->only_below;
    }
    return ids;
}

static int64_t at(const glot_tensor *t, int64_t i)
{
    return ((const int32_t *)t->addr)[i];
}

/* Rows of an expert lie between its offsets and, by slot number, in ascending (so in token) order. */
static void assert_expert(const glot_dispatch *plan, const glot_tensor *ids, int e)
{
    int64_t first = at(&plan->expert_offsets, e), end = at(&plan->expert_offsets, e + 1);
    assert_true(first <= end);
    assert_int_equal(end - first, at(&plan->tokens_per_expert, e));
    for (int64_t r = first; r < end; r++) {
        int64_t slot = at(&plan->row_map, r);
        assert_true(slot >= 0 && slot < glot_tensor_elements(ids));
        assert_int_equal(at(ids, slot), e);
        assert_int_equal(at(&plan->slot_rows, slot), r);
        assert_true(r == first || at(&plan->row_map, r - 1) < slot);
    }
}

static void assert_partition(const glot_dispatch *plan, const glot_tensor *ids)
{
    int64_t n_used = 0;
    for (int64_t i = 0; i < glot_tensor_elements(ids); i++) {
        assert_true((at(ids, i) >= 0) == (at(&plan->slot_rows, i) >= 0));
        assert_true(at(&plan->slot_rows, i) >= -1);
        n_used += at(ids, i) >= 0;
    }
    assert_int_equal(at(&plan->expert_offsets, 0), 0);
    assert_int_equal(at(&plan->expert_offsets, plan->n_experts), n_used);
    for (int e = 0; e < plan->n_experts; e++)
        assert_expert(plan, ids, e);
    for (int64_t r = n_used; r < glot_tensor_elements(ids); r++)
        assert_int_equal(at(&plan->row_map, r), -1); /* as it was */
}

static void check_dispatch(glot_backend *be)
{
    static const routes cases[] = {{0, 4, 2, 1, 4},   {1, 1, 1, 1, 1},     {1, 64, 2, 1, 64},
                                   {17, 5, 2, 1, 5},  {17, 5, 2, 3, 5},    {64, 8, 8, 1, 8},
                                   {31, 6, 2, 1, 2},  {31, 6, 1, 1, 1},    {3, 40, 3, 2, 40},
                                   {257, 7, 3, 2, 7}, {1000, 64, 4, 4, 64}};
    for (uint64_t seed = 0; seed < 20; seed++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            bench b = bench_start(be, seed);
            glot_tensor ids = draw_ids(&b, &cases[i]);
            glot_dispatch plan = make_plan(&b, cases[i].T, cases[i].E, cases[i].K);
            glot_op_dispatch(be, &plan, &ids);
            assert_partition(&plan, &ids);
            bench_end(&b);
        }
}

static void test_dispatch(void **state)
{
    (void)state;
    on_every_backend(check_dispatch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_unused_slots),
        cmocka_unit_test(test_dispatch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
