/* ops_util.h: what the tests of ops share: the bench of op_bench.h with cmocka's assertions, and backends.
 */
#ifndef TEST_OPS_UTIL_H
#define TEST_OPS_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/op_bench.h"

#include <stdio.h>
#include <stdlib.h>

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
    bench_release(b);
}

static inline void reserve_for_tests(glot_backend *be)
{
    glot_error err = {0};
    glot_limits limits = bench_limits();
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
