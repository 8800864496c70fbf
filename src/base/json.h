/* json.h
 *
 * jansson with this project's rules: duplicate keys are refused, integers are exact, a missing or mistyped
 * key is one sentence with the file and the key path. `path` in the getters is the file's name for messages.
 *
 * Getters: object, key, out. The `_opt` forms leave *out untouched where the key is missing or null.
 */
#ifndef GLOT_BASE_JSON_H
#define GLOT_BASE_JSON_H

#include "base/error.h"
#include <jansson.h>

/* Parses a whole file or a buffer; the caller owns *out (json_decref). Errors carry line and column. At most
 * 1 GiB. */
glot_status glot_json_load_file(json_t **out, const char *path, glot_error *err);
glot_status glot_json_load(json_t **out, const char *data, size_t size, const char *path, glot_error *err);

glot_status glot_json_get_int(const json_t *o, const char *key, int64_t *out, const char *path,
                              glot_error *err);
glot_status glot_json_get_int_opt(const json_t *o, const char *key, int64_t *out, const char *path,
                                  glot_error *err);
glot_status glot_json_get_real(const json_t *o, const char *key, double *out, const char *path,
                               glot_error *err);
glot_status glot_json_get_real_opt(const json_t *o, const char *key, double *out, const char *path,
                                   glot_error *err);
glot_status glot_json_get_bool_opt(const json_t *o, const char *key, bool *out, const char *path,
                                   glot_error *err);
/* Borrowed string, valid as long as the object. */
glot_status glot_json_get_string(const json_t *o, const char *key, const char **out, const char *path,
                                 glot_error *err);
glot_status glot_json_get_string_opt(const json_t *o, const char *key, const char **out, const char *path,
                                     glot_error *err);

/* For what glot itself wrote: the text of a key, borrowed, "" where there is none; its number, NaN where
 * there is none. */
const char *glot_json_text(const json_t *o, const char *key);
double glot_json_number(const json_t *o, const char *key);
double glot_json_number_or_zero(const json_t *o, const char *key);

/* One document as text: reals with 17 digits, keys in insertion order; indent 0 is one line. The caller frees
 * with free(). NULL where memory ends. */
char *glot_json_dump(const json_t *value, int indent);

/* [values[0], ..., values[n - 1]]; new reference. */
json_t *glot_json_ints(const int32_t *values, int64_t n);
#endif
