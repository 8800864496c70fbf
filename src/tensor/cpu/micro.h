/* micro.h
 *
 * The inner loops that the products and attention share: a tile of at most GLOT_TILE_ROWS x GLOT_TILE_COLS
 * outputs in registers, and the copies that lay operands out for it.
 *
 * A tile's sum runs over k from 0 upward with fused multiply-add, each output in one lane of one register:
 * that is the order of summation of the whole program (DESIGN), so a caller cuts k at multiples of GLOT_PANEL
 * and has the sums of panels added in order.
 *
 * In bf16 a step is two elements of k: where a number stands below there are two bf16 ones in its 32 bits,
 * the first in the high half.
 *
 *   b   [k, GLOT_TILE_COLS], one row behind the other; columns past the wanted ones may hold anything
 *   a   of rows 0 .. rows - 1 at step k:
 *         micro_across    a[k * a_step + row]             (packed, or columns of a matrix)
 *         micro_along     a[row * GLOT_PANEL_STRIDE + k]  (rows of a panel of scores)
 *   c   [rows, GLOT_TILE_COLS], rows c_step apart, whole tiles always
 */
#ifndef GLOT_TENSOR_CPU_MICRO_H
#define GLOT_TENSOR_CPU_MICRO_H

#include "tensor/cpu/kernel.h"

#if GLOT_ISA_LEVEL >= 2
enum { GLOT_TILE_ROWS = 14, GLOT_TILE_COLS = 32 };
#else
enum { GLOT_TILE_ROWS = 6, GLOT_TILE_COLS = 16 };
#endif

enum {
    GLOT_MAX_TILE_ROWS = 14, /* over all instruction sets: scratch is sized once */
    GLOT_MAX_TILE_COLS = 32,
    GLOT_PANEL = 256,
    GLOT_PANEL_STRIDE =
        GLOT_PANEL + 16, /* not a power of two: rows of a panel fall into different cache sets */
    GLOT_PACK_SLACK = 16, /* floats behind a packed a that packing may overwrite */
    GLOT_ROWS_AHEAD = 12
};

typedef enum glot_micro_mode {
    GLOT_MICRO_SET,     /* c = 0 + sum */
    GLOT_MICRO_ADD,     /* c = c + sum */
    GLOT_MICRO_CONTINUE /* the sum starts from c instead of 0 and is left there */
} glot_micro_mode;

typedef void glot_micro(int64_t k, const float *a, int64_t a_step, const float *b, float *c, int64_t c_step,
                        glot_micro_mode mode);

/* [rows], rows = 1 .. GLOT_TILE_ROWS */
extern glot_micro *const GLOT_KERNEL(micro_across)[GLOT_TILE_ROWS + 1];
extern glot_micro *const GLOT_KERNEL(micro_along)[GLOT_TILE_ROWS + 1];
extern glot_micro *const GLOT_KERNEL(micro_pairs)[GLOT_TILE_ROWS + 1]; /* as micro_across, in bf16 */

/* micro for a tile of which only `cols` columns exist in c. */
void GLOT_KERNEL(micro_edge)(glot_micro *micro, int64_t rows, int64_t cols, int64_t k, const float *a,
                             int64_t a_step, const float *b, float *c, int64_t c_step, glot_micro_mode mode);

/* One side of a product: rows of `dtype` elements (F32, F16, BF16), `stride` elements apart. Row r is row
 * first_row + r, or, with a row_map, row_map[first_row + r] / row_divisor. */
typedef struct glot_operand {
    const void *data;
    glot_dtype dtype;
    int64_t stride, first_row;
    const int32_t *row_map;
    int row_divisor;
} glot_operand;

static inline size_t glot_operand_bytes(const glot_operand *from)
{
    return from->dtype == GLOT_F32 ? 4 : 2;
}

static inline const void *glot_operand_row(const glot_operand *from, int64_t row)
{
    row += from->first_row;
    if (from->row_map) {
        row = from->row_map[row];
        if (from->row_divisor > 1)
            row /= from->row_divisor;
    }
    return (const char *)from->data + (size_t)(row * from->stride) * glot_operand_bytes(from);
}

/* Rows read across lie far apart, and the processor does not see by itself which come next: this one is asked
 * for while `row` is read. */
static inline const void *glot_operand_row_ahead(const glot_operand *from, int64_t row, int64_t end)
{
    return glot_operand_row(from, row + GLOT_ROWS_AHEAD < end ? row + GLOT_ROWS_AHEAD : end - 1);
}

/* `lanes` rows, the last of the n there are again for those that do not exist: their lanes are never kept. */
static inline void glot_operand_rows(const void **rows, int lanes, const glot_operand *from, int64_t row,
                                     int64_t n)
{
    for (int64_t i = 0; i < lanes; i++)
        rows[i] = glot_operand_row(from, row + (i < n ? i : n - 1));
}

/* to [n, step] = elements first .. first + n of `width` <= step rows, turned and widened. What lies
 * between the width and a multiple of VN_LANES is overwritten, at most GLOT_PACK_SLACK floats behind the
 * last step. */
void GLOT_KERNEL(pack_along)(float *to, int64_t step, const glot_operand *from, int64_t row, int64_t width,
                             int64_t first, int64_t n);

/* Where column j of a packed b begins: whole tiles [GLOT_PANEL, GLOT_TILE_COLS] one behind the other. */
static inline int64_t glot_tile_place(int64_t j)
{
    return j / GLOT_TILE_COLS * GLOT_TILE_COLS * GLOT_PANEL + j % GLOT_TILE_COLS;
}

/* Some columns of the rows that packing across walks: n <= 16 from `first`. Row r goes to to + r * step, as
 * 16 floats: what lies behind the first n is the next row's, or slack. */
typedef struct glot_strip {
    float *to;
    int64_t step, first, n;
} glot_strip;

enum { GLOT_STRIPS = 8 }; /* at most in one walk: 128 columns */

/* The strips of columns first .. first + cols (at most 16 GLOT_STRIPS) of a packed b. */
static inline int glot_strips_of_b(glot_strip strips[GLOT_STRIPS], float *to, int64_t first, int64_t cols)
{
    int n = 0;
    for (int64_t j = 0; j < cols; j += 16)
        strips[n++] = (glot_strip){.to = to + glot_tile_place(j),
                                   .step = GLOT_TILE_COLS,
                                   .first = first + j,
                                   .n = cols - j < 16 ? cols - j : 16};
    return n;
}

/* The n rows from `row`, widened: all strips in one walk, so that each row is read once. */
void GLOT_KERNEL(pack_across)(const glot_strip *strips, int n_strips, const glot_operand *from, int64_t row,
                              int64_t n);

/* Both for products in bf16, from any type: pairs of elements along the rows, or of two rows to one of the
 * strips. Past an odd n there is a 0. */
void GLOT_KERNEL(pack_pairs_along)(float *to, int64_t step, const glot_operand *from, int64_t row,
                                   int64_t width, int64_t first, int64_t n);
void GLOT_KERNEL(pack_pairs_across)(const glot_strip *strips, int n_strips, const glot_operand *from,
                                    int64_t row, int64_t n);

#endif
