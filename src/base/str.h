/* str.h: a growable byte string. Zero it to start; `data` is NULL while empty and always ends in a zero
 * byte otherwise. A failed growth sets `failed` and later calls do nothing, so a writer checks once, at
 * the end. */
#ifndef GLOT_BASE_STR_H
#define GLOT_BASE_STR_H

#include "base/error.h"

typedef struct glot_str {
    char *data;
    size_t length; /* bytes before the zero byte */
    size_t capacity;
    bool failed;
} glot_str;

void glot_str_append(glot_str *s, const void *bytes, size_t n);
void glot_str_puts(glot_str *s, const char *text);
void glot_str_printf(glot_str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Empties without freeing; frees. */
void glot_str_reset(glot_str *s);
void glot_str_release(glot_str *s);
/* GLOT_NOMEM if any append failed. */
glot_status glot_str_check(const glot_str *s, const char *what, glot_error *err);

/* Is `word` one of the comma separated words of `list` (NULL: of none)? */
bool glot_list_has(const char *list, const char *word);
/* Levenshtein distance of the first n_a bytes of a and all of b: how many letters to change, drop or add.
 * Words are short: beside one of more than GLOT_LONGEST_WORD bytes it is that. */
enum { GLOT_LONGEST_WORD = 40 };
size_t glot_edit_distance(const char *a, size_t n_a, const char *b);

#endif
