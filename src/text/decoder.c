/* decoder.c: ids back to text. What a token decodes to, whatever stands around it, is made once, when the
 * tokenizer is put together. */
#include "base/memory.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

/* The bytes that a token's characters stand for; false where one stands for none. */
static bool append_bytes(glot_str *out, const char *text, size_t size)
{
    size_t before = out->length;
    for (size_t i = 0, length; i < size; i += length) {
        int byte = glot_character_to_byte(glot_utf8_decode(text + i, &length));
        if (byte < 0) {
            out->length = before;
            return false;
        }
        char c = (char)byte;
        glot_str_append(out, &c, 1);
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of <0xNN>, or -1. */
static int fallback_byte(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

static void append_replaced(glot_str *out, const char *text, size_t size, const char *pattern,
                            const char *content)
{
    const char *end = text + size, *place;
    while (pattern && (place = memmem(text, (size_t)(end - text), pattern, strlen(pattern)))) {
        glot_str_append(out, text, (size_t)(place - text));
        glot_str_puts(out, content);
        text = place + strlen(pattern);
    }
    glot_str_append(out, text, (size_t)(end - text));
}

static void append_decoded(const glot_decoding *d, glot_str *out, const char *text, size_t size)
{
    int byte = d->kind == GLOT_DECODE_PIECES && d->byte_fallback ? fallback_byte(text, size) : -1;
    if (byte >= 0) {
        char c = (char)byte;
        glot_str_append(out, &c, 1);
    } else if (d->kind != GLOT_DECODE_BYTES || !append_bytes(out, text, size)) {
        append_replaced(out, text, size, d->kind == GLOT_DECODE_PIECES ? d->replace : NULL, d->content);
    }
}

glot_status glot_tokenizer_prepare_decoding(glot_tokenizer *t, glot_error *err)
{
    GLOT_TRY(glot_new(&t->decoded, t->vocabulary.size, sizeof t->decoded[0], "the decoded tokens", err));
    for (size_t id = 0; id < t->vocabulary.size; id++) {
        const glot_vocabulary_entry *entry = &t->vocabulary.entries[id];
        if (!entry->exists)
            continue;
        /* tokenizers decodes an added token as what it looked for, and calls that special where it is a
         * special token's name. */
        const glot_added_token *added = entry->added ? &t->added[entry->added - 1] : NULL;
        const char *text = added ? added->pattern : t->vocabulary.texts.data + entry->offset;
        size_t before = t->decoded_texts.length;
        append_decoded(&t->decoding, &t->decoded_texts, text, added ? strlen(text) : entry->length);
        size_t length = t->decoded_texts.length - before;
        if (t->decoded_texts.length > UINT32_MAX)
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the tokens decode to more than 4 GiB", t->path);
        int32_t named = added ? glot_vocabulary_find(&t->vocabulary, text, strlen(text)) : -1;
        bool skipped = named >= 0 && glot_tokenizer_is_special(t, named);
        t->decoded[id] = (glot_decoded){(uint32_t)before, (uint32_t)length, true, skipped};
    }
    return glot_str_check(&t->decoded_texts, "the decoded tokens", err);
}

/* Appends the text of the first token without what Metaspace puts in front of words. */
static void append_first(const glot_tokenizer *t, int32_t id, glot_str *out)
{
    size_t size;
    const char *text = glot_vocabulary_text(&t->vocabulary, id, &size);
    append_replaced(out, text, size, t->decoding.replace, "");
}

/* How many bytes of the text's start go away. */
static size_t stripped(const glot_decoding *d, const char *text, size_t size)
{
    size_t n = d->strip ? strlen(d->strip) : 0, at = 0;
    for (int64_t i = 0; i < d->n_strip && n > 0 && size - at >= n && memcmp(text + at, d->strip, n) == 0; i++)
        at += n;
    return at;
}

glot_status glot_decode(const glot_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                        bool is_start, glot_str *out, glot_error *err)
{
    size_t start = out->length;
    bool is_first = is_start;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= t->vocabulary.size)
            continue;
        const glot_decoded *token = &t->decoded[ids[i]];
        if (!token->exists || (skip_special && token->skipped))
            continue;
        if (t->decoding.kind == GLOT_DECODE_SPACED && !is_first)
            glot_str_append(out, " ", 1);
        if (is_first && t->decoding.metaspace_first)
            append_first(t, ids[i], out);
        else
            glot_str_append(out, t->decoded_texts.data + token->offset, token->length);
        is_first = false;
    }
    size_t cut = is_start && out->data ? stripped(&t->decoding, out->data + start, out->length - start) : 0;
    if (cut > 0) {
        memmove(out->data + start, out->data + start + cut, out->length - start - cut + 1);
        out->length -= cut;
    }
    return glot_str_check(out, "decoded text", err);
}
