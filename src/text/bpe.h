/* bpe.h
 *
 * Byte-pair encoding of one piece of text: its characters (or bytes) become symbols, and the neighbours whose
 * merge has the lowest rank are merged, the leftmost first, until no merge applies. Ids equal those of the
 * BPE model of Hugging Face tokenizers.
 */
#ifndef GLOT_TEXT_BPE_H
#define GLOT_TEXT_BPE_H

#include "text/vocabulary.h"

enum { GLOT_JOIN_BITS = 18 }; /* log2 of the bits of glot_bpe.joins */

typedef struct glot_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: an empty slot */
    uint32_t rank;
    int32_t id; /* of the merged token */
} glot_merge;

typedef struct glot_bpe {
    const glot_vocabulary *vocabulary; /* borrowed */
    glot_merge *merges;                /* [n_slots], open addressing */
    size_t n_slots;                    /* a power of two */
    size_t n_merges;
    bool byte_level;           /* pieces are bytes, each standing in the vocabulary as its GPT-2 character */
    bool byte_fallback;        /* unknown characters become their bytes' tokens <0x00> to <0xFF> */
    bool fuse_unk;             /* neighbouring unknown characters become one unknown token */
    bool ignore_merges;        /* a piece that is a token is not taken apart */
    int32_t unk_id;            /* -1: unknown characters are dropped */
    int32_t byte_ids[256];     /* byte_level: id of each byte, or -1 */
    int32_t fallback_ids[256]; /* byte_fallback: id of <0xNN>, or -1 */
    int32_t *character_ids;    /* not byte_level: [65536] ids of the characters of the first plane, or -1 */
    uint64_t *joins;           /* see glot_bpe_may_join; NULL: no piece may be cut */
    uint64_t *byte_joins;      /* byte_level: [65536 bits] by the two bytes at a boundary; NULL with joins */
} glot_bpe;

/* Adds the merge of rank n_merges. The pieces must be ids of the model; an equal earlier merge gives way, as
 * in tokenizers. */
glot_status glot_bpe_add_merge(glot_bpe *b, int32_t left, int32_t right, int32_t merged, glot_error *err);
/* The pairs in force, in the order of their ranks: *pairs[0, *n); the caller frees with glot_free. */
glot_status glot_bpe_list_merges(const glot_bpe *b, uint64_t **pairs, size_t *n, glot_error *err);
/* Fills the tables that follow from vocabulary, merges and settings. */
glot_status glot_bpe_prepare(glot_bpe *b, glot_error *err);
void glot_bpe_release(glot_bpe *b);

/* Scratch memory of one thread; zero it to start. The result of glot_bpe_encode is ids[0, n). */
typedef struct glot_bpe_scratch {
    int32_t *ids;
    size_t n;
    uint32_t *ranks;          /* [n] rank of the merge of symbol i with the next, or none */
    int32_t *merged;          /* [n] what that merge gives */
    int32_t *next, *previous; /* [n] neighbours still alive (long pieces) */
    uint64_t *heap;           /* [2 n] rank << 32 | place (long pieces) */
    size_t capacity;          /* symbols that fit */
    char *text;               /* a byte-level piece as it stands in the vocabulary */
} glot_bpe_scratch;

/* Ids of one piece (valid UTF-8 unless byte_level). Cost: O(n log n) for n symbols. */
glot_status glot_bpe_encode(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                            glot_error *err);
/* Its two halves: the id of a piece that is a token where ignore_merges asks for it, else -1; and the merging. */
glot_status glot_bpe_find_whole(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                                int32_t *id, glot_error *err);
glot_status glot_bpe_merge(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                           glot_error *err);
void glot_bpe_scratch_release(glot_bpe_scratch *s);

/* The place of a pair of characters in `joins`. */
static inline uint32_t glot_bpe_join_bit(uint32_t first, uint32_t second)
{
    return (first * 0x9E3779B1u ^ second * 0x85EBCA77u) >> (32 - GLOT_JOIN_BITS);
}

/* False where no merge ever joins a symbol that ends in the character before `at` (whose code is `previous`) with
 * one that begins with the character at `at`: a piece may then be cut there and each part merged alone. (True says
 * little: the table is a hash of pairs.) A byte-level symbol may be less than a character: of such merges the bytes
 * on both sides are known. */
static inline bool glot_bpe_may_join(const glot_bpe *b, const char *at, uint32_t previous, uint32_t code)
{
    uint32_t bit = glot_bpe_join_bit(previous, code);
    if (b->joins[bit >> 6] >> (bit & 63) & 1)
        return true;
    uint32_t bytes = (uint32_t)(unsigned char)at[-1] << 8 | (unsigned char)at[0];
    return b->byte_joins && (b->byte_joins[bytes >> 6] >> (bytes & 63) & 1) != 0;
}

/* The GPT-2 character of a byte: printable ones stand for themselves, the others for U+0100 onward. And back:
 * -1 for a character that stands for no byte. */
uint32_t glot_byte_to_character(unsigned char byte);
int glot_character_to_byte(uint32_t code);

#endif
