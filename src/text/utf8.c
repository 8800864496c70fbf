/* utf8.c: validation and counting of words. ASCII goes eight bytes at a time; other scripts byte by byte. */
#include "text/utf8.h"

#include <stdbool.h>
#include <string.h>

static const uint64_t HIGH_BITS = 0x8080808080808080ULL;

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the valid character at p (left > 0 bytes there), 0 if there is none. The second byte's range
 * depends on the first one: that is what keeps out overlong forms, surrogates and everything above U+10FFFF.
 */
static size_t character_size(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0], low = 0x80, high = 0xBF;
    size_t size;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        size = 2;
    else if (lead >= 0xE0 && lead <= 0xEF)
        size = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        size = 4;
    else
        return 0;
    if (size > left)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if (!is_continuation(p[i]))
            return 0;
    return size;
}

/* ASCII bytes at p (left > 0 bytes there), at most eight. */
static size_t ascii_size(const uint8_t *p, size_t left)
{
    uint64_t word;
    if (left < sizeof word)
        return 1;
    memcpy(&word, p, sizeof word);
    word &= HIGH_BITS;
    return word ? (size_t)__builtin_ctzll(word) / 8 : sizeof word;
}

size_t glot_utf8_valid_prefix(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t at = 0, step; at < size; at += step) {
        step = p[at] < 0x80 ? ascii_size(p + at, size - at) : character_size(p + at, size - at);
        if (step == 0)
            return at;
    }
    return size;
}

void glot_utf8_append_repaired(glot_str *out, const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        size_t n = glot_utf8_valid_prefix(text + at, size - at);
        glot_str_append(out, text + at, n);
        at += n;
        if (at < size)
            glot_str_puts(out, "\xEF\xBF\xBD");
    }
}

/* Bytes of the White_Space character at p (`left` bytes of valid UTF-8 there), 0 if it is another one:
 * U+0009-000D, 0020, 0085, 00A0, 1680, 2000-200A, 2028, 2029, 202F, 205F and 3000. */
static size_t white_space_size(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return p[0] == ' ' || (p[0] >= '\t' && p[0] <= '\r');
    if (p[0] == 0xC2 && left >= 2)
        return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;
    if (left < 3)
        return 0;
    if (p[0] == 0xE2 && p[1] == 0x80)
        return p[2] <= 0x8A || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF ? 3 : 0;
    bool is_space = (p[0] == 0xE1 && p[1] == 0x9A && p[2] == 0x80) ||
                    (p[0] == 0xE2 && p[1] == 0x81 && p[2] == 0x9F) ||
                    (p[0] == 0xE3 && p[1] == 0x80 && p[2] == 0x80);
    return is_space ? 3 : 0;
}

uint64_t glot_utf8_count_words(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    uint64_t n_words = 0;
    bool in_word = false;
    for (size_t at = 0; at < size;) {
        size_t space = white_space_size(p + at, size - at);
        n_words += !space && !in_word;
        in_word = !space;
        at += space ? space : 1; /* a later byte of a character begins no white space */
    }
    return n_words;
}
