/* token_store_build.c: text to a token store.
 *
 * Reading is serial, tokenizing parallel: a batch of documents is read, its documents go to whichever thread
 * is free, and their ids are written in the documents' order. Where a batch ends depends on the text alone,
 * so the file's bytes depend on the text alone. */
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "text/token_store.h"
#include "text/token_store_layout.h"

#include <omp.h>
#include <string.h>

enum {
    BATCH_BYTES =
        4 * 1024 * 1024, /* large against the 2 ms that starting a team may cost, small against memory */
    BATCH_TEXTS = 16384,
};

/* One document of a batch: where its text is, then where its ids are. */
typedef struct batch_text {
    size_t offset, size; /* in batch.bytes */
    size_t worker;       /* whose ids */
    size_t first_id, n_ids;
    uint64_t n_words;
} batch_text;

typedef struct worker {
    glot_encoder *encoder;
    int32_t *ids;
    size_t n_ids, capacity;
    size_t failed_text; /* the first of this worker's texts that failed, where status says one did */
    glot_status status;
    glot_error error;
} worker;

typedef struct builder {
    const glot_tokenizer *tokenizer;
    const glot_corpus_options *options;
    glot_writer *writer;
    worker *workers;
    size_t n_workers;
    glot_str bytes; /* the texts of a batch, end to end */
    batch_text *texts;
    size_t n_texts, texts_capacity;
    store_document *documents;
    size_t n_documents, documents_capacity;
    store_language *languages;
    size_t n_languages; /* begun so far: the last one is being built */
    uint64_t n_ids;
} builder;

static store_language *current_language(builder *b)
{
    return &b->languages[b->n_languages - 1];
}

static bool is_full(builder *b, const glot_store_source *source)
{
    return source->max_tokens > 0 && current_language(b)->n_tokens >= source->max_tokens;
}

static glot_status write_document(builder *b, const int32_t *ids, size_t n_ids, size_t n_bytes,
                                  uint64_t n_words, glot_error *err)
{
    store_language *l = current_language(b);
    GLOT_TRY(glot_grow(&b->documents, &b->documents_capacity, b->n_documents + 1, sizeof *b->documents,
                       "the document table", err));
    GLOT_TRY(glot_writer_write(b->writer, ids, n_ids * sizeof *ids, err));
    b->documents[b->n_documents++] = (store_document){
        .first_id = b->n_ids,
        .n_ids = (uint32_t)n_ids, /* the readers' longest line keeps all three below 2^32 */
        .n_bytes = (uint32_t)n_bytes,
        .n_words = (uint32_t)n_words,
        .language = (uint32_t)(b->n_languages - 1),
    };
    b->n_ids += n_ids;
    l->n_documents++;
    l->n_tokens += n_ids;
    l->n_bytes += n_bytes;
    l->n_words += n_words;
    return GLOT_OK;
}

static glot_status encode_text(const builder *b, worker *w, batch_text *text, glot_error *err)
{
    const char *bytes = b->bytes.data + text->offset;
    const int32_t *ids;
    size_t n_ids;
    GLOT_TRY(glot_encode(w->encoder, bytes, text->size, &ids, &n_ids, err));
    GLOT_TRY(glot_grow(&w->ids, &w->capacity, w->n_ids + n_ids, sizeof *w->ids, "ids", err));
    if (n_ids > 0)
        memcpy(w->ids + w->n_ids, ids, n_ids * sizeof *ids);
    text->worker = (size_t)(w - b->workers);
    text->first_id = w->n_ids;
    text->n_ids = n_ids;
    text->n_words = glot_utf8_count_words(bytes, text->size);
    w->n_ids += n_ids;
    return GLOT_OK;
}

static void encode_batch(builder *b)
{
    for (size_t i = 0; i < b->n_workers; i++)
        b->workers[i].n_ids = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)b->n_workers)
    for (size_t i = 0; i < b->n_texts; i++) {
        worker *w = &b->workers[omp_get_thread_num()];
        if (w->status != GLOT_OK && w->failed_text < i)
            continue;
        glot_error error;
        glot_status status = encode_text(b, w, &b->texts[i], &error);
        if (status != GLOT_OK) {
            w->status = status;
            w->error = error;
            w->failed_text = i;
        }
    }
}

/* The failure of the first text that failed, whichever thread had it. */
static glot_status check_workers(const builder *b, glot_error *err)
{
    const worker *first = NULL;
    for (size_t i = 0; i < b->n_workers; i++) {
        const worker *w = &b->workers[i];
        if (w->status != GLOT_OK && (!first || w->failed_text < first->failed_text))
            first = w;
    }
    if (!first)
        return GLOT_OK;
    if (err)
        *err = first->error;
    glot_error_prefix(err, "language '%s'", b->languages[b->n_languages - 1].name);
    return first->status;
}

static glot_status flush_batch(builder *b, const glot_store_source *source, glot_error *err)
{
    encode_batch(b);
    GLOT_TRY(check_workers(b, err));
    for (size_t i = 0; i < b->n_texts && !is_full(b, source); i++) {
        const batch_text *text = &b->texts[i];
        if (text->n_ids == 0)
            current_language(b)->n_empty++;
        else
            GLOT_TRY(write_document(b, b->workers[text->worker].ids + text->first_id, text->n_ids, text->size,
                                    text->n_words, err));
    }
    b->n_texts = 0;
    glot_str_reset(&b->bytes);
    return GLOT_OK;
}

static glot_status add_text(builder *b, const char *text, size_t size, glot_error *err)
{
    GLOT_TRY(
        glot_grow(&b->texts, &b->texts_capacity, b->n_texts + 1, sizeof *b->texts, "a batch of text", err));
    b->texts[b->n_texts++] = (batch_text){.offset = b->bytes.length, .size = size};
    glot_str_append(&b->bytes, text, size);
    return glot_str_check(&b->bytes, "a batch of text", err);
}

static glot_status read_texts(builder *b, glot_corpus *c, const glot_store_source *source, glot_error *err)
{
    const char *text;
    size_t size;
    while (!is_full(b, source)) {
        GLOT_TRY(glot_corpus_next(c, &text, &size, err));
        if (text)
            GLOT_TRY(add_text(b, text, size, err));
        if (!text || b->bytes.length >= BATCH_BYTES || b->n_texts == BATCH_TEXTS)
            GLOT_TRY(flush_batch(b, source, err));
        if (!text)
            break;
    }
    return GLOT_OK;
}

static glot_status add_text_files(builder *b, char *const *paths, size_t n_paths,
                                  const glot_store_source *source, glot_error *err)
{
    glot_corpus *c = NULL;
    GLOT_TRY(glot_corpus_open(&c, (const char *const *)paths, n_paths, b->options, err));
    glot_status status = read_texts(b, c, source, err);
    current_language(b)->n_bad_lines += glot_corpus_bad_lines(c);
    current_language(b)->n_empty += glot_corpus_empty(c);
    glot_corpus_close(c);
    return status;
}

/* The source is verified first: its ids get a new checksum here, and must not be wrong under it. */
static glot_status copy_documents(builder *b, const glot_token_store *s, const glot_store_source *source,
                                  glot_error *err)
{
    size_t language;
    GLOT_TRY(glot_token_store_check_tokenizer(s, b->tokenizer, err));
    GLOT_TRY(glot_token_store_language_for(s, source->language, &language, err));
    GLOT_TRY(glot_token_store_verify(s, err));
    uint64_t first = glot_token_store_first_document(s, language);
    uint64_t n = glot_token_store_language(s, language)->n_documents;
    for (uint64_t i = 0; i < n && !is_full(b, source); i++) {
        glot_document d = glot_token_store_document(s, first + i);
        if (glot_cancelled(b->options->cancel))
            return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while reading text");
        GLOT_TRY(write_document(b, d.ids, d.n_ids, d.n_bytes, d.n_words, err));
    }
    return GLOT_OK;
}

static glot_status add_store(builder *b, const char *path, const glot_store_source *source, glot_error *err)
{
    glot_token_store *s = NULL;
    GLOT_TRY(glot_token_store_open(&s, path, err));
    glot_status status = copy_documents(b, s, source, err);
    glot_token_store_close(s);
    return status;
}

/* Text files that follow one another are one run, so that small files still fill batches. */
static glot_status add_paths(builder *b, char *const *paths, size_t n, const glot_store_source *source,
                             glot_error *err)
{
    for (size_t i = 0; i < n && !is_full(b, source);) {
        size_t end = i;
        while (end < n && !glot_token_store_is_file(paths[end]))
            end++;
        if (end > i)
            GLOT_TRY(add_text_files(b, paths + i, end - i, source, err));
        else
            GLOT_TRY(add_store(b, paths[end++], source, err));
        i = end;
    }
    return GLOT_OK;
}

static glot_status add_language(builder *b, const glot_store_source *source, glot_error *err)
{
    char **paths = NULL;
    size_t n_paths = 0;
    store_language *l = &b->languages[b->n_languages++];
    memcpy(l->name, source->language, strlen(source->language));
    l->group = source->group;
    glot_status status = glot_paths_expand(&paths, &n_paths, source->paths, source->n_paths, err);
    if (status != GLOT_OK) {
        glot_error_prefix(err, "language '%s'", source->language);
        return status;
    }
    status = add_paths(b, paths, n_paths, source, err);
    if (status == GLOT_OK && l->n_documents == 0)
        status = GLOT_FAIL(err, GLOT_BAD_VALUE, "language '%s' has no text: no document in %zu file%s (%s%s)",
                           source->language, n_paths, n_paths == 1 ? "" : "s", n_paths ? paths[0] : "none",
                           n_paths > 1 ? ", ..." : "");
    glot_paths_free(paths, n_paths);
    return status;
}

static glot_status check_source(const glot_store_source *sources, size_t i, glot_error *err)
{
    const char *name = sources[i].language;
    size_t length = strlen(name);
    if (length < 1 || length > 63 || glot_utf8_valid_prefix(name, length) != length)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "language name '%.80s': expected 1 to 63 bytes of UTF-8",
                         name);
    if (sources[i].group < 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "language '%s' is in group %" PRId32 ", expected 0 or more",
                         name, sources[i].group);
    for (size_t k = 0; k < i; k++)
        if (strcmp(sources[k].language, name) == 0)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "language '%s' is named twice", name);
    return GLOT_OK;
}

static glot_status check_sources(const glot_store_source *sources, size_t n, glot_error *err)
{
    if (n < 1 || n > STORE_MAX_LANGUAGES)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "a token store of %zu languages: expected 1 to %d", n,
                         STORE_MAX_LANGUAGES);
    for (size_t i = 0; i < n; i++)
        GLOT_TRY(check_source(sources, i, err));
    return GLOT_OK;
}

static glot_status create_workers(builder *b, int threads, glot_error *err)
{
    b->n_workers = (size_t)(threads > 0 ? threads : omp_get_max_threads());
    GLOT_TRY(glot_new(&b->workers, b->n_workers, sizeof *b->workers, "tokenizing threads", err));
    for (size_t i = 0; i < b->n_workers; i++)
        GLOT_TRY(glot_encoder_create(&b->workers[i].encoder, b->tokenizer, err));
    return GLOT_OK;
}

static glot_status write_header(builder *b, glot_error *err)
{
    store_header header = {.version = STORE_VERSION};
    memcpy(header.magic, STORE_MAGIC, sizeof header.magic);
    return glot_writer_write(b->writer, &header, sizeof header, err);
}

static glot_status write_tables(builder *b, glot_error *err)
{
    static const uint8_t zero[4];
    store_footer footer = {
        .n_ids = b->n_ids,
        .n_documents = b->n_documents,
        .n_languages = (uint32_t)b->n_languages,
        .vocabulary_size = (uint32_t)glot_tokenizer_size(b->tokenizer),
    };
    char hex[65];
    if (b->n_ids % 2)
        GLOT_TRY(glot_writer_write(b->writer, zero, sizeof zero, err));
    footer.documents_offset = glot_writer_bytes(b->writer);
    GLOT_TRY(glot_writer_write(b->writer, b->documents, b->n_documents * sizeof *b->documents, err));
    footer.languages_offset = glot_writer_bytes(b->writer);
    GLOT_TRY(glot_writer_write(b->writer, b->languages, b->n_languages * sizeof *b->languages, err));
    footer.file_size = glot_writer_bytes(b->writer) + sizeof footer;
    memcpy(footer.tokenizer_hash, glot_tokenizer_hash(b->tokenizer), sizeof footer.tokenizer_hash);
    memcpy(footer.magic, STORE_END_MAGIC, sizeof footer.magic);
    GLOT_TRY(glot_writer_write(b->writer, &footer, offsetof(store_footer, sha256), err));
    glot_writer_sha256(b->writer, hex);
    return glot_writer_write(b->writer, hex, sizeof footer.sha256, err);
}

static glot_status write_store(builder *b, const glot_store_source *sources, size_t n, int threads,
                               glot_error *err)
{
    GLOT_TRY(create_workers(b, threads, err));
    GLOT_TRY(glot_new(&b->languages, n, sizeof *b->languages, "languages", err));
    GLOT_TRY(write_header(b, err));
    for (size_t i = 0; i < n; i++)
        GLOT_TRY(add_language(b, &sources[i], err));
    return write_tables(b, err);
}

static void release_builder(builder *b)
{
    for (size_t i = 0; b->workers && i < b->n_workers; i++) {
        glot_encoder_free(b->workers[i].encoder);
        glot_free(b->workers[i].ids);
    }
    glot_free(b->workers);
    glot_str_release(&b->bytes);
    glot_free(b->texts);
    glot_free(b->documents);
    glot_free(b->languages);
}

glot_status glot_token_store_build(const char *path, const glot_tokenizer *t,
                                   const glot_store_source *sources, size_t n,
                                   const glot_corpus_options *options, int threads, glot_error *err)
{
    builder b = {.tokenizer = t, .options = options};
    GLOT_TRY(check_sources(sources, n, err));
    GLOT_TRY(glot_writer_open(&b.writer, path, err));
    glot_status status = write_store(&b, sources, n, threads, err);
    if (status == GLOT_OK)
        status = glot_writer_commit(b.writer, err);
    else
        glot_writer_abandon(b.writer);
    release_builder(&b);
    return status;
}
