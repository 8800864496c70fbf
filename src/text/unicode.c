/* unicode.c: UTF-8, and NFC by UAX #15: decompose, order the marks, compose; only around characters that ask
 * for it. */
#include "text/unicode.h"
#include "base/memory.h"

#include <string.h>

typedef struct combining_range {
    uint32_t first, last;
    uint8_t combining_class;
} combining_range;

typedef struct decomposition {
    uint32_t code, first, second;
} decomposition;

#include "text/unicode_tables.inc"

enum { N_COMBINING = sizeof combining_ranges / sizeof combining_ranges[0] };
enum { N_DECOMPOSITIONS = sizeof decompositions / sizeof decompositions[0] };
enum { N_COMPOSITIONS = sizeof compositions / sizeof compositions[0] };

/* Hangul syllables compose by arithmetic (Unicode, section 3.12). */
enum {
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11A7, /* one before the first */
    HANGUL_S = 0xAC00,
    N_HANGUL_L = 19,
    N_HANGUL_V = 21,
    N_HANGUL_T = 28,
    N_HANGUL_S = N_HANGUL_L * N_HANGUL_V * N_HANGUL_T
};

enum { CODE_MASK = 0xFFFFFF, CLASS_SHIFT = 24 };

size_t glot_utf8_encode(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

uint32_t glot_utf8_decode_before(const char *text, size_t end, size_t *length)
{
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    return glot_utf8_decode(text + at, length);
}

static uint32_t combining_class(uint32_t code)
{
    size_t low = 0, high = N_COMBINING;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > combining_ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < N_COMBINING && code >= combining_ranges[low].first;
    return found ? combining_ranges[low].combining_class : 0;
}

static const decomposition *find_decomposition(uint32_t code)
{
    size_t low = 0, high = N_DECOMPOSITIONS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > decompositions[middle].code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < N_DECOMPOSITIONS && decompositions[low].code == code ? &decompositions[low] : NULL;
}

/* The code point that the pair composes to, or 0. */
static uint32_t compose_pair(uint32_t first, uint32_t second)
{
    if (first - HANGUL_L < N_HANGUL_L && second - HANGUL_V < N_HANGUL_V)
        return HANGUL_S + ((first - HANGUL_L) * N_HANGUL_V + (second - HANGUL_V)) * N_HANGUL_T;
    if (first - HANGUL_S < N_HANGUL_S && (first - HANGUL_S) % N_HANGUL_T == 0 && second > HANGUL_T &&
        second < HANGUL_T + N_HANGUL_T)
        return first + (second - HANGUL_T);
    uint64_t key = (uint64_t)first << 32 | second;
    size_t low = 0, high = N_COMPOSITIONS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const decomposition *d = &decompositions[compositions[middle]];
        if (key > ((uint64_t)d->first << 32 | d->second))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == N_COMPOSITIONS)
        return 0;
    const decomposition *d = &decompositions[compositions[low]];
    return d->first == first && d->second == second ? d->code : 0;
}

static void put_code(glot_nfc_scratch *s, uint32_t code)
{
    uint32_t mark = glot_class(code) & GLOT_MARK ? combining_class(code) : 0;
    s->codes[s->n_codes++] = code | mark << CLASS_SHIFT;
}

/* Appends the full canonical decomposition: at most four codes. */
static void decompose(glot_nfc_scratch *s, uint32_t code)
{
    if (code - HANGUL_S < N_HANGUL_S) {
        uint32_t index = code - HANGUL_S;
        put_code(s, HANGUL_L + index / (N_HANGUL_V * N_HANGUL_T));
        put_code(s, HANGUL_V + index / N_HANGUL_T % N_HANGUL_V);
        if (index % N_HANGUL_T)
            put_code(s, HANGUL_T + index % N_HANGUL_T);
        return;
    }
    const decomposition *d = find_decomposition(code);
    if (!d) {
        put_code(s, code);
        return;
    }
    decompose(s, d->first);
    if (d->second)
        decompose(s, d->second);
}

/* Stable insertion sort by combining class: runs of marks are short. */
static void sort_short(uint32_t *codes, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t code = codes[i];
        size_t at = i;
        for (; at > 0 && codes[at - 1] >> CLASS_SHIFT > code >> CLASS_SHIFT; at--)
            codes[at] = codes[at - 1];
        codes[at] = code;
    }
}

/* Stable counting sort: a text may be nothing but marks. */
static void sort_long(uint32_t *codes, uint32_t *sorted, size_t n)
{
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++)
        start[(codes[i] >> CLASS_SHIFT) + 1]++;
    for (size_t c = 1; c < 257; c++)
        start[c] += start[c - 1];
    for (size_t i = 0; i < n; i++)
        sorted[start[codes[i] >> CLASS_SHIFT]++] = codes[i];
    memcpy(codes, sorted, n * sizeof codes[0]);
}

static glot_status order_marks(glot_nfc_scratch *s, glot_error *err)
{
    for (size_t i = 0; i < s->n_codes;) {
        size_t end = i;
        while (end < s->n_codes && s->codes[end] >> CLASS_SHIFT)
            end++;
        size_t n = end - i;
        if (n > 32) {
            GLOT_TRY(
                glot_grow(&s->sorted, &s->sorted_capacity, n, sizeof s->sorted[0], "combining marks", err));
            sort_long(s->codes + i, s->sorted, n);
        } else {
            sort_short(s->codes + i, n);
        }
        i = end + 1;
    }
    return GLOT_OK;
}

/* Composes in place. A code is blocked from the last starter where what stands between has its class or a
 * higher one. */
static void compose(glot_nfc_scratch *s)
{
    uint32_t *codes = s->codes;
    size_t n = 0, starter = SIZE_MAX;
    uint32_t last_class = 0;
    for (size_t i = 0; i < s->n_codes; i++) {
        uint32_t code = codes[i] & CODE_MASK, mark = codes[i] >> CLASS_SHIFT;
        bool adjacent = starter != SIZE_MAX && n == starter + 1;
        if (starter != SIZE_MAX && (adjacent || last_class < mark)) {
            uint32_t composed = compose_pair(codes[starter] & CODE_MASK, code);
            if (composed) {
                codes[starter] = composed;
                continue;
            }
        }
        if (mark == 0)
            starter = n;
        last_class = mark;
        codes[n++] = codes[i];
    }
    s->n_codes = n;
}

/* Normalizes text[0, size), which begins and ends where nothing composes across, and appends it. */
static glot_status append_normalized(glot_nfc_scratch *s, const char *text, size_t size, glot_error *err)
{
    s->n_codes = 0;
    for (size_t i = 0, length; i < size; i += length) {
        GLOT_TRY(
            glot_grow(&s->codes, &s->codes_capacity, s->n_codes + 4, sizeof s->codes[0], "code points", err));
        decompose(s, glot_utf8_decode(text + i, &length));
    }
    GLOT_TRY(order_marks(s, err));
    compose(s);
    for (size_t i = 0; i < s->n_codes; i++) {
        char bytes[4];
        glot_str_append(&s->text, bytes, glot_utf8_encode(bytes, s->codes[i] & CODE_MASK));
    }
    return glot_str_check(&s->text, "normalized text", err);
}

/* From `at`, finds the next place that must be normalized: *start at a character that nothing composes
 * across, *end behind the last character that belongs to it. False where the rest is normal as it is. */
static bool find_unstable(const char *text, size_t size, size_t at, size_t *start, size_t *end)
{
    size_t last_stable = at, length;
    uint32_t previous_mark = 0; /* the mark just before, or 0 */
    size_t i = at;
    for (;; i += length) {
        if (i >= size)
            return false;
        uint32_t code = glot_utf8_decode(text + i, &length);
        unsigned class = code < 0x300 ? 0 : glot_class(code);
        if (class & GLOT_UNSTABLE)
            break;
        if (class & GLOT_MARK) {
            if (previous_mark && combining_class(previous_mark) > combining_class(code))
                break;
            previous_mark = code;
        } else {
            previous_mark = 0;
            last_stable = i;
        }
    }
    for (; i < size; i += length)
        if (!(glot_class(glot_utf8_decode(text + i, &length)) & (GLOT_UNSTABLE | GLOT_MARK)))
            break;
    *start = last_stable;
    *end = i;
    return true;
}

glot_status glot_nfc(glot_nfc_scratch *s, const char *text, size_t size, const char **out, size_t *out_size,
                     glot_error *err)
{
    size_t start, end, done = 0;
    *out = text;
    *out_size = size;
    if (!find_unstable(text, size, 0, &start, &end))
        return GLOT_OK;
    glot_str_reset(&s->text);
    do {
        glot_str_append(&s->text, text + done, start - done);
        GLOT_TRY(append_normalized(s, text + start, end - start, err));
        done = end;
    } while (find_unstable(text, size, done, &start, &end));
    glot_str_append(&s->text, text + done, size - done);
    GLOT_TRY(glot_str_check(&s->text, "normalized text", err));
    *out = s->text.data;
    *out_size = s->text.length;
    return GLOT_OK;
}

void glot_nfc_scratch_release(glot_nfc_scratch *s)
{
    glot_str_release(&s->text);
    glot_free(s->codes);
    glot_free(s->sorted);
    *s = (glot_nfc_scratch){0};
}
