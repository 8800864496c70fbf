/* utf8.c: validation, by an automaton that takes a byte without a branch, and counting of words. */
#include "text/utf8.h"

#include <stdbool.h>
#include <string.h>

static const uint64_t HIGH_BITS = 0x8080808080808080ULL;

/* The automaton's states: what may follow. The second byte's range depends on the first one: that is what
 * keeps out overlong forms, surrogates and everything above U+10FFFF. A row holds each state's successor at
 * the state's place, six bits wide; nothing but zeros is BAD, which nothing leaves. */
enum {
    BAD = 0,
    CHARACTER = 6,
    ONE_BYTE = 12, /* of a character, 0x80 to 0xBF */
    TWO_BYTES = 18,
    THREE_BYTES = 24,
    REST_OF_E0 = 30,
    REST_OF_ED = 36,
    REST_OF_F0 = 42,
    REST_OF_F4 = 48
};
#define FROM(state, next) ((uint64_t)(next) << (state))
#define CONTINUATION (FROM(ONE_BYTE, CHARACTER) | FROM(TWO_BYTES, ONE_BYTE) | FROM(THREE_BYTES, TWO_BYTES))

static const uint64_t successors[256] = {
    [0x00 ... 0x7F] = FROM(CHARACTER, CHARACTER),
    [0x80 ... 0x8F] = CONTINUATION | FROM(REST_OF_ED, ONE_BYTE) | FROM(REST_OF_F4, TWO_BYTES),
    [0x90 ... 0x9F] = CONTINUATION | FROM(REST_OF_ED, ONE_BYTE) | FROM(REST_OF_F0, TWO_BYTES),
    [0xA0 ... 0xBF] = CONTINUATION | FROM(REST_OF_E0, ONE_BYTE) | FROM(REST_OF_F0, TWO_BYTES),
    [0xC2 ... 0xDF] = FROM(CHARACTER, ONE_BYTE),
    [0xE0] = FROM(CHARACTER, REST_OF_E0),
    [0xE1 ... 0xEC] = FROM(CHARACTER, TWO_BYTES),
    [0xED] = FROM(CHARACTER, REST_OF_ED),
    [0xEE ... 0xEF] = FROM(CHARACTER, TWO_BYTES),
    [0xF0] = FROM(CHARACTER, REST_OF_F0),
    [0xF1 ... 0xF3] = FROM(CHARACTER, THREE_BYTES),
    [0xF4] = FROM(CHARACTER, REST_OF_F4),
};

static unsigned run(unsigned state, const uint8_t *p, size_t n)
{
    uint64_t next = state;
    for (size_t i = 0; i < n; i++)
        next = successors[p[i]] >> (next & 63);
    return next & 63;
}

static bool is_ascii(const uint8_t *p, size_t n)
{
    uint64_t word, all = 0;
    for (size_t i = 0; i < n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        all |= word;
    }
    return (all & HIGH_BITS) == 0;
}

/* As glot_utf8_valid_prefix, byte by byte: up to the last byte behind which a character begins. */
static size_t valid_prefix(const uint8_t *p, size_t size)
{
    unsigned state = CHARACTER;
    size_t valid = 0;
    for (size_t at = 0; at < size && state != BAD; at++) {
        state = run(state, p + at, 1);
        if (state == CHARACTER)
            valid = at + 1;
    }
    return valid;
}

enum { BLOCK = 32 }; /* bytes that are ASCII, or go through the automaton; a multiple of a word */

size_t glot_utf8_valid_prefix(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    unsigned state = CHARACTER;
    size_t at = 0;
    for (; size - at >= BLOCK && state != BAD; at += BLOCK)
        if (state != CHARACTER || !is_ascii(p + at, BLOCK))
            state = run(state, p + at, BLOCK);
    if (state != BAD)
        state = run(state, p + at, size - at);
    return state == CHARACTER ? size : valid_prefix(p, size);
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
