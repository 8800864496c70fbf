/* The products of the CPU backend against the law's own words: every output is its start plus sums of 256
 * fused multiply-adds from k = 0 upward, added in order. Nothing else may show: how many rows, which row, how
 * many threads, which instruction set, how the work was cut. */
#include "ops_util.h"

enum { MAX_CPUS = 16, PANEL = 256 };
static glot_backend *cpus[MAX_CPUS];
static int n_cpus;

static int open_backends(void **state)
{
    (void)state;
    static const int teams[] = {1, 2, 3, 8};
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
    return 0;
}

static bool is_portable(const glot_backend *be)
{
    return strcmp(be->isa, "portable") == 0;
}

/* n numbers of a tensor, `step` elements apart. */
typedef struct line {
    const glot_tensor *t;
    int64_t first, step;
} line;

static float law(float start, line a, line b, int64_t n)
{
    for (int64_t panel = 0; panel < n; panel += PANEL) {
        float sum = 0;
        for (int64_t i = panel; i < n && i < panel + PANEL; i++)
            sum = fmaf((float)get(a.t, a.first + i * a.step), (float)get(b.t, b.first + i * b.step), sum);
        start += sum;
    }
    return start;
}

static void assert_same(const glot_tensor *expected, const glot_tensor *got, const glot_backend *be,
                        const char *what)
{
    assert_int_equal(glot_tensor_elements(expected), glot_tensor_elements(got));
    for (int64_t i = 0; i < glot_tensor_elements(got); i++)
        if (!is_same_element(expected, got, i))
            fail_msg("%s on %s with %d threads: [%s] element %lld is %a, expected %a", what, be->isa,
                     be->n_threads, glot_tensor_shape_text(got, (char[96]){0}), (long long)i, get(got, i),
                     get(expected, i));
}

/* One product in its three directions: x [T, k], w [n, k], y [T, n]. */
typedef struct product {
    bench b;
    glot_tensor x, w, y, bias;
    int64_t T, n, k;
} product;

static product make_product(int64_t T, int64_t n, int64_t k, glot_dtype dtype)
{
    product p = {.b = bench_start(cpus[0], (uint64_t)(T * 31 + n * 17 + k)), .T = T, .n = n, .k = k};
    p.x = make_normal(&p.b, glot_tensor_2d(GLOT_F32, T, k), 1);
    p.w = make_normal(&p.b, glot_tensor_2d(dtype, n, k), 1);
    p.y = make_normal(&p.b, glot_tensor_2d(GLOT_F32, T, n), 1);
    p.bias = make_normal(&p.b, glot_tensor_1d(dtype, n), 1);
    return p;
}

static glot_tensor expected_linear(product *p, bool has_bias)
{
    glot_tensor out = make(&p->b, p->y);
    for (int64_t t = 0; t < p->T; t++)
        for (int64_t j = 0; j < p->n; j++) {
            float sum = law(0, (line){&p->x, t * p->k, 1}, (line){&p->w, j * p->k, 1}, p->k);
            ((float *)out.addr)[t * p->n + j] = has_bias ? sum + (float)get(&p->bias, j) : sum;
        }
    return out;
}

static glot_tensor expected_backward_input(product *p, const glot_tensor *start)
{
    glot_tensor dx = make(&p->b, p->x);
    for (int64_t t = 0; t < p->T; t++)
        for (int64_t i = 0; i < p->k; i++) {
            float *out = (float *)dx.addr + t * p->k + i;
            float from = start ? (float)get(start, t * p->k + i) : 0;
            *out = law(from, (line){&p->y, t * p->n, 1}, (line){&p->w, i, p->k}, p->n);
        }
    return dx;
}

static glot_tensor expected_backward_weight(product *p, const glot_tensor *start)
{
    glot_tensor dw = make(&p->b, glot_tensor_2d(GLOT_F32, p->n, p->k));
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t i = 0; i < p->k; i++)
            ((float *)dw.addr)[j * p->k + i] =
                law((float)get(start, j * p->k + i), (line){&p->y, j, p->n}, (line){&p->x, i, p->k}, p->T);
    return dw;
}

/* Portable code calls fmaf for every element: it is shown small products only. */
static bool is_too_slow(const glot_backend *be, const product *p)
{
    return is_portable(be) &&
           (p->T * p->n * p->k > 3000000 || (be->n_threads != 2 && p->T * p->n * p->k > 300000));
}

static void check_directions(int64_t T, int64_t n, int64_t k, glot_dtype dtype)
{
    product p = make_product(T, n, k, dtype);
    glot_tensor dx0 = make_normal(&p.b, p.x, 1), dw0 = make_normal(&p.b, glot_tensor_2d(GLOT_F32, n, k), 1);
    glot_tensor plain = expected_linear(&p, false), biased = expected_linear(&p, true);
    glot_tensor dx = expected_backward_input(&p, NULL), dx_added = expected_backward_input(&p, &dx0);
    glot_tensor dw = expected_backward_weight(&p, &dw0);
    glot_tensor y = make(&p.b, p.y), x = make(&p.b, p.x), w = make(&p.b, dw0);
    for (int i = 0; i < n_cpus; i++) {
        glot_backend *be = cpus[i];
        if (is_too_slow(be, &p))
            continue;
        glot_op_linear(be, &y, &p.x, &p.w, NULL);
        assert_same(&plain, &y, be, "linear");
        glot_op_linear(be, &y, &p.x, &p.w, &p.bias);
        assert_same(&biased, &y, be, "linear with bias");
        glot_op_linear_backward_input(be, &x, &p.y, &p.w, false);
        assert_same(&dx, &x, be, "linear_backward_input");
        fill_copy(&x, &dx0);
        glot_op_linear_backward_input(be, &x, &p.y, &p.w, true);
        assert_same(&dx_added, &x, be, "linear_backward_input, added");
        fill_copy(&w, &dw0);
        glot_op_linear_backward_weight(be, &w, &p.y, &p.x);
        assert_same(&dw, &w, be, "linear_backward_weight");
    }
    bench_end(&p.b);
}

static void test_shapes(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {
        {1, 1, 1},    {2, 3, 5},     {5, 17, 256}, {13, 16, 257}, {7, 33, 511}, {29, 31, 513},
        {64, 65, 1},  {17, 129, 64}, {15, 15, 15}, {14, 32, 256}, {6, 16, 512}, {97, 101, 103},
        {257, 2, 3},  {3, 257, 2},   {2, 3, 769},  {3, 4, 0},     {0, 5, 6},    {31, 1, 300},
        {1, 1, 1025}, {3, 37, 1030}, {4, 70, 1281}};
    static const glot_dtype dtypes[] = {GLOT_F32, GLOT_F16, GLOT_BF16};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int d = 0; d < 3; d++)
            check_directions(shapes[i][0], shapes[i][1], shapes[i][2], dtypes[d]);
}

/* More rows than a slab holds; more k than fits beside them, so that the sum goes on from memory; both ways.
 */
static void test_large(void **state)
{
    (void)state;
    check_directions(1100, 20, 300, GLOT_F32);
    check_directions(20, 1100, 300, GLOT_BF16);
    check_directions(300, 20, 1100, GLOT_F16);
    check_directions(1024, 3, 2100, GLOT_F32);
    check_directions(2100, 3, 1024, GLOT_F32);
    check_directions(3, 8300, 70, GLOT_F32);
}

/* Every number of rows from 1 to 64 and some more, from the start of the batch and from anywhere in it. */
static void test_row_counts(void **state)
{
    (void)state;
    enum { ROWS = 200, N = 37, K = 300 };
    product p = make_product(ROWS, N, K, GLOT_F32);
    glot_tensor expected = expected_linear(&p, true), out = make(&p.b, p.y);
    for (int i = 0; i < n_cpus; i++)
        for (int64_t n = 1; n <= 130; n += n < 64 ? 1 : 33)
            for (int64_t first = 0; first + n <= ROWS; first += is_portable(cpus[i]) ? 149 : 23) {
                glot_tensor x = glot_tensor_slice(&p.x, first, n), y = glot_tensor_slice(&out, first, n);
                glot_tensor want = glot_tensor_slice(&expected, first, n);
                memset(y.addr, 0xff, glot_tensor_bytes(&y));
                glot_op_linear(cpus[i], &y, &x, &p.w, &p.bias);
                assert_same(&want, &y, cpus[i], "linear of some rows");
            }
    bench_end(&p.b);
}

static void set_products(glot_dtype products)
{
    for (int i = 0; i < n_cpus; i++)
        cpus[i]->products = products;
}

/* A whole batch, and its rows one by one, by two, three and four. */
static void check_few_rows(int64_t n, int64_t k, glot_dtype dtype)
{
    product p = make_product(23, n, k, dtype);
    glot_tensor all = make(&p.b, p.y), some = make(&p.b, p.y);
    for (int i = 0; i < n_cpus; i++) {
        if (is_portable(cpus[i]) && (cpus[i]->n_threads != 3 || n * k > 200000))
            continue;
        glot_op_linear(cpus[i], &all, &p.x, &p.w, &p.bias);
        for (int64_t t = 0, rows = 1; t < p.T; t += rows, rows = rows % 4 + 1) {
            rows = rows < p.T - t ? rows : p.T - t;
            glot_tensor x = glot_tensor_slice(&p.x, t, rows), y = glot_tensor_slice(&some, t, rows);
            glot_op_linear(cpus[i], &y, &x, &p.w, &p.bias);
        }
        assert_same(&all, &some, cpus[i], "linear by few rows");
    }
    bench_end(&p.b);
}

/* In the shapes of a model and in odd ones, every weight type, products in float32 and in bf16. */
static void test_few_rows(void **state)
{
    (void)state;
    static const glot_dtype dtypes[] = {GLOT_F32, GLOT_F16, GLOT_BF16};
    for (int d = 0; d < 3; d++)
        for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
            set_products(is_bf16 ? GLOT_BF16 : GLOT_F32);
            check_few_rows(576, 192, dtypes[d]);
            check_few_rows(65, 1101, dtypes[d]);
            check_few_rows(31, 513, dtypes[d]);
            check_few_rows(97, 1056, dtypes[d]);
            check_few_rows(1, 3, dtypes[d]);
        }
    set_products(GLOT_F32);
}

/* A plan written by hand: `counts` rows of each expert, the tokens in an order of no kind. */
static glot_dispatch plan_of_counts(bench *b, const int *counts, int n_experts, int top_k, int64_t n_rows)
{
    glot_dispatch plan = make_plan(b, (n_rows + top_k - 1) / top_k, n_experts, top_k);
    int32_t *offsets = plan.expert_offsets.addr, *row_map = plan.row_map.addr;
    offsets[0] = 0;
    for (int e = 0; e < n_experts; e++)
        offsets[e + 1] = offsets[e] + counts[e];
    assert_int_equal(offsets[n_experts], n_rows);
    for (int64_t r = 0; r < n_rows; r++)
        row_map[r] = (int32_t)((r * 7 + 3) % n_rows);
    return plan;
}

/* The rows of one expert as a matrix of their own. */
static glot_tensor rows_of(bench *b, const glot_tensor *x, const glot_dispatch *plan, int e, bool is_gathered)
{
    const int32_t *offsets = plan->expert_offsets.addr, *row_map = plan->row_map.addr;
    int64_t n = offsets[e + 1] - offsets[e], cols = glot_tensor_cols(x);
    glot_tensor rows = make(b, glot_tensor_2d(GLOT_F32, n, cols));
    for (int64_t i = 0; i < n; i++) {
        int64_t r = offsets[e] + i, from = is_gathered ? row_map[r] / plan->top_k : r;
        memcpy((float *)rows.addr + i * cols, (const float *)x->addr + from * cols,
               (size_t)cols * sizeof(float));
    }
    return rows;
}

enum { MAX_EXPERTS = 80 };

typedef struct experts {
    bench b;
    glot_dispatch plan;
    glot_tensor w[MAX_EXPERTS], dw[MAX_EXPERTS];
    const glot_tensor *w_list[MAX_EXPERTS], *dw_list[MAX_EXPERTS];
    int64_t n, k, n_rows;
} experts;

static void make_experts(experts *x, const int *counts, int n_experts, int top_k, int64_t n, int64_t k)
{
    *x = (experts){.b = bench_start(cpus[0], 5), .n = n, .k = k};
    for (int e = 0; e < n_experts; e++)
        x->n_rows += counts[e];
    x->plan = plan_of_counts(&x->b, counts, n_experts, top_k, x->n_rows);
    glot_tensor all = make_normal(&x->b, glot_tensor_2d(GLOT_F32, n_experts * n, k), 1);
    glot_tensor half = make(&x->b, glot_tensor_2d(GLOT_BF16, n_experts * n, k));
    for (int64_t i = 0; i < glot_tensor_elements(&all); i++)
        set(&half, i, get(&all, i));
    glot_tensor gradients = make(&x->b, all);
    for (int e = 0; e < n_experts; e++) {
        x->w[e] = glot_tensor_slice(e % 2 ? &half : &all, e * n, n);
        x->dw[e] = glot_tensor_slice(&gradients, e * n, n);
        x->w_list[e] = &x->w[e];
        x->dw_list[e] = e % 3 == 2 ? NULL : &x->dw[e]; /* some are frozen */
    }
}

static void check_grouped_forward(experts *x, glot_backend *be, bool is_gathered)
{
    bench b = bench_start(cpus[0], 6);
    int64_t tokens = (x->n_rows + x->plan.top_k - 1) / x->plan.top_k;
    glot_tensor in = make_normal(&b, glot_tensor_2d(GLOT_F32, is_gathered ? tokens : x->n_rows, x->k), 1);
    glot_tensor out = make(&b, glot_tensor_2d(GLOT_F32, x->n_rows, x->n));
    glot_op_grouped_linear(be, &out, &in, x->w_list, &x->plan, is_gathered);
    for (int e = 0; e < x->plan.n_experts; e++) {
        bench one = bench_start(cpus[0], 1);
        glot_tensor rows = rows_of(&one, &in, &x->plan, e, is_gathered);
        glot_tensor want = make(&one, glot_tensor_2d(GLOT_F32, rows.shape[0], x->n));
        glot_tensor got = rows_of(&one, &out, &x->plan, e, false);
        glot_op_linear(be, &want, &rows, &x->w[e], NULL);
        assert_same(&want, &got, be, "grouped_linear");
        bench_end(&one);
    }
    bench_end(&b);
}

static void check_grouped_backward(experts *x, glot_backend *be, bool is_gathered)
{
    bench b = bench_start(cpus[0], 6);
    int64_t tokens = (x->n_rows + x->plan.top_k - 1) / x->plan.top_k;
    glot_tensor in = make_normal(&b, glot_tensor_2d(GLOT_F32, is_gathered ? tokens : x->n_rows, x->k), 1);
    glot_tensor dy = make_normal(&b, glot_tensor_2d(GLOT_F32, x->n_rows, x->n), 1);
    glot_tensor dx = make(&b, glot_tensor_2d(GLOT_F32, x->n_rows, x->k));
    fill(&dx, 0.5);
    glot_op_grouped_linear_backward_input(be, &dx, &dy, x->w_list, &x->plan, is_gathered);
    for (int e = 0; e < x->plan.n_experts; e++)
        fill(&x->dw[e], e);
    glot_op_grouped_linear_backward_weight(be, x->dw_list, &dy, &in, &x->plan, is_gathered, is_gathered);
    for (int e = 0; e < x->plan.n_experts; e++) {
        bench one = bench_start(cpus[0], 1);
        glot_tensor rows = rows_of(&one, &in, &x->plan, e, is_gathered),
                    dy_e = rows_of(&one, &dy, &x->plan, e, false);
        glot_tensor want = make(&one, rows), got = rows_of(&one, &dx, &x->plan, e, false),
                    dw = make(&one, x->dw[e]);
        fill(&want, 0.5);
        fill(&dw, is_gathered || !x->dw_list[e] ? e : 0);
        glot_op_linear_backward_input(be, &want, &dy_e, &x->w[e], is_gathered);
        assert_same(&want, &got, be, "grouped_linear_backward_input");
        if (x->dw_list[e])
            glot_op_linear_backward_weight(be, &dw, &dy_e, &rows);
        assert_same(&dw, &x->dw[e], be, "grouped_linear_backward_weight");
        bench_end(&one);
    }
    bench_end(&b);
}

static void check_experts(const int *counts, int n_experts, int top_k, int64_t n, int64_t k)
{
    experts x;
    make_experts(&x, counts, n_experts, top_k, n, k);
    for (int i = 0; i < n_cpus; i++)
        if (!is_portable(cpus[i]) || (cpus[i]->n_threads == 3 && x.n_rows * n * k < 2000000))
            for (int is_gathered = 0; is_gathered < 2; is_gathered++) {
                check_grouped_forward(&x, cpus[i], is_gathered);
                check_grouped_backward(&x, cpus[i], is_gathered);
            }
    bench_end(&x.b);
}

/* Experts without rows, one with everything, rows past a panel, more experts than a batch of slabs. */
static void test_grouped(void **state)
{
    (void)state;
    check_experts((int[]){0, 7, 0, 30, 1}, 5, 2, 33, 19);
    check_experts((int[]){0, 0, 64, 0}, 4, 2, 17, 40);
    check_experts((int[]){300, 11, 270}, 3, 1, 35, 65);
    check_experts((int[]){5, 4, 3, 2, 1, 0, 0, 12}, 8, 3, 16, 300);
    int many[MAX_EXPERTS];
    for (int e = 0; e < MAX_EXPERTS; e++)
        many[e] = e % 7;
    check_experts(many, MAX_EXPERTS, 2, 20, 24);
}

/* A NaN or infinity in a row of x or of w reaches that row or column of the output and no other. */
static void test_not_finite(void **state)
{
    (void)state;
    product p = make_product(21, 35, 270, GLOT_F32);
    set(&p.x, 3 * p.k + 261, NAN);
    set(&p.x, 8 * p.k + 1, INFINITY);
    set(&p.w, 34 * p.k + 269, -INFINITY);
    glot_tensor expected = expected_linear(&p, false), y = make(&p.b, p.y);
    assert_true(isnan(get(&expected, 3 * p.n)) && isinf(get(&expected, 8 * p.n)) &&
                isinf(get(&expected, 34)));
    for (int i = 0; i < n_cpus; i++) {
        glot_op_linear(cpus[i], &y, &p.x, &p.w, NULL);
        assert_same(&expected, &y, cpus[i], "linear with NaN and infinity");
    }
    bench_end(&p.b);
}

static void test_choice_of_isa(void **state)
{
    (void)state;
    glot_backend *be = NULL;
    glot_error err = {0};
    assert_int_equal(glot_cpu_backend_create(&be, 1, "mmx", &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "'mmx'"));
    assert_non_null(strstr(err.message, "portable"));
    assert_int_equal(setenv("GLOT_ISA", "portable", 1), 0);
    assert_int_equal(glot_cpu_backend_create(&be, 0, NULL, &err), GLOT_OK);
    assert_string_equal(be->isa, "portable");
    assert_int_equal(be->n_threads, glot_cpu_count());
    glot_backend_close(be);
    assert_int_equal(setenv("GLOT_ISA", "sse9", 1), 0);
    assert_int_equal(glot_cpu_backend_create(&be, 1, NULL, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "GLOT_ISA is 'sse9'"));
    assert_int_equal(unsetenv("GLOT_ISA"), 0);
    assert_int_equal(glot_cpu_backend_create(&be, -1, NULL, &err), GLOT_BAD_ARGUMENT);
    assert_int_equal(glot_cpu_backend_create(&be, 1, NULL, &err), GLOT_OK);
    const char *const *last = glot_cpu_isas();
    while (last[1])
        last++;
    assert_string_equal(be->isa, *last);
    glot_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_large),
        cmocka_unit_test(test_row_counts),    cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_grouped),       cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_choice_of_isa),
    };
    return cmocka_run_group_tests(tests, open_backends, close_backends);
}
