/* memory.c: the heap behind one door. */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t heap_calls;
static atomic_uint_fast64_t fail_at; /* heap_calls value that fails; 0: none */

bool glot_size_mul(size_t *out, size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

bool glot_size_add(size_t *out, size_t a, size_t b)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static bool this_call_fails(void)
{
    uint64_t call = atomic_fetch_add(&heap_calls, 1) + 1;
    return call == atomic_load(&fail_at);
}

void *glot_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (this_call_fails() || !glot_size_mul(&bytes, count, size))
        return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *glot_realloc(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (this_call_fails() || !glot_size_mul(&bytes, count, size))
        return NULL;
    return realloc(old, bytes ? bytes : 1);
}

char *glot_strndup(const char *text, size_t length)
{
    char *copy = glot_calloc(length + 1, 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

char *glot_strdup(const char *text)
{
    return glot_strndup(text, strlen(text));
}

void glot_free(void *memory)
{
    free(memory);
}

glot_status glot_new(void *out, size_t count, size_t size, const char *what, glot_error *err)
{
    void *memory = glot_calloc(count, size);
    if (!memory)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for %s (%zu x %zu bytes)", what, count, size);
    memcpy(out, &memory, sizeof memory);
    return GLOT_OK;
}

glot_status glot_grow(void *array, size_t *capacity, size_t need, size_t size, const char *what,
                      glot_error *err)
{
    if (need <= *capacity)
        return GLOT_OK;
    size_t wanted = *capacity < 16 ? 16 : *capacity;
    while (wanted < need)
        if (!glot_size_mul(&wanted, wanted, 2))
            return GLOT_FAIL(err, GLOT_NOMEM, "%s: %zu elements are too many", what, need);
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = glot_realloc(old, wanted, size);
    if (!grown)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for %s (%zu x %zu bytes)", what, wanted, size);
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return GLOT_OK;
}

uint64_t glot_heap_calls(void)
{
    return atomic_load(&heap_calls);
}

void glot_heap_fail_after(uint64_t n)
{
    atomic_store(&fail_at, n ? atomic_load(&heap_calls) + n : 0);
}
