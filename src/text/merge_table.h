/* merge_table.h: the merges of a BPE model in the order of their ranks, found by the pair of ids that they
 * join. */
#ifndef GLOT_TEXT_MERGE_TABLE_H
#define GLOT_TEXT_MERGE_TABLE_H

#include "text/vocabulary.h"

enum {
    GLOT_RANK_BITS = 20,
    GLOT_ID_BITS = 22,
    GLOT_RANK_MASK = (1 << GLOT_RANK_BITS) - 1,
    GLOT_MAX_MERGES = GLOT_RANK_MASK,
    GLOT_NO_MERGE = GLOT_RANK_MASK, /* the rank that no merge has */
    /* How many neighbouring ids have a table of their pairs: those of bytes or letters, with which every
     * search begins. */
    GLOT_CLOSE_IDS = 256,
    GLOT_MERGE_BUCKET = 4 /* slots that are searched without a branch */
};
_Static_assert(GLOT_MAX_TOKEN_ID <= 1 << GLOT_ID_BITS, "two ids and a rank fill 64 bits");

typedef struct glot_merge {
    int32_t left, right;
    int32_t id; /* of the merged token */
} glot_merge;

typedef struct glot_merge_table {
    glot_merge *merges; /* [n] by rank */
    int32_t *ids;       /* [n] of the merged tokens by rank, once more: so they share fewer cache lines */
    size_t n, capacity;
    size_t n_dropped; /* merges that gave way, their left is -1 */
    uint64_t *slots;  /* [1 << slot_bits] left, right, rank; UINT64_MAX: empty */
    unsigned slot_bits;
    void *memory;          /* of the slots, which begin at a cache line */
    uint32_t *close_ranks; /* [GLOT_CLOSE_IDS, GLOT_CLOSE_IDS] from id first_close on, or GLOT_NO_MERGE */
    int32_t first_close;
} glot_merge_table;

/* Adds the merge of the next rank; an equal earlier one gives way, as in tokenizers. */
glot_status glot_merge_add(glot_merge_table *t, int32_t left, int32_t right, int32_t id, glot_error *err);
/* After the last merge: drops those that gave way, so that merges[0, n) are those in force. first_close:
 * where the ids of bytes or letters begin. */
glot_status glot_merge_finish(glot_merge_table *t, int32_t first_close, glot_error *err);
void glot_merge_table_release(glot_merge_table *t);

static inline uint64_t glot_merge_pair(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << GLOT_ID_BITS | (uint32_t)right;
}

/* The first slot of a pair's bucket. A bucket fills from its start; the next takes what has no room. */
static inline size_t glot_merge_bucket(const glot_merge_table *t, uint64_t pair)
{
    size_t hash = (size_t)(pair * 0x9E3779B97F4A7C15u >> (64 - t->slot_bits));
    return hash / GLOT_MERGE_BUCKET * GLOT_MERGE_BUCKET;
}

/* Rank of the merge of two ids, or GLOT_NO_MERGE; after glot_merge_finish. */
static inline uint32_t glot_merge_find(const glot_merge_table *t, int32_t left, int32_t right)
{
    uint32_t row = (uint32_t)(left - t->first_close), column = (uint32_t)(right - t->first_close);
    if ((row | column) < GLOT_CLOSE_IDS)
        return t->close_ranks[row * GLOT_CLOSE_IDS + column];
    uint64_t pair = glot_merge_pair(left, right), found = GLOT_NO_MERGE;
    size_t mask = ((size_t)1 << t->slot_bits) - 1;
    for (size_t at = glot_merge_bucket(t, pair);; at = (at + GLOT_MERGE_BUCKET) & mask) {
        const uint64_t *slots = t->slots + at;
        for (int i = GLOT_MERGE_BUCKET; i-- > 0;) /* an empty slot looks like the pair of the highest ids */
            found = slots[i] >> GLOT_RANK_BITS == pair ? slots[i] : found;
        if (found != GLOT_NO_MERGE || slots[GLOT_MERGE_BUCKET - 1] == UINT64_MAX)
            return (uint32_t)(found & GLOT_RANK_MASK);
    }
}

#endif
