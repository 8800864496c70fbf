/* translation_words.c
 *
 * mteval-v13a is a few replacements of ASCII characters, made here on UTF-8 bytes: "not a digit" may then
 * match one byte of a longer character instead of the whole, which changes nothing, since what is inserted
 * stands beside ASCII characters only.
 */
#include "eval/translation_words.h"
#include "base/memory.h"

#include <string.h>

static glot_status add_word(glot_words *w, const uint32_t *at, size_t n, glot_error *err)
{
    GLOT_TRY(glot_grow(&w->items, &w->capacity, w->n + 1, sizeof *w->items, "words", err));
    w->items[w->n++] = (glot_run){at, n};
    return GLOT_OK;
}

/* The next run without white space from *from on; false at the end. */
static bool next_word(const glot_codes *c, size_t *from, glot_run *word)
{
    while (*from < c->n && glot_is_split_space(c->items[*from]))
        (*from)++;
    size_t first = *from;
    while (*from < c->n && !glot_is_split_space(c->items[*from]))
        (*from)++;
    *word = (glot_run){c->items + first, *from - first};
    return word->n > 0;
}

glot_status glot_words_split(glot_words *out, const glot_codes *codes, glot_error *err)
{
    size_t from = 0;
    glot_run w;
    out->n = 0;
    while (next_word(codes, &from, &w))
        GLOT_TRY(add_word(out, w.at, w.n, err));
    return GLOT_OK;
}

static bool is_punctuation(uint32_t code)
{
    return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') || (code >= '[' && code <= '`') ||
           (code >= '{' && code <= '~');
}

glot_status glot_words_split_punctuation(glot_words *out, const glot_codes *codes, glot_error *err)
{
    size_t from = 0;
    glot_run w;
    out->n = 0;
    while (next_word(codes, &from, &w)) {
        size_t head = w.n; /* code points of the first part */
        if (w.n > 1 && is_punctuation(w.at[w.n - 1]))
            head = w.n - 1;
        else if (w.n > 1 && is_punctuation(w.at[0]))
            head = 1;
        GLOT_TRY(add_word(out, w.at, head, err));
        if (head < w.n)
            GLOT_TRY(add_word(out, w.at + head, w.n - head, err));
    }
    return GLOT_OK;
}

/* ---- 13a ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_stop(char c)
{
    return c == '.' || c == ',';
}

/* Every `word` in `text` becomes `by`. */
static void replace(glot_str *out, const glot_str *text, const char *word, const char *by)
{
    size_t n = strlen(word);
    glot_str_reset(out);
    for (size_t i = 0; i < text->length;) {
        bool is_here = i + n <= text->length && memcmp(text->data + i, word, n) == 0;
        is_here ? glot_str_puts(out, by) : glot_str_append(out, text->data + i, 1);
        i += is_here ? n : 1;
    }
}

/* Spaces around every symbol but . , - and the apostrophe. */
static void part_symbols(glot_str *out, const glot_str *text)
{
    glot_str_reset(out);
    for (size_t i = 0; i < text->length; i++) {
        unsigned char c = (unsigned char)text->data[i];
        bool is_symbol = (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
                         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
        if (is_symbol)
            glot_str_puts(out, " ");
        glot_str_append(out, text->data + i, 1);
        if (is_symbol)
            glot_str_puts(out, " ");
    }
}

typedef enum stop_rule { AFTER_OTHER, BEFORE_OTHER, DASH_AFTER_DIGIT } stop_rule;

static bool rule_holds(stop_rule rule, char a, char b)
{
    switch (rule) {
    case AFTER_OTHER: return !is_digit(a) && is_stop(b);
    case BEFORE_OTHER: return is_stop(a) && !is_digit(b);
    default: return is_digit(a) && b == '-';
    }
}

/* A pair (a, b) that the rule names becomes "a b " (BEFORE_OTHER: " a b"); pairs do not overlap. */
static void part_stops(glot_str *out, const glot_str *text, stop_rule rule)
{
    glot_str_reset(out);
    for (size_t i = 0; i < text->length;) {
        const char *at = text->data + i;
        bool is_pair = i + 1 < text->length && rule_holds(rule, at[0], at[1]);
        if (is_pair)
            glot_str_printf(out, rule == BEFORE_OTHER ? " %c %c" : "%c %c ", at[0], at[1]);
        else
            glot_str_append(out, at, 1);
        i += is_pair ? 2 : 1;
    }
}

static void swap(glot_str *a, glot_str *b)
{
    glot_str c = *a;
    *a = *b;
    *b = c;
}

void glot_tokenize_13a(glot_str *out, glot_str *scratch, const char *text, size_t size)
{
    static const char *const entities[][2] = {
        {"<skipped>", ""}, {"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}};
    glot_str_reset(out);
    glot_str_puts(out, " ");
    glot_str_append(out, text, size);
    glot_str_puts(out, " ");
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        swap(out, scratch);
        replace(out, scratch, entities[i][0], entities[i][1]);
    }
    swap(out, scratch);
    part_symbols(out, scratch);
    for (int rule = AFTER_OTHER; rule <= DASH_AFTER_DIGIT; rule++) {
        swap(out, scratch);
        part_stops(out, scratch, (stop_rule)rule);
    }
}
