/* What one layer put together from the ops must do whatever the numbers: experts renamed, tokens shuffled,
 * all experts equal, one expert, tokens on the exact path. On every backend; bits where the law promises
 * bits. */
#include "layer_util.h"

static double tolerance(const glot_backend *be)
{
    return be->real == GLOT_F64 ? 1e-12 : 2e-5;
}

static void assert_close(const glot_backend *be, const char *what, double a, double b)
{
    bool is_close = fabs(a - b) <= tolerance(be) * fmax(1, fmax(fabs(a), fabs(b)));
    if (!is_close)
        fail_msg("%s: %s: %.12g and %.12g", be->name, what, a, b);
}

static void assert_rows_close(const glot_backend *be, const char *what, const glot_tensor *a,
                              const glot_tensor *b)
{
    for (int64_t i = 0; i < glot_tensor_elements(a); i++)
        assert_close(be, what, get(a, i), get(b, i));
}

static void assert_same_rows(const char *what, const glot_tensor *a, int64_t row_a, const glot_tensor *b,
                             int64_t row_b)
{
    glot_tensor x = glot_tensor_slice(a, row_a, 1), y = glot_tensor_slice(b, row_b, 1);
    for (int64_t i = 0; i < glot_tensor_elements(&x); i++)
        if (!is_same_element(&x, &y, i))
            fail_msg("%s: rows %lld and %lld differ: %a and %a", what, (long long)row_a, (long long)row_b,
                     get(&x, i), get(&y, i));
}

static void copy_row(const glot_tensor *to, int64_t row_to, const glot_tensor *from, int64_t row_from)
{
    glot_tensor x = glot_tensor_slice(to, row_to, 1), y = glot_tensor_slice(from, row_from, 1);
    fill_copy(&x, &y);
}

static void shuffled(bench *b, int64_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = glot_rng_below(&b->rng, (uint32_t)i + 1), old = order[i];
        order[i] = order[j];
        order[j] = old;
    }
}

static layer_size size_of_case(uint64_t seed)
{
    static const int experts[] = {2, 3, 4, 5, 8};
    int E = experts[seed % 5];
    return (layer_size){.T = 5 + (int64_t)(seed % 13),
                        .h = 7 + (int64_t)(seed % 11),
                        .f = 5 + (int64_t)(seed % 7),
                        .E = E,
                        .K = 1 + (int)(seed % 3) % E};
}

enum { N_CASES = 40 };

static void losses_of(bench *b, layer *l)
{
    glot_tensor d = make_normal(b, l->logits, 0);
    layer_losses(b, l, &d);
}

/* P3. Expert e of one layer is expert order[e] of the other, in weights and router: loads move along, output
 * and balance stay. (LPR does not: expert 0 is home.) */
static void check_relabelled(glot_backend *be)
{
    for (uint64_t seed = 0; seed < N_CASES; seed++) {
        bench b = bench_start(be, seed), other = bench_start(be, seed);
        layer l = layer_make(&b, size_of_case(seed)), m = layer_make(&other, l.s);
        int64_t order[LAYER_EXPERTS];
        shuffled(&b, order, l.s.E);
        for (int e = 0; e < l.s.E; e++) {
            copy_row(&m.router, order[e], &l.router, e);
            fill_copy(&m.w.gate[order[e]], &l.w.gate[e]);
            fill_copy(&m.w.up[order[e]], &l.w.up[e]);
            fill_copy(&m.w.down[order[e]], &l.w.down[e]);
        }
        layer_forward(&b, &l, NULL);
        layer_forward(&other, &m, NULL);
        losses_of(&b, &l);
        losses_of(&other, &m);
        assert_rows_close(be, "output of relabelled experts", &l.y, &m.y);
        assert_close(be, "balance of relabelled experts", get(&l.balance, 0), get(&m.balance, 0));
        for (int e = 0; e < l.s.E; e++)
            assert_true(get(&l.plan.tokens_per_expert, e) == get(&m.plan.tokens_per_expert, order[e]));
        bench_end(&b);
        bench_end(&other);
    }
}

/* P4. Token t of one run is token order[t] of the other: its row has the same bits, forward and backward. */
static void check_shuffled_tokens(glot_backend *be)
{
    for (uint64_t seed = 0; seed < N_CASES; seed++) {
        bench b = bench_start(be, seed), other = bench_start(be, seed);
        layer l = layer_make(&b, size_of_case(seed)), m = layer_make(&other, l.s);
        int64_t order[64];
        shuffled(&b, order, l.s.T);
        for (int64_t t = 0; t < l.s.T; t++) {
            copy_row(&m.x, order[t], &l.x, t);
            copy_row(&m.dy, order[t], &l.dy, t);
            copy_row(&m.group, order[t], &l.group, t);
        }
        layer_forward(&b, &l, NULL);
        layer_forward(&other, &m, NULL);
        layer_backward(&b, &l);
        layer_backward(&other, &m);
        for (int64_t t = 0; t < l.s.T; t++) {
            assert_same_rows("y", &l.y, t, &m.y, order[t]);
            assert_same_rows("dx", &l.dx, t, &m.dx, order[t]);
        }
        assert_close(be, "balance", get(&l.balance, 0), get(&m.balance, 0));
        assert_close(be, "lpr", get(&l.lpr, 0), get(&m.lpr, 0));
        assert_rows_close(be, "d_router", &l.d_router, &m.d_router);
        bench_end(&b);
        bench_end(&other);
    }
}

/* One expert's FFN by the dense products: y of all tokens. */
static void dense_ffn(bench *b, const layer *l, int e, const glot_tensor *y)
{
    glot_tensor gate = make(b, glot_tensor_2d(b->be->real, l->s.T, l->s.f)), up = make(b, gate);
    glot_op_linear(b->be, &gate, &l->x, &l->w.gate[e], NULL);
    glot_op_linear(b->be, &up, &l->x, &l->w.up[e], NULL);
    glot_op_swiglu(b->be, &gate, &gate, &up);
    glot_op_linear(b->be, y, &gate, &l->w.down[e], NULL);
}

/* P6. K = E and equal logits: the mean of the experts. */
static void check_mean_of_experts(glot_backend *be)
{
    for (int E = 1; E <= 5; E++) {
        bench b = bench_start(be, 100 + (uint64_t)E);
        layer l = layer_make(&b, (layer_size){.T = 6, .h = 9, .f = 11, .E = E, .K = E});
        glot_tensor mean = make_normal(&b, l.y, 0), one = make(&b, l.y);
        fill(&l.router, 0);
        layer_forward(&b, &l, NULL);
        for (int e = 0; e < E; e++) {
            dense_ffn(&b, &l, e, &one);
            for (int64_t i = 0; i < glot_tensor_elements(&mean); i++)
                set(&mean, i, get(&mean, i) + get(&one, i) / E);
        }
        assert_rows_close(be, "mean of experts", &mean, &l.y);
        bench_end(&b);
    }
}

/* P6 and METHOD 1: one expert, or any number of equal ones whatever the router says, is the plain FFN, bit
 * for bit. */
static void check_equal_experts(glot_backend *be)
{
    for (uint64_t seed = 0; seed < N_CASES; seed++) {
        bench b = bench_start(be, 200 + seed);
        int E = 1 + (int)(seed % 8), K = 1 + (int)(seed / 8) % E;
        layer l = layer_make(&b, (layer_size){.T = 6, .h = 9 + (int64_t)seed, .f = 11, .E = E, .K = K});
        glot_tensor plain = make(&b, l.y);
        for (int e = 1; e < E; e++) {
            fill_copy(&l.w.gate[e], &l.w.gate[0]);
            fill_copy(&l.w.up[e], &l.w.up[0]);
            fill_copy(&l.w.down[e], &l.w.down[0]);
        }
        layer_forward(&b, &l, NULL);
        dense_ffn(&b, &l, 0, &plain);
        for (int64_t t = 0; t < l.s.T; t++)
            assert_same_rows("equal experts", &plain, t, &l.y, t);
        bench_end(&b);
    }
}

/* METHOD 8: a token on the exact path has expert 0's output, bit for bit; the others are not touched by that.
 */
static void check_exact_path(glot_backend *be)
{
    for (uint64_t seed = 0; seed < N_CASES; seed++) {
        bench b = bench_start(be, 300 + seed);
        layer l = layer_make(&b, size_of_case(seed));
        glot_tensor is_exact = make_whole(&b, glot_tensor_1d(GLOT_U8, l.s.T), 0, 2), mixed = make(&b, l.y);
        glot_tensor plain = make(&b, l.y);
        layer_forward(&b, &l, NULL);
        fill_copy(&mixed, &l.y);
        layer_forward(&b, &l, &is_exact);
        dense_ffn(&b, &l, 0, &plain);
        for (int64_t t = 0; t < l.s.T; t++)
            assert_same_rows("exact path", get(&is_exact, t) != 0 ? &plain : &mixed, t, &l.y, t);
        bench_end(&b);
    }
}

#define PROPERTY(name)                                                                                       \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        on_every_backend(check_##name);                                                                      \
    }
PROPERTY(relabelled)
PROPERTY(shuffled_tokens)
PROPERTY(mean_of_experts)
PROPERTY(equal_experts)
PROPERTY(exact_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relabelled),      cmocka_unit_test(test_shuffled_tokens),
        cmocka_unit_test(test_mean_of_experts), cmocka_unit_test(test_equal_experts),
        cmocka_unit_test(test_exact_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
