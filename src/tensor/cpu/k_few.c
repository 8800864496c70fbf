/* k_few.c: products of a few rows (few.h): each weight is read once, in the type it is stored in, and laid
 * out for its sum in registers.
 *
 *   out [m, n] = x [m, k] w^T + bias
 *
 * ORDER    The law of k_gemm.c: sums run over k from 0 upward, in panels, one output in each lane.
 *
 * METHOD   A row of w lies along k, and a lane wants its own row's numbers one after the other. So VN_LANES
 *          rows are loaded VN_LANES steps at a time (a step: 32 bits of the row, one number or two of 16) and
 *          this square is turned. The rows of a block of outputs lie one behind the other in memory, and
 *          so do the blocks of a thread: while one is used the next is fetched line by line in the order of
 *          memory, which the processor would not guess from reading many rows at once. Memory is slower than
 *          the latency of the additions: blocks of twice as many rows read a quarter less a second (Zen 5).
 */
#include "tensor/cpu/few.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/pairs.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { BLOCK = VN_LANES, LINE = 64 };

/* Some outputs: BLOCK rows of w, the last one again for those that do not exist. */
typedef struct few_block {
    const void *rows[BLOCK];
    const float *x[GLOT_FEW_ROWS]; /* F32 [k], or pairs [(k + 1) / 2] */
    int64_t k;
    const char *next; /* where the next block's rows begin */
} few_block;

/* Elements of k in a step. */
ALWAYS_INLINE int64_t step_width(glot_dtype dtype, bool is_bf16)
{
    return is_bf16 || dtype == GLOT_BF16 ? 2 : 1;
}

/* Bytes of a square of VN_LANES steps of as many rows. */
ALWAYS_INLINE int square_bytes(glot_dtype dtype, bool is_bf16)
{
    return VN_LANES * VN_LANES * (int)step_width(dtype, is_bf16) * (dtype == GLOT_F32 ? 4 : 2);
}

/* VN_LANES steps of a row from `step`; n > 0 of its elements exist, the others are 0. */
ALWAYS_INLINE vn load_steps(glot_dtype dtype, bool is_bf16, const void *row, int64_t step, int64_t n)
{
    if (is_bf16)
        return vn_load_pairs(dtype, row, 2 * step, n);
    if (dtype != GLOT_BF16)
        return vn_load_as_n(dtype, row, step, n);
    const uint16_t *pairs = (const uint16_t *)row + 2 * step;
    uint16_t some[2 * VN_LANES] = {0};
    if (n >= 2 * VN_LANES)
        return vn_load((const void *)pairs);
    memcpy(some, pairs, (size_t)n * sizeof *some);
    return vn_load((const void *)some);
}

/* One step of VN_LANES outputs and m rows; n: elements that are left. */
ALWAYS_INLINE void add_step(glot_dtype dtype, bool is_bf16, vn *sums, int m, const float *const *x,
                            int64_t step, vn w, int64_t n)
{
    vn first = w, second = w;
    if (!is_bf16 && dtype == GLOT_BF16)
        vn_widen_pairs(w, &first, &second);
#pragma GCC unroll 4
    for (int r = 0; r < m; r++) {
        if (is_bf16) {
            sums[r] = vn_pairs(vn_set1(x[r] + step), w, sums[r]);
            continue;
        }
        const float *at = x[r] + step * step_width(dtype, is_bf16);
        sums[r] = vn_fma(vn_set1(at), first, sums[r]);
        if (dtype == GLOT_BF16 && n > 1)
            sums[r] = vn_fma(vn_set1(at + 1), second, sums[r]);
    }
}

/* The last steps of a row, fewer than VN_LANES: n elements. */
ALWAYS_INLINE void add_last_steps(glot_dtype dtype, bool is_bf16, vn *sums, int m, const few_block *b,
                                  int64_t step, int64_t n)
{
    vn w[VN_LANES];
    for (int i = 0; i < VN_LANES; i++)
        w[i] = load_steps(dtype, is_bf16, b->rows[i], step, n);
    vn_turn(w);
    for (int i = 0; n > 0; i++, n -= step_width(dtype, is_bf16))
        add_step(dtype, is_bf16, sums, m, b->x, step + i, w[i], n);
}

/* Asks for the line at `at` behind the step that made *sum. The compiler would put all of a square's requests
 * in front of its loads, which then wait for them: a fifth less a second (Zen 5, one thread). */
ALWAYS_INLINE void fetch_behind(vn *sum, uintptr_t at)
{
#if GLOT_ISA_LEVEL > 0
    __asm__ volatile("prefetcht0 %1" : "+v"(*sum) : "m"(*(const char *)at));
#else
    (void)sum;
    __builtin_prefetch((const void *)at);
#endif
}

/* One square of steps, all of them there; as many bytes are fetched from `next`. */
ALWAYS_INLINE void add_square(glot_dtype dtype, bool is_bf16, vn *sums, int m, const few_block *b,
                              int64_t step, uintptr_t next)
{
    vn w[VN_LANES];
    int row_bytes = square_bytes(dtype, is_bf16) / VN_LANES;
#pragma GCC unroll 16
    for (int i = 0; i < VN_LANES; i++)
        w[i] = load_steps(dtype, is_bf16, b->rows[i], step, 2 * VN_LANES);
    vn_turn(w);
#pragma GCC unroll 16
    for (int i = 0; i < VN_LANES; i++) {
        add_step(dtype, is_bf16, sums, m, b->x, step + i, w[i], 2);
        if (i * row_bytes % LINE == 0)
            fetch_behind(&sums[0], next + (uintptr_t)(i * row_bytes));
    }
}

/* totals [m, BLOCK]. Inlined with constant m, dtype and is_bf16. */
ALWAYS_INLINE void multiply(glot_dtype dtype, bool is_bf16, float *totals, int m, const few_block *b)
{
    int64_t width = step_width(dtype, is_bf16), panel_k = is_bf16 ? 2 * GLOT_PANEL : GLOT_PANEL;
    uintptr_t next = (uintptr_t)b->next;
    vn total[GLOT_FEW_ROWS], sums[GLOT_FEW_ROWS];
    for (int r = 0; r < m; r++)
        total[r] = vn_zero();
    for (int64_t panel = 0; panel < b->k; panel += panel_k) {
        int64_t k = panel, end = b->k - panel < panel_k ? b->k : panel + panel_k;
        for (int r = 0; r < m; r++)
            sums[r] = vn_zero();
        for (; k + VN_LANES * width <= end; k += VN_LANES * width) {
            add_square(dtype, is_bf16, sums, m, b, k / width, next);
            next += (uintptr_t)square_bytes(dtype, is_bf16);
        }
        if (k < end)
            add_last_steps(dtype, is_bf16, sums, m, b, k / width, end - k);
        for (int r = 0; r < m; r++)
            total[r] = vn_add(total[r], sums[r]);
    }
    for (int r = 0; r < m; r++)
        vn_store(totals + r * BLOCK, total[r]);
}

#define MULTIPLY(m)                                                                                          \
    static void multiply_##m(glot_dtype dtype, bool is_bf16, float *totals, const few_block *b)              \
    {                                                                                                        \
        if (dtype == GLOT_F32)                                                                               \
            is_bf16 ? multiply(GLOT_F32, true, totals, m, b) : multiply(GLOT_F32, false, totals, m, b);      \
        else if (dtype == GLOT_F16)                                                                          \
            is_bf16 ? multiply(GLOT_F16, true, totals, m, b) : multiply(GLOT_F16, false, totals, m, b);      \
        else                                                                                                 \
            is_bf16 ? multiply(GLOT_BF16, true, totals, m, b) : multiply(GLOT_BF16, false, totals, m, b);    \
    }
MULTIPLY(1)
MULTIPLY(2)
MULTIPLY(3)
MULTIPLY(4)

static int64_t blocks_of(const glot_few_product *p)
{
    return (p->n + BLOCK - 1) / BLOCK;
}

static const void *row_of_w(const glot_few_product *p, int64_t row)
{
    return glot_operand_row(&p->w, row < p->n ? row : p->n - 1);
}

/* Outputs col .. of p. */
static void store(const glot_few_product *p, int64_t col, float *totals)
{
    int64_t cols = p->n - col < BLOCK ? p->n - col : BLOCK;
    for (int64_t r = 0; r < p->m; r++) {
        float *to = p->out + r * p->n + col, *from = totals + r * BLOCK;
        for (int64_t j = 0; p->bias && j < cols; j += VN_LANES)
            vn_store(from + j, vn_add(vn_load(from + j),
                                      vn_load_as_n(p->bias->dtype, p->bias->addr, col + j, cols - j)));
        memcpy(to, from, (size_t)cols * sizeof *to);
    }
}

/* What every thread reads: a row of x as it is, or (bf16) its pairs. */
typedef struct few_work {
    const glot_few_product *products;
    const float *x[GLOT_FEW_PRODUCTS][GLOT_FEW_ROWS];
    int n;
    bool is_bf16;
} few_work;

static void run_block(const few_work *w, int i, int64_t block, const char *next)
{
    static void (*const by_rows[])(glot_dtype, bool, float *, const few_block *) = {
        NULL, multiply_1, multiply_2, multiply_3, multiply_4};
    const glot_few_product *p = &w->products[i];
    float totals[GLOT_FEW_ROWS * BLOCK];
    few_block b = {.k = p->k, .next = next};
    memcpy(b.x, w->x[i], sizeof b.x);
    for (int64_t j = 0; j < BLOCK; j++)
        b.rows[j] = row_of_w(p, block * BLOCK + j);
    by_rows[p->m](p->w.dtype, w->is_bf16, totals, &b);
    store(p, block * BLOCK, totals);
}

/* Blocks first .. end of all products one behind the other. */
static void run_blocks(const few_work *w, int64_t first, int64_t end)
{
    int64_t before = 0;
    for (int i = 0; i < w->n; before += blocks_of(&w->products[i++])) {
        const glot_few_product *p = &w->products[i];
        for (int64_t at = first; at < end && at < before + blocks_of(p); at = ++first) {
            const glot_few_product *after = at + 1 == before + blocks_of(p) && i + 1 < w->n ? p + 1 : p;
            int64_t row = after == p ? (at + 1 - before) * BLOCK : 0;
            run_block(w, i, at - before, row_of_w(after, at + 1 < end ? row : 0));
        }
    }
}

/* Rows of x: w->x. Pairs lie in the shared scratch. */
static void lay_out_x(const glot_backend *be, few_work *w)
{
    float *to = glot_cpu_shared_scratch(be, GLOT_GEMM_SHARED_FLOATS * sizeof *to);
    for (int i = 0; i < w->n; i++) {
        const glot_few_product *p = &w->products[i];
        for (int64_t r = 0; r < p->m; r++) {
            const float *row = glot_operand_row(&p->x, r);
            w->x[i][r] = w->is_bf16 ? to : row;
            for (int64_t k = 0; w->is_bf16 && k < p->k; k += 2 * VN_LANES, to += VN_LANES)
                vn_store(to, vn_load_pairs(GLOT_F32, row, k, p->k - k));
        }
    }
}

void GLOT_KERNEL(few_products)(const glot_backend *be, const glot_few_product *products, int n)
{
    few_work w = {.products = products, .n = n, .is_bf16 = be->products == GLOT_BF16};
    int64_t n_blocks = 0, work = 0;
    lay_out_x(be, &w);
    for (int i = 0; i < n; i++) {
        n_blocks += blocks_of(&products[i]);
        work += products[i].n * products[i].k;
    }
#pragma omp parallel num_threads(glot_cpu_team(be, work / 4))
    {
        int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
        run_blocks(&w, n_blocks * thread / team, n_blocks * (thread + 1) / team);
    }
}
