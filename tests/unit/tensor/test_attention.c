/* Attention of the CPU backend: the bits of the float reference in every shape, and a query's bits depend on
 * nothing but the query and its keys: not on the queries beside it, the keys behind it, the threads, or the
 * instruction set. */
#include "ops_util.h"

enum { MAX_CPUS = 16 };
static glot_backend *ref, *cpus[MAX_CPUS];
static int n_cpus;

static int open_backends(void **state)
{
    (void)state;
    static const int teams[] = {1, 2, 3, 8};
    ref = reference(GLOT_F32);
    for (const char *const *isa = glot_cpu_isas(); *isa; isa++)
        for (int i = 0; i < 4; i++)
            cpus[n_cpus++] = cpu_backend(teams[i], *isa);
    return 0;
}

static int close_backends(void **state)
{
    (void)state;
    while (n_cpus)
        glot_backend_close(cpus[--n_cpus]);
    glot_backend_close(ref);
    return 0;
}

static bool is_portable(const glot_backend *be)
{
    return strcmp(be->isa, "portable") == 0;
}

/* Sequences of given lengths: of n_kv[i] keys the last n_q[i] are the queries. */
typedef struct layout {
    int n;
    int n_q[8], n_kv[8];
    int heads, kv_heads, d;
} layout;

/* The tensors of one call; q, out [T, heads, d], k, v [S, kv_heads, d]. */
typedef struct scene {
    bench b;
    glot_tensor q, k, v, segments;
    double scale;
} scene;

static scene make_scene(const layout *l)
{
    scene s = {.b = bench_start(ref, (uint64_t)l->d), .scale = 1 / sqrt((double)l->d)};
    int32_t q = 2, kv = 1; /* rows in no sequence */
    s.segments = make(&s.b, glot_tensor_2d(GLOT_I32, l->n, 4));
    for (int i = 0; i < l->n; i++) {
        int32_t segment[4] = {q, l->n_q[i], kv, l->n_kv[i]};
        memcpy((int32_t *)s.segments.addr + (ptrdiff_t)i * 4, segment, sizeof segment);
        q += l->n_q[i];
        kv += l->n_kv[i];
    }
    s.q = make_normal(&s.b, glot_tensor_3d(GLOT_F32, q + 1, l->heads, l->d), 1.5);
    s.k = make_normal(&s.b, glot_tensor_3d(GLOT_F32, kv + 1, l->kv_heads, l->d), 1.5);
    s.v = make_normal(&s.b, s.k, 1);
    return s;
}

static void assert_same(const glot_tensor *expected, const glot_tensor *got, const glot_backend *be,
                        const char *what)
{
    for (int64_t i = 0; i < glot_tensor_elements(got); i++)
        if (!is_same_element(expected, got, i))
            fail_msg("%s on %s with %d threads: [%s] element %lld is %a, expected %a", what, be->isa,
                     be->n_threads, glot_tensor_shape_text(got, (char[96]){0}), (long long)i, get(got, i),
                     get(expected, i));
}

static int64_t work_of(const layout *l)
{
    int64_t work = 0;
    for (int i = 0; i < l->n; i++)
        work += (int64_t)l->n_q[i] * l->n_kv[i] * l->heads * l->d;
    return work;
}

static bool is_too_slow(const glot_backend *be, const layout *l)
{
    return is_portable(be) && (work_of(l) > 10000000 || (be->n_threads != 3 && work_of(l) > 1000000));
}

static void check_forward(const layout *l)
{
    scene s = make_scene(l);
    glot_tensor expected = make(&s.b, s.q), out = make(&s.b, s.q);
    fill(&expected, 7);
    glot_op_attention(ref, &expected, &s.q, &s.k, &s.v, &s.segments, s.scale);
    for (int i = 0; i < n_cpus; i++) {
        if (is_too_slow(cpus[i], l))
            continue;
        fill(&out, 7); /* rows in no sequence are left alone */
        glot_op_attention(cpus[i], &out, &s.q, &s.k, &s.v, &s.segments, s.scale);
        assert_same(&expected, &out, cpus[i], "attention");
    }
    bench_end(&s.b);
}

static void test_forward(void **state)
{
    (void)state;
    static const layout layouts[] = {
        {1, {1}, {1}, 1, 1, 1},
        {4, {1, 5, 33, 70}, {1, 5, 33, 70}, 9, 3, 64},
        {3, {2, 1, 20}, {300, 530, 20}, 4, 2, 16},
        {2, {6, 3}, {260, 515}, 6, 2, 80},
        {1, {300}, {300}, 2, 1, 17},
        {1, {40}, {600}, 3, 3, 32},
        {2, {3, 4}, {9, 17}, 7, 1, 128},
        {6, {1, 1, 1, 1, 1, 1}, {257, 3, 256, 90, 512, 31}, 8, 2, 8},
        {2, {5, 0}, {7, 3}, 2, 2, 1},
        {4, {1, 1, 1, 1}, {5, 256, 300, 64}, 9, 3, 64}, /* one query each, and heads of whole vectors */
        {5, {1, 9, 1, 1, 1}, {17, 33, 600, 1, 15}, 7, 1, 32},
        {2, {1, 1}, {18, 257}, 2, 2, 320},
        {2, {1, 1}, {33, 40}, 4, 2, 16},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        check_forward(&layouts[i]);
}

/* out rows of one sequence of n tokens, `step` queries in each call. */
static void attend_in_steps(glot_backend *be, const scene *s, const glot_tensor *out, int n, int step)
{
    for (int32_t first = 0; first < n; first += step) {
        int32_t count = first + step < n ? step : n - first;
        int32_t segment[4] = {2 + first, count, 1, first + count};
        glot_tensor one = glot_tensor_2d(GLOT_I32, 1, 4);
        one.addr = segment;
        glot_op_attention(be, out, &s->q, &s->k, &s->v, &one, s->scale);
    }
}

/* All at once, one token at a time, and in pieces of several lengths. */
static void check_any_steps(int d)
{
    static const int steps[] = {1, 2, 5, 16, 61, 64, 65, 100};
    layout l = {1, {290}, {290}, 6, 2, d};
    scene s = make_scene(&l);
    glot_tensor whole = make(&s.b, s.q), out = make(&s.b, s.q);
    for (int i = 0; i < n_cpus; i++) {
        if (is_portable(cpus[i]) && cpus[i]->n_threads != 2)
            continue;
        fill(&whole, 0);
        glot_op_attention(cpus[i], &whole, &s.q, &s.k, &s.v, &s.segments, s.scale);
        for (size_t j = 0; j < sizeof steps / sizeof *steps; j++) {
            fill(&out, 0);
            attend_in_steps(cpus[i], &s, &out, l.n_q[0], steps[j]);
            assert_same(&whole, &out, cpus[i], "attention in steps");
        }
    }
    bench_end(&s.b);
}

static void test_any_steps(void **state)
{
    (void)state;
    check_any_steps(24);
    check_any_steps(32); /* whole vectors: one query alone goes its own way */
}

/* A key or value that is not finite changes the queries that see it and no other bit. */
static void test_not_finite(void **state)
{
    (void)state;
    enum { N = 90, HEADS = 3, D = 20, KEY = 37 };
    layout l = {1, {N}, {N}, HEADS, 1, D};
    scene s = make_scene(&l);
    glot_tensor clean = make(&s.b, s.q), out = make(&s.b, s.q);
    fill(&clean, 0);
    glot_op_attention(ref, &clean, &s.q, &s.k, &s.v, &s.segments, s.scale);
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int which = 0; which < 6; which++) {
        glot_tensor *t = which % 2 ? &s.k : &s.v;
        int64_t at = (KEY + 1) * D + 4;
        double keep = get(t, at);
        set(t, at, bad[which / 2]);
        glot_tensor expected = make(&s.b, s.q);
        fill(&expected, 0);
        glot_op_attention(ref, &expected, &s.q, &s.k, &s.v, &s.segments, s.scale);
        for (int i = 0; i < n_cpus; i++) {
            fill(&out, 0);
            glot_op_attention(cpus[i], &out, &s.q, &s.k, &s.v, &s.segments, s.scale);
            assert_same(&expected, &out, cpus[i], "attention with a number that is not finite");
            glot_tensor before = glot_tensor_slice(&clean, 0, 2 + KEY),
                        got = glot_tensor_slice(&out, 0, 2 + KEY);
            assert_same(&before, &got, cpus[i], "queries before a number that is not finite");
        }
        set(t, at, keep);
    }
    bench_end(&s.b);
}

static void check_backward(const layout *l)
{
    scene s = make_scene(l);
    glot_tensor out = make(&s.b, s.q), d_out = make_normal(&s.b, s.q, 1);
    glot_tensor dq = make(&s.b, s.q), dk = make(&s.b, s.k), dv = make(&s.b, s.k);
    glot_tensor dq2 = make(&s.b, s.q), dk2 = make(&s.b, s.k), dv2 = make(&s.b, s.k);
    glot_op_attention(ref, &out, &s.q, &s.k, &s.v, &s.segments, s.scale);
    glot_op_attention_backward(ref, &dq, &dk, &dv, &d_out, &out, &s.q, &s.k, &s.v, &s.segments, s.scale);
    int64_t n = 0;
    for (int i = 0; i < l->n; i++)
        n += l->n_q[i];
    glot_tensor q_rows = glot_tensor_slice(&dq, 2, n), k_rows = glot_tensor_slice(&dk, 1, n),
                v_rows = glot_tensor_slice(&dv, 1, n);
    glot_tensor q_got = glot_tensor_slice(&dq2, 2, n), k_got = glot_tensor_slice(&dk2, 1, n),
                v_got = glot_tensor_slice(&dv2, 1, n);
    for (int i = 0; i < n_cpus; i++) {
        if (is_too_slow(cpus[i], l))
            continue;
        fill(&dq2, NAN), fill(&dk2, NAN), fill(&dv2, NAN);
        glot_op_attention_backward(cpus[i], &dq2, &dk2, &dv2, &d_out, &out, &s.q, &s.k, &s.v, &s.segments,
                                   s.scale);
        assert_same(&q_rows, &q_got, cpus[i], "dq");
        assert_same(&k_rows, &k_got, cpus[i], "dk");
        assert_same(&v_rows, &v_got, cpus[i], "dv");
    }
    bench_end(&s.b);
}

static void test_backward(void **state)
{
    (void)state;
    static const layout layouts[] = {
        {1, {1}, {1}, 1, 1, 1},
        {4, {1, 5, 33, 70}, {1, 5, 33, 70}, 9, 3, 64},
        {2, {65, 129}, {65, 129}, 4, 2, 17},
        {1, {530}, {530}, 2, 1, 8},
        {2, {257, 256}, {257, 256}, 3, 1, 16},
        {3, {13, 14, 15}, {13, 14, 15}, 6, 6, 128},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        check_backward(&layouts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_any_steps),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_backward),
    };
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
