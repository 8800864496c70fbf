/* tokenizer_gguf.c: a tokenizer from GGUF metadata, as llama.cpp's converter writes it. The metadata names
 * the split by a word and leaves much to the reader, so only what is known is taken; the ids are those of the
 * tokenizer the GGUF was made from. */
#include "base/log.h"
#include "base/memory.h"
#include "text/tokenizer_impl.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

/* tokenizer.ggml.token_type */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

/* What a word in tokenizer.ggml.pre stands for. */
typedef struct pre_rules {
    const char *name;
    bool nfc, single_digits; /* every number split off first */
    glot_stage_kind split;
    bool ignore_merges, adds_bos;
} pre_rules;

static const pre_rules known_pres[] = {
    {"gpt-2", false, false, GLOT_STAGE_GPT2, false, false},
    {"default", false, false, GLOT_STAGE_GPT2, false, false},
    {"smollm", false, true, GLOT_STAGE_GPT2, false, false},
    {"llama-bpe", false, false, GLOT_STAGE_LLAMA3, true, true},
    {"llama3", false, false, GLOT_STAGE_LLAMA3, true, true},
    {"llama-v3", false, false, GLOT_STAGE_LLAMA3, true, true},
    {"qwen2", true, false, GLOT_STAGE_QWEN2, false, false},
};

static const char *const known_pre_names = "gpt-2, smollm, llama-bpe, llama3, llama-v3, qwen2 or default";

/* What the metadata holds, read and counted. */
typedef struct metadata {
    const glot_gguf *gguf;
    const char *const *tokens; /* [n] */
    size_t n;
    const int64_t *types;      /* [n], or NULL */
    int64_t bos, eos, unknown; /* -1: not named */
} metadata;

static glot_status check_count(const metadata *m, const char *key, size_t n, glot_error *err)
{
    if (n != m->n)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': %s has %zu elements, but there are %zu tokens",
                         glot_gguf_path(m->gguf), key, n, m->n);
    return GLOT_OK;
}

/* The id under `key`, or `otherwise` where it is missing. */
static glot_status get_id(const metadata *m, const char *key, int64_t otherwise, int64_t *id, glot_error *err)
{
    *id = otherwise;
    if (!glot_gguf_has(m->gguf, key))
        return GLOT_OK;
    GLOT_TRY(glot_gguf_int(m->gguf, key, id, err));
    if (*id < 0 || (size_t)*id >= m->n)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': %s is %" PRId64 ", but there are %zu tokens",
                         glot_gguf_path(m->gguf), key, *id, m->n);
    return GLOT_OK;
}

static glot_status read_metadata(metadata *m, const glot_gguf *gguf, glot_error *err)
{
    size_t n_types;
    m->gguf = gguf;
    GLOT_TRY(glot_gguf_strings(gguf, "tokenizer.ggml.tokens", &m->tokens, &m->n, err));
    if (glot_gguf_has(gguf, "tokenizer.ggml.token_type")) {
        GLOT_TRY(glot_gguf_ints(gguf, "tokenizer.ggml.token_type", &m->types, &n_types, err));
        GLOT_TRY(check_count(m, "tokenizer.ggml.token_type", n_types, err));
    }
    GLOT_TRY(get_id(m, "tokenizer.ggml.bos_token_id", -1, &m->bos, err));
    GLOT_TRY(get_id(m, "tokenizer.ggml.eos_token_id", -1, &m->eos, err));
    return get_id(m, "tokenizer.ggml.unknown_token_id", -1, &m->unknown, err);
}

static glot_status get_bool(const glot_gguf *gguf, const char *key, bool otherwise, bool *out,
                            glot_error *err)
{
    *out = otherwise;
    return glot_gguf_has(gguf, key) ? glot_gguf_bool(gguf, key, out, err) : GLOT_OK;
}

static glot_status read_vocabulary(glot_tokenizer *t, const metadata *m, glot_error *err)
{
    for (size_t id = 0; id < m->n; id++) {
        size_t length = strlen(m->tokens[id]);
        if (glot_utf8_valid_prefix(m->tokens[id], length) < length)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the token with id %zu is not valid UTF-8", t->path,
                             id);
        GLOT_TRY(glot_vocabulary_add(&t->vocabulary, (int64_t)id, m->tokens[id], length, true, t->path, err));
    }
    return GLOT_OK;
}

/* Tokens that are recognised in a text: control tokens, those the user added, and the unknown one. Without
 * types only the named ones are known to be such. */
static glot_status read_added(glot_tokenizer *t, const metadata *m, glot_error *err)
{
    for (size_t id = 0; id < m->n; id++) {
        int64_t here = (int64_t)id, type = m->types ? m->types[id] : TYPE_NORMAL;
        if (type < TYPE_NORMAL || type > TYPE_BYTE)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': the token with id %zu has type %" PRId64 ", expected 1 to 6", t->path, id,
                             type);
        bool named = here == m->bos || here == m->eos || here == m->unknown;
        bool special = type == TYPE_CONTROL || type == TYPE_UNKNOWN || (!m->types && named);
        if (!special && type != TYPE_USER_DEFINED)
            continue;
        glot_added_token token = {.special = special, .content = (char *)m->tokens[id]};
        GLOT_TRY(glot_tokenizer_add_token(t, &token, here, err));
    }
    return GLOT_OK;
}

/* The token in front where the tokenizer adds one. */
static glot_status read_bos(glot_tokenizer *t, const metadata *m, bool otherwise, glot_error *err)
{
    t->bos = (int32_t)m->bos;
    t->eos = (int32_t)m->eos;
    GLOT_TRY(get_bool(m->gguf, "tokenizer.ggml.add_bos_token", otherwise, &t->adds_bos, err));
    t->adds_bos = t->adds_bos && m->bos >= 0;
    return GLOT_OK;
}

/* --- tokenizer.ggml.model gpt2 --- */

static glot_status read_pre(const metadata *m, const pre_rules **rules, glot_error *err)
{
    const char *name = "default";
    if (glot_gguf_has(m->gguf, "tokenizer.ggml.pre"))
        GLOT_TRY(glot_gguf_string(m->gguf, "tokenizer.ggml.pre", &name, err));
    if (strcmp(name, "default") == 0)
        glot_warn(
            "'%s' does not say how its tokenizer splits a text (tokenizer.ggml.pre); GPT-2's split is taken",
            glot_gguf_path(m->gguf));
    for (size_t i = 0; i < sizeof known_pres / sizeof known_pres[0]; i++)
        if (strcmp(known_pres[i].name, name) == 0) {
            *rules = &known_pres[i];
            return GLOT_OK;
        }
    return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                     "'%s': tokenizer.ggml.pre is '%.64s', which is not supported, expected %s",
                     glot_gguf_path(m->gguf), name, known_pre_names);
}

static glot_status apply_pre(glot_tokenizer *t, const pre_rules *rules, glot_error *err)
{
    if (rules->nfc)
        GLOT_TRY(glot_normalizer_add(&t->normalizer, GLOT_NORMALIZE_NFC, NULL, NULL, t->path, err));
    if (rules->single_digits)
        GLOT_TRY(
            glot_pretokenizer_add(&t->pretokenizer, &(glot_stage){.kind = GLOT_STAGE_DIGITS}, t->path, err));
    GLOT_TRY(glot_pretokenizer_add(&t->pretokenizer, &(glot_stage){.kind = rules->split}, t->path, err));
    t->pretokenizer.byte_level = true;
    t->bpe.ignore_merges = rules->ignore_merges;
    t->decoding.kind = GLOT_DECODE_BYTES;
    return GLOT_OK;
}

static glot_status read_merges(glot_tokenizer *t, const metadata *m, glot_error *err)
{
    const char *const *merges;
    size_t n;
    GLOT_TRY(glot_gguf_strings(m->gguf, "tokenizer.ggml.merges", &merges, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *space = strchr(merges[i], ' ');
        if (!space || strchr(space + 1, ' '))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': merge %zu is '%.64s', expected two pieces with a space between", t->path,
                             i, merges[i]);
        GLOT_TRY(glot_tokenizer_add_merge(t, i, merges[i], (size_t)(space - merges[i]), space + 1,
                                          strlen(space + 1), err));
    }
    return GLOT_OK;
}

static glot_status read_byte_level(glot_tokenizer *t, const metadata *m, glot_error *err)
{
    const pre_rules *rules = NULL;
    GLOT_TRY(read_pre(m, &rules, err));
    GLOT_TRY(apply_pre(t, rules, err));
    GLOT_TRY(read_merges(t, m, err));
    return read_bos(t, m, rules->adds_bos, err);
}

/* --- tokenizer.ggml.model llama: SentencePiece, whose scores order the merges --- */

typedef struct scored_merge {
    float score;
    int32_t id, left, right;
} scored_merge;

/* By falling score, then by ids, as the converter of transformers orders the merges of a SentencePiece
 * model. */
static int compare_merges(const void *a, const void *b)
{
    const scored_merge *x = a, *y = b;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

typedef struct scored_merges {
    scored_merge *merges;
    size_t n, capacity;
} scored_merges;

/* Every way to put a token together from two others. */
static glot_status add_splits(const glot_tokenizer *t, int32_t id, float score, scored_merges *list,
                              glot_error *err)
{
    size_t size, length;
    const char *text = glot_vocabulary_text(&t->vocabulary, id, &size);
    for (size_t at = 0; at < size; at += length) {
        glot_utf8_decode(text + at, &length);
        int32_t left = at ? glot_vocabulary_find(&t->vocabulary, text, at) : -1;
        int32_t right = left >= 0 ? glot_vocabulary_find(&t->vocabulary, text + at, size - at) : -1;
        if (right < 0)
            continue;
        GLOT_TRY(glot_grow(&list->merges, &list->capacity, list->n + 1, sizeof list->merges[0], "the merges",
                           err));
        list->merges[list->n++] = (scored_merge){score, id, left, right};
    }
    return GLOT_OK;
}

static glot_status add_scored_merges(glot_tokenizer *t, const float *scores, glot_error *err)
{
    scored_merges list = {0};
    glot_status status = GLOT_OK;
    for (size_t id = 0; id < t->vocabulary.size; id++) {
        if (!(scores[id] == scores[id])) {
            status = GLOT_FAIL(err, GLOT_BAD_VALUE,
                               "'%s': the score of the token with id %zu is not a number", t->path, id);
            goto out;
        }
        GLOT_TRY_OUT(add_splits(t, (int32_t)id, scores[id], &list, err));
    }
    if (list.n)
        qsort(list.merges, list.n, sizeof list.merges[0], compare_merges);
    for (size_t i = 0; i < list.n; i++)
        GLOT_TRY_OUT(glot_merge_add(&t->bpe.merges, list.merges[i].left, list.merges[i].right,
                                    list.merges[i].id, err));
out:
    glot_free(list.merges);
    return status;
}

static glot_status copy_text(char **place, const char *text, glot_error *err)
{
    *place = glot_strdup(text);
    return *place ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a tokenizer");
}

/* Llama 2's normalizer and decoder. */
static glot_status apply_sentencepiece(glot_tokenizer *t, bool space_prefix, glot_error *err)
{
    static const char low_line[] = "\xE2\x96\x81"; /* U+2581 */
    if (space_prefix)
        GLOT_TRY(glot_normalizer_add(&t->normalizer, GLOT_NORMALIZE_PREPEND, NULL, low_line, t->path, err));
    GLOT_TRY(glot_normalizer_add(&t->normalizer, GLOT_NORMALIZE_REPLACE, " ", low_line, t->path, err));
    t->bpe.byte_fallback = t->bpe.fuse_unk = true;
    t->decoding.kind = GLOT_DECODE_PIECES;
    t->decoding.byte_fallback = true;
    GLOT_TRY(copy_text(&t->decoding.replace, low_line, err));
    GLOT_TRY(copy_text(&t->decoding.content, " ", err));
    if (!space_prefix)
        return GLOT_OK;
    t->decoding.n_strip = 1;
    return copy_text(&t->decoding.strip, " ", err);
}

static glot_status read_sentencepiece(glot_tokenizer *t, metadata *m, glot_error *err)
{
    const float *scores;
    size_t n_scores;
    bool space_prefix, remove_spaces;
    GLOT_TRY(glot_gguf_reals(m->gguf, "tokenizer.ggml.scores", &scores, &n_scores, err));
    GLOT_TRY(check_count(m, "tokenizer.ggml.scores", n_scores, err));
    GLOT_TRY(get_bool(m->gguf, "tokenizer.ggml.add_space_prefix", true, &space_prefix, err));
    GLOT_TRY(get_bool(m->gguf, "tokenizer.ggml.remove_extra_whitespaces", false, &remove_spaces, err));
    if (remove_spaces || glot_gguf_has(m->gguf, "tokenizer.ggml.precompiled_charsmap"))
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': the tokenizer's %s is not supported", t->path,
                         remove_spaces ? "remove_extra_whitespaces" : "precompiled_charsmap");
    if (m->unknown < 0 && m->n > 0)
        m->unknown = 0; /* SentencePiece's default */
    t->bpe.unk_id = (int32_t)m->unknown;
    GLOT_TRY(apply_sentencepiece(t, space_prefix, err));
    GLOT_TRY(add_scored_merges(t, scores, err));
    return read_bos(t, m, true, err);
}

static glot_status read_all(glot_tokenizer *t, const glot_gguf *gguf, glot_error *err)
{
    metadata m = {0};
    const char *model;
    GLOT_TRY(glot_gguf_string(gguf, "tokenizer.ggml.model", &model, err));
    bool is_byte_level = strcmp(model, "gpt2") == 0;
    if (!is_byte_level && strcmp(model, "llama") != 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': tokenizer.ggml.model is '%.64s', expected gpt2 or llama", t->path, model);
    GLOT_TRY(read_metadata(&m, gguf, err));
    GLOT_TRY(read_vocabulary(t, &m, err));
    GLOT_TRY(is_byte_level ? read_byte_level(t, &m, err) : read_sentencepiece(t, &m, err));
    GLOT_TRY(read_added(t, &m, err));
    return glot_tokenizer_finish(t, err);
}

glot_status glot_tokenizer_from_gguf(glot_tokenizer **out, const glot_gguf *gguf, glot_error *err)
{
    glot_tokenizer *t;
    GLOT_TRY(glot_tokenizer_new(&t, glot_gguf_path(gguf), err));
    glot_status status = read_all(t, gguf, err);
    if (status != GLOT_OK) {
        glot_tokenizer_close(t);
        return status;
    }
    *out = t;
    return GLOT_OK;
}
