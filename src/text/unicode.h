/* unicode.h
 *
 * What the tokenizers need to know about code points: the classes of the split patterns, and NFC. The tables
 * are those of Hugging Face tokenizers 0.23, which takes them from different Unicode versions (tools/unicode
 * says which).
 */
#ifndef GLOT_TEXT_UNICODE_H
#define GLOT_TEXT_UNICODE_H

#include "base/str.h"

/* Bits of a code point's class. */
enum glot_class {
    GLOT_LETTER = 1,   /* \p{L} */
    GLOT_NUMBER = 2,   /* \p{N} */
    GLOT_SPACE = 4,    /* \s: White_Space */
    GLOT_WORD = 8,     /* \w: alphabetic, marks, decimal digits, connectors, joiners */
    GLOT_MARK = 16,    /* its canonical combining class is not 0 */
    GLOT_UNSTABLE = 32 /* NFC may change it or compose it with what stands before */
};

enum { GLOT_CLASS_SHIFT = 7, GLOT_MAX_CODE = 0x10FFFF };

extern const uint8_t glot_class_block[(GLOT_MAX_CODE + 1) >> GLOT_CLASS_SHIFT];
extern const char glot_class_of[];

/* Bits of enum glot_class, bit 6 set besides; code <= GLOT_MAX_CODE. */
static inline unsigned glot_class(uint32_t code)
{
    size_t block = glot_class_block[code >> GLOT_CLASS_SHIFT];
    return (
        unsigned char)glot_class_of[(block << GLOT_CLASS_SHIFT) + (code & ((1u << GLOT_CLASS_SHIFT) - 1))];
}

/* Rust's char::is_numeric: \p{N} of Unicode 17, one version ahead of the patterns. */
static inline bool glot_is_numeric(uint32_t code)
{
    return (glot_class(code) & GLOT_NUMBER) != 0 || (code >= 0x11DE0 && code <= 0x11DE9) ||
           (code >= 0x16FF4 && code <= 0x16FF6);
}

/* The code point at p, and its bytes in *length. The text must be valid UTF-8. */
static inline uint32_t glot_utf8_decode(const char *p, size_t *length)
{
    const unsigned char *b = (const unsigned char *)p;
    if (b[0] < 0x80) {
        *length = 1;
        return b[0];
    }
    if (b[0] < 0xE0) {
        *length = 2;
        return (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
    }
    if (b[0] < 0xF0) {
        *length = 3;
        return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
    }
    *length = 4;
    return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 | (uint32_t)(b[2] & 0x3F) << 6 |
           (b[3] & 0x3F);
}

/* Writes a code point as UTF-8; returns its bytes, 1 to 4. */
size_t glot_utf8_encode(char out[4], uint32_t code);

/* The code point that ends at byte `end` > 0 of a valid text, and its bytes in *length. */
uint32_t glot_utf8_decode_before(const char *text, size_t end, size_t *length);

/* Scratch memory of glot_nfc; zero it to start. */
typedef struct glot_nfc_scratch {
    glot_str text;
    uint32_t *codes;  /* code | combining class << 24, decomposed */
    uint32_t *sorted; /* the same, where a run of marks is sorted */
    size_t n_codes, codes_capacity, sorted_capacity;
} glot_nfc_scratch;

/* Normalization form C (UAX #15) of a valid UTF-8 text. *out is `text` itself where nothing had to be looked
 * at more closely, else memory of the scratch, valid until its next use. */
glot_status glot_nfc(glot_nfc_scratch *s, const char *text, size_t size, const char **out, size_t *out_size,
                     glot_error *err);
void glot_nfc_scratch_release(glot_nfc_scratch *s);

#endif
