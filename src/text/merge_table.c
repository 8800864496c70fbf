/* merge_table.c: open addressing with linear probing from the start of a bucket, at most half of the slots in
 * use. */
#include "text/merge_table.h"
#include "base/memory.h"

#include <string.h>

/* The slot of a pair, or the empty one where it belongs. */
static uint64_t *find_slot(const glot_merge_table *t, int32_t left, int32_t right)
{
    uint64_t pair = glot_merge_pair(left, right);
    size_t at = glot_merge_bucket(t, pair), mask = ((size_t)1 << t->slot_bits) - 1;
    while (t->slots[at] >> GLOT_RANK_BITS != pair && t->slots[at] != UINT64_MAX)
        at = (at + 1) & mask;
    return &t->slots[at];
}

static void put(glot_merge_table *t, uint64_t *slot, size_t rank)
{
    *slot = glot_merge_pair(t->merges[rank].left, t->merges[rank].right) << GLOT_RANK_BITS | rank;
}

static bool has_room(const glot_merge_table *t, unsigned slot_bits)
{
    return slot_bits > 0 && 2 * (t->n + 1) <= (size_t)1 << slot_bits;
}

/* New slots for the merges, with room for one more. */
static glot_status index_merges(glot_merge_table *t, glot_error *err)
{
    enum { LINE = 64 }; /* bytes of a cache line, which a bucket must not cross */
    char *memory;
    unsigned slot_bits = 10;
    while (!has_room(t, slot_bits))
        slot_bits++;
    size_t bytes = sizeof t->slots[0] << slot_bits;
    GLOT_TRY(glot_new(&memory, bytes + LINE, 1, "the merges", err));
    glot_free(t->memory);
    t->memory = memory;
    t->slots = (void *)(memory + LINE - (uintptr_t)memory % LINE);
    t->slot_bits = slot_bits;
    memset(t->slots, 0xFF, bytes);
    for (size_t rank = 0; rank < t->n; rank++)
        if (t->merges[rank].left >= 0)
            put(t, find_slot(t, t->merges[rank].left, t->merges[rank].right), rank);
    return GLOT_OK;
}

glot_status glot_merge_add(glot_merge_table *t, int32_t left, int32_t right, int32_t id, glot_error *err)
{
    if (t->n == GLOT_MAX_MERGES)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "more than %d merges", GLOT_MAX_MERGES);
    if (!has_room(t, t->slot_bits))
        GLOT_TRY(index_merges(t, err));
    GLOT_TRY(glot_grow(&t->merges, &t->capacity, t->n + 1, sizeof t->merges[0], "the merges", err));
    uint64_t *slot = find_slot(t, left, right), earlier = *slot;
    t->merges[t->n] = (glot_merge){left, right, id};
    put(t, slot, t->n++);
    if (earlier == UINT64_MAX)
        return GLOT_OK;
    t->merges[earlier & GLOT_RANK_MASK].left = -1;
    t->n_dropped++;
    return GLOT_OK;
}

static void drop_merges(glot_merge_table *t)
{
    size_t n = 0;
    for (size_t rank = 0; rank < t->n; rank++)
        if (t->merges[rank].left >= 0)
            t->merges[n++] = t->merges[rank];
    t->n = n;
    t->n_dropped = 0;
}

static void fill_close_ranks(glot_merge_table *t)
{
    for (size_t i = 0; i < GLOT_CLOSE_IDS * GLOT_CLOSE_IDS; i++)
        t->close_ranks[i] = GLOT_NO_MERGE;
    for (size_t rank = 0; rank < t->n; rank++) {
        uint32_t row = (uint32_t)(t->merges[rank].left - t->first_close);
        uint32_t column = (uint32_t)(t->merges[rank].right - t->first_close);
        if ((row | column) < GLOT_CLOSE_IDS)
            t->close_ranks[row * GLOT_CLOSE_IDS + column] = (uint32_t)rank;
    }
}

glot_status glot_merge_finish(glot_merge_table *t, int32_t first_close, glot_error *err)
{
    bool is_indexed = t->slots && t->n_dropped == 0;
    drop_merges(t);
    if (!is_indexed)
        GLOT_TRY(index_merges(t, err));
    size_t n_pairs = GLOT_CLOSE_IDS * GLOT_CLOSE_IDS;
    GLOT_TRY(glot_new(&t->close_ranks, n_pairs, sizeof t->close_ranks[0], "the merges", err));
    t->first_close = first_close;
    fill_close_ranks(t);
    GLOT_TRY(glot_new(&t->ids, t->n + 1, sizeof t->ids[0], "the merges", err));
    for (size_t rank = 0; rank < t->n; rank++)
        t->ids[rank] = t->merges[rank].id;
    return GLOT_OK;
}

void glot_merge_table_release(glot_merge_table *t)
{
    glot_free(t->merges);
    glot_free(t->memory);
    glot_free(t->ids);
    glot_free(t->close_ranks);
    *t = (glot_merge_table){0};
}
