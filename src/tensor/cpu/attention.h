/* attention.h: how attention lays out a thread's scratch. Sizes are those of the largest tile of any
 * instruction set. */
#ifndef GLOT_TENSOR_CPU_ATTENTION_H
#define GLOT_TENSOR_CPU_ATTENTION_H

#include "tensor/cpu/micro.h"

/* Query rows that are worked on at once. */
enum { GLOT_ATTENTION_ROWS = 64 };

static inline size_t glot_attention_parts(int64_t n, int64_t of)
{
    return (size_t)((n + of - 1) / of);
}

/* Floats of: a block of scores, [panels of keys, rows, GLOT_PANEL_STRIDE]; */
static inline size_t glot_attention_scores(int64_t keys)
{
    return glot_attention_parts(keys, GLOT_PANEL) * GLOT_ATTENTION_ROWS * GLOT_PANEL_STRIDE;
}
/* keys or values with the keys as columns, [blocks of keys, d, tile columns]; */
static inline size_t glot_attention_turned(int64_t keys, int64_t d)
{
    return glot_attention_parts(keys, GLOT_MAX_TILE_COLS) * GLOT_MAX_TILE_COLS * (size_t)d;
}
/* any rows with d as columns, [panels of rows, blocks of d, GLOT_PANEL, tile columns]; */
static inline size_t glot_attention_flat(int64_t rows, int64_t d)
{
    return glot_attention_parts(rows, GLOT_PANEL) * GLOT_PANEL * glot_attention_parts(d, GLOT_MAX_TILE_COLS) *
           GLOT_MAX_TILE_COLS;
}
/* a block of query rows packed as the a of tiles, [tiles, d, tile rows]. */
static inline size_t glot_attention_packed(int64_t d)
{
    return (GLOT_ATTENTION_ROWS + GLOT_MAX_TILE_ROWS) * (size_t)d + GLOT_ATTENTION_ROWS * GLOT_PACK_SLACK;
}

static inline size_t glot_attention_forward_floats(int64_t keys, int64_t d)
{
    return glot_attention_scores(keys) + glot_attention_turned(keys, d) + glot_attention_flat(keys, d) +
           glot_attention_packed(d);
}

static inline size_t glot_attention_backward_floats(int64_t keys, int64_t d)
{
    return 2 * glot_attention_scores(keys) + 2 * glot_attention_turned(keys, d) +
           3 * glot_attention_flat(keys, d) + 2 * glot_attention_packed(d) +
           2 * glot_attention_flat(GLOT_ATTENTION_ROWS, d);
}

/* Backward has no more keys than tokens: its segments are whole. */
static inline size_t glot_attention_thread_bytes(const glot_limits *limits)
{
    int64_t keys = limits->max_keys, own = keys < limits->max_tokens ? keys : limits->max_tokens;
    size_t forward = glot_attention_forward_floats(keys, limits->max_head_dim);
    size_t backward = glot_attention_backward_floats(own, limits->max_head_dim);
    return (forward > backward ? forward : backward) * sizeof(float);
}

#endif
