/* json.c: jansson with this project's rules and sentences. */
#include "base/json.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>

enum { MAX_JSON_BYTES = 1 << 30, REAL_DIGITS = 17 };

/* A zero byte inside a string is refused by jansson itself, so every string is whole as a C string. */
glot_status glot_json_load(json_t **out, const char *data, size_t size, const char *path, glot_error *err)
{
    json_error_t problem;
    if (size > MAX_JSON_BYTES)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' has %zu bytes of JSON, at most %d are read", path, size,
                         MAX_JSON_BYTES);
    json_t *value = json_loadb(data ? data : "", size, JSON_REJECT_DUPLICATES, &problem);
    if (!value && json_error_code(&problem) == json_error_out_of_memory)
        return GLOT_FAIL(err, GLOT_NOMEM, "'%s': no memory for its JSON", path);
    if (!value)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is not valid JSON: line %d, column %d: %s", path,
                         problem.line, problem.column, problem.text);
    *out = value;
    return GLOT_OK;
}

glot_status glot_json_load_file(json_t **out, const char *path, glot_error *err)
{
    char *data = NULL;
    size_t size = 0;
    GLOT_TRY(glot_file_read(&data, &size, path, MAX_JSON_BYTES, err));
    glot_status status = glot_json_load(out, data, size, path, err);
    glot_free(data);
    return status;
}

/* What a value is, for messages. */
static const char *type_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

/* The value of a key, NULL where it is missing or null. */
static const json_t *present(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    return value && !json_is_null(value) ? value : NULL;
}

static glot_status missing(const json_t *o, const char *key, const char *path, glot_error *err)
{
    if (!json_is_object(o))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%s' is looked for in %s, expected an object", path,
                         key, o ? type_text(o) : "nothing");
    return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%s' is %s", path, key,
                     json_object_get(o, key) ? "null" : "missing");
}

static glot_status mistyped(const json_t *value, const char *key, const char *expected, const char *path,
                            glot_error *err)
{
    return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%s' is %s, expected %s", path, key, type_text(value),
                     expected);
}

glot_status glot_json_get_int_opt(const json_t *o, const char *key, int64_t *out, const char *path,
                                  glot_error *err)
{
    const json_t *value = present(o, key);
    if (!value)
        return GLOT_OK;
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return GLOT_OK;
    }
    /* 1e6 and 5.0 are integers to those who write them; exact as long as a double holds every integer
     * there. */
    double real = json_real_value(value);
    if (!json_is_real(value) || real != floor(real) || !(fabs(real) <= 0x1p53))
        return mistyped(value, key, "an integer", path, err);
    *out = (int64_t)real;
    return GLOT_OK;
}

glot_status glot_json_get_int(const json_t *o, const char *key, int64_t *out, const char *path,
                              glot_error *err)
{
    return present(o, key) ? glot_json_get_int_opt(o, key, out, path, err) : missing(o, key, path, err);
}

glot_status glot_json_get_real_opt(const json_t *o, const char *key, double *out, const char *path,
                                   glot_error *err)
{
    const json_t *value = present(o, key);
    if (!value)
        return GLOT_OK;
    if (!json_is_number(value))
        return mistyped(value, key, "a number", path, err);
    *out = json_number_value(value);
    return GLOT_OK;
}

glot_status glot_json_get_real(const json_t *o, const char *key, double *out, const char *path,
                               glot_error *err)
{
    return present(o, key) ? glot_json_get_real_opt(o, key, out, path, err) : missing(o, key, path, err);
}

glot_status glot_json_get_bool_opt(const json_t *o, const char *key, bool *out, const char *path,
                                   glot_error *err)
{
    const json_t *value = present(o, key);
    if (!value)
        return GLOT_OK;
    if (!json_is_boolean(value))
        return mistyped(value, key, "true or false", path, err);
    *out = json_is_true(value);
    return GLOT_OK;
}

glot_status glot_json_get_string_opt(const json_t *o, const char *key, const char **out, const char *path,
                                     glot_error *err)
{
    const json_t *value = present(o, key);
    if (!value)
        return GLOT_OK;
    if (!json_is_string(value))
        return mistyped(value, key, "a string", path, err);
    *out = json_string_value(value);
    return GLOT_OK;
}

glot_status glot_json_get_string(const json_t *o, const char *key, const char **out, const char *path,
                                 glot_error *err)
{
    return present(o, key) ? glot_json_get_string_opt(o, key, out, path, err) : missing(o, key, path, err);
}

char *glot_json_dump(const json_t *value, int indent)
{
    size_t shape = indent > 0 ? JSON_INDENT((size_t)indent) : 0;
    return json_dumps(value, shape | JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
}

json_t *glot_json_ints(const int32_t *values, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(values[i]));
    return list;
}

const char *glot_json_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

double glot_json_number(const json_t *o, const char *key)
{
    const json_t *number = json_object_get(o, key);
    return json_is_number(number) ? json_number_value(number) : (double)NAN;
}

double glot_json_number_or_zero(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}
