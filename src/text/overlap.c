/* overlap.c: repeated and shared documents, by a set of hashes. */
#include "text/overlap.h"
#include "base/memory.h"

#include <string.h>

/* Open addressing with linear probing; capacity is a power of two, at most half of it used. 0 marks a free
 * slot. */
typedef struct hash_set {
    uint64_t *slots;
    size_t capacity;
} hash_set;

/* The finaliser of MurmurHash3: every bit of x changes about half of the bits. */
static uint64_t mix_bits(uint64_t x)
{
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDULL;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ULL;
    return x ^ (x >> 33);
}

static uint64_t hash_document(const glot_document *d)
{
    uint64_t hash = d->n_ids;
    for (uint32_t i = 0; i < d->n_ids; i++)
        hash = mix_bits(hash + 0x9E3779B97F4A7C15ULL + (uint32_t)d->ids[i]);
    return hash ? hash : 1;
}

static glot_status create_set(hash_set *set, uint64_t n, glot_error *err)
{
    size_t capacity = 16;
    while (capacity / 2 < n)
        if (!glot_size_mul(&capacity, capacity, 2))
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for comparing %" PRIu64 " documents", n);
    set->capacity = capacity;
    return glot_new(&set->slots, capacity, sizeof *set->slots, "comparing documents", err);
}

/* The slot that holds `hash`, or the free one where it belongs. */
static uint64_t *find_slot(const hash_set *set, uint64_t hash)
{
    size_t at = hash & (set->capacity - 1);
    while (set->slots[at] && set->slots[at] != hash)
        at = (at + 1) & (set->capacity - 1);
    return &set->slots[at];
}

static void count_repeated(glot_text_overlap *out, hash_set *set, const glot_token_store *train,
                           size_t language)
{
    uint64_t first = glot_token_store_first_document(train, language);
    for (uint64_t i = 0; i < out->n_train; i++) {
        glot_document d = glot_token_store_document(train, first + i);
        uint64_t hash = hash_document(&d), *slot = find_slot(set, hash);
        out->n_repeated += *slot == hash;
        *slot = hash;
    }
}

static void count_shared(glot_text_overlap *out, const hash_set *set, const glot_token_store *valid,
                         size_t language)
{
    uint64_t first = glot_token_store_first_document(valid, language);
    for (uint64_t i = 0; i < out->n_valid; i++) {
        glot_document d = glot_token_store_document(valid, first + i);
        out->n_shared += *find_slot(set, hash_document(&d)) != 0;
    }
}

glot_status glot_text_overlap_count(glot_text_overlap *out, const glot_token_store *train,
                                    size_t train_language, const glot_token_store *valid,
                                    size_t valid_language, glot_error *err)
{
    hash_set set = {0};
    glot_text_overlap counts = {.n_train = glot_token_store_language(train, train_language)->n_documents};
    if (valid && strcmp(glot_token_store_tokenizer_hash(train), glot_token_store_tokenizer_hash(valid)) != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "token stores '%s' and '%s' were made with different tokenizers",
                         glot_token_store_path(train), glot_token_store_path(valid));
    GLOT_TRY(create_set(&set, counts.n_train, err));
    count_repeated(&counts, &set, train, train_language);
    if (valid) {
        counts.n_valid = glot_token_store_language(valid, valid_language)->n_documents;
        count_shared(&counts, &set, valid, valid_language);
    }
    glot_free(set.slots);
    *out = counts;
    return GLOT_OK;
}
