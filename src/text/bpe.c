/* bpe.c: the merge table and the merging of one piece. Short pieces scan for the lowest rank, long ones keep
 * a heap. */
#include "text/bpe.h"
#include "base/memory.h"
#include "text/unicode.h"

#include <stdio.h>
#include <string.h>

enum { N_PLANE = 65536, JOIN_WORDS = (1 << GLOT_JOIN_BITS) / 64 };
enum { SHORT_PIECE = 64 }; /* symbols; up to here n^2 / 2 comparisons are cheaper than a heap */

static const uint32_t NO_MERGE = UINT32_MAX;

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

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot of a pair, or the empty one where it belongs. */
static glot_merge *find_merge(const glot_bpe *b, int32_t left, int32_t right)
{
    uint64_t pair = pair_of(left, right);
    uint64_t hash = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u;
    size_t mask = b->n_slots - 1;
    for (size_t slot = (size_t)(hash >> 20) & mask;; slot = (slot + 1) & mask)
        if (b->merges[slot].pair == pair || b->merges[slot].pair == UINT64_MAX)
            return &b->merges[slot];
}

static glot_status grow_merges(glot_bpe *b, glot_error *err)
{
    glot_merge *old = b->merges;
    size_t n_old = b->n_slots, n_slots = n_old ? 2 * n_old : 1024;
    GLOT_TRY(glot_new(&b->merges, n_slots, sizeof b->merges[0], "the merges", err));
    b->n_slots = n_slots;
    for (size_t i = 0; i < n_slots; i++)
        b->merges[i].pair = UINT64_MAX;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].pair != UINT64_MAX)
            *find_merge(b, (int32_t)(old[i].pair >> 32), (int32_t)(uint32_t)old[i].pair) = old[i];
    glot_free(old);
    return GLOT_OK;
}

glot_status glot_bpe_add_merge(glot_bpe *b, int32_t left, int32_t right, int32_t merged, glot_error *err)
{
    if (b->n_merges >= NO_MERGE / 4)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "more than %" PRIu32 " merges", NO_MERGE / 4);
    if (2 * (b->n_merges + 1) > b->n_slots)
        GLOT_TRY(grow_merges(b, err));
    *find_merge(b, left, right) = (glot_merge){pair_of(left, right), (uint32_t)b->n_merges, merged};
    b->n_merges++;
    return GLOT_OK;
}

glot_status glot_bpe_list_merges(const glot_bpe *b, uint64_t **pairs, size_t *n, glot_error *err)
{
    GLOT_TRY(glot_new(pairs, b->n_merges, sizeof **pairs, "the merges", err));
    memset(*pairs, 0xFF, b->n_merges * sizeof **pairs);
    for (size_t i = 0; i < b->n_slots; i++)
        if (b->merges[i].pair != UINT64_MAX)
            (*pairs)[b->merges[i].rank] = b->merges[i].pair;
    *n = 0; /* a merge that was named again left its first rank empty */
    for (size_t rank = 0; rank < b->n_merges; rank++)
        if ((*pairs)[rank] != UINT64_MAX)
            (*pairs)[(*n)++] = (*pairs)[rank];
    return GLOT_OK;
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

/* Whether cutting between characters is exact whatever the text: no unknown token can arise (every byte has its
 * token), and no merge takes a byte's token, so that every symbol ends and begins with the characters it stands
 * for. */
static bool may_cut_characters(const glot_bpe *b, const bool *is_byte_token)
{
    if (!b->byte_fallback || b->ignore_merges || !has_all(b->fallback_ids))
        return false;
    for (size_t i = 0; i < b->n_slots; i++)
        if (b->merges[i].pair != UINT64_MAX &&
            (is_byte_token[b->merges[i].pair >> 32] || is_byte_token[(uint32_t)b->merges[i].pair]))
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
    for (size_t i = 0; i < b->n_slots; i++)
        if (b->merges[i].pair != UINT64_MAX)
            set_bit(b->joins,
                    glot_bpe_join_bit(last_character(b->vocabulary, (int32_t)(b->merges[i].pair >> 32)),
                                      first_character(b->vocabulary, (int32_t)(uint32_t)b->merges[i].pair)));
    return GLOT_OK;
}

/* The first or the last bytes, at most four, that a byte-level token stands for; returns how many, 0 where the
 * token holds a character that stands for no byte. */
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

/* Marks a merge that a boundary between two characters may meet. Where the left symbol ends in a whole character
 * and the right one begins with one, these two tell; where one of them is only a part of its character, the two
 * bytes at the boundary. Symbols that end or begin inside a character meet no boundary. */
static void add_byte_join(glot_bpe *b, int32_t left, int32_t right)
{
    char end[4], start[4];
    size_t n_end = outer_bytes(b->vocabulary, left, true, end), at = n_end;
    size_t n_start = outer_bytes(b->vocabulary, right, false, start), first_size = 0, last_size = 0;
    if (n_end == 0 || n_start == 0 || ((unsigned char)start[0] & 0xC0) == 0x80)
        return;
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
    if (has_lead && last_size != n_end - at)
        return;
    if (has_lead && first_size <= n_start)
        set_bit(b->joins, glot_bpe_join_bit(last, first));
    else
        set_bit(b->byte_joins, (uint32_t)(unsigned char)end[n_end - 1] << 8 | (unsigned char)start[0]);
}

static glot_status prepare_byte_joins(glot_bpe *b, glot_error *err)
{
    if (!has_all(b->byte_ids))
        return GLOT_OK;
    GLOT_TRY(glot_new(&b->byte_joins, N_PLANE / 64, sizeof b->byte_joins[0], "the merges", err));
    GLOT_TRY(glot_new(&b->joins, JOIN_WORDS, sizeof b->joins[0], "the merges", err));
    for (size_t i = 0; i < b->n_slots; i++)
        if (b->merges[i].pair != UINT64_MAX)
            add_byte_join(b, (int32_t)(b->merges[i].pair >> 32), (int32_t)(uint32_t)b->merges[i].pair);
    return GLOT_OK;
}

static glot_status prepare_characters(glot_bpe *b, glot_error *err)
{
    GLOT_TRY(glot_new(&b->character_ids, N_PLANE, sizeof b->character_ids[0], "the characters", err));
    memset(b->character_ids, 0xFF, N_PLANE * sizeof b->character_ids[0]);
    for (size_t id = 0; id < b->vocabulary->size; id++) {
        size_t size, length;
        const char *text = glot_vocabulary_text(b->vocabulary, (int64_t)id, &size);
        if (!text || size == 0 || !b->vocabulary->entries[id].in_model)
            continue;
        uint32_t code = glot_utf8_decode(text, &length);
        if (length == size && code < N_PLANE)
            b->character_ids[code] = (int32_t)id;
    }
    return GLOT_OK;
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
    if (b->n_slots == 0)
        GLOT_TRY(grow_merges(b, err));
    if (b->byte_level)
        return prepare_byte_joins(b, err);
    GLOT_TRY(prepare_characters(b, err));
    return prepare_character_joins(b, err);
}

void glot_bpe_release(glot_bpe *b)
{
    glot_free(b->merges);
    glot_free(b->character_ids);
    glot_free(b->joins);
    glot_free(b->byte_joins);
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

static void symbols_of_characters(const glot_bpe *b, glot_bpe_scratch *s, const char *piece, size_t size)
{
    bool pending = false;
    for (size_t i = 0, length; i < size; i += length) {
        uint32_t code = glot_utf8_decode(piece + i, &length);
        int32_t id = code < N_PLANE ? b->character_ids[code]
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
    const glot_merge *merge = find_merge(b, s->ids[at], s->ids[next]);
    bool found = merge->pair != UINT64_MAX;
    s->ranks[at] = found ? merge->rank : NO_MERGE;
    s->merged[at] = merge->id;
}

static void merge_short(const glot_bpe *b, glot_bpe_scratch *s)
{
    size_t n = s->n;
    for (size_t i = 0; i + 1 < n; i++)
        look_up(b, s, i, i + 1);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (s->ranks[i] < s->ranks[best])
                best = i;
        if (s->ranks[best] == NO_MERGE)
            break;
        s->ids[best] = s->merged[best];
        size_t n_after = n - best - 2;
        memmove(s->ids + best + 1, s->ids + best + 2, n_after * sizeof s->ids[0]);
        memmove(s->ranks + best + 1, s->ranks + best + 2, n_after * sizeof s->ranks[0]);
        memmove(s->merged + best + 1, s->merged + best + 2, n_after * sizeof s->merged[0]);
        n--;
        if (best + 1 < n)
            look_up(b, s, best, best + 1);
        if (best > 0)
            look_up(b, s, best - 1, best);
    }
    s->n = n;
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
        s->ranks[at] = NO_MERGE;
        return;
    }
    look_up(b, s, (size_t)at, (size_t)s->next[at]);
    if (s->ranks[at] != NO_MERGE)
        heap_push(s->heap, n_heap, (uint64_t)s->ranks[at] << 32 | (uint32_t)at);
}

static size_t start_heap(const glot_bpe *b, glot_bpe_scratch *s)
{
    size_t n_heap = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->previous[i] = (int32_t)i - 1;
        s->next[i] = i + 1 < s->n ? (int32_t)i + 1 : -1;
        s->ranks[i] = NO_MERGE;
        if (i + 1 < s->n)
            look_up(b, s, i, i + 1);
        if (s->ranks[i] != NO_MERGE)
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
        s->ids[at] = s->merged[at];
        s->next[at] = s->next[gone];
        if (s->next[at] >= 0)
            s->previous[s->next[at]] = at;
        s->ranks[gone] = NO_MERGE;
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
    GLOT_TRY(resize(&s->merged, capacity, sizeof s->merged[0], err));
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
    if (b->byte_level)
        symbols_of_bytes(b, s, piece, size);
    else
        symbols_of_characters(b, s, piece, size);
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
    glot_free(s->merged);
    glot_free(s->next);
    glot_free(s->previous);
    glot_free(s->heap);
    glot_free(s->text);
    *s = (glot_bpe_scratch){0};
}
