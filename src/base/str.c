/* str.c: a growable byte string. */
#include "base/str.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool reserve(glot_str *s, size_t extra)
{
    size_t need;
    if (s->failed || !glot_size_add(&need, s->length, extra) || !glot_size_add(&need, need, 1) ||
        glot_grow(&s->data, &s->capacity, need, 1, "a string", NULL) != GLOT_OK)
        s->failed = true;
    return !s->failed;
}

void glot_str_append(glot_str *s, const void *bytes, size_t n)
{
    if (!reserve(s, n))
        return;
    if (n)
        memcpy(s->data + s->length, bytes, n);
    s->length += n;
    s->data[s->length] = '\0';
}

void glot_str_puts(glot_str *s, const char *text)
{
    glot_str_append(s, text, strlen(text));
}

void glot_str_printf(glot_str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        s->failed = true;
    else if (reserve(s, (size_t)n)) {
        vsnprintf(s->data + s->length, (size_t)n + 1, format, again);
        s->length += (size_t)n;
    }
    va_end(again);
}

void glot_str_reset(glot_str *s)
{
    s->length = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = '\0';
}

void glot_str_release(glot_str *s)
{
    glot_free(s->data);
    *s = (glot_str){0};
}

glot_status glot_str_check(const glot_str *s, const char *what, glot_error *err)
{
    if (s->failed)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for %s", what);
    return GLOT_OK;
}

bool glot_list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strcspn(p, ",") == n && strncmp(p, word, n) == 0)
            return true;
    return false;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t glot_edit_distance(const char *a, size_t n_a, const char *b)
{
    size_t n_b = strlen(b),
           row[GLOT_LONGEST_WORD + 1]; /* row[j]: from the letters of a so far to the first j of b */
    if (n_a > GLOT_LONGEST_WORD || n_b > GLOT_LONGEST_WORD)
        return GLOT_LONGEST_WORD;
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t above = row[j], replaced = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = least(replaced, least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[n_b];
}
