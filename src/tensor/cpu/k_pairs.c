/* k_pairs.c: operands of products in bf16, laid out for the register tile (micro.h): rounded, two elements of k
 * in 32 bits. */
#include "tensor/cpu/micro.h"
#include "tensor/cpu/pairs.h"

/* out[i] = pair i, elements first + 2 i and the next, of eight rows; n of their elements exist. */
static inline void turned_pairs(v8 out[8], glot_dtype dtype, const void *const rows[8], int64_t first, int64_t n)
{
    for (int i = 0; i < 8; i++)
        out[i] = neighbours_of(load_16(dtype, rows[i], first, n));
    v8_turn(out);
}

static inline __attribute__((always_inline)) void pack_along(float *to, int64_t step, const glot_operand *from,
                                                             int64_t row, int64_t width, int64_t first, int64_t n,
                                                             glot_dtype dtype)
{
    /* Stores are 8 wide whatever the width is: each is cut to size by the next one. */
    const void *low[8], *high[8];
    bool is_wide = width > 8;
    glot_operand_rows(low, from, row, is_wide ? 8 : width);
    if (is_wide)
        glot_operand_rows(high, from, row + 8, width - 8);
    for (int64_t k = 0; k < n; k += 16) {
        v8 x[8], y[8];
        turned_pairs(x, dtype, low, first + k, n - k);
        if (is_wide)
            turned_pairs(y, dtype, high, first + k, n - k);
        for (int64_t i = 0; i < 8 && k + 2 * i < n; i++, to += step) {
            v8_store(to, x[i]);
            if (is_wide)
                v8_store(to + 8, y[i]);
        }
    }
}

void GLOT_KERNEL(pack_pairs_along)(float *to, int64_t step, const glot_operand *from, int64_t row, int64_t width,
                                   int64_t first, int64_t n)
{
    if (from->dtype == GLOT_F32)
        pack_along(to, step, from, row, width, first, n, GLOT_F32);
    else if (from->dtype == GLOT_F16)
        pack_along(to, step, from, row, width, first, n, GLOT_F16);
    else
        pack_along(to, step, from, row, width, first, n, GLOT_BF16);
}

static inline __attribute__((always_inline)) void walk_across(const glot_strip *strips, int n_strips,
                                                              const glot_operand *from, int64_t row, int64_t n,
                                                              glot_dtype dtype)
{
    size_t bytes = glot_operand_bytes(from);
    for (int64_t k = 0; k < n; k += 2) {
        const void *x = glot_operand_row(from, row + k);
        const void *y = k + 1 < n ? glot_operand_row(from, row + k + 1) : NULL;
        const char *ahead = glot_operand_row_ahead(from, row + k, row + n);
        const char *ahead_y = glot_operand_row_ahead(from, row + k + 1, row + n);
        for (int i = 0; i < n_strips; i++) {
            const glot_strip *s = &strips[i];
            __builtin_prefetch(ahead + (size_t)s->first * bytes);
            __builtin_prefetch(ahead_y + (size_t)s->first * bytes);
            v16 second = y ? load_16(dtype, y, s->first, s->n) : v16_zero();
            v16_store(s->to + k / 2 * s->step, pairs_of(load_16(dtype, x, s->first, s->n), second));
        }
    }
}

void GLOT_KERNEL(pack_pairs_across)(const glot_strip *strips, int n_strips, const glot_operand *from, int64_t row,
                                    int64_t n)
{
    if (from->dtype == GLOT_F32)
        walk_across(strips, n_strips, from, row, n, GLOT_F32);
    else if (from->dtype == GLOT_F16)
        walk_across(strips, n_strips, from, row, n, GLOT_F16);
    else
        walk_across(strips, n_strips, from, row, n, GLOT_BF16);
}
