/* bpe.c: the symbols of one piece and their merging. Short pieces scan for the lowest rank, long ones keep
 * a heap. */
#include "text/bpe.h"
#include "base/memory.h"
#include "text/unicode.h"

#include <string.h>

enum { SHORT_PIECE = 64 }; /* symbols; up to here n^2 / 2 comparisons are cheaper than a heap */

void glot_bpe_release(glot_bpe *b)
{
    glot_merge_table_release(&b->merges);
    glot_free(b->character_ids);
    glot_free(b->joins);
    glot_free(b->whole);
    glot_free(b->boundaries);
    *b = (glot_bpe){0};
}

/* --- symbols --- */

static void push(glot_bpe_scratch *s, int32_t id)
{
    s->ids[s->n++] = id;
}

/* A character that is no token. *pending: an unknown token waits for whether the next character fuses with
 * it. Fallback bytes go in front of a waiting one: tokenizers does so. */
static void push_unknown(const glot_bpe *b, glot_bpe_scratch *s, const char *character, size_t length,
                         bool *pending)
{
    if (b->byte_fallback) {
        bool all = true;
        for (size_t i = 0; i < length; i++)
            all = all && b->fallback_ids[(unsigned char)character[i]] >= 0;
        for (size_t i = 0; all && i < length; i++)
            push(s, b->fallback_ids[(unsigned char)character[i]]);
        if (all)
            return;
    }
    if (b->unk_id < 0)
        return;
    if (*pending && !b->fuse_unk)
        push(s, b->unk_id);
    *pending = true;
}

static void push_known(const glot_bpe *b, glot_bpe_scratch *s, int32_t id, bool *pending)
{
    if (*pending)
        push(s, b->unk_id);
    *pending = false;
    push(s, id);
}

static void symbols_of_bytes(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size)
{
    bool pending = false;
    for (size_t i = 0; i < size; i++) {
        int32_t id = b->byte_ids[(unsigned char)piece[i]];
        if (id >= 0) {
            push_known(b, s, id, &pending);
        } else {
            char text[4];
            size_t length = glot_utf8_encode(text, glot_byte_to_character((unsigned char)piece[i]));
            push_unknown(b, s, text, length, &pending);
        }
    }
    if (pending)
        push(s, b->unk_id);
}

/* Symbols of a byte-level piece; false where a byte has no token. A character whose own merges come before
 * all others here is one symbol from the start: a third of the symbols in Chinese, and none of the merges
 * within characters. */
static bool symbols_of_known_bytes(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size)
{
    unsigned before = 0, behind;
    for (size_t at = 0, length; at < size; at += length, before = behind) {
        uint32_t code = glot_utf8_decode(piece + at, &length);
        behind = at + length < size ? b->boundaries[glot_bpe_boundary(piece + at + length)] : 0;
        bool is_whole = !(before & GLOT_JOINS_RIGHT) && !(behind & GLOT_JOINS_LEFT) && code < GLOT_N_PLANE;
        if (is_whole && b->character_ids[code] >= 0) {
            push(s, b->character_ids[code]);
            continue;
        }
        for (size_t i = 0; i < length; i++) {
            push(s, b->byte_ids[(unsigned char)piece[at + i]]);
            if (s->ids[s->n - 1] < 0)
                return false;
        }
    }
    return true;
}

static void symbols_of_characters(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size)
{
    bool pending = false;
    for (size_t i = 0, length; i < size; i += length) {
        uint32_t code = glot_utf8_decode(piece + i, &length);
        int32_t id = code < GLOT_N_PLANE ? b->character_ids[code]
                                         : glot_vocabulary_find_in_model(b->vocabulary, piece + i, length);
        if (id >= 0)
            push_known(b, s, id, &pending);
        else
            push_unknown(b, s, piece + i, length, &pending);
    }
    if (pending)
        push(s, b->unk_id);
}

/* --- merging --- */

static void look_up(const glot_bpe *b, glot_bpe_scratch *s, size_t at, size_t next)
{
    s->ranks[at] = glot_merge_find(&b->merges, s->ids[at], s->ids[next]);
}

static uint64_t symbol_before(const glot_bpe *b, int32_t id, int32_t next)
{
    return (uint64_t)glot_merge_find(&b->merges, id, next) << 32 | (uint32_t)id;
}

/* symbols[i]: rank << 32 | id, so that the least one merges first, the leftmost of equal ones. One pass
 * closes the gap of the last merge and finds the next. */
static void merge_short(const glot_bpe *b, glot_bpe_scratch *s)
{
    uint64_t symbols[SHORT_PIECE];
    const uint64_t end = (uint64_t)GLOT_NO_MERGE << 32;
    size_t n = s->n;
    for (size_t i = 0; i + 1 < n; i++)
        symbols[i] = symbol_before(b, s->ids[i], s->ids[i + 1]);
    if (n > 0)
        symbols[n - 1] = end | (uint32_t)s->ids[n - 1];
    for (size_t gone = n;;) { /* the place of the symbol that was merged into the one before */
        size_t best = 0;
        uint64_t least = UINT64_MAX;
        for (size_t i = 0; i < n; i++) {
            uint64_t symbol = symbols[i + (i >= gone)];
            symbols[i] = symbol;
            best = symbol < least ? i : best;
            least = symbol < least ? symbol : least;
        }
        if (least >= end)
            break;
        int32_t id = b->merges.ids[least >> 32];
        n--;
        gone = best + 1;
        symbols[best] =
            best + 1 < n ? symbol_before(b, id, (int32_t)(uint32_t)symbols[best + 2]) : end | (uint32_t)id;
        if (best > 0)
            symbols[best - 1] = symbol_before(b, (int32_t)(uint32_t)symbols[best - 1], id);
    }
    s->n = n;
    for (size_t i = 0; i < n; i++)
        s->ids[i] = (int32_t)(uint32_t)symbols[i];
}

static void sift_down(uint64_t *heap, size_t n, size_t at)
{
    uint64_t entry = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= entry)
            break;
        heap[at] = heap[child];
    }
    heap[at] = entry;
}

static void heap_push(uint64_t *heap, size_t *n, uint64_t entry)
{
    size_t at = (*n)++;
    for (; at > 0 && heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0];
    heap[0] = heap[--*n];
    if (*n > 0)
        sift_down(heap, *n, 0);
    return top;
}

/* Looks up the merge of `at` with its next symbol and queues it. */
static void queue(const glot_bpe *b, glot_bpe_scratch *s, int32_t at, size_t *n_heap)
{
    if (s->next[at] < 0) {
        s->ranks[at] = GLOT_NO_MERGE;
        return;
    }
    look_up(b, s, (size_t)at, (size_t)s->next[at]);
    if (s->ranks[at] != GLOT_NO_MERGE)
        heap_push(s->heap, n_heap, (uint64_t)s->ranks[at] << 32 | (uint32_t)at);
}

static size_t start_heap(const glot_bpe *b, glot_bpe_scratch *s)
{
    size_t n_heap = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->previous[i] = (int32_t)i - 1;
        s->next[i] = i + 1 < s->n ? (int32_t)i + 1 : -1;
        s->ranks[i] = GLOT_NO_MERGE;
        if (i + 1 < s->n)
            look_up(b, s, i, i + 1);
        if (s->ranks[i] != GLOT_NO_MERGE)
            s->heap[n_heap++] = (uint64_t)s->ranks[i] << 32 | i;
    }
    for (size_t i = n_heap / 2; i-- > 0;)
        sift_down(s->heap, n_heap, i);
    return n_heap;
}

/* An entry of the heap is out of date where the rank at its place is another by now: a rank belongs to one
 * pair. */
static void merge_long(const glot_bpe *b, glot_bpe_scratch *s)
{
    size_t n_heap = start_heap(b, s);
    while (n_heap > 0) {
        uint64_t top = heap_pop(s->heap, &n_heap);
        int32_t at = (int32_t)(uint32_t)top;
        if (s->ranks[at] != top >> 32)
            continue;
        int32_t gone = s->next[at];
        s->ids[at] = b->merges.ids[s->ranks[at]];
        s->next[at] = s->next[gone];
        if (s->next[at] >= 0)
            s->previous[s->next[at]] = at;
        s->ranks[gone] = GLOT_NO_MERGE;
        queue(b, s, at, &n_heap);
        if (s->previous[at] >= 0)
            queue(b, s, s->previous[at], &n_heap);
    }
    size_t n = 0;
    for (int32_t at = 0; at >= 0; at = s->next[at])
        s->ids[n++] = s->ids[at];
    s->n = n;
}

static glot_status resize(void *array, size_t count, size_t size, glot_error *err)
{
    size_t none = 0;
    return glot_grow(array, &none, count, size, "the symbols of a text", err);
}

static glot_status make_room(glot_bpe_scratch *s, size_t n, glot_error *err)
{
    if (n <= s->capacity)
        return GLOT_OK;
    size_t capacity = 256;
    while (capacity < n)
        capacity *= 2;
    s->capacity = 0;
    GLOT_TRY(resize(&s->ids, capacity, sizeof s->ids[0], err));
    GLOT_TRY(resize(&s->ranks, capacity, sizeof s->ranks[0], err));
    GLOT_TRY(resize(&s->next, capacity, sizeof s->next[0], err));
    GLOT_TRY(resize(&s->previous, capacity, sizeof s->previous[0], err));
    GLOT_TRY(resize(&s->heap, 2 * capacity, sizeof s->heap[0], err));
    GLOT_TRY(resize(&s->text, 2 * capacity, 1, err));
    s->capacity = capacity;
    return GLOT_OK;
}

glot_status glot_bpe_find_whole(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                                int32_t *id, glot_error *err)
{
    *id = -1;
    if (!b->ignore_merges)
        return GLOT_OK;
    if (!b->byte_level) {
        *id = glot_vocabulary_find_in_model(b->vocabulary, piece, size);
        return GLOT_OK;
    }
    if (!glot_bit(b->whole, glot_bpe_whole_bit(piece, size)))
        return GLOT_OK;
    GLOT_TRY(make_room(s, size + 1, err));
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += glot_utf8_encode(s->text + n, glot_byte_to_character((unsigned char)piece[i]));
    *id = glot_vocabulary_find_in_model(b->vocabulary, s->text, n);
    return GLOT_OK;
}

glot_status glot_bpe_merge(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                           glot_error *err)
{
    /* A byte-level piece's unknown byte may become two fallback tokens. */
    size_t need = b->byte_level && b->byte_fallback ? 2 * size + 1 : size + 1;
    GLOT_TRY(make_room(s, need, err));
    s->n = 0;
    if (!b->byte_level) {
        symbols_of_characters(b, s, piece, size);
    } else if (!symbols_of_known_bytes(b, s, piece, size)) {
        s->n = 0;
        symbols_of_bytes(b, s, piece, size);
    }
    if (s->n > SHORT_PIECE)
        merge_long(b, s);
    else
        merge_short(b, s);
    return GLOT_OK;
}

glot_status glot_bpe_encode(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size,
                            glot_error *err)
{
    int32_t id;
    GLOT_TRY(glot_bpe_find_whole(b, s, piece, size, &id, err));
    if (id < 0)
        return glot_bpe_merge(b, s, piece, size, err);
    GLOT_TRY(make_room(s, 1, err));
    s->n = 0;
    push(s, id);
    return GLOT_OK;
}

void glot_bpe_scratch_release(glot_bpe_scratch *s)
{
    glot_free(s->ids);
    glot_free(s->ranks);
    glot_free(s->next);
    glot_free(s->previous);
    glot_free(s->heap);
    glot_free(s->text);
    *s = (glot_bpe_scratch){0};
}
