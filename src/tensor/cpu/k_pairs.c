/* k_pairs.c: operands of products in bf16, laid out for the register tile (micro.h): rounded, two elements of k
 * in 32 bits. */
#include "tensor/cpu/micro.h"
#include "tensor/cpu/pairs.h"

static inline __attribute__((always_inline)) void turn_pairs(float *to, int64_t step, const glot_operand *from,
                                                             int64_t row, int64_t width, int64_t first, int64_t n,
                                                             glot_dtype dtype)
{
    for (int64_t j = 0; j < width; j += VN_LANES) {
        const void *rows[VN_LANES];
        glot_operand_rows(rows, VN_LANES, from, row + j, width - j);
        float *out = to + j;
        for (int64_t k = 0; k < n; k += 2 * VN_LANES) {
            vn x[VN_LANES];
            for (int i = 0; i < VN_LANES; i++)
                x[i] = vn_load_pairs(dtype, rows[i], first + k, n - k);
            vn_turn(x);
            for (int64_t i = 0; i < VN_LANES && k + 2 * i < n; i++, out += step)
                vn_store(out, x[i]);
        }
    }
}

void GLOT_KERNEL(pack_pairs_along)(float *to, int64_t step, const glot_operand *from, int64_t row, int64_t width,
                                   int64_t first, int64_t n)
{
    if (from->dtype == GLOT_F32)
        turn_pairs(to, step, from, row, width, first, n, GLOT_F32);
    else if (from->dtype == GLOT_F16)
        turn_pairs(to, step, from, row, width, first, n, GLOT_F16);
    else
        turn_pairs(to, step, from, row, width, first, n, GLOT_BF16);
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
