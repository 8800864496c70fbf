/* mix.c: the order of documents and the cutting of blocks.
 *
 * What moves is glot_mix_state alone. The shuffled order of a language is a function of (seed, name, epoch)
 * and is made again when a state is set, so a state stays small however much text there is. */
#include "text/mix.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

typedef struct language {
    const glot_token_store *store;
    const char *name;
    uint64_t first_document; /* in the store */
    uint64_t n_documents;
    double share;    /* of the ids; 0: takes no part */
    uint32_t *order; /* [n_documents] of the current epoch; NULL in file order */
} language;

struct glot_mix {
    int64_t length;
    int32_t eos_id;
    uint64_t seed;
    bool shuffled;
    uint64_t total_ids;
    size_t n_languages;
    language languages[GLOT_MAX_LANGUAGES];
    glot_mix_state state;
};

/* ---- creating ---- */

static glot_status check_language(const glot_mix_options *o, size_t i, glot_error *err)
{
    const glot_mix_language *l = &o->languages[i];
    const glot_store_language *s = glot_token_store_language(l->store, (size_t)l->store_language);
    const char *path = glot_token_store_path(l->store);
    if (s->n_documents == 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "language '%s' has no document in '%s'", s->name, path);
    if (s->n_documents > UINT32_MAX)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "language '%s' has %" PRIu64 " documents in '%s', at most %" PRIu32, s->name,
                         s->n_documents, path, UINT32_MAX);
    if (!(l->weight > 0) || !isfinite(l->weight))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "language '%s' has the weight %g, expected a positive number",
                         s->name, l->weight);
    const char *hash = glot_token_store_tokenizer_hash(l->store);
    if (strcmp(hash, glot_token_store_tokenizer_hash(o->languages[0].store)) != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "token stores '%s' and '%s' were made with different tokenizers",
                         glot_token_store_path(o->languages[0].store), path);
    return GLOT_OK;
}

static glot_status check_options(const glot_mix_options *o, glot_error *err)
{
    if (o->n_languages < 1 || o->n_languages > GLOT_MAX_LANGUAGES)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "a mix of %zu languages, expected 1 to %d", o->n_languages,
                         GLOT_MAX_LANGUAGES);
    if (o->length < 1)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "blocks of %" PRId64 " ids, expected at least 1", o->length);
    if (o->eos_id < 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "the end-of-text id is %" PRId32 ", expected 0 or more",
                         o->eos_id);
    if (!(o->old_share <= 1))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "the old languages' share is %g, expected at most 1",
                         o->old_share);
    for (size_t i = 0; i < o->n_languages; i++)
        GLOT_TRY(check_language(o, i, err));
    return GLOT_OK;
}

static double sum_weights(const glot_mix_options *o, bool is_old)
{
    double sum = 0;
    for (size_t i = 0; i < o->n_languages; i++)
        if ((o->languages[i].group == 0) == is_old)
            sum += o->languages[i].weight;
    return sum;
}

static glot_status set_shares(glot_mix *m, const glot_mix_options *o, glot_error *err)
{
    double old_sum = sum_weights(o, true), new_sum = sum_weights(o, false);
    if (!isfinite(old_sum + new_sum))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "the languages' weights add up to more than a number can hold");
    if (o->old_share > 0 && !(old_sum > 0))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "a share of %g of old languages' text, but no language is old",
                         o->old_share);
    if (o->old_share >= 0 && o->old_share < 1 && !(new_sum > 0))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "a share of %g of new languages' text, but no language is new",
                         1 - o->old_share);
    for (size_t i = 0; i < o->n_languages; i++) {
        bool is_old = o->languages[i].group == 0;
        double part = 1, sum = old_sum + new_sum;
        if (o->old_share >= 0) {
            part = is_old ? o->old_share : 1 - o->old_share;
            sum = is_old ? old_sum : new_sum;
        }
        m->languages[i].share = part * (o->languages[i].weight / sum);
    }
    return GLOT_OK;
}

static glot_status set_language(glot_mix *m, size_t i, const glot_mix_language *l, glot_error *err)
{
    size_t index = (size_t)l->store_language;
    const glot_store_language *s = glot_token_store_language(l->store, index);
    m->languages[i].store = l->store;
    m->languages[i].name = s->name;
    m->languages[i].first_document = glot_token_store_first_document(l->store, index);
    m->languages[i].n_documents = s->n_documents;
    if (!m->shuffled || m->languages[i].share == 0)
        return GLOT_OK;
    return glot_new(&m->languages[i].order, s->n_documents, sizeof(uint32_t), "the order of documents", err);
}

/* Fisher-Yates. The seed takes the epoch and the stream the name: other epochs and languages have other
 * orders. */
static void shuffle_order(const glot_mix *m, language *l, uint64_t epoch)
{
    if (!l->order)
        return;
    glot_rng rng = glot_rng_seed(m->seed + epoch * 0x9E3779B97F4A7C15ULL, glot_rng_stream_of(l->name));
    for (uint64_t i = 0; i < l->n_documents; i++)
        l->order[i] = (uint32_t)i;
    for (uint64_t i = l->n_documents - 1; i > 0; i--) {
        uint32_t k = glot_rng_below(&rng, (uint32_t)i + 1);
        uint32_t other = l->order[k];
        l->order[k] = l->order[i];
        l->order[i] = other;
    }
}

static glot_status fill_mix(glot_mix *m, const glot_mix_options *o, glot_error *err)
{
    m->length = o->length;
    m->eos_id = o->eos_id;
    m->seed = o->seed;
    m->shuffled = o->shuffled;
    m->total_ids = o->total_ids;
    m->n_languages = o->n_languages;
    m->state.language = -1;
    GLOT_TRY(set_shares(m, o, err));
    for (size_t i = 0; i < o->n_languages; i++) {
        GLOT_TRY(set_language(m, i, &o->languages[i], err));
        shuffle_order(m, &m->languages[i], 0);
    }
    return GLOT_OK;
}

glot_status glot_mix_create(glot_mix **out, const glot_mix_options *options, glot_error *err)
{
    glot_mix *m = NULL;
    GLOT_TRY(check_options(options, err));
    GLOT_TRY(glot_new(&m, 1, sizeof *m, "a mix of languages", err));
    glot_status status = fill_mix(m, options, err);
    if (status != GLOT_OK) {
        glot_mix_free(m);
        return status;
    }
    *out = m;
    return GLOT_OK;
}

void glot_mix_free(glot_mix *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_languages; i++)
        glot_free(m->languages[i].order);
    glot_free(m);
}

/* ---- the next document ---- */

static uint64_t ids_given(const glot_mix_state *s, size_t n_languages)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n_languages; i++)
        sum += s->tokens[i];
    return sum;
}

static size_t furthest_behind(const glot_mix *m)
{
    double given = (double)ids_given(&m->state, m->n_languages), most = 0;
    size_t chosen = GLOT_MAX_LANGUAGES;
    for (size_t i = 0; i < m->n_languages; i++) {
        if (m->languages[i].share == 0)
            continue;
        double behind = m->languages[i].share * given - (double)m->state.tokens[i];
        if (chosen == GLOT_MAX_LANGUAGES || behind > most) {
            chosen = i;
            most = behind;
        }
    }
    return chosen;
}

/* The language being read, or the next one with a share where its documents have run out. */
static size_t next_in_file_order(const glot_mix *m)
{
    size_t i = m->state.language < 0 ? 0 : (size_t)m->state.language;
    bool is_first = m->state.language < 0;
    if (!is_first && m->state.next[i] < m->languages[i].n_documents)
        return i;
    if (!is_first)
        i = (i + 1) % m->n_languages;
    while (m->languages[i].share == 0)
        i = (i + 1) % m->n_languages;
    return i;
}

/* Index in the store of place k of language l's order. */
static uint64_t document_at(const language *l, uint64_t k)
{
    return l->first_document + (l->order ? l->order[k] : k);
}

static void begin_document(glot_mix *m)
{
    glot_mix_state *s = &m->state;
    size_t i = m->shuffled ? furthest_behind(m) : next_in_file_order(m);
    language *l = &m->languages[i];
    if (s->next[i] == l->n_documents) {
        s->next[i] = 0;
        s->epoch[i]++;
        shuffle_order(m, l, s->epoch[i]);
    }
    s->language = (int64_t)i;
    s->document = document_at(l, s->next[i]++);
    s->offset = 0;
}

static glot_document current_document(const glot_mix *m)
{
    return glot_token_store_document(m->languages[m->state.language].store, m->state.document);
}

/* ---- cutting ---- */

/* Puts as much of the current document, its EOS included, as fits below `end`. */
static void copy_document(glot_mix *m, glot_block *block, int64_t end)
{
    glot_mix_state *s = &m->state;
    glot_document d = current_document(m);
    uint64_t left = (uint64_t)d.n_ids + 1 - s->offset, room = (uint64_t)(end - block->n);
    uint64_t n = left < room ? left : room;
    uint64_t n_text = n < left ? n : n - 1;
    int32_t *ids = block->ids + block->n;
    memcpy(ids, d.ids + s->offset, n_text * sizeof *ids);
    if (n_text < n)
        ids[n_text] = m->eos_id;
    for (uint64_t i = 0; i < n; i++) {
        block->languages[block->n + (int64_t)i] = (int32_t)s->language;
        block->is_start[block->n + (int64_t)i] = i == 0;
    }
    s->offset += n;
    s->tokens[s->language] += n;
    block->n += (int64_t)n;
}

static int64_t block_size(const glot_mix *m)
{
    if (m->total_ids == 0)
        return m->length;
    uint64_t left = m->total_ids - ids_given(&m->state, m->n_languages);
    return left < (uint64_t)m->length ? (int64_t)left : m->length;
}

const char *glot_mix_language_name(const glot_mix *m, size_t i)
{
    return m->languages[i].name;
}

void glot_mix_next(glot_mix *m, glot_block *block)
{
    int64_t end = block_size(m);
    block->n = 0;
    while (block->n < end) {
        if (m->state.language < 0 || m->state.offset == (uint64_t)current_document(m).n_ids + 1)
            begin_document(m);
        copy_document(m, block, end);
    }
}

/* ---- the state ---- */

const glot_mix_state *glot_mix_get_state(const glot_mix *m)
{
    return &m->state;
}

/* What `tokens` must be, given the other fields: whole epochs, the documents begun in this one, less what the
 * current document still has to give. Wraps as unsigned numbers do where a state is nonsense; it is compared,
 * nothing else. */
static uint64_t tokens_of_state(const glot_mix *m, const glot_mix_state *s, size_t i)
{
    const language *l = &m->languages[i];
    uint64_t sum = 0, all = 0;
    for (uint64_t k = 0; k < l->n_documents; k++) {
        uint64_t n = (uint64_t)glot_token_store_document(l->store, document_at(l, k)).n_ids + 1;
        all += n;
        sum += k < s->next[i] ? n : 0;
    }
    if (s->language == (int64_t)i)
        sum -= (uint64_t)glot_token_store_document(l->store, s->document).n_ids + 1 - s->offset;
    return sum + s->epoch[i] * all;
}

static glot_status check_position(const glot_mix *m, const glot_mix_state *s, glot_error *err)
{
    if (s->language < -1 || s->language >= (int64_t)m->n_languages)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "the text position is in language %" PRId64 " of %zu",
                         s->language, m->n_languages);
    if (s->language < 0) {
        if (s->document || s->offset)
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "the text position is in a document but in no language");
        return GLOT_OK;
    }
    const language *l = &m->languages[s->language];
    if (s->document < l->first_document || s->document - l->first_document >= l->n_documents)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the text position is in document %" PRIu64 ", none of language '%s'", s->document,
                         l->name);
    uint64_t n_ids = glot_token_store_document(l->store, s->document).n_ids;
    if (s->offset < 1 || s->offset > n_ids + 1)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the text position is %" PRIu64 " ids into document %" PRIu64
                         " of '%s', which has %" PRIu64,
                         s->offset, s->document, l->name, n_ids);
    return GLOT_OK;
}

static glot_status check_language_state(const glot_mix *m, const glot_mix_state *s, size_t i, glot_error *err)
{
    const language *l = &m->languages[i];
    bool takes_part = l->share > 0 && s->language >= 0;
    if (!takes_part && (s->tokens[i] || s->epoch[i] || s->next[i]))
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the text position has read language '%s', which it cannot have", l->name);
    if (s->next[i] > l->n_documents)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the text position of language '%s' is document %" PRIu64 " of %" PRIu64, l->name,
                         s->next[i], l->n_documents);
    if (s->language == (int64_t)i && (s->next[i] == 0 || document_at(l, s->next[i] - 1) != s->document))
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the text position is in document %" PRIu64
                         ", which this seed and text do not have at place %" PRIu64 " of language '%s'",
                         s->document, s->next[i], l->name);
    uint64_t expected = tokens_of_state(m, s, i);
    if (s->tokens[i] != expected)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the text position of language '%s' stands at %" PRIu64 " ids, expected %" PRIu64
                         ": the text is another one",
                         l->name, s->tokens[i], expected);
    return GLOT_OK;
}

static glot_status check_state(const glot_mix *m, const glot_mix_state *s, glot_error *err)
{
    GLOT_TRY(check_position(m, s, err));
    for (size_t i = 0; i < m->n_languages; i++)
        GLOT_TRY(check_language_state(m, s, i, err));
    for (size_t i = m->n_languages; i < GLOT_MAX_LANGUAGES; i++)
        if (s->tokens[i] || s->epoch[i] || s->next[i])
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "the text position is for more than the %zu languages of this mix",
                             m->n_languages);
    if (m->total_ids > 0 && ids_given(s, m->n_languages) > m->total_ids)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "the text position stands at %" PRIu64 " ids of %" PRIu64,
                         ids_given(s, m->n_languages), m->total_ids);
    return GLOT_OK;
}

static void shuffle_all(glot_mix *m, const glot_mix_state *s)
{
    for (size_t i = 0; i < m->n_languages; i++)
        shuffle_order(m, &m->languages[i], s->epoch[i]);
}

glot_status glot_mix_set_state(glot_mix *m, const glot_mix_state *state, glot_error *err)
{
    shuffle_all(m, state);
    glot_status status = check_state(m, state, err);
    if (status != GLOT_OK)
        shuffle_all(m, &m->state);
    else
        m->state = *state;
    return status;
}
