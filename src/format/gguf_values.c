/* gguf_values.c: looking up GGUF metadata, with a sentence where a key is missing or of another type. */
#include "format/gguf_file.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PRINTED_BYTES = 60 }; /* of a string */

static const char *const type_names[GLOT_GGUF_N_TYPES] = {
#define TYPE_NAME(name, number, bytes, text) [number] = text,
    GLOT_GGUF_TYPE_LIST(TYPE_NAME)
#undef TYPE_NAME
};

static bool is_integer(glot_gguf_type type)
{
    return type != GLOT_GGUF_STRING && type != GLOT_GGUF_BOOL && type != GLOT_GGUF_FLOAT32 &&
           type != GLOT_GGUF_FLOAT64;
}

static const glot_gguf_value *find(const glot_gguf *g, const char *key)
{
    size_t low = 0, high = g->n_values;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(g->by_key[middle]->key, key);
        if (order == 0)
            return g->by_key[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static glot_status find_or_fail(const glot_gguf_value **v, const glot_gguf *g, const char *key,
                                glot_error *err)
{
    *v = find(g, key);
    if (!*v)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': metadata key '%s' is missing", g->path, key);
    return GLOT_OK;
}

static glot_status mistyped(const glot_gguf *g, const glot_gguf_value *v, const char *expected,
                            glot_error *err)
{
    if (v->is_array)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': metadata key '%s' is an array of %s, expected %s",
                         g->path, v->key, type_names[v->type], expected);
    return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': metadata key '%s' is of type %s, expected %s", g->path,
                     v->key, type_names[v->type], expected);
}

/* Only a uint64 can be too large for int64; it shows as negative. */
static glot_status check_range(const glot_gguf *g, const glot_gguf_value *v, glot_error *err)
{
    for (size_t i = 0; v->type == GLOT_GGUF_UINT64 && i < v->n; i++)
        if (v->ints[i] < 0)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': metadata key '%s' is %" PRIu64 ", at most %" PRId64 " is expected",
                             g->path, v->key, (uint64_t)v->ints[i], INT64_MAX);
    return GLOT_OK;
}

bool glot_gguf_has(const glot_gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

glot_status glot_gguf_int(const glot_gguf *g, const char *key, int64_t *out, glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (v->is_array || !is_integer(v->type))
        return mistyped(g, v, "an integer", err);
    GLOT_TRY(check_range(g, v, err));
    *out = v->ints[0];
    return GLOT_OK;
}

glot_status glot_gguf_real(const glot_gguf *g, const char *key, double *out, glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (v->doubles) {
        *out = v->doubles[0];
        return GLOT_OK;
    }
    if (v->is_array || !is_integer(v->type))
        return mistyped(g, v, "a number", err);
    *out = v->type == GLOT_GGUF_UINT64 ? (double)(uint64_t)v->ints[0] : (double)v->ints[0];
    return GLOT_OK;
}

glot_status glot_gguf_bool(const glot_gguf *g, const char *key, bool *out, glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (v->is_array || v->type != GLOT_GGUF_BOOL)
        return mistyped(g, v, "a bool", err);
    *out = v->ints[0] != 0;
    return GLOT_OK;
}

glot_status glot_gguf_string(const glot_gguf *g, const char *key, const char **out, glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (v->is_array || v->type != GLOT_GGUF_STRING)
        return mistyped(g, v, "a string", err);
    *out = v->strings[0];
    return GLOT_OK;
}

glot_status glot_gguf_strings(const glot_gguf *g, const char *key, const char *const **out, size_t *n,
                              glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (!v->is_array || v->type != GLOT_GGUF_STRING)
        return mistyped(g, v, "an array of strings", err);
    *out = v->strings;
    *n = v->n;
    return GLOT_OK;
}

glot_status glot_gguf_ints(const glot_gguf *g, const char *key, const int64_t **out, size_t *n,
                           glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (!v->is_array || !is_integer(v->type))
        return mistyped(g, v, "an array of integers", err);
    GLOT_TRY(check_range(g, v, err));
    *out = v->ints;
    *n = v->n;
    return GLOT_OK;
}

glot_status glot_gguf_reals(const glot_gguf *g, const char *key, const float **out, size_t *n,
                            glot_error *err)
{
    const glot_gguf_value *v;
    GLOT_TRY(find_or_fail(&v, g, key, err));
    if (!v->reals)
        return mistyped(g, v, "an array of reals", err);
    *out = v->reals;
    *n = v->n;
    return GLOT_OK;
}

size_t glot_gguf_n_keys(const glot_gguf *g)
{
    return g->n_values;
}

const char *glot_gguf_key(const glot_gguf *g, size_t i)
{
    GLOT_ASSERT(i < g->n_values);
    return g->values[i].key;
}

/* Quoted and escaped as JSON, the start of a long one with "..." behind it. */
static void print_string(const char *text, glot_str *out)
{
    size_t length = strlen(text), shown = length;
    if (length > MAX_PRINTED_BYTES)
        for (shown = MAX_PRINTED_BYTES; shown > 0 && ((uint8_t)text[shown] & 0xc0) == 0x80; shown--)
            continue; /* not in the middle of a code point */
    json_t *value = json_stringn(text, shown);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (quoted)
        glot_str_printf(out, "%s%s", quoted, shown < length ? "..." : "");
    else
        glot_str_printf(out, "(%zu bytes that are not UTF-8)", length);
    free(quoted);
    json_decref(value);
}

void glot_gguf_print_value(const glot_gguf *g, size_t i, glot_str *out)
{
    GLOT_ASSERT(i < g->n_values);
    const glot_gguf_value *v = &g->values[i];
    if (v->is_array)
        glot_str_printf(out, "[%zu %ss]", v->n, type_names[v->type]);
    else if (v->type == GLOT_GGUF_STRING)
        print_string(v->strings[0], out);
    else if (v->type == GLOT_GGUF_BOOL)
        glot_str_puts(out, v->ints[0] ? "true" : "false");
    else if (v->type == GLOT_GGUF_FLOAT32)
        glot_str_printf(out, "%.9g", v->doubles[0]);
    else if (v->type == GLOT_GGUF_FLOAT64)
        glot_str_printf(out, "%.17g", v->doubles[0]);
    else if (v->type == GLOT_GGUF_UINT64)
        glot_str_printf(out, "%" PRIu64, (uint64_t)v->ints[0]);
    else
        glot_str_printf(out, "%" PRId64, v->ints[0]);
}
