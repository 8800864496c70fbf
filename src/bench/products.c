/* products.c: the shapes are those of SmolLM2-135M: 576 wide, 1,536 in the feed-forward, 9 heads of 64 over 3
 * kv heads, 49,152 tokens. */
#include "bench/products.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "bench/units.h"

#include <string.h>

/* One op on tensors made for it. */
typedef struct bench_case {
    glot_backend *be;
    glot_tensor out, x, y, w, segments, extra[3];
} bench_case;

typedef struct case_row {
    const char *name;
    int64_t m, n, k;
    void (*run)(bench_case *c);
} case_row;

enum { HIDDEN = 576, INNER = 1536, VOCABULARY = 49152, N_HEADS = 9, N_KV_HEADS = 3, HEAD_DIM = 64 };
enum { SEGMENT = 256, MAX_ROWS = 1024, MIN_REPEATS = 3 };

static void run_linear(bench_case *c)
{
    glot_op_linear(c->be, &c->out, &c->x, &c->w, NULL);
}

static void run_backward_input(bench_case *c)
{
    glot_op_linear_backward_input(c->be, &c->x, &c->out, &c->w, false);
}

static void run_backward_weight(bench_case *c)
{
    glot_op_linear_backward_weight(c->be, &c->w, &c->out, &c->x);
}

static void run_attention(bench_case *c)
{
    glot_op_attention(c->be, &c->out, &c->x, &c->w, &c->y, &c->segments, 0.125);
}

static void run_attention_backward(bench_case *c)
{
    glot_op_attention_backward(c->be, &c->extra[0], &c->extra[1], &c->extra[2], &c->x, &c->out, &c->x, &c->w,
                               &c->y, &c->segments, 0.125);
}

static const case_row case_rows[] = {
    {"linear", 1024, INNER, HIDDEN, run_linear},
    {"linear", 512, HIDDEN, INNER, run_linear},
    {"linear_backward_input", 1024, INNER, HIDDEN, run_backward_input},
    {"linear_backward_input", 512, HIDDEN, INNER, run_backward_input},
    {"linear_backward_weight", 1024, INNER, HIDDEN, run_backward_weight},
    {"linear_backward_weight", 512, HIDDEN, INNER, run_backward_weight},
    {"linear", 256, VOCABULARY, HIDDEN, run_linear},
    {"linear_backward_input", 256, VOCABULARY, HIDDEN, run_backward_input},
    {"linear", 37, INNER, HIDDEN, run_linear},
    {"linear", 1, VOCABULARY, HIDDEN, run_linear},
    {"linear", 4, VOCABULARY, HIDDEN, run_linear},
    {"linear", 8, VOCABULARY, HIDDEN, run_linear},
    {"attention", MAX_ROWS, N_HEADS, HEAD_DIM, run_attention},
    {"attention_backward", MAX_ROWS, N_HEADS, HEAD_DIM, run_attention_backward},
};

static bool is_attention(const case_row *row)
{
    return row->run == run_attention || row->run == run_attention_backward;
}

/* Takes the case's tensors from the pool. */
static void take_case(bench_case *c, const case_row *row, glot_dtype weights, glot_pool *pool)
{
    if (is_attention(row)) {
        c->out = c->x = c->extra[0] = glot_tensor_3d(GLOT_F32, row->m, N_HEADS, HEAD_DIM);
        c->w = c->y = c->extra[1] = c->extra[2] = glot_tensor_3d(GLOT_F32, row->m, N_KV_HEADS, HEAD_DIM);
        c->segments = glot_tensor_2d(GLOT_I32, row->m / SEGMENT, 4);
        glot_tensor *all[] = {&c->out,      &c->x,        &c->w,        &c->y,
                              &c->extra[0], &c->extra[1], &c->extra[2], &c->segments};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            glot_pool_take(pool, all[i]);
        return;
    }
    c->out = glot_tensor_2d(GLOT_F32, row->m, row->n);
    c->x = glot_tensor_2d(GLOT_F32, row->m, row->k);
    c->w = glot_tensor_2d(row->run == run_backward_weight ? GLOT_F32 : weights, row->n, row->k);
    glot_pool_take(pool, &c->out);
    glot_pool_take(pool, &c->x);
    glot_pool_take(pool, &c->w);
}

/* Numbers around 0 of the size of activations: some, again and again. */
static void fill(glot_backend *be, const glot_tensor *t, char *host)
{
    enum { SOME = 4096 };
    glot_rng rng = glot_rng_seed(1, (uint64_t)glot_tensor_elements(t));
    size_t bytes = glot_tensor_bytes(t), filled = SOME * glot_dtype_block_bytes(t->dtype);
    for (int64_t i = 0; i < SOME; i++)
        glot_dtype_set(t->dtype, host, i, (double)glot_rng_u32(&rng) * 0x1p-32 - 0.5);
    for (; filled < bytes; filled *= 2)
        memcpy(host + filled, host, filled < bytes - filled ? filled : bytes - filled);
    be->upload(be, t, host);
}

static void fill_case(bench_case *c, const case_row *row, char *host)
{
    fill(c->be, &c->x, host);
    fill(c->be, &c->out, host);
    fill(c->be, &c->w, host);
    if (!is_attention(row))
        return;
    fill(c->be, &c->y, host);
    int32_t segments[MAX_ROWS / SEGMENT][4];
    for (int32_t i = 0; i < MAX_ROWS / SEGMENT; i++)
        for (int32_t j = 0; j < 4; j++)
            segments[i][j] = j % 2 ? SEGMENT : i * SEGMENT;
    c->be->upload(c->be, &c->segments, segments);
}

/* The seconds of one call, until the ops are done. */
static double time_call(bench_case *c, const case_row *row)
{
    float one[MAX_ROWS];
    glot_tensor last = glot_tensor_slice(&c->out, 0, 0);
    double start = glot_seconds();
    row->run(c);
    c->be->download(c->be, one, &last);
    return glot_seconds() - start;
}

static double flops_of(const case_row *row)
{
    double pairs = (double)row->m * (SEGMENT + 1) / 2; /* query and key, in each head */
    if (row->run == run_attention)
        return 4.0 * pairs * N_HEADS * HEAD_DIM;
    if (row->run == run_attention_backward)
        return 10.0 * pairs * N_HEADS * HEAD_DIM;
    return 2.0 * (double)row->m * (double)row->n * (double)row->k;
}

static glot_bench_product time_case(bench_case *c, const case_row *row, double seconds)
{
    double best = time_call(c, row), start = glot_seconds();
    for (int i = 0; i < MIN_REPEATS || glot_seconds() - start < seconds; i++) {
        double took = time_call(c, row);
        best = took < best ? took : best;
    }
    double bytes = is_attention(row) ? 0 : (double)glot_tensor_bytes(&c->w);
    return (glot_bench_product){row->name, row->m, row->n, row->k, flops_of(row), bytes, best};
}

/* The numbers of the largest operand. */
static int64_t numbers_of(const case_row *row)
{
    int64_t out = row->m * row->n, x = row->m * row->k, w = row->n * row->k, most = out > x ? out : x;
    return is_attention(row) ? row->m * N_HEADS * HEAD_DIM : most > w ? most : w;
}

static glot_status reserve_for(const case_row *row, glot_backend *be, glot_error *err)
{
    glot_limits limits = {.max_tokens = MAX_ROWS,
                          .max_keys = SEGMENT,
                          .max_segments = MAX_ROWS / SEGMENT,
                          .max_width = row->n > row->k ? row->n : row->k,
                          .max_head_dim = HEAD_DIM};
    return be->reserve(be, &limits, err);
}

static glot_status measure_case(glot_bench_product *out, const case_row *row, glot_backend *be,
                                glot_dtype weights, double seconds, glot_error *err)
{
    bench_case c = {.be = be};
    glot_pool pool;
    char *host;
    GLOT_TRY(reserve_for(row, be, err));
    GLOT_TRY(glot_new(&host, (size_t)numbers_of(row), sizeof(float), "the numbers of a benchmark", err));
    glot_pool_measure(&pool, be);
    take_case(&c, row, weights, &pool);
    glot_status status = glot_pool_init(&pool, be, pool.peak, "the tensors of a benchmark", err);
    if (status == GLOT_OK) {
        take_case(&c, row, weights, &pool);
        fill_case(&c, row, host);
        *out = time_case(&c, row, seconds);
        glot_pool_release(&pool);
    }
    glot_free(host);
    return status;
}

glot_status glot_bench_products(glot_bench_product *rows, int *n_rows, glot_backend *be, glot_dtype weights,
                                double seconds, glot_error *err)
{
    enum { N_CASES = sizeof case_rows / sizeof *case_rows };
    _Static_assert(sizeof case_rows <= GLOT_BENCH_PRODUCTS * sizeof *case_rows, "rows for every case");
    for (int i = 0; i < N_CASES; i++)
        GLOT_TRY(measure_case(&rows[i], &case_rows[i], be, weights, seconds, err));
    *n_rows = N_CASES;
    return GLOT_OK;
}

glot_status glot_bench_large_product(glot_bench_product *out, glot_backend *be, double seconds,
                                     glot_error *err)
{
    return measure_case(out, &case_rows[0], be, GLOT_F32, seconds, err);
}
