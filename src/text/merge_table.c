/* merge_table.c: open addressing with linear probing, at most half of the slots in use. */
#include "text/merge_table.h"
#include "base/memory.h"

#include <string.h>

static void put(glot_merge_table *t, uint64_t *slot, size_t rank)
{
    uint64_t left = (uint32_t)t->merges[rank].left, right = (uint32_t)t->merges[rank].right;
    *slot = (left << GLOT_ID_BITS | right) << GLOT_RANK_BITS | rank;
}

static bool has_room(const glot_merge_table *t, unsigned slot_bits)
{
    return slot_bits > 0 && 2 * (t->n + 1) <= (size_t)1 << slot_bits;
}

/* New slots for the merges, with room for one more. */
static glot_status index_merges(glot_merge_table *t, glot_error *err)
{
    uint64_t *slots;
    unsigned slot_bits = 10;
    while (!has_room(t, slot_bits))
        slot_bits++;
    GLOT_TRY(glot_new(&slots, (size_t)1 << slot_bits, sizeof slots[0], "the merges", err));
    memset(slots, 0xFF, sizeof slots[0] << slot_bits);
    glot_free(t->slots);
    t->slots = slots;
    t->slot_bits = slot_bits;
    for (size_t rank = 0; rank < t->n; rank++)
        if (t->merges[rank].left >= 0)
            put(t, glot_merge_slot(t, t->merges[rank].left, t->merges[rank].right), rank);
    return GLOT_OK;
}

glot_status glot_merge_add(glot_merge_table *t, int32_t left, int32_t right, int32_t id, glot_error *err)
{
    if (t->n == GLOT_MAX_MERGES)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "more than %d merges", GLOT_MAX_MERGES);
    if (!has_room(t, t->slot_bits))
        GLOT_TRY(index_merges(t, err));
    GLOT_TRY(glot_grow(&t->merges, &t->capacity, t->n + 1, sizeof t->merges[0], "the merges", err));
    uint64_t *slot = glot_merge_slot(t, left, right), earlier = *slot;
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

glot_status glot_merge_finish(glot_merge_table *t, int32_t first_close, glot_error *err)
{
    bool is_indexed = t->slots && t->n_dropped == 0;
    drop_merges(t);
    if (!is_indexed)
        GLOT_TRY(index_merges(t, err));
    enum { N_PAIRS = GLOT_CLOSE_IDS * GLOT_CLOSE_IDS };
    GLOT_TRY(glot_new(&t->close_ranks, N_PAIRS, sizeof t->close_ranks[0], "the merges", err));
    memset(t->close_ranks, 0xFF, N_PAIRS * sizeof t->close_ranks[0]);
    t->first_close = first_close;
    for (size_t rank = 0; rank < t->n; rank++) {
        uint32_t row = (uint32_t)(t->merges[rank].left - first_close);
        uint32_t column = (uint32_t)(t->merges[rank].right - first_close);
        if ((row | column) < GLOT_CLOSE_IDS)
            t->close_ranks[row * GLOT_CLOSE_IDS + column] = (uint32_t)rank;
    }
    return GLOT_OK;
}

void glot_merge_table_release(glot_merge_table *t)
{
    glot_free(t->merges);
    glot_free(t->slots);
    glot_free(t->close_ranks);
    *t = (glot_merge_table){0};
}
