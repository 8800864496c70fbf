/* tokenizer_build.c: what tokenizer.json and GGUF metadata have in common when a tokenizer is put
 * together. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "text/tokenizer_impl.h"

#include <string.h>

glot_status glot_tokenizer_new(glot_tokenizer **out, const char *path, glot_error *err)
{
    glot_tokenizer *t;
    GLOT_TRY(glot_new(&t, 1, sizeof *t, "a tokenizer", err));
    t->bos = t->eos = t->bpe.unk_id = -1;
    t->bpe.vocabulary = &t->vocabulary;
    t->path = glot_strdup(path);
    if (!t->path) {
        glot_free(t);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the tokenizer '%s'", path);
    }
    *out = t;
    return GLOT_OK;
}

void glot_tokenizer_close(glot_tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_added; i++) {
        glot_free(t->added[i].content);
        glot_free(t->added[i].pattern);
    }
    glot_free(t->added);
    glot_added_matcher_release(&t->raw_matcher);
    glot_added_matcher_release(&t->normalized_matcher);
    glot_pretokenizer_release(&t->pretokenizer);
    glot_normalizer_release(&t->normalizer);
    glot_bpe_release(&t->bpe);
    glot_vocabulary_release(&t->vocabulary);
    glot_free(t->decoding.replace);
    glot_free(t->decoding.content);
    glot_free(t->decoding.strip);
    glot_free(t->decoded);
    glot_str_release(&t->decoded_texts);
    glot_free(t->source);
    glot_free(t->path);
    glot_free(t);
}

static glot_status piece_of_merge(const glot_tokenizer *t, size_t index, const char *text, size_t size,
                                  int32_t *id, glot_error *err)
{
    *id = glot_vocabulary_find_in_model(&t->vocabulary, text, size);
    if (*id < 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': merge %zu names the piece '%.*s', which is not in the vocabulary", t->path,
                         index, (int)(size < 64 ? size : 64), text);
    return GLOT_OK;
}

glot_status glot_tokenizer_add_merge(glot_tokenizer *t, size_t index, const char *left, size_t left_size,
                                     const char *right, size_t right_size, glot_error *err)
{
    int32_t left_id, right_id, merged_id;
    GLOT_TRY(piece_of_merge(t, index, left, left_size, &left_id, err));
    GLOT_TRY(piece_of_merge(t, index, right, right_size, &right_id, err));
    char small[256], *text = small;
    size_t size;
    if (!glot_size_add(&size, left_size, right_size) ||
        (size > sizeof small && !(text = glot_calloc(size, 1))))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for merge %zu of '%s'", index, t->path);
    memcpy(text, left, left_size);
    memcpy(text + left_size, right, right_size);
    glot_status status = piece_of_merge(t, index, text, size, &merged_id, err);
    if (text != small)
        glot_free(text);
    GLOT_TRY(status);
    return glot_merge_add(&t->bpe.merges, left_id, right_id, merged_id, err);
}

/* Id of an added token: its own in the vocabulary, else one behind the model's count and the added tokens so
 * far. */
static glot_status id_of_added(glot_tokenizer *t, const char *content, int64_t expected, int32_t *id,
                               glot_error *err)
{
    size_t size = strlen(content);
    *id = glot_vocabulary_find(&t->vocabulary, content, size);
    if (*id < 0) {
        *id = (int32_t)t->vocabulary.n_tokens;
        GLOT_TRY(glot_vocabulary_add(&t->vocabulary, *id, content, size, false, t->path, err));
    }
    if (*id != expected)
        glot_warn("'%s': the added token '%.64s' should have the id %" PRId64 " but gets %" PRId32
                  ", as in Hugging Face tokenizers",
                  t->path, content, expected, *id);
    return GLOT_OK;
}

glot_status glot_tokenizer_add_token(glot_tokenizer *t, const glot_added_token *token, int64_t expected_id,
                                     glot_error *err)
{
    if (!*token->content)
        return GLOT_OK;
    int32_t id;
    GLOT_TRY(id_of_added(t, token->content, expected_id, &id, err));
    int32_t *place = &t->vocabulary.entries[id].added;
    if (*place) {
        /* Named twice: the later one's rules hold, and special it stays. */
        glot_added_token *first = &t->added[*place - 1], again = *token;
        again.id = id;
        again.special |= first->special;
        again.content = first->content;
        again.pattern = NULL;
        *first = again;
        return GLOT_OK;
    }
    GLOT_TRY(glot_grow(&t->added, &t->added_capacity, t->n_added + 1, sizeof t->added[0], "the added tokens",
                       err));
    glot_added_token *added = &t->added[t->n_added];
    *added = *token;
    added->id = id;
    added->pattern = NULL;
    added->content = glot_strdup(token->content);
    if (!added->content)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the added tokens of '%s'", t->path);
    *place = (int32_t)++t->n_added;
    return GLOT_OK;
}

static glot_status prepare_added(glot_tokenizer *t, glot_error *err)
{
    glot_normalizer_scratch scratch = {0};
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < t->n_added; i++) {
        glot_added_token *token = &t->added[i];
        const char *pattern = token->content;
        size_t size = strlen(pattern);
        if (token->normalized)
            GLOT_TRY_OUT(glot_normalize(&t->normalizer, &scratch, pattern, size, &pattern, &size, err));
        token->pattern = glot_strndup(pattern, size);
        if (!token->pattern) {
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the added tokens of '%s'", t->path);
            goto out;
        }
        glot_added_matcher *matcher = token->normalized ? &t->normalized_matcher : &t->raw_matcher;
        GLOT_TRY_OUT(glot_added_matcher_add(matcher, t->added, i, t->path, err));
    }
out:
    glot_normalizer_scratch_release(&scratch);
    return status;
}

/* --- the hash: everything that decides the ids, in one order --- */

static void hash_number(glot_sha256 *h, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    glot_sha256_update(h, bytes, sizeof bytes);
}

static void hash_text(glot_sha256 *h, const char *text, size_t size)
{
    hash_number(h, text ? size : UINT64_MAX);
    if (text)
        glot_sha256_update(h, text, size);
}

static void hash_string(glot_sha256 *h, const char *text)
{
    hash_text(h, text, text ? strlen(text) : 0);
}

static void hash_settings(glot_sha256 *h, const glot_tokenizer *t)
{
    hash_number(h, t->normalizer.n);
    for (size_t i = 0; i < t->normalizer.n; i++) {
        hash_number(h, t->normalizer.steps[i].kind);
        hash_string(h, t->normalizer.steps[i].pattern);
        hash_string(h, t->normalizer.steps[i].content);
    }
    hash_number(h, t->pretokenizer.n);
    for (size_t i = 0; i < t->pretokenizer.n; i++) {
        const glot_stage *stage = &t->pretokenizer.stages[i];
        hash_number(h, stage->kind);
        hash_number(h, stage->kind < GLOT_STAGE_DIGITS ? 0 : stage->behavior);
        hash_number(h, stage->kind < GLOT_STAGE_DIGITS ? 0 : stage->invert);
        hash_number(h, stage->scheme);
        hash_number(h, stage->split);
        hash_string(h, stage->kind < GLOT_STAGE_DIGITS ? NULL : stage->text);
    }
    hash_number(h, t->pretokenizer.byte_level);
    hash_number(h, t->bpe.byte_fallback);
    hash_number(h, t->bpe.fuse_unk);
    hash_number(h, t->bpe.ignore_merges);
    hash_number(h, (uint64_t)t->bpe.unk_id);
}

static void hash_vocabulary(glot_sha256 *h, const glot_tokenizer *t)
{
    hash_number(h, t->vocabulary.size);
    for (size_t id = 0; id < t->vocabulary.size; id++) {
        size_t size = 0;
        const char *text = glot_vocabulary_text(&t->vocabulary, (int64_t)id, &size);
        hash_text(h, text, size);
        hash_number(h, t->vocabulary.entries[id].in_model);
    }
}

static void hash_merges(glot_sha256 *h, const glot_merge_table *merges)
{
    hash_number(h, merges->n);
    for (size_t i = 0; i < merges->n; i++)
        hash_number(h, (uint64_t)(uint32_t)merges->merges[i].left << 32 | (uint32_t)merges->merges[i].right);
}

static void hash_added(glot_sha256 *h, const glot_tokenizer *t)
{
    hash_number(h, t->n_added);
    for (size_t id = 0; id < t->vocabulary.size; id++) {
        if (!t->vocabulary.entries[id].added)
            continue;
        const glot_added_token *token = &t->added[t->vocabulary.entries[id].added - 1];
        hash_number(h, id);
        hash_number(h, (uint64_t)token->single_word | (uint64_t)token->lstrip << 1 |
                           (uint64_t)token->rstrip << 2 | (uint64_t)token->normalized << 3 |
                           (uint64_t)token->special << 4);
        hash_string(h, token->pattern);
    }
}

static glot_status hash_all(glot_tokenizer *t, glot_error *err)
{
    glot_sha256 *h;
    GLOT_TRY(glot_sha256_create(&h, err));
    hash_string(h, "glot tokenizer 1");
    hash_settings(h, t);
    hash_vocabulary(h, t);
    hash_added(h, t);
    hash_merges(h, &t->bpe.merges);
    glot_sha256_finish(h, t->hash);
    glot_sha256_free(h);
    return GLOT_OK;
}

glot_status glot_tokenizer_finish(glot_tokenizer *t, glot_error *err)
{
    if (t->vocabulary.n_model == 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the vocabulary is empty", t->path);
    t->bpe.byte_level = t->pretokenizer.byte_level;
    GLOT_TRY(glot_bpe_prepare(&t->bpe, err));
    GLOT_TRY(prepare_added(t, err));
    GLOT_TRY(glot_tokenizer_prepare_decoding(t, err));
    return hash_all(t, err);
}
