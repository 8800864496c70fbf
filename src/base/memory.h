/* memory.h
 *
 * Checked sizes and the heap. All of the library's heap use goes through these four functions, so that a test
 * can count calls (a training step makes none), forbid them, or let the n-th one fail.
 */
#ifndef GLOT_BASE_MEMORY_H
#define GLOT_BASE_MEMORY_H

#include "base/error.h"

/* *out = a * b or a + b; false (and *out untouched) where the result does not fit. */
bool glot_size_mul(size_t *out, size_t a, size_t b);
bool glot_size_add(size_t *out, size_t a, size_t b);

/* Memory for `count` objects of `size` bytes, zeroed; NULL where there is none or the product overflows.
 * count or size 0 gives a valid pointer. */
void *glot_calloc(size_t count, size_t size);
/* Resizes to count * size bytes, not zeroed; the old block stays valid on failure. */
void *glot_realloc(void *old, size_t count, size_t size);
/* Copies of a string, or of its first `length` bytes plus a zero byte. */
char *glot_strdup(const char *text);
char *glot_strndup(const char *text, size_t length);
void glot_free(void *memory);

/* As glot_calloc, with the error's sentence: *(void **)out = zeroed memory, or GLOT_NOMEM naming `what`. */
glot_status glot_new(void *out, size_t count, size_t size, const char *what, glot_error *err);

/* Grows *array (elements of `size` bytes, capacity *capacity) so that it holds at least `need` elements. */
glot_status glot_grow(void *array, size_t *capacity, size_t need, size_t size, const char *what,
                      glot_error *err);

/* Calls of glot_calloc and glot_realloc so far, by any thread. A training step must not change it. */
uint64_t glot_heap_calls(void);
/* Tests: the n-th call from now fails (1 = the next one); 0 turns it off. */
void glot_heap_fail_after(uint64_t n);

#endif
