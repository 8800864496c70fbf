/* vocabulary.c: tokens in one block of text, found by an open-addressing hash. */
#include "text/vocabulary.h"
#include "base/memory.h"

#include <string.h>

static uint64_t load64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static uint64_t load32(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Multiply-and-fold: both halves of the 128-bit product count. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t glot_hash_bytes(const char *bytes, size_t n)
{
    const uint64_t odd_1 = 0x9E3779B97F4A7C15u, odd_2 = 0xD1B54A32D192ED03u;
    uint64_t hash = n * odd_1;
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            hash = fold(hash ^ load64(bytes + i), odd_2);
        return fold(hash ^ load64(bytes + n - 8), odd_1);
    }
    uint64_t tail = 0;
    if (n >= 4)
        tail = load32(bytes) | load32(bytes + n - 4) << 32;
    else if (n > 0)
        tail = (uint64_t)(unsigned char)bytes[0] | (uint64_t)(unsigned char)bytes[n / 2] << 8 |
               (uint64_t)(unsigned char)bytes[n - 1] << 16;
    return fold(hash ^ tail, odd_2);
}

/* The slot of a text, or the empty slot where it belongs. */
static size_t find_slot(const glot_vocabulary *v, const char *text, size_t length)
{
    size_t mask = v->n_slots - 1;
    size_t slot = glot_hash_bytes(text, length) & mask;
    for (;; slot = (slot + 1) & mask) {
        int32_t id = v->slots[slot];
        if (id < 0)
            return slot;
        const glot_vocabulary_entry *entry = &v->entries[id];
        if (entry->length == length && memcmp(v->texts.data + entry->offset, text, length) == 0)
            return slot;
    }
}

static glot_status grow_slots(glot_vocabulary *v, glot_error *err)
{
    size_t n_slots = v->n_slots ? 2 * v->n_slots : 1024;
    int32_t *slots;
    GLOT_TRY(glot_new(&slots, n_slots, sizeof slots[0], "the vocabulary", err));
    memset(slots, 0xFF, n_slots * sizeof slots[0]);
    glot_free(v->slots);
    v->slots = slots;
    v->n_slots = n_slots;
    for (size_t id = 0; id < v->size; id++)
        if (v->entries[id].exists)
            slots[find_slot(v, v->texts.data + v->entries[id].offset, v->entries[id].length)] = (int32_t)id;
    return GLOT_OK;
}

static glot_status make_room(glot_vocabulary *v, size_t size, glot_error *err)
{
    size_t old = v->capacity;
    GLOT_TRY(glot_grow(&v->entries, &v->capacity, size, sizeof v->entries[0], "the vocabulary", err));
    memset(v->entries + old, 0, (v->capacity - old) * sizeof v->entries[0]);
    if (2 * (v->n_tokens + 1) > v->n_slots)
        GLOT_TRY(grow_slots(v, err));
    return GLOT_OK;
}

glot_status glot_vocabulary_add(glot_vocabulary *v, int64_t id, const char *text, size_t length,
                                bool in_model, const char *where, glot_error *err)
{
    if (id < 0 || id >= GLOT_MAX_TOKEN_ID)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the token '%.64s' has the id %" PRId64 ", expected 0 to %d", where, text, id,
                         GLOT_MAX_TOKEN_ID - 1);
    GLOT_TRY(make_room(v, (size_t)id + 1, err));
    glot_vocabulary_entry *entry = &v->entries[id];
    if (entry->exists)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the id %" PRId64 " is given to two tokens, '%.64s' and '%.64s'", where, id,
                         v->texts.data + entry->offset, text);
    size_t slot = find_slot(v, text, length);
    if (v->slots[slot] >= 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the token '%.64s' has two ids, %" PRId32 " and %" PRId64,
                         where, text, v->slots[slot], id);
    if (length > UINT32_MAX / 4 || v->texts.length > UINT32_MAX / 2)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the tokens have more than 2 GiB of text", where);
    *entry = (glot_vocabulary_entry){(uint32_t)v->texts.length, (uint32_t)length, true, in_model, 0};
    glot_str_append(&v->texts, text, length);
    glot_str_append(&v->texts, "", 1);
    GLOT_TRY(glot_str_check(&v->texts, "the vocabulary", err));
    v->slots[slot] = (int32_t)id;
    v->size = v->size > (size_t)id + 1 ? v->size : (size_t)id + 1;
    v->n_tokens++;
    v->n_model += in_model;
    return GLOT_OK;
}

int32_t glot_vocabulary_find(const glot_vocabulary *v, const char *text, size_t length)
{
    return v->n_slots ? v->slots[find_slot(v, text, length)] : -1;
}

int32_t glot_vocabulary_find_in_model(const glot_vocabulary *v, const char *text, size_t length)
{
    int32_t id = glot_vocabulary_find(v, text, length);
    return id >= 0 && v->entries[id].in_model ? id : -1;
}

const char *glot_vocabulary_text(const glot_vocabulary *v, int64_t id, size_t *length)
{
    if (id < 0 || id >= (int64_t)v->size || !v->entries[id].exists)
        return NULL;
    if (length)
        *length = v->entries[id].length;
    return v->texts.data + v->entries[id].offset;
}

void glot_vocabulary_release(glot_vocabulary *v)
{
    glot_free(v->entries);
    glot_free(v->slots);
    glot_str_release(&v->texts);
    *v = (glot_vocabulary){0};
}
