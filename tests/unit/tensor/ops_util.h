/* ops_util.h: what the tests of ops share: a bench on one backend, whose tensors lie between guard words, are
 * filled with NaN or with seeded numbers, and whose outputs can be compared with those of another bench.
 *
 * The CPU and the reference compute in host memory, so that addresses can be looked at here.
 */
#ifndef TEST_OPS_UTIL_H
#define TEST_OPS_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tensor/backend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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
    assert_true(b->n_tensors < MAX_TENSORS);
    bench_tensor *slot = &b->tensors[b->n_tensors++];
    slot->bytes = glot_tensor_bytes(&shape);
    slot->first = GUARD_BYTES + glot_dtype_block_bytes(shape.dtype) * (size_t)(b->n_tensors % 5);
#ifdef __SANITIZE_ADDRESS__
    slot->block_bytes = slot->first + slot->bytes; /* reading or writing past the end is found by address */
#else
    slot->block_bytes = slot->first + slot->bytes + GUARD_BYTES;
#endif
    slot->block = malloc(slot->block_bytes);
    assert_non_null(slot->block);
    memset(slot->block, 0xff, slot->block_bytes);
    slot->t = shape;
    slot->t.addr = slot->block + slot->first;
    return slot->t;
}

/* The same, and compared by assert_same_outputs. */
static inline glot_tensor make_output(bench *b, glot_tensor shape)
{
    glot_tensor t = make(b, shape);
    b->tensors[b->n_tensors - 1].is_output = true;
    return t;
}

static inline double get(const glot_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case GLOT_F32:
        return (double)((const float *)t->addr)[i];
    case GLOT_F64:
        return ((const double *)t->addr)[i];
    case GLOT_F16:
        return (double)glot_f16_to_f32(((const uint16_t *)t->addr)[i]);
    case GLOT_BF16:
        return (double)glot_bf16_to_f32(((const uint16_t *)t->addr)[i]);
    case GLOT_I32:
        return ((const int32_t *)t->addr)[i];
    default:
        return ((const uint8_t *)t->addr)[i];
    }
}

static inline void set(const glot_tensor *t, int64_t i, double value)
{
    switch (t->dtype) {
    case GLOT_F32:
        ((float *)t->addr)[i] = (float)value;
        break;
    case GLOT_F64:
        ((double *)t->addr)[i] = value;
        break;
    case GLOT_F16:
        ((uint16_t *)t->addr)[i] = glot_f32_to_f16((float)value);
        break;
    case GLOT_BF16:
        ((uint16_t *)t->addr)[i] = glot_f32_to_bf16((float)value);
        break;
    case GLOT_I32:
        ((int32_t *)t->addr)[i] = (int32_t)value;
        break;
    default:
        ((uint8_t *)t->addr)[i] = (uint8_t)value;
        break;
    }
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
    assert_int_equal(glot_tensor_bytes(to), glot_tensor_bytes(from));
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

static inline void assert_untouched(const bench *b, int tensor, size_t first, size_t end)
{
    for (size_t at = first; at < end; at++)
        if ((uint8_t)b->tensors[tensor].block[at] != 0xff)
            fail_msg("%s: byte %zu beside tensor %d was written", b->be->name, at, tensor);
}

static inline void assert_guards(const bench *b)
{
    for (int i = 0; i < b->n_tensors; i++) {
        const bench_tensor *slot = &b->tensors[i];
        assert_untouched(b, i, 0, slot->first);
        assert_untouched(b, i, slot->first + slot->bytes, slot->block_bytes);
    }
}

/* Equal bits, or both NaN. */
static inline bool is_same_element(const glot_tensor *a, const glot_tensor *b, int64_t i)
{
    size_t bytes = glot_dtype_block_bytes(a->dtype);
    return memcmp((const char *)a->addr + (size_t)i * bytes, (const char *)b->addr + (size_t)i * bytes,
                  bytes) == 0 ||
           (isnan(get(a, i)) && isnan(get(b, i)));
}

static inline void assert_same_tensor(const glot_tensor *expected, const glot_tensor *got, int tensor,
                                      const char *what)
{
    if (memcmp(expected->addr, got->addr, glot_tensor_bytes(got)) == 0)
        return;
    for (int64_t i = 0; i < glot_tensor_elements(got); i++)
        if (!is_same_element(expected, got, i))
            fail_msg("%s: tensor %d element %lld is %.9g (%a), expected %.9g (%a)", what, tensor,
                     (long long)i, get(got, i), get(got, i), get(expected, i), get(expected, i));
}

/* Every element of every output has the same bits on both benches; `what` says which run this is. */
static inline void assert_same_outputs(const bench *expected, const bench *got, const char *what)
{
    assert_int_equal(expected->n_tensors, got->n_tensors);
    for (int i = 0; i < got->n_tensors; i++) {
        assert_int_equal(expected->tensors[i].bytes, got->tensors[i].bytes);
        if (got->tensors[i].is_output)
            assert_same_tensor(&expected->tensors[i].t, &got->tensors[i].t, i, what);
    }
}

static inline void bench_end(bench *b)
{
    assert_guards(b);
    for (int i = 0; i < b->n_tensors; i++)
        free(b->tensors[i].block);
    b->n_tensors = 0;
}

static inline glot_limits limits_of_tests(void)
{
    return (glot_limits){.max_tokens = 1024,
                         .max_keys = 1024,
                         .max_segments = 64,
                         .max_width = 1024,
                         .max_head_dim = 128,
                         .max_experts = 64,
                         .max_top_k = 16};
}

static inline void reserve_for_tests(glot_backend *be)
{
    glot_error err = {0};
    glot_limits limits = limits_of_tests();
    if (be->reserve(be, &limits, &err) != GLOT_OK)
        fail_msg("%s", err.message);
}

static inline glot_backend *reference(glot_dtype real)
{
    glot_backend *be = NULL;
    glot_error err = {0};
    if (glot_ref_backend_create(&be, real, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    reserve_for_tests(be);
    return be;
}

static inline glot_backend *cpu_backend(int threads, const char *isa)
{
    glot_backend *be = NULL;
    glot_error err = {0};
    if (glot_cpu_backend_create(&be, threads, isa, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    reserve_for_tests(be);
    return be;
}

/* Calls `check` on both references and on the CPU with every instruction set this machine has. */
static inline void on_every_backend(void (*check)(glot_backend *be))
{
    for (int i = 0; i < 2; i++) {
        glot_backend *be = reference(i ? GLOT_F64 : GLOT_F32);
        check(be);
        glot_backend_close(be);
    }
    for (const char *const *isa = glot_cpu_isas(); *isa; isa++) {
        glot_backend *be = cpu_backend(2, *isa);
        check(be);
        glot_backend_close(be);
    }
}

#endif
