/* op_bench.h: what checks of ops share (selftest and the tests): a bench on one backend, whose tensors lie
 * between guard words, are filled with NaN or with seeded numbers, and whose outputs can be compared with
 * those of another bench.
 *
 *     bench b = bench_start(be, seed);
 *     glot_tensor x = make_normal(&b, shape, 1), out = make_output(&b, shape);
 *     glot_op_...(be, &out, &x);
 *     bench_release(&b);
 *
 * Where there is no memory for a tensor the program ends: tensors of checks are small. The CPU and the
 * reference compute in host memory, so that addresses can be looked at here.
 */
#ifndef GLOT_TENSOR_OP_BENCH_H
#define GLOT_TENSOR_OP_BENCH_H

#include "base/memory.h"
#include "base/rng.h"
#include "tensor/backend.h"

#include <math.h>
#include <string.h>

enum { GUARD_BYTES = 64, MAX_TENSORS = 96 };

typedef struct bench_tensor {
    glot_tensor t;
    char *block; /* guard, padding, elements, guard */
    size_t first, bytes, block_bytes;
    bool is_output;
} bench_tensor;

typedef struct bench {
    glot_backend *be;
    glot_rng rng;
    uint64_t heap_calls; /* its own, so that those of an op can be told */
    bool is_in_parts;    /* rows were handed to the op in parts: it is a row-wise one */
    int n_tensors;
    bench_tensor tensors[MAX_TENSORS];
} bench;

static inline bench bench_start(glot_backend *be, uint64_t seed)
{
    return (bench){.be = be, .rng = glot_rng_seed(seed, 1)};
}

/* Makes memory for a shape: off any alignment but the element's, all bits set (a NaN, or -1). */
static inline glot_tensor make(bench *b, glot_tensor shape)
{
    GLOT_ASSERT(b->n_tensors < MAX_TENSORS);
    bench_tensor *slot = &b->tensors[b->n_tensors++];
    slot->bytes = glot_tensor_bytes(&shape);
    slot->first = GUARD_BYTES + glot_dtype_block_bytes(shape.dtype) * (size_t)(b->n_tensors % 5);
#ifdef __SANITIZE_ADDRESS__
    slot->block_bytes = slot->first + slot->bytes; /* reading or writing past the end is found by address */
#else
    slot->block_bytes = slot->first + slot->bytes + GUARD_BYTES;
#endif
    slot->block = glot_calloc(1, slot->block_bytes);
    b->heap_calls++;
    GLOT_ASSERT(slot->block != NULL); /* a few kilobytes */
    memset(slot->block, 0xff, slot->block_bytes);
    slot->t = shape;
    slot->t.addr = slot->block + slot->first;
    return slot->t;
}

/* The same, and compared with that of another bench. */
static inline glot_tensor make_output(bench *b, glot_tensor shape)
{
    glot_tensor t = make(b, shape);
    b->tensors[b->n_tensors - 1].is_output = true;
    return t;
}

static inline double get(const glot_tensor *t, int64_t i)
{
    return glot_dtype_get(t->dtype, t->addr, i);
}

static inline void set(const glot_tensor *t, int64_t i, double value)
{
    glot_dtype_set(t->dtype, t->addr, i, value);
}

static inline void fill(const glot_tensor *t, double value)
{
    for (int64_t i = 0; i < glot_tensor_elements(t); i++)
        set(t, i, value);
}

/* Mean 0, deviation 1 and nearly normal: four 16-bit numbers added up. Quicker than the real thing. */
static inline double roughly_normal(glot_rng *rng)
{
    uint32_t a = glot_rng_u32(rng), b = glot_rng_u32(rng);
    return ((double)((a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16)) - 131070.0) / 37837.2;
}

static inline void fill_normal(bench *b, const glot_tensor *t, double scale)
{
    for (int64_t i = 0; i < glot_tensor_elements(t); i++)
        set(t, i, scale * roughly_normal(&b->rng));
}

/* Whole numbers in [low, high). */
static inline void fill_whole(bench *b, const glot_tensor *t, int low, int high)
{
    for (int64_t i = 0; i < glot_tensor_elements(t); i++)
        set(t, i, low + (double)glot_rng_below(&b->rng, (uint32_t)(high - low)));
}

static inline void fill_copy(const glot_tensor *to, const glot_tensor *from)
{
    GLOT_ASSERT(glot_tensor_bytes(to) == glot_tensor_bytes(from));
    memcpy(to->addr, from->addr, glot_tensor_bytes(from));
}

static inline glot_tensor make_normal(bench *b, glot_tensor shape, double scale)
{
    glot_tensor t = make(b, shape);
    fill_normal(b, &t, scale);
    return t;
}

static inline glot_tensor make_whole(bench *b, glot_tensor shape, int low, int high)
{
    glot_tensor t = make(b, shape);
    fill_whole(b, &t, low, high);
    return t;
}

/* The plan of a dispatch, all of it output. */
static inline glot_dispatch make_plan(bench *b, int64_t n_tokens, int n_experts, int top_k)
{
    glot_dispatch plan = {.n_experts = n_experts, .top_k = top_k};
    plan.tokens_per_expert = make_output(b, glot_tensor_1d(GLOT_I32, n_experts));
    plan.expert_offsets = make_output(b, glot_tensor_1d(GLOT_I32, n_experts + 1));
    plan.row_map = make_output(b, glot_tensor_1d(GLOT_I32, n_tokens * top_k));
    plan.slot_rows = make_output(b, glot_tensor_2d(GLOT_I32, n_tokens, top_k));
    return plan;
}

/* Is nothing written beside the tensors? */
static inline bool bench_has_guards(const bench *b)
{
    for (int i = 0; i < b->n_tensors; i++) {
        const bench_tensor *slot = &b->tensors[i];
        for (size_t at = 0; at < slot->block_bytes; at += at == slot->first - 1 ? slot->bytes + 1 : 1)
            if ((uint8_t)slot->block[at] != 0xff)
                return false;
    }
    return true;
}

/* Equal bits, or both NaN. */
static inline bool is_same_element(const glot_tensor *a, const glot_tensor *b, int64_t i)
{
    size_t bytes = glot_dtype_block_bytes(a->dtype);
    return memcmp((const char *)a->addr + (size_t)i * bytes, (const char *)b->addr + (size_t)i * bytes,
                  bytes) == 0 ||
           (isnan(get(a, i)) && isnan(get(b, i)));
}

/* The largest |got - expected| / (1 + |expected|) of all outputs; infinite where only one of the two is a
 * number. */
static inline double bench_difference(const bench *expected, const bench *got)
{
    double largest = 0;
    for (int i = 0; i < got->n_tensors; i++) {
        const glot_tensor *e = &expected->tensors[i].t, *g = &got->tensors[i].t;
        for (int64_t k = 0; got->tensors[i].is_output && k < glot_tensor_elements(g); k++) {
            double difference =
                is_same_element(e, g, k) ? 0 : fabs(get(g, k) - get(e, k)) / (1 + fabs(get(e, k)));
            largest = isnan(difference) ? HUGE_VAL : fmax(largest, difference);
        }
    }
    return largest;
}

/* Has every output the same bits? */
static inline bool bench_is_same(const bench *expected, const bench *got)
{
    for (int i = 0; i < got->n_tensors; i++)
        for (int64_t k = 0; got->tensors[i].is_output && k < glot_tensor_elements(&got->tensors[i].t); k++)
            if (!is_same_element(&expected->tensors[i].t, &got->tensors[i].t, k))
                return false;
    return true;
}

/* What a backend that a check runs on must be ready for. */
static inline glot_limits bench_limits(void)
{
    return (glot_limits){.max_tokens = 1024,
                         .max_keys = 1024,
                         .max_segments = 64,
                         .max_width = 1024,
                         .max_head_dim = 128,
                         .max_experts = 64,
                         .max_top_k = 16};
}

static inline void bench_release(bench *b)
{
    for (int i = 0; i < b->n_tensors; i++)
        glot_free(b->tensors[i].block);
    b->n_tensors = 0;
}

#endif
