/* bpe.h
 *
 * Byte-pair encoding of one piece of text: its characters (or bytes) become symbols, and the neighbours whose
 * merge has the lowest rank are merged, the leftmost first, until no merge applies. Ids equal those of the
 * BPE model of Hugging Face tokenizers.
 */
#ifndef GLOT_TEXT_BPE_H
#define GLOT_TEXT_BPE_H

#include "text/merge_table.h"
#include "text/vocabulary.h"

enum {
    GLOT_N_PLANE = 65536, /* code points of the first plane */
    GLOT_WHOLE_BITS = 21, /* log2 of the bits of glot_bpe.whole */
    GLOT_JOIN_BITS = 18   /* of glot_bpe.joins */
};

/* What merges of a byte-level model may do at a boundary between two characters. */
enum {
    GLOT_JOINS = 1,      /* join less than a whole character with what stands on the other side */
    GLOT_JOINS_LEFT = 2, /* come before the merges of the character on the left are done */
    GLOT_JOINS_RIGHT = 4 /* of the one on the right */
};

typedef struct glot_bpe {
    const glot_vocabulary *vocabulary; /* borrowed */
    glot_merge_table merges;
    bool byte_level;           /* pieces are bytes, each standing in the vocabulary as its GPT-2 character */
    bool byte_fallback;        /* unknown characters become their bytes' tokens <0x00> to <0xFF> */
    bool fuse_unk;             /* neighbouring unknown characters become one unknown token */
    bool ignore_merges;        /* a piece that is a token is not taken apart */
    int32_t unk_id;            /* -1: unknown characters are dropped */
    int32_t byte_ids[256];     /* byte_level: id of each byte, or -1 */
    int32_t fallback_ids[256]; /* byte_fallback: id of <0xNN>, or -1 */
    int32_t *character_ids; /* [65536] by code point: the symbol that a character is from the start, or -1 */
    uint64_t *whole; /* ignore_merges, byte_level: the tokens' bits by glot_bpe_whole_bit, and few others */
    uint64_t *joins; /* see glot_bpe_may_join; NULL: no piece may be cut */
    uint8_t *boundaries; /* byte_level: [65536] GLOT_JOINS_* by the two bytes at a boundary of characters */
} glot_bpe;

/* Fills the tables that follow from vocabulary, merges and settings. */
glot_status glot_bpe_prepare(glot_bpe *b, glot_error *err);
void glot_bpe_release(glot_bpe *b);

/* Scratch memory of one thread; zero it to start. The result of glot_bpe_encode is ids[0, n). */
typedef struct glot_bpe_scratch {
    int32_t *ids;
    size_t n;
    uint32_t *ranks;          /* [n] rank of the merge of symbol i with the next, or none */
    int32_t *next, *previous; /* [n] neighbours still alive (long pieces) */
    uint64_t *heap;           /* [2 n] rank << 32 | place (long pieces) */
    size_t capacity;          /* symbols that fit */
    char *text;               /* a byte-level piece as it stands in the vocabulary */
} glot_bpe_scratch;

/* Ids of one piece of valid UTF-8. Cost: O(n log n) for n symbols. */
glot_status glot_bpe_encode(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                            glot_error *err);
/* Its two halves: the id of a piece that is a token where ignore_merges asks for it, else -1; and the
 * merging. */
glot_status glot_bpe_find_whole(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                                int32_t *id, glot_error *err);
glot_status glot_bpe_merge(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                           glot_error *err);
void glot_bpe_scratch_release(glot_bpe_scratch *s);

static inline bool glot_bit(const uint64_t *bits, uint32_t bit)
{
    return bits[bit >> 6] >> (bit & 63) & 1;
}

/* The place of a piece in `whole`. */
static inline uint32_t glot_bpe_whole_bit(const char *piece, size_t size)
{
    return (uint32_t)(glot_hash_bytes(piece, size) >> (64 - GLOT_WHOLE_BITS));
}

/* The place of a pair of characters in `joins`. */
static inline uint32_t glot_bpe_join_bit(uint32_t first, uint32_t second)
{
    return (first * 0x9E3779B1u ^ second * 0x85EBCA77u) >> (32 - GLOT_JOIN_BITS);
}

/* The place of the boundary before `at` in `boundaries`. */
static inline uint32_t glot_bpe_boundary(const char *at)
{
    return (uint32_t)(unsigned char)at[-1] << 8 | (unsigned char)at[0];
}

/* False where no merge ever joins a symbol that ends in the character before `at` (whose code is `previous`)
 * with one that begins with the character at `at`: a piece may then be cut there and each part merged alone.
 * (True says little: the table is a hash of pairs.) A byte-level symbol may be less than a character: of such
 * merges the bytes on both sides are known. */
static inline bool glot_bpe_may_join(const glot_bpe *b, const char *at, uint32_t previous, uint32_t code)
{
    uint32_t bit = glot_bpe_join_bit(previous, code);
    if (glot_bit(b->joins, bit))
        return true;
    return b->boundaries && (b->boundaries[glot_bpe_boundary(at)] & GLOT_JOINS) != 0;
}

/* The GPT-2 character of a byte: printable ones stand for themselves, the others for U+0100 onward. And back:
 * -1 for a character that stands for no byte. */
uint32_t glot_byte_to_character(unsigned char byte);
int glot_character_to_byte(uint32_t code);

#endif
