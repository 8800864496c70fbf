/* k_micro.c: the register tile (micro.h).
 *
 * The tile is one body for every instruction set and number of rows. Its accumulators are named variables
 * made by the ROWS_n lists below, not an array, so that they stay in registers with any compiler: 12 of
 * AVX2's 16, 28 of AVX-512's 32; two more hold b and one the element of a.
 */
#include "tensor/cpu/micro.h"
#include "tensor/cpu/vn.h"

enum { LANES = GLOT_TILE_COLS / 2 }; /* half a row of a tile is one vn */

/* Where the next packed tile of a lies (or something else, or nothing): into the level 2 cache. */
static inline void fetch_ahead(const float *a, size_t floats)
{
    __builtin_prefetch((const void *)((uintptr_t)a + floats * sizeof *a), 0, 2);
}

/* clang-format off */
#define ROWS_1(X) X(0);
#define ROWS_2(X) ROWS_1(X) X(1);
#define ROWS_3(X) ROWS_2(X) X(2);
#define ROWS_4(X) ROWS_3(X) X(3);
#define ROWS_5(X) ROWS_4(X) X(4);
#define ROWS_6(X) ROWS_5(X) X(5);
#define ROWS_7(X) ROWS_6(X) X(6);
#define ROWS_8(X) ROWS_7(X) X(7);
#define ROWS_9(X) ROWS_8(X) X(8);
#define ROWS_10(X) ROWS_9(X) X(9);
#define ROWS_11(X) ROWS_10(X) X(10);
#define ROWS_12(X) ROWS_11(X) X(11);
#define ROWS_13(X) ROWS_12(X) X(12);
#define ROWS_14(X) ROWS_13(X) X(13);

/* c arrives while the sums are made. */
#define TILE_FETCH(row)                                                                                      \
    __builtin_prefetch(c + row * c_step, 1);                                                                 \
    __builtin_prefetch(c + row * c_step + LANES, 1)
#define TILE_ZERO(row) vn low##row = vn_zero(), high##row = vn_zero()
#define TILE_LOAD(row)                                                                                       \
    low##row = vn_load(c + row * c_step);                                                                    \
    high##row = vn_load(c + row * c_step + LANES)
#define TILE_STEP(row)                                                                                       \
    x = vn_set1(a + row * row_step);                                                                         \
    low##row = vn_fma(x, b_low, low##row);                                                                   \
    high##row = vn_fma(x, b_high, high##row)
#define TILE_STEP_PAIRS(row)                                                                                 \
    x = vn_set1(a + row * row_step);                                                                         \
    low##row = vn_pairs(x, b_low, low##row);                                                                 \
    high##row = vn_pairs(x, b_high, high##row)
#define TILE_ADD_C(row)                                                                                      \
    low##row = vn_add(vn_load(c + row * c_step), low##row);                                                  \
    high##row = vn_add(vn_load(c + row * c_step + LANES), high##row)
#define TILE_ADD_ZERO(row)                                                                                   \
    low##row = vn_add(vn_zero(), low##row);                                                                  \
    high##row = vn_add(vn_zero(), high##row)
#define TILE_STORE(row)                                                                                      \
    vn_store(c + row * c_step, low##row);                                                                    \
    vn_store(c + row * c_step + LANES, high##row)

/* ROW_STEP: distance of a's rows, a constant; K_STEP: of its steps. */
#define TILE(name, rows, STEP, ROW_STEP, K_STEP)                                                             \
    static void name##_##rows(int64_t k, const float *a, int64_t a_step, const float *b, float *c,           \
                              int64_t c_step, glot_micro_mode mode)                                          \
    {                                                                                                        \
        enum { row_step = ROW_STEP };                                                                        \
        (void)a_step;                                                                                        \
        ROWS_##rows(TILE_FETCH);                                                                             \
        ROWS_##rows(TILE_ZERO);                                                                              \
        if (mode == GLOT_MICRO_CONTINUE) {                                                                   \
            ROWS_##rows(TILE_LOAD);                                                                          \
        }                                                                                                    \
        for (; k > 0; k--) {                                                                                 \
            vn b_low = vn_load(b), b_high = vn_load(b + LANES), x;                                           \
            fetch_ahead(a, GLOT_PANEL * rows);                                                               \
            ROWS_##rows(STEP);                                                                               \
            a += K_STEP;                                                                                     \
            b += GLOT_TILE_COLS;                                                                             \
        }                                                                                                    \
        if (mode == GLOT_MICRO_ADD) {                                                                        \
            ROWS_##rows(TILE_ADD_C);                                                                         \
        } else if (mode == GLOT_MICRO_SET) {                                                                 \
            ROWS_##rows(TILE_ADD_ZERO);                                                                      \
        }                                                                                                    \
        ROWS_##rows(TILE_STORE);                                                                             \
    }

#define TILES(rows)                                                                                      \
    TILE(across, rows, TILE_STEP, 1, a_step)                                                                 \
    TILE(along, rows, TILE_STEP, GLOT_PANEL_STRIDE, 1)                                                       \
    TILE(pairs, rows, TILE_STEP_PAIRS, 1, a_step)

TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if GLOT_ISA_LEVEL >= 2
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
#endif

#define TABLE_6(X) NULL, X##_1, X##_2, X##_3, X##_4, X##_5, X##_6
#define TABLE_14(X) TABLE_6(X), X##_7, X##_8, X##_9, X##_10, X##_11, X##_12, X##_13, X##_14
#if GLOT_ISA_LEVEL >= 2
#define TABLE TABLE_14
#else
#define TABLE TABLE_6
#endif

glot_micro *const GLOT_KERNEL(micro_across)[GLOT_TILE_ROWS + 1] = {TABLE(across)};
glot_micro *const GLOT_KERNEL(micro_along)[GLOT_TILE_ROWS + 1] = {TABLE(along)};
glot_micro *const GLOT_KERNEL(micro_pairs)[GLOT_TILE_ROWS + 1] = {TABLE(pairs)};
/* clang-format on */

void GLOT_KERNEL(micro_edge)(glot_micro *micro, int64_t rows, int64_t cols, int64_t k, const float *a,
                             int64_t a_step, const float *b, float *c, int64_t c_step, glot_micro_mode mode)
{
    float tile[GLOT_TILE_ROWS * GLOT_TILE_COLS] = {0};
    if (mode != GLOT_MICRO_SET)
        for (int64_t r = 0; r < rows; r++)
            memcpy(tile + r * GLOT_TILE_COLS, c + r * c_step, (size_t)cols * sizeof *c);
    micro(k, a, a_step, b, tile, GLOT_TILE_COLS, mode);
    for (int64_t r = 0; r < rows; r++)
        memcpy(c + r * c_step, tile + r * GLOT_TILE_COLS, (size_t)cols * sizeof *c);
}
