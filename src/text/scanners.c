/* scanners.c
 *
 * The split patterns of GPT-2, Llama 3 and Qwen2 as scanners: each returns the end of the match that begins
 * at `at`, trying the alternatives in the pattern's order. Every character is matched by some alternative, so
 * the matches cover the text.
 *
 *     GPT-2     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *     Llama 3   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 * ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ Qwen2     the same with \p{N} for \p{N}{1,3}
 */
#include "text/pretokenizer.h"
#include "text/unicode.h"

enum { OTHER = 0, KINDS = GLOT_LETTER | GLOT_NUMBER | GLOT_SPACE };

/* Kind (LETTER, NUMBER, SPACE or OTHER) of the character at `at` < size; its bytes in *length. */
static inline unsigned kind_at(const char *text, size_t at, size_t *length)
{
    return glot_class(glot_utf8_decode(text + at, length)) & KINDS;
}

/* End of the run of one kind from `at`. */
static size_t run_end(const char *text, size_t size, size_t at, unsigned kind)
{
    size_t length;
    while (at < size && kind_at(text, at, &length) == kind)
        at += length;
    return at;
}

/* End of the white space that begins at `at`: \s+(?!\S)|\s+ leaves the last space to what follows, unless it
 * is the only one. */
static size_t space_end(const char *text, size_t size, size_t at)
{
    size_t end = at, last = at, length;
    while (end < size && kind_at(text, end, &length) == GLOT_SPACE) {
        last = end;
        end += length;
    }
    return end == size || last == at ? end : last;
}

static bool is_newline(char c)
{
    return c == '\r' || c == '\n';
}

/* Bytes of the contraction behind the apostrophe at `at`, without it, or 0. */
static size_t contraction(const char *text, size_t size, size_t at)
{
    const char *p = text + at + 1;
    size_t left = size - at - 1;
    if (left >= 1 && (*p == 's' || *p == 't' || *p == 'm' || *p == 'd'))
        return 1;
    bool two =
        left >= 2 && ((*p == 'r' && p[1] == 'e') || (*p == 'v' && p[1] == 'e') || (*p == 'l' && p[1] == 'l'));
    return two ? 2 : 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* The same in any case: U+017F, the long s, is an s then. */
static size_t contraction_any_case(const char *text, size_t size, size_t at)
{
    const char *p = text + at + 1;
    size_t left = size - at - 1;
    if (left >= 2 && (unsigned char)p[0] == 0xC5 && (unsigned char)p[1] == 0xBF)
        return 2;
    char folded[3] = {'\'', left >= 1 ? lower(p[0]) : '\0', left >= 2 ? lower(p[1]) : '\0'};
    return contraction(folded, 1 + (left < 2 ? left : 2), 0);
}

size_t glot_scan_gpt2(const char *text, size_t size, size_t at)
{
    if (text[at] == '\'') {
        size_t length = contraction(text, size, at);
        if (length)
            return at + 1 + length;
    }
    size_t length, kind_length;
    unsigned kind = kind_at(text, at, &length);
    if (text[at] == ' ' && at + 1 < size) {
        unsigned next = kind_at(text, at + 1, &kind_length);
        if (next != GLOT_SPACE)
            return run_end(text, size, at + 1 + kind_length, next);
    }
    if (kind == GLOT_SPACE)
        return space_end(text, size, at);
    return run_end(text, size, at + length, kind);
}

/* \s*[\r\n]+ up to the last line end of the white space at `at`, else as space_end. */
static size_t space_or_lines_end(const char *text, size_t size, size_t at)
{
    size_t end = at, last = at, line = at, length;
    while (end < size && kind_at(text, end, &length) == GLOT_SPACE) {
        if (is_newline(text[end]))
            line = end + 1;
        last = end;
        end += length;
    }
    if (line > at)
        return line;
    return end == size || last == at ? end : last;
}

static size_t numbers_end(const char *text, size_t size, size_t at, int most)
{
    size_t length;
    for (int n = 0; n < most && at < size && kind_at(text, at, &length) == GLOT_NUMBER; n++)
        at += length;
    return at;
}

static size_t scan_llama3(const char *text, size_t size, size_t at, int most_numbers)
{
    if (text[at] == '\'') {
        size_t length = contraction_any_case(text, size, at);
        if (length)
            return at + 1 + length;
    }
    size_t length, next_length = 0;
    unsigned kind = kind_at(text, at, &length);
    if (kind == GLOT_LETTER)
        return run_end(text, size, at + length, GLOT_LETTER);
    if (kind == GLOT_NUMBER)
        return numbers_end(text, size, at, most_numbers);
    bool has_next = at + length < size;
    unsigned next = has_next ? kind_at(text, at + length, &next_length) : OTHER;
    if (has_next && next == GLOT_LETTER && !is_newline(text[at]))
        return run_end(text, size, at + length + next_length, GLOT_LETTER);
    bool space_then_other = has_next && text[at] == ' ' && next == OTHER;
    if (kind == GLOT_SPACE && !space_then_other)
        return space_or_lines_end(text, size, at);
    size_t end = run_end(text, size, at + length, OTHER);
    while (end < size && is_newline(text[end]))
        end++;
    return end;
}

size_t glot_scan_llama3(const char *text, size_t size, size_t at)
{
    return scan_llama3(text, size, at, 3);
}

size_t glot_scan_qwen2(const char *text, size_t size, size_t at)
{
    return scan_llama3(text, size, at, 1);
}
