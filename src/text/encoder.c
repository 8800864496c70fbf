/* encoder.c: text to ids. Added tokens are cut out, the rest is normalized, split into pieces, and each piece
 * is encoded or found in the cache. Once its buffers have grown, an encoder makes no heap call. */
#include "base/memory.h"
#include "text/piece_cache.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

/* Bytes from which a piece of a split text is cut: most words are shorter and are better found whole; text
 * without spaces between words is longer and hardly ever comes again whole. */
enum { LONG_PIECE = 25 };

/* Symbols and places are int32. */
enum { MAX_TEXT_BYTES = 1 << 29 };

struct glot_encoder {
    const glot_tokenizer *tokenizer;
    int32_t *ids;
    size_t n, capacity;
    glot_bpe_scratch bpe;
    glot_pretokenizer_scratch pretokenizer;
    glot_normalizer_scratch normalizer;
    glot_piece_cache cache;
    size_t part_offset; /* of the part of the text being encoded */
};

glot_status glot_encoder_create(glot_encoder **out, const glot_tokenizer *t, glot_error *err)
{
    glot_encoder *e;
    GLOT_TRY(glot_new(&e, 1, sizeof *e, "an encoder", err));
    e->tokenizer = t;
    glot_status status = glot_piece_cache_open(&e->cache, err);
    if (status == GLOT_OK) /* so that the ids of an empty text are somewhere too */
        status = glot_grow(&e->ids, &e->capacity, 1, sizeof e->ids[0], "the ids of a text", err);
    if (status != GLOT_OK) {
        glot_encoder_free(e);
        return status;
    }
    *out = e;
    return GLOT_OK;
}

void glot_encoder_free(glot_encoder *e)
{
    if (!e)
        return;
    glot_normalizer_scratch_release(&e->normalizer);
    glot_pretokenizer_scratch_release(&e->pretokenizer);
    glot_bpe_scratch_release(&e->bpe);
    glot_piece_cache_close(&e->cache);
    glot_free(e->ids);
    glot_free(e);
}

static glot_status make_room(glot_encoder *e, size_t n, glot_error *err)
{
    if (e->n + n <= e->capacity)
        return GLOT_OK;
    return glot_grow(&e->ids, &e->capacity, e->n + n, sizeof e->ids[0], "the ids of a text", err);
}

static glot_status append_id(glot_encoder *e, int32_t id, glot_error *err)
{
    GLOT_TRY(make_room(e, 1, err));
    e->ids[e->n++] = id;
    return GLOT_OK;
}

static glot_status append_ids(glot_encoder *e, const int32_t *ids, size_t n, glot_error *err)
{
    GLOT_TRY(make_room(e, n, err));
    memcpy(e->ids + e->n, ids, n * sizeof ids[0]);
    e->n += n;
    return GLOT_OK;
}

/* Most pieces have few ids: copying whole steps is faster than exactly so many. */
static glot_status append_known(glot_encoder *e, const glot_cached_piece *p, glot_error *err)
{
    enum { STEP = GLOT_PIECE_CACHE_STEP };
    GLOT_TRY(make_room(e, p->n_ids + STEP, err));
    for (size_t i = 0; i < p->n_ids; i += STEP)
        memcpy(e->ids + e->n + i, p->data + i, STEP * sizeof p->data[0]);
    e->n += p->n_ids;
    return GLOT_OK;
}

/* The symbol that a piece of one character is, or -1. */
static int32_t single_symbol(const glot_bpe *bpe, const char *piece, size_t size)
{
    size_t length;
    uint32_t code = glot_utf8_decode(piece, &length);
    return length == size && code < GLOT_N_PLANE ? bpe->character_ids[code] : -1;
}

static glot_status encode_piece(glot_encoder *e, bool is_part, const char *piece, size_t size,
                                glot_error *err)
{
    const glot_bpe *bpe = &e->tokenizer->bpe;
    int32_t symbol = single_symbol(bpe, piece, size);
    if (symbol >= 0)
        return append_id(e, symbol, err);
    bool may_be_kept = size <= GLOT_PIECE_CACHE_MAX;
    uint64_t hash = may_be_kept ? glot_hash_bytes(piece, size) : 0;
    const glot_cached_piece *known =
        may_be_kept ? glot_piece_cache_find(&e->cache, hash, is_part, piece, size) : NULL;
    if (known)
        return append_known(e, known, err);
    GLOT_TRY(is_part ? glot_bpe_merge(bpe, &e->bpe, piece, size, err)
                     : glot_bpe_encode(bpe, &e->bpe, piece, size, err));
    if (may_be_kept && e->bpe.n <= GLOT_PIECE_CACHE_MAX)
        glot_piece_cache_keep(&e->cache, hash, is_part, piece, size, e->bpe.ids, e->bpe.n);
    return append_ids(e, e->bpe.ids, e->bpe.n, err);
}

/* Cuts a piece where no merge can reach across. */
static glot_status encode_parts(glot_encoder *e, const char *piece, size_t size, glot_error *err)
{
    const glot_bpe *bpe = &e->tokenizer->bpe;
    size_t start = 0, length;
    uint32_t previous = glot_utf8_decode(piece, &length);
    for (size_t at = length; at < size; at += length) {
        uint32_t code = glot_utf8_decode(piece + at, &length);
        if (!glot_bpe_may_join(bpe, piece + at, previous, code)) {
            GLOT_TRY(encode_piece(e, true, piece + start, at - start, err));
            start = at;
        }
        previous = code;
    }
    return encode_piece(e, true, piece + start, size - start, err);
}

/* A piece of the pre-tokenizer. Without a split a piece is a whole text. */
static glot_status take_piece(void *user, const char *piece, size_t size, glot_error *err)
{
    glot_encoder *e = user;
    const glot_bpe *bpe = &e->tokenizer->bpe;
    if (!bpe->joins || (bpe->byte_level && size < LONG_PIECE))
        return encode_piece(e, false, piece, size, err);
    int32_t id;
    GLOT_TRY(glot_bpe_find_whole(bpe, &e->bpe, piece, size, &id, err));
    return id >= 0 ? append_id(e, id, err) : encode_parts(e, piece, size, err);
}

static glot_status take_normalized_part(void *user, int32_t id, const char *part, size_t size, size_t offset,
                                        glot_error *err)
{
    glot_encoder *e = user;
    if (id >= 0)
        return append_id(e, id, err);
    bool is_first = e->part_offset == 0 && offset == 0;
    return glot_pretokenize(&e->tokenizer->pretokenizer, &e->pretokenizer, part, size, is_first, take_piece,
                            e, err);
}

static glot_status take_part(void *user, int32_t id, const char *part, size_t size, size_t offset,
                             glot_error *err)
{
    glot_encoder *e = user;
    const glot_tokenizer *t = e->tokenizer;
    if (id >= 0)
        return append_id(e, id, err);
    e->part_offset = offset;
    GLOT_TRY(glot_normalize(&t->normalizer, &e->normalizer, part, size, &part, &size, err));
    return glot_added_split(&t->normalized_matcher, part, size, take_normalized_part, e, err);
}

glot_status glot_encode(glot_encoder *e, const char *text, size_t size, const int32_t **ids, size_t *n,
                        glot_error *err)
{
    if (size > MAX_TEXT_BYTES)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "a text of %zu bytes is too long, at most %d are encoded at once", size,
                         MAX_TEXT_BYTES);
    size_t valid = glot_utf8_valid_prefix(text, size);
    if (valid < size)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "the text is not valid UTF-8 at byte %zu", valid);
    e->n = 0;
    GLOT_TRY(glot_added_split(&e->tokenizer->raw_matcher, text, size, take_part, e, err));
    *ids = e->ids;
    *n = e->n;
    return GLOT_OK;
}
