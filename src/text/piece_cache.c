/* piece_cache.c: linear probing over hashes, at most half of the slots in use. */
#include "text/piece_cache.h"
#include "base/memory.h"

#include <string.h>

enum { N_SLOTS = 1 << 17, MAX_ENTRIES = N_SLOTS / 2, PLACE_BITS = 20, N_WORDS = 1 << PLACE_BITS };

glot_status glot_piece_cache_open(glot_piece_cache *c, glot_error *err)
{
    c->used = 1;
    GLOT_TRY(glot_new(&c->slots, N_SLOTS, sizeof c->slots[0], "an encoder's cache", err));
    return glot_new(&c->entries, N_WORDS + GLOT_PIECE_CACHE_STEP, sizeof c->entries[0], "an encoder's cache",
                    err);
}

const glot_cached_piece *glot_piece_cache_find(const glot_piece_cache *c, uint64_t hash, bool is_part,
                                               const char *piece, size_t size)
{
    for (size_t at = hash % N_SLOTS; c->slots[at]; at = (at + 1) % N_SLOTS) {
        if ((c->slots[at] ^ (uint32_t)(hash >> 32)) >> PLACE_BITS)
            continue;
        const glot_cached_piece *p = (const glot_cached_piece *)(c->entries + c->slots[at] % N_WORDS);
        if (p->size == size && p->is_part == is_part && memcmp(p->data + p->n_ids, piece, size) == 0)
            return p;
    }
    return NULL;
}

void glot_piece_cache_keep(glot_piece_cache *c, uint64_t hash, bool is_part, const char *piece, size_t size,
                           const int32_t *ids, size_t n_ids)
{
    size_t words = 1 + n_ids + (size + sizeof ids[0] - 1) / sizeof ids[0];
    if (c->n == MAX_ENTRIES || c->used + words > N_WORDS) {
        memset(c->slots, 0, N_SLOTS * sizeof c->slots[0]);
        c->n = 0;
        c->used = 1;
    }
    glot_cached_piece *p = (glot_cached_piece *)(c->entries + c->used);
    p->size = (uint8_t)size;
    p->n_ids = (uint8_t)n_ids;
    p->is_part = is_part;
    memcpy(p->data, ids, n_ids * sizeof ids[0]);
    memcpy(p->data + n_ids, piece, size);
    size_t at = hash % N_SLOTS;
    while (c->slots[at])
        at = (at + 1) % N_SLOTS;
    c->slots[at] = (uint32_t)(hash >> 32) / N_WORDS * N_WORDS | (uint32_t)c->used;
    c->used += words;
    c->n++;
}

void glot_piece_cache_close(glot_piece_cache *c)
{
    glot_free(c->slots);
    glot_free(c->entries);
    *c = (glot_piece_cache){0};
}
