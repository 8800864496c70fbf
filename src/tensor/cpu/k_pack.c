/* k_pack.c: operands laid out for the register tile (micro.h), widened to float32, or for products in bf16
 * rounded and two elements of k in 32 bits.
 *
 * Each layout is one body, inlined with a constant type and is_pairs.
 */
#include "tensor/cpu/micro.h"
#include "tensor/cpu/pairs.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* VN_LANES rows at a time. Stores are VN_LANES wide whatever is left of the width: each is cut to size by the
 * next one. */
ALWAYS_INLINE void turn_rows(float *to, int64_t step, const glot_operand *from, int64_t row, int64_t width,
                             int64_t first, int64_t n, glot_dtype dtype, bool is_pairs)
{
    int64_t each = is_pairs ? 2 : 1; /* elements of a lane */
    for (int64_t j = 0; j < width; j += VN_LANES) {
        const void *rows[VN_LANES];
        glot_operand_rows(rows, VN_LANES, from, row + j, width - j);
        float *out = to + j;
        for (int64_t k = 0; k < n; k += each * VN_LANES) {
            vn x[VN_LANES];
            for (int i = 0; i < VN_LANES; i++)
                x[i] = is_pairs ? vn_load_pairs(dtype, rows[i], first + k, n - k)
                                : vn_load_as_n(dtype, rows[i], first + k, n - k);
            vn_turn(x);
            for (int64_t i = 0; i < VN_LANES && k + each * i < n; i++, out += step)
                vn_store(out, x[i]);
        }
    }
}

/* One row, or two, to each step of the strips. */
ALWAYS_INLINE void walk_across(const glot_strip *strips, int n_strips, const glot_operand *from, int64_t row,
                               int64_t n, glot_dtype dtype, bool is_pairs)
{
    size_t bytes = glot_operand_bytes(from);
    int64_t each = is_pairs ? 2 : 1;
    for (int64_t k = 0; k < n; k += each) {
        bool has_second = is_pairs && k + 1 < n;
        const void *x = glot_operand_row(from, row + k);
        const void *y = has_second ? glot_operand_row(from, row + k + 1) : NULL;
        const char *ahead_x = glot_operand_row_ahead(from, row + k, row + n);
        const char *ahead_y = is_pairs ? glot_operand_row_ahead(from, row + k + 1, row + n) : NULL;
        for (int i = 0; i < n_strips; i++) {
            const glot_strip *s = &strips[i];
            v16 first = load_16(dtype, x, s->first, s->n);
            __builtin_prefetch(ahead_x + (size_t)s->first * bytes);
            if (is_pairs) {
                __builtin_prefetch(ahead_y + (size_t)s->first * bytes);
                first = pairs_of(first, has_second ? load_16(dtype, y, s->first, s->n) : v16_zero());
            }
            v16_store(s->to + k / each * s->step, first);
        }
    }
}

/* body(..., dtype, is_pairs) with a constant type. */
#define WITH_DTYPE(body, is_pairs, ...)                                                                      \
    (from->dtype == GLOT_F32   ? body(__VA_ARGS__, GLOT_F32, is_pairs)                                       \
     : from->dtype == GLOT_F16 ? body(__VA_ARGS__, GLOT_F16, is_pairs)                                       \
                               : body(__VA_ARGS__, GLOT_BF16, is_pairs))

void GLOT_KERNEL(pack_along)(float *to, int64_t step, const glot_operand *from, int64_t row, int64_t width,
                             int64_t first, int64_t n)
{
    WITH_DTYPE(turn_rows, false, to, step, from, row, width, first, n);
}

void GLOT_KERNEL(pack_across)(const glot_strip *strips, int n_strips, const glot_operand *from, int64_t row,
                              int64_t n)
{
    WITH_DTYPE(walk_across, false, strips, n_strips, from, row, n);
}

void GLOT_KERNEL(pack_pairs_along)(float *to, int64_t step, const glot_operand *from, int64_t row,
                                   int64_t width, int64_t first, int64_t n)
{
    WITH_DTYPE(turn_rows, true, to, step, from, row, width, first, n);
}

void GLOT_KERNEL(pack_pairs_across)(const glot_strip *strips, int n_strips, const glot_operand *from,
                                    int64_t row, int64_t n)
{
    WITH_DTYPE(walk_across, true, strips, n_strips, from, row, n);
}
