/* piece_cache.h
 *
 * Pieces that one encoder has met, with their ids. Entries lie end to end in the order in which the pieces
 * first came, so that the words of every sentence, which come early, share few cache lines; a hash table
 * finds them. When it is full it forgets everything and starts again.
 */
#ifndef GLOT_TEXT_PIECE_CACHE_H
#define GLOT_TEXT_PIECE_CACHE_H

#include "base/error.h"

enum { GLOT_PIECE_CACHE_MAX = 120 }; /* bytes of a piece that may be kept: longer ones hardly come again */
enum { GLOT_PIECE_CACHE_STEP = 4 };  /* words that may be read behind an entry */

typedef struct glot_cached_piece {
    uint8_t size, n_ids;
    bool is_part;   /* of a longer piece: merged even where it is a token */
    int32_t data[]; /* the ids, then the bytes of the piece */
} glot_cached_piece;

typedef struct glot_piece_cache {
    uint32_t *slots; /* upper bits of a piece's hash, its place in `entries` in the lower ones; 0: empty */
    int32_t *entries;
    size_t n, used; /* entries; words of `entries` in use, the first of them never */
} glot_piece_cache;

glot_status glot_piece_cache_open(glot_piece_cache *c, glot_error *err);
/* The piece, or NULL. */
const glot_cached_piece *glot_piece_cache_find(const glot_piece_cache *c, uint64_t hash, bool is_part,
                                               const char *piece, size_t size);
/* Keeps a piece that was not found, of at most GLOT_PIECE_CACHE_MAX bytes and ids. */
void glot_piece_cache_keep(glot_piece_cache *c, uint64_t hash, bool is_part, const char *piece, size_t size,
                           const int32_t *ids, size_t n_ids);
void glot_piece_cache_close(glot_piece_cache *c);

#endif
