/* The forward formulas at inputs whose outputs are known, or against the formula written once more in double;
 * on every backend. What the comparison with the reference cannot see: that both are wrong. */
#include "ops_util.h"

static void assert_close(const glot_backend *be, const char *what, double got, double expected)
{
    double tolerance = (be->real == GLOT_F64 ? 1e-13 : 2e-6) * fmax(1, fabs(expected));
    bool is_close = fabs(got - expected) <= tolerance;
    if (!is_close)
        fail_msg("%s %s: %s is %.12g, expected %.12g", be->name, be->isa, what, got, expected);
}

static glot_tensor of(bench *b, glot_tensor shape, const double *values)
{
    glot_tensor t = make(b, shape);
    for (int64_t i = 0; i < glot_tensor_elements(&t); i++)
        set(&t, i, values[i]);
    return t;
}

static void check_embed(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor table =
        of(&b, glot_tensor_2d(GLOT_BF16, 3, 2), (const double[]){1, 2, -3, 0.5, 5, -0.0078125});
    glot_tensor ids = of(&b, glot_tensor_1d(GLOT_I32, 2), (const double[]){2, 1});
    glot_tensor out = make(&b, glot_tensor_2d(be->real, 2, 2));
    const double expected[] = {5, -0.0078125, -3, 0.5};
    glot_op_embed(be, &out, &table, &ids);
    for (int i = 0; i < 4; i++)
        assert_true(get(&out, i) == expected[i]);
    bench_end(&b);
}

/* mean(x^2) + eps = 4 */
static void check_rms_norm(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor x = of(&b, glot_tensor_2d(be->real, 1, 4), (const double[]){1, -1, 3, -1});
    glot_tensor weight = of(&b, glot_tensor_1d(GLOT_F16, 4), (const double[]){1, 2, 0.5, 0}),
                out = make(&b, x);
    const double expected[] = {0.5, -1, 0.75, 0};
    glot_op_rms_norm(be, &out, &x, &weight, 1.0);
    for (int i = 0; i < 4; i++)
        assert_close(be, "norm", get(&out, i), expected[i]);
    bench_end(&b);
}

static void check_scale(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor x = of(&b, glot_tensor_2d(be->real, 1, 3), (const double[]){1, -3, 0.25}), out = make(&b, x);
    glot_op_scale(be, &out, &x, 1.5);
    for (int i = 0; i < 3; i++)
        assert_true(get(&out, i) == 1.5 * get(&x, i));
    bench_end(&b);
}

static void check_linear(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor x = of(&b, glot_tensor_2d(be->real, 2, 3), (const double[]){1, 2, 3, -1, 0, 4});
    glot_tensor w = of(&b, glot_tensor_2d(GLOT_F32, 2, 3), (const double[]){1, 0, -1, 2, 2, 2});
    glot_tensor bias = of(&b, glot_tensor_1d(GLOT_F32, 2), (const double[]){10, 20});
    glot_tensor out = make(&b, glot_tensor_2d(be->real, 2, 2));
    const double expected[] = {8, 32, 5, 26};
    glot_op_linear(be, &out, &x, &w, &bias);
    for (int i = 0; i < 4; i++)
        assert_true(get(&out, i) == expected[i]);
    bench_end(&b);
}

/* Pairs (i, i + d/2), turned to the left by a quarter and by 0.3. */
static void check_rope(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor x = of(&b, glot_tensor_3d(be->real, 1, 1, 4), (const double[]){1, 2, 3, 4}),
                old = make(&b, x);
    glot_tensor positions = of(&b, glot_tensor_1d(GLOT_I32, 1), (const double[]){1});
    glot_tensor c = of(&b, glot_tensor_2d(GLOT_F32, 2, 2), (const double[]){1, 1, 0, (double)cosf(0.3f)});
    glot_tensor s = of(&b, glot_tensor_2d(GLOT_F32, 2, 2), (const double[]){0, 0, 1, (double)sinf(0.3f)});
    double cosine = get(&c, 3), sine = get(&s, 3);
    const double expected[] = {-3, 2 * cosine - 4 * sine, 1, 4 * cosine + 2 * sine};
    fill_copy(&old, &x);
    glot_op_rope(be, &x, &positions, &c, &s, false);
    for (int i = 0; i < 4; i++)
        assert_close(be, "rope", get(&x, i), expected[i]);
    glot_op_rope(be, &x, &positions, &c, &s, true);
    for (int i = 0; i < 4; i++) /* a turn back; float tables are a turn within 1e-7 only */
        assert_true(fabs(get(&x, i) - get(&old, i)) <= 1e-5);
    bench_end(&b);
}

static void check_swiglu(glot_backend *be)
{
    bench b = bench_start(be, 1);
    const double gates[] = {0, 1, -1, 30, -1000}, ups[] = {5, 2, 3, -1, 4};
    glot_tensor gate = of(&b, glot_tensor_2d(be->real, 1, 5), gates), up = of(&b, gate, ups),
                out = make(&b, gate);
    glot_op_swiglu(be, &out, &gate, &up);
    for (int i = 0; i < 5; i++)
        assert_close(be, "swiglu", get(&out, i), gates[i] / (1 + exp(-gates[i])) * ups[i]);
    bench_end(&b);
}

/* ---- attention ---- */

enum { N_HEADS = 6, N_KV_HEADS = 2, WIDTH = 5, N_ROWS = 9, N_KEYS = 12 };

/* Out of the definition: what head `head` of query row q takes from keys first .. first + n. */
static void attend(double out[WIDTH], const glot_tensor *q, const glot_tensor *k, const glot_tensor *v,
                   int row, int head, int first, int n, double scale)
{
    double score[N_KEYS], sum = 0;
    int kv_head = head / (N_HEADS / N_KV_HEADS);
    for (int j = 0; j < n; j++) {
        score[j] = 0;
        for (int c = 0; c < WIDTH; c++)
            score[j] += get(q, (row * N_HEADS + head) * WIDTH + c) *
                        get(k, ((first + j) * N_KV_HEADS + kv_head) * WIDTH + c);
        score[j] = exp(score[j] * scale);
        sum += score[j];
    }
    for (int c = 0; c < WIDTH; c++) {
        out[c] = 0;
        for (int j = 0; j < n; j++)
            out[c] += score[j] / sum * get(v, ((first + j) * N_KV_HEADS + kv_head) * WIDTH + c);
    }
}

/* Two sequences: five tokens alone, and three that follow four keys. The last row is in none. */
static void check_attention(glot_backend *be)
{
    bench b = bench_start(be, 2);
    glot_tensor q = make_normal(&b, glot_tensor_3d(be->real, N_ROWS, N_HEADS, WIDTH), 1), out = make(&b, q);
    glot_tensor k = make_normal(&b, glot_tensor_3d(be->real, N_KEYS, N_KV_HEADS, WIDTH), 1);
    glot_tensor v = make_normal(&b, k, 1);
    glot_tensor segments = of(&b, glot_tensor_2d(GLOT_I32, 2, 4), (const double[]){0, 5, 0, 5, 5, 3, 5, 7});
    glot_op_attention(be, &out, &q, &k, &v, &segments, 0.7);
    for (int row = 0; row < 8; row++)
        for (int head = 0; head < N_HEADS; head++) {
            double expected[WIDTH];
            attend(expected, &q, &k, &v, row, head, row < 5 ? 0 : 5, row < 5 ? row + 1 : row, 0.7);
            for (int c = 0; c < WIDTH; c++)
                assert_close(be, "attention", get(&out, (row * N_HEADS + head) * WIDTH + c), expected[c]);
        }
    for (int i = 8 * N_HEADS * WIDTH; i < N_ROWS * N_HEADS * WIDTH; i++)
        assert_true(isnan(get(&out, i)));
    bench_end(&b);
}

/* ---- experts ---- */

/* METHOD 1: y = sum over slots of w_s o_s, w summing to 1, in its first form. */
static void check_combine(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor ids = of(&b, glot_tensor_2d(GLOT_I32, 2, 2), (const double[]){1, 0, 0, -1});
    glot_tensor mix = of(&b, glot_tensor_2d(be->real, 2, 2), (const double[]){0.75, 0.25, 1, 0});
    glot_dispatch plan = make_plan(&b, 2, 2, 2);
    glot_tensor x = of(&b, glot_tensor_2d(be->real, 2, 1), (const double[]){2, 3});
    glot_tensor w[2] = {of(&b, glot_tensor_2d(GLOT_F32, 1, 1), (const double[]){10}),
                        of(&b, glot_tensor_2d(GLOT_F32, 1, 1), (const double[]){100})};
    glot_tensor rows = make(&b, glot_tensor_2d(be->real, 4, 1)), y = make(&b, glot_tensor_2d(be->real, 2, 1));
    glot_op_dispatch(be, &plan, &ids);
    glot_op_grouped_linear(be, &rows, &x, (const glot_tensor *[]){&w[0], &w[1]}, &plan, true);
    glot_op_moe_combine(be, &y, &rows, &mix, &plan);
    assert_close(be, "two experts", get(&y, 0), 0.75 * 200 + 0.25 * 20);
    assert_true(get(&y, 1) == 30);
    assert_true(isnan(get(&rows, 3))); /* behind the last used row */
    bench_end(&b);
}

/* METHOD 4: unit vectors of rows 3 4 and 0 -2; a row of zeros and one that is not counted add nothing. */
static void check_unit_sum(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor x = of(&b, glot_tensor_2d(be->real, 4, 2), (const double[]){3, 4, 0, 0, 0, -2, 7, 7});
    glot_tensor is_counted = of(&b, glot_tensor_1d(GLOT_U8, 4), (const double[]){1, 1, 1, 0});
    glot_tensor sum = of(&b, glot_tensor_1d(GLOT_F64, 2), (const double[]){10, 20});
    glot_op_unit_sum(be, &sum, &x, &is_counted);
    for (int j = 0; j < 2; j++) {
        bool is_close = fabs(get(&sum, j) - (double[]){10.6, 19.8}[j]) <= 1e-14;
        if (!is_close)
            fail_msg("%s %s: sum %d is %.17g", be->name, be->isa, j, get(&sum, j));
    }
    bench_end(&b);
}

/* ---- the language gate ---- */

/* METHOD 6: running means of two documents, BOS (id 9) left out; the second goes on from what slot 1 holds. */
static void check_gate_input(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor ids = of(&b, glot_tensor_1d(GLOT_I32, 7), (const double[]){9, 1, 1, 9, 1, 9, 1});
    glot_tensor x = of(&b, glot_tensor_2d(be->real, 7, 1), (const double[]){100, 2, 4, 100, 9, 100, 5});
    glot_tensor documents =
        of(&b, glot_tensor_2d(GLOT_I32, 2, 4), (const double[]){0, 5, 0, 0, 5, 2, 1, 3});
    glot_tensor sums = of(&b, glot_tensor_2d(GLOT_F64, 2, 1), (const double[]){77, 15}), out = make(&b, x);
    const double means[] = {0, 2, 3, 3, 5, 5, 5}, totals[] = {15, 15, 15, 15, 15, 25, 25};
    glot_op_gate_input(be, &out, &sums, &x, &ids, &documents, 9, false);
    for (int t = 0; t < 7; t++)
        assert_true(get(&out, t) == means[t]);
    assert_true(get(&sums, 0) == 15 && get(&sums, 1) == 20);
    glot_op_gate_input(be, &out, &sums, &x, &ids, &documents, 9, true);
    for (int t = 0; t < 7; t++)
        assert_true(get(&out, t) == totals[t]);
    bench_end(&b);
}

/* Class 0 only where its logit is the larger one. */
static void check_gate_decide(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor logits =
        of(&b, glot_tensor_2d(be->real, 5, 2), (const double[]){1, 0, 0, 1, 2, 2, NAN, 1, 0, 1});
    glot_tensor is_exact = of(&b, glot_tensor_1d(GLOT_U8, 5), (const double[]){0, 0, 0, 0, 1});
    glot_tensor out = make(&b, is_exact);
    const double expected[] = {1, 0, 0, 0, 1};
    glot_op_gate_decide(be, &out, &logits, &is_exact);
    for (int t = 0; t < 5; t++)
        assert_true(get(&out, t) == expected[t]);
    glot_op_gate_decide(be, &out, &logits, NULL);
    assert_true(get(&out, 0) == 1 && get(&out, 4) == 0);
    bench_end(&b);
}

/* Equal logits cost log 2; group 0 is class 0, every other class 1. */
static void check_gate_loss(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor logits = of(&b, glot_tensor_2d(be->real, 3, 2), (const double[]){1, 1, 0, 2, 0, 2});
    glot_tensor group = of(&b, glot_tensor_1d(GLOT_U8, 3), (const double[]){0, 0, 3});
    glot_tensor loss = of(&b, glot_tensor_1d(GLOT_F64, 1), (const double[]){0}), d = make(&b, logits);
    double p = 1 / (1 + exp(2));
    const double gradient[] = {-1, 1, 2 * (p - 1), 2 * (1 - p), 2 * p, -2 * p};
    glot_op_gate_loss(be, &loss, &d, &logits, &group, 2);
    assert_close(be, "loss", get(&loss, 0), log(2) - log(p) - log(1 - p));
    for (int i = 0; i < 6; i++)
        assert_close(be, "gradient", get(&d, i), gradient[i]);
    bench_end(&b);
}

#define ANCHOR(name)                                                                                         \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        on_every_backend(check_##name);                                                                      \
    }
ANCHOR(embed)
ANCHOR(rms_norm)
ANCHOR(scale)
ANCHOR(linear)
ANCHOR(rope)
ANCHOR(swiglu)
ANCHOR(attention)
ANCHOR(combine)
ANCHOR(unit_sum)
ANCHOR(gate_input)
ANCHOR(gate_decide)
ANCHOR(gate_loss)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),   cmocka_unit_test(test_rms_norm), cmocka_unit_test(test_linear),
        cmocka_unit_test(test_rope),    cmocka_unit_test(test_swiglu),   cmocka_unit_test(test_attention),
        cmocka_unit_test(test_combine), cmocka_unit_test(test_unit_sum), cmocka_unit_test(test_gate_input), cmocka_unit_test(test_gate_decide),
        cmocka_unit_test(test_gate_loss), cmocka_unit_test(test_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
