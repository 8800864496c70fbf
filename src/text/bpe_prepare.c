/* bpe_prepare.c: the tables of a BPE model that follow from its vocabulary and merges: where a piece may be
 * cut, and which characters of a byte-level piece are symbols from the start. */
#include "base/memory.h"
#include "text/bpe.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>

enum {
    JOIN_WORDS = (1 << GLOT_JOIN_BITS) / 64,
    WHOLE_WORDS = (1 << GLOT_WHOLE_BITS) / 64,
    N_BOUNDARIES = 65536,
    SPACE_MARK = 0x2581 /* SentencePiece's, in place of a space */
};

/* GPT-2's printable bytes. */
static bool is_printable(unsigned byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

uint32_t glot_byte_to_character(unsigned char byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= ' ')
        return 256u + byte;
    return byte == 0xAD ? 256u + 67 : 256u + 33 + (byte - 0x7Fu);
}

int glot_character_to_byte(uint32_t code)
{
    if (code < 256)
        return is_printable(code) ? (int)code : -1;
    if (code <= 256 + ' ')
        return (int)(code - 256);
    if (code < 256 + 67)
        return (int)(code - 256 - 33 + 0x7F);
    return code == 256 + 67 ? 0xAD : -1;
}

static uint32_t first_character(const glot_vocabulary *v, int32_t id)
{
    size_t length;
    return glot_utf8_decode(glot_vocabulary_text(v, id, NULL), &length);
}

static uint32_t last_character(const glot_vocabulary *v, int32_t id)
{
    size_t size, length;
    const char *text = glot_vocabulary_text(v, id, &size);
    return size ? glot_utf8_decode_before(text, size, &length) : 0;
}

static bool has_all(const int32_t ids[256])
{
    for (int i = 0; i < 256; i++)
        if (ids[i] < 0)
            return false;
    return true;
}

/* Whether cutting between characters is exact whatever the text: no unknown token can arise (every byte has
 * its token), and no merge takes a byte's token, so that every symbol ends and begins with the characters it
 * stands for. */
static bool may_cut_characters(const glot_bpe *b, const bool *is_byte_token)
{
    if (!b->byte_fallback || b->ignore_merges || !has_all(b->fallback_ids))
        return false;
    for (size_t i = 0; i < b->merges.n; i++)
        if (is_byte_token[b->merges.merges[i].left] || is_byte_token[b->merges.merges[i].right])
            return false;
    return true;
}

static void set_bit(uint64_t *bits, uint32_t bit)
{
    bits[bit >> 6] |= (uint64_t)1 << (bit & 63);
}

static glot_status prepare_character_joins(glot_bpe *b, glot_error *err)
{
    bool *is_byte_token;
    GLOT_TRY(glot_new(&is_byte_token, b->vocabulary->size, sizeof is_byte_token[0], "the vocabulary", err));
    for (int i = 0; i < 256; i++)
        if (b->fallback_ids[i] >= 0)
            is_byte_token[b->fallback_ids[i]] = true;
    bool cut = may_cut_characters(b, is_byte_token);
    glot_free(is_byte_token);
    if (!cut)
        return GLOT_OK;
    GLOT_TRY(glot_new(&b->joins, JOIN_WORDS, sizeof b->joins[0], "the merges", err));
    for (size_t i = 0; i < b->merges.n; i++)
        set_bit(b->joins, glot_bpe_join_bit(last_character(b->vocabulary, b->merges.merges[i].left),
                                            first_character(b->vocabulary, b->merges.merges[i].right)));
    return GLOT_OK;
}

/* The first or the last bytes, at most four, that a byte-level token stands for; returns how many, 0 where
 * the token holds a character that stands for no byte. */
static size_t outer_bytes(const glot_vocabulary *v, int32_t id, bool is_end, char bytes[4])
{
    size_t size, n = 0, length;
    const char *text = glot_vocabulary_text(v, id, &size);
    for (size_t left = size; left > 0 && n < 4; left -= length) {
        int byte = glot_character_to_byte(is_end ? glot_utf8_decode_before(text, left, &length)
                                                 : glot_utf8_decode(text + size - left, &length));
        if (byte < 0)
            return 0;
        bytes[is_end ? 3 - n : n] = (char)byte;
        n++;
    }
    if (is_end)
        memmove(bytes, bytes + 4 - n, n);
    return n;
}

static bool is_one_character(const char *bytes, size_t n)
{
    size_t length = 0;
    if (glot_utf8_valid_prefix(bytes, n) == n)
        glot_utf8_decode(bytes, &length);
    return length == n;
}

static bool has_ids(const glot_bpe *b, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b->byte_ids[(unsigned char)bytes[i]] < 0)
            return false;
    return true;
}

/* A symbol that is the end, the start or all of a character on the way to becoming one token: 1 + the highest
 * rank that the merges of such a character have; 0: there is none. */
typedef struct character_part {
    uint32_t end, start;
} character_part;

/* Merges the bytes of a character alone. Where one token is left, it is a symbol from the start, wherever no
 * merge with something outside of the character has a rank as low as its own merges have: all of these come
 * first then, and nothing else can tell whether they are done yet. glot_bpe_prepare notes where that may fail
 * in `boundaries`. */
static void add_start_character(glot_bpe *b, character_part *parts, const char *bytes, size_t n)
{
    int32_t ids[3] = {0}, starts[3], ends[3];
    uint32_t above = 0;
    size_t n_states = 0, length;
    for (size_t i = 0; i < n; i++)
        ids[i] = b->byte_ids[(unsigned char)bytes[i]];
    for (size_t left = n;; left--) {
        starts[n_states] = ids[0];
        ends[n_states++] = ids[left - 1];
        if (left == 1)
            break;
        uint32_t first = glot_merge_find(&b->merges, ids[0], ids[1]);
        uint32_t second = left == 3 ? glot_merge_find(&b->merges, ids[1], ids[2]) : GLOT_NO_MERGE;
        uint32_t rank = second < first ? second : first;
        if (rank == GLOT_NO_MERGE)
            return;
        above = rank >= above ? rank + 1 : above;
        ids[second < first] = b->merges.ids[rank];
        if (second >= first)
            ids[1] = ids[left - 1];
    }
    for (size_t i = 0; i < n_states; i++) {
        uint32_t *start = &parts[starts[i]].start, *end = &parts[ends[i]].end;
        *start = *start > above ? *start : above;
        *end = *end > above ? *end : above;
    }
    b->character_ids[glot_utf8_decode(bytes, &length)] = ids[0];
}

/* Characters of one byte, and those of two and three that are tokens. */
static void add_start_characters(glot_bpe *b, character_part *parts)
{
    for (int byte = 0; byte < 0x80; byte++)
        b->character_ids[byte] = b->byte_ids[byte];
    for (size_t id = 0; id < b->vocabulary->size; id++) {
        size_t size = b->vocabulary->entries[id].length;
        char bytes[4];
        if (!b->vocabulary->entries[id].in_model || (size != 4 && size != 6)) /* two bytes of text for each */
            continue;
        size_t n = outer_bytes(b->vocabulary, (int32_t)id, false, bytes);
        if (2 * n == size && is_one_character(bytes, n) && has_ids(b, bytes, n))
            add_start_character(b, parts, bytes, n);
    }
}

/* Marks a merge that a boundary between two characters may meet. Where the left symbol ends in a whole
 * character and the right one begins with one, these two tell; where one of them is only a part of its
 * character, the two bytes at the boundary. A symbol that begins inside a character meets no boundary. */
static void add_byte_join(glot_bpe *b, const character_part *parts, uint32_t rank)
{
    const glot_merge *m = &b->merges.merges[rank];
    char end[4], start[4];
    size_t n_end = outer_bytes(b->vocabulary, m->left, true, end), at = n_end;
    size_t n_start = outer_bytes(b->vocabulary, m->right, false, start), first_size = 0, last_size = 0;
    if (n_end == 0 || n_start == 0 || ((unsigned char)start[0] & 0xC0) == 0x80)
        return;
    uint8_t *boundary = &b->boundaries[(unsigned char)end[n_end - 1] << 8 | (unsigned char)start[0]];
    if (rank < parts[m->left].end)
        *boundary |= GLOT_JOINS_LEFT;
    if (rank < parts[m->right].start)
        *boundary |= GLOT_JOINS_RIGHT;
    while (at > 0 && ((unsigned char)end[--at] & 0xC0) == 0x80)
        ;
    bool has_lead = ((unsigned char)end[at] & 0xC0) != 0x80;
    uint32_t last = 0, first = 0;
    char padded[2][4] = {{0}}; /* an incomplete character is decoded too, only for its length */
    memcpy(padded[0], end + at, n_end - at);
    memcpy(padded[1], start, n_start);
    if (has_lead)
        last = glot_utf8_decode(padded[0], &last_size);
    first = glot_utf8_decode(padded[1], &first_size);
    if (has_lead && last_size == n_end - at && first_size <= n_start)
        set_bit(b->joins, glot_bpe_join_bit(last, first));
    else
        *boundary |= GLOT_JOINS;
}

/* Bits of the bytes that the tokens stand for. */
static glot_status prepare_whole(glot_bpe *b, glot_error *err)
{
    glot_str bytes = {0};
    glot_status status = glot_new(&b->whole, WHOLE_WORDS, sizeof b->whole[0], "the vocabulary", err);
    for (size_t id = 0; id < b->vocabulary->size && status == GLOT_OK; id++) {
        size_t size, length;
        const char *text = glot_vocabulary_text(b->vocabulary, (int64_t)id, &size);
        glot_str_reset(&bytes);
        for (size_t at = 0; text && at < size; at += length) {
            char byte = (char)glot_character_to_byte(glot_utf8_decode(text + at, &length));
            glot_str_append(&bytes, &byte, 1);
        }
        status = glot_str_check(&bytes, "the vocabulary", err);
        if (status == GLOT_OK && bytes.length > 0)
            set_bit(b->whole, glot_bpe_whole_bit(bytes.data, bytes.length));
    }
    glot_str_release(&bytes);
    return status;
}

static glot_status prepare_bytes(glot_bpe *b, glot_error *err)
{
    character_part *parts;
    GLOT_TRY(glot_new(&b->joins, JOIN_WORDS, sizeof b->joins[0], "the merges", err));
    GLOT_TRY(glot_new(&b->boundaries, N_BOUNDARIES, sizeof b->boundaries[0], "the merges", err));
    for (int i = 0; i < N_BOUNDARIES; i++)
        b->boundaries[i] = b->byte_ids[i >> 8] < 0 || b->byte_ids[i & 0xFF] < 0 ? GLOT_JOINS : 0;
    GLOT_TRY(glot_new(&parts, b->vocabulary->size, sizeof parts[0], "the merges", err));
    add_start_characters(b, parts);
    for (size_t rank = 0; rank < b->merges.n; rank++)
        add_byte_join(b, parts, (uint32_t)rank);
    glot_free(parts);
    return GLOT_OK;
}

static void find_characters(glot_bpe *b)
{
    for (size_t id = 0; id < b->vocabulary->size; id++) {
        size_t size, length;
        const char *text = glot_vocabulary_text(b->vocabulary, (int64_t)id, &size);
        if (!text || size == 0 || !b->vocabulary->entries[id].in_model)
            continue;
        uint32_t code = glot_utf8_decode(text, &length);
        if (length == size && code < GLOT_N_PLANE)
            b->character_ids[code] = (int32_t)id;
    }
}

/* The lowest id of a letter or of the mark that stands for a space: in the vocabularies in use the ids of
 * bytes, or of the most frequent characters, begin there. */
static int32_t first_symbol(const glot_bpe *b)
{
    const int32_t *ids = b->byte_level ? b->byte_ids : b->character_ids;
    uint32_t first = (uint32_t)b->character_ids[SPACE_MARK]; /* -1, which is none, is above all ids */
    for (int c = 'A'; c <= 'z'; c++)
        first = (uint32_t)ids[c] < first ? (uint32_t)ids[c] : first;
    return first == UINT32_MAX ? 0 : (int32_t)first;
}

glot_status glot_bpe_prepare(glot_bpe *b, glot_error *err)
{
    for (int i = 0; i < 256; i++) {
        char text[8];
        b->byte_ids[i] = glot_vocabulary_find_in_model(
            b->vocabulary, text, glot_utf8_encode(text, glot_byte_to_character((unsigned char)i)));
        snprintf(text, sizeof text, "<0x%02X>", i);
        b->fallback_ids[i] = glot_vocabulary_find_in_model(b->vocabulary, text, 6);
    }
    GLOT_TRY(glot_new(&b->character_ids, GLOT_N_PLANE, sizeof b->character_ids[0], "the characters", err));
    memset(b->character_ids, 0xFF, GLOT_N_PLANE * sizeof b->character_ids[0]);
    if (!b->byte_level)
        find_characters(b);
    GLOT_TRY(glot_merge_finish(&b->merges, first_symbol(b), err));
    if (b->byte_level && b->ignore_merges)
        GLOT_TRY(prepare_whole(b, err));
    return b->byte_level ? prepare_bytes(b, err) : prepare_character_joins(b, err);
}
