/* k_pairs.c: operands of products in bf16, laid out for the register tile (micro.h): rounded, two elements of k
 * in 32 bits. */
#include "tensor/cpu/micro.h"
#include "tensor/cpu/v8.h"

#if GLOT_ISA_LEVEL == 3

/* Lane i: the pair of first[i] and second[i]. */
static inline v16 pairs_of(v16 first, v16 second)
{
    static const uint16_t lanes[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8,  24, 9,  25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(first, second); /* second's 16 numbers, then first's */
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_loadu_si512(lanes), both));
}

/* Lane i: the pair of x[2 i] and x[2 i + 1]. */
static inline v8 neighbours_of(v16 x)
{
    return _mm256_castsi256_ps(_mm256_rol_epi32((__m256i)_mm512_cvtneps_pbh(x), 16));
}

#else

static uint32_t pair_of(float first, float second)
{
    return (uint32_t)glot_f32_to_bf16_operand(first) << 16 | glot_f32_to_bf16_operand(second);
}

static v16 pairs_of(v16 first, v16 second)
{
    float a[16], b[16];
    uint32_t pairs[16];
    v16_store(a, first);
    v16_store(b, second);
    for (int i = 0; i < 16; i++)
        pairs[i] = pair_of(a[i], b[i]);
    return v16_load((const float *)pairs);
}

static v8 neighbours_of(v16 x)
{
    float a[16];
    uint32_t pairs[8];
    v16_store(a, x);
    for (int i = 0; i < 8; i++)
        pairs[i] = pair_of(a[2 * i], a[2 * i + 1]);
    return v8_load((const float *)pairs);
}

#endif

static inline v16 load(glot_dtype dtype, const void *row, int64_t first, int64_t n)
{
    return n >= 16 ? v16_load_as(dtype, row, first) : v16_load_as_n(dtype, row, first, n);
}

/* out[i] = pair i, elements first + 2 i and the next, of eight rows; n of their elements exist. */
static inline void turned_pairs(v8 out[8], glot_dtype dtype, const void *const rows[8], int64_t first, int64_t n)
{
    for (int i = 0; i < 8; i++)
        out[i] = neighbours_of(load(dtype, rows[i], first, n));
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

/* Rows lie far apart: the processor does not see by itself which come next. */
enum { ROWS_AHEAD = 12 };

void GLOT_KERNEL(pack_pairs_across)(float *to, int64_t step, const glot_operand *from, int64_t row, int64_t n,
                                    int64_t first, int64_t width)
{
    size_t bytes = glot_operand_bytes(from);
    for (int64_t k = 0; k < n; k += 2, to += step) {
        const void *x = glot_operand_row(from, row + k), *y = k + 1 < n ? glot_operand_row(from, row + k + 1) : NULL;
        const char *ahead = glot_operand_row(from, row + (k + ROWS_AHEAD < n ? k + ROWS_AHEAD : n - 1));
        const char *ahead_y = glot_operand_row(from, row + (k + ROWS_AHEAD + 1 < n ? k + ROWS_AHEAD + 1 : n - 1));
        for (int64_t j = 0; j < width; j += 16) {
            __builtin_prefetch(ahead + (size_t)(first + j) * bytes);
            __builtin_prefetch(ahead_y + (size_t)(first + j) * bytes);
            v16 second = y ? load(from->dtype, y, first + j, width - j) : v16_zero();
            v16_store(to + glot_tile_place(j), pairs_of(load(from->dtype, x, first + j, width - j), second));
        }
    }
}
