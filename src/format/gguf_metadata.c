/* gguf_metadata.c
 *
 * Reading the key-values of a GGUF file:
 *
 *     key: string | type: u32 | value            a string is its length (u64) and its bytes
 *     a value of type array: type: u32 | n: u64 | n values
 *
 * Everything is copied out at once: integers as int64, reals as float or double, strings zero-terminated in
 * one block.
 */
#include "format/gguf_file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_KEY_BYTES = 65535,   /* by the format */
    MIN_KEY_VALUE_BYTES = 14 /* length, one byte of key, type, one byte of value */
};

static const uint8_t type_bytes[GLOT_GGUF_N_TYPES] = {
#define TYPE_BYTES(name, number, bytes, text) [number] = bytes,
    GLOT_GGUF_TYPE_LIST(TYPE_BYTES)
#undef TYPE_BYTES
};

static glot_status read_type(glot_gguf_type *out, glot_gguf_cursor *c, glot_error *err)
{
    uint32_t number = 0;
    GLOT_TRY(glot_gguf_u32(&number, c, err));
    if (number >= GLOT_GGUF_N_TYPES)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': %s has type %" PRIu32 ", expected 0 to %d", c->path,
                         c->place, number, GLOT_GGUF_N_TYPES - 1);
    *out = (glot_gguf_type)number;
    return GLOT_OK;
}

static int64_t int_at(const uint8_t *bytes, glot_gguf_type type, size_t i)
{
#define INT_CASE(number_type, c_type)                                                                        \
    case number_type: {                                                                                      \
        c_type value;                                                                                        \
        memcpy(&value, bytes + i * sizeof value, sizeof value);                                              \
        return (int64_t)value;                                                                               \
    }
    switch (type) {
        INT_CASE(GLOT_GGUF_INT8, int8_t)
        INT_CASE(GLOT_GGUF_UINT16, uint16_t)
        INT_CASE(GLOT_GGUF_INT16, int16_t)
        INT_CASE(GLOT_GGUF_UINT32, uint32_t)
        INT_CASE(GLOT_GGUF_INT32, int32_t)
        INT_CASE(GLOT_GGUF_UINT64, uint64_t)
        INT_CASE(GLOT_GGUF_INT64, int64_t)
    default:
        return bytes[i]; /* uint8 and bool */
    }
#undef INT_CASE
}

static double real_at(const uint8_t *bytes, glot_gguf_type type, size_t i)
{
    if (type == GLOT_GGUF_FLOAT32) {
        float value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, bytes + i * sizeof value, sizeof value);
    return value;
}

static glot_status read_ints(glot_gguf_value *v, const uint8_t *bytes, const glot_gguf_cursor *c,
                             glot_error *err)
{
    GLOT_TRY(glot_new(&v->ints, v->n, sizeof *v->ints, "numbers of GGUF metadata", err));
    for (size_t i = 0; i < v->n; i++) {
        v->ints[i] = int_at(bytes, v->type, i);
        if (v->type == GLOT_GGUF_BOOL && v->ints[i] > 1)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': %s has a bool of value %d, expected 0 or 1",
                             c->path, c->place, (int)v->ints[i]);
    }
    return GLOT_OK;
}

static glot_status read_reals(glot_gguf_value *v, const uint8_t *bytes, glot_error *err)
{
    if (!v->is_array) {
        GLOT_TRY(glot_new(&v->doubles, 1, sizeof *v->doubles, "a number of GGUF metadata", err));
        v->doubles[0] = real_at(bytes, v->type, 0);
        return GLOT_OK;
    }
    GLOT_TRY(glot_new(&v->reals, v->n, sizeof *v->reals, "numbers of GGUF metadata", err));
    for (size_t i = 0; i < v->n; i++)
        v->reals[i] = (float)real_at(bytes, v->type, i);
    return GLOT_OK;
}

/* Two passes over the same bytes: the first checks and counts, the second copies. */
static glot_status read_strings(glot_gguf_value *v, glot_gguf_cursor *c, glot_error *err)
{
    size_t start = c->at, total = 0, length = 0;
    const uint8_t *bytes = NULL;
    for (size_t i = 0; i < v->n; i++) {
        GLOT_TRY(glot_gguf_text(&bytes, &length, c, err));
        total += length + 1; /* no overflow: the file has length + 8 bytes for it */
    }
    GLOT_TRY(glot_new(&v->text, total, 1, "strings of GGUF metadata", err));
    GLOT_TRY(glot_new(&v->strings, v->n, sizeof *v->strings, "strings of GGUF metadata", err));
    c->at = start;
    char *text = v->text;
    for (size_t i = 0; i < v->n; i++) {
        GLOT_TRY(glot_gguf_text(&bytes, &length, c, err));
        memcpy(text, bytes, length);
        v->strings[i] = text;
        text += length + 1;
    }
    return GLOT_OK;
}

/* The count of an array, which the rest of the file must be able to hold. */
static glot_status read_count(glot_gguf_value *v, glot_gguf_cursor *c, glot_error *err)
{
    uint64_t n = 0;
    GLOT_TRY(glot_gguf_u64(&n, c, err));
    size_t smallest = v->type == GLOT_GGUF_STRING ? sizeof(uint64_t) : type_bytes[v->type];
    if (n > (c->size - c->at) / smallest)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': %s has %" PRIu64 " elements of at least %zu bytes, but only %zu bytes follow",
                         c->path, c->place, n, smallest, c->size - c->at);
    v->n = n;
    return GLOT_OK;
}

static glot_status read_value(glot_gguf_value *v, glot_gguf_cursor *c, glot_error *err)
{
    v->n = 1;
    GLOT_TRY(read_type(&v->type, c, err));
    if (v->type == GLOT_GGUF_ARRAY) {
        v->is_array = true;
        GLOT_TRY(read_type(&v->type, c, err));
        if (v->type == GLOT_GGUF_ARRAY)
            return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                             "'%s': %s is an array of arrays, expected numbers, bools or strings", c->path,
                             c->place);
        GLOT_TRY(read_count(v, c, err));
    }
    if (v->type == GLOT_GGUF_STRING)
        return read_strings(v, c, err);
    const uint8_t *bytes = NULL;
    GLOT_TRY(glot_gguf_take(&bytes, c, v->n * type_bytes[v->type], err));
    if (v->type == GLOT_GGUF_FLOAT32 || v->type == GLOT_GGUF_FLOAT64)
        return read_reals(v, bytes, err);
    return read_ints(v, bytes, c, err);
}

static glot_status read_key(glot_gguf_value *v, glot_gguf_cursor *c, glot_error *err)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;
    GLOT_TRY(glot_gguf_name(&bytes, &length, c, MAX_KEY_BYTES, err));
    v->key = glot_strndup((const char *)bytes, length);
    return v->key ? GLOT_OK
                  : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a key of GGUF metadata (%zu bytes)", length);
}

static int compare_keys(const void *a, const void *b)
{
    const glot_gguf_value *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static glot_status sort_keys(glot_gguf *g, glot_error *err)
{
    GLOT_TRY(glot_new(&g->by_key, g->n_values, sizeof *g->by_key, "the keys of GGUF metadata", err));
    for (size_t i = 0; i < g->n_values; i++)
        g->by_key[i] = &g->values[i];
    qsort(g->by_key, g->n_values, sizeof *g->by_key, compare_keys);
    for (size_t i = 1; i < g->n_values; i++)
        if (strcmp(g->by_key[i - 1]->key, g->by_key[i]->key) == 0)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%.200s' is there twice", g->path,
                             g->by_key[i]->key);
    return GLOT_OK;
}

glot_status glot_gguf_read_metadata(glot_gguf *g, glot_gguf_cursor *c, uint64_t n_values, glot_error *err)
{
    if (n_values > (c->size - c->at) / MIN_KEY_VALUE_BYTES)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': %" PRIu64 " metadata keys are announced, but only %zu bytes follow", c->path,
                         n_values, c->size - c->at);
    GLOT_TRY(glot_new(&g->values, n_values, sizeof *g->values, "GGUF metadata", err));
    while (g->n_values < n_values) {
        glot_gguf_value *v = &g->values[g->n_values];
        glot_gguf_place(c, "metadata key %zu", g->n_values);
        g->n_values++;
        GLOT_TRY(read_key(v, c, err));
        glot_gguf_place(c, "the value of key '%.200s'", v->key);
        GLOT_TRY(read_value(v, c, err));
    }
    return sort_keys(g, err);
}

void glot_gguf_value_release(glot_gguf_value *v)
{
    glot_free(v->key);
    glot_free(v->ints);
    glot_free(v->doubles);
    glot_free(v->reals);
    glot_free(v->strings);
    glot_free(v->text);
}
