/* document_reader.c: one language's documents from text files and token stores, one path after the other. */
#include "text/document_reader.h"
#include "base/memory.h"

struct glot_document_reader {
    char *language;
    char **paths; /* [n_paths] */
    size_t n_paths, next_path;
    const glot_tokenizer *tokenizer;
    glot_corpus_options options;
    char *text_key; /* what options.text_key points to */
    glot_encoder *encoder;
    uint64_t max_tokens, n_tokens;
    glot_corpus *corpus; /* of a text file, or */
    glot_token_store *store;
    uint64_t next_document, end_document; /* of the store */
};

static glot_status copy_options(glot_document_reader *r, const char *language,
                                const glot_corpus_options *options, glot_error *err)
{
    r->language = glot_strdup(language);
    r->text_key = glot_strdup(options->text_key);
    if (!r->language || !r->text_key)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a document reader");
    r->options = *options;
    r->options.text_key = r->text_key;
    return GLOT_OK;
}

glot_status glot_document_reader_open(glot_document_reader **out, const char *language,
                                      const char *const *paths, size_t n_paths, const glot_tokenizer *t,
                                      const glot_corpus_options *options, uint64_t max_tokens,
                                      glot_error *err)
{
    glot_document_reader *r = NULL;
    glot_status status;
    GLOT_TRY(glot_new(&r, 1, sizeof *r, "a document reader", err));
    r->tokenizer = t;
    r->max_tokens = max_tokens;
    GLOT_TRY_OUT(copy_options(r, language, options, err));
    GLOT_TRY_OUT(glot_paths_expand(&r->paths, &r->n_paths, paths, n_paths, err));
    GLOT_TRY_OUT(glot_encoder_create(&r->encoder, t, err));
    *out = r;
    return GLOT_OK;
out:
    glot_document_reader_close(r);
    return status;
}

static void close_file(glot_document_reader *r)
{
    glot_corpus_close(r->corpus);
    glot_token_store_close(r->store);
    r->corpus = NULL;
    r->store = NULL;
}

void glot_document_reader_close(glot_document_reader *r)
{
    if (!r)
        return;
    close_file(r);
    glot_encoder_free(r->encoder);
    glot_paths_free(r->paths, r->n_paths);
    glot_free(r->text_key);
    glot_free(r->language);
    glot_free(r);
}

/* A store is read whole before its ids are given out: they index the model's embedding. */
static glot_status open_store(glot_document_reader *r, const char *path, glot_error *err)
{
    size_t language;
    GLOT_TRY(glot_token_store_open(&r->store, path, err));
    GLOT_TRY(glot_token_store_check_tokenizer(r->store, r->tokenizer, err));
    GLOT_TRY(glot_token_store_language_for(r->store, r->language, &language, err));
    GLOT_TRY(glot_token_store_verify(r->store, err));
    r->next_document = glot_token_store_first_document(r->store, language);
    r->end_document = r->next_document + glot_token_store_language(r->store, language)->n_documents;
    return GLOT_OK;
}

static glot_status open_next_file(glot_document_reader *r, glot_error *err)
{
    const char *const *path = (const char *const *)&r->paths[r->next_path++];
    if (glot_token_store_is_file(*path))
        return open_store(r, *path, err);
    return glot_corpus_open(&r->corpus, path, 1, &r->options, err);
}

static glot_status next_of_corpus(glot_document_reader *r, glot_document *document, glot_error *err)
{
    const char *text;
    size_t size, n_ids = 0;
    while (n_ids == 0) {
        GLOT_TRY(glot_corpus_next(r->corpus, &text, &size, err));
        if (!text)
            return GLOT_OK;
        GLOT_TRY(glot_encode(r->encoder, text, size, &document->ids, &n_ids, err));
    }
    document->n_ids = (uint32_t)n_ids;
    document->n_bytes = (uint32_t)size;
    document->n_words = (uint32_t)glot_utf8_count_words(text, size);
    return GLOT_OK;
}

static glot_status next_of_store(glot_document_reader *r, glot_document *document)
{
    if (r->next_document < r->end_document)
        *document = glot_token_store_document(r->store, r->next_document++);
    document->language = 0;
    return GLOT_OK;
}

glot_status glot_document_reader_next(glot_document_reader *r, glot_document *document, glot_error *err)
{
    for (;;) {
        *document = (glot_document){0};
        if (r->max_tokens > 0 && r->n_tokens >= r->max_tokens)
            return GLOT_OK;
        if (!r->corpus && !r->store) {
            if (r->next_path == r->n_paths)
                return GLOT_OK;
            GLOT_TRY(open_next_file(r, err));
        }
        GLOT_TRY(r->corpus ? next_of_corpus(r, document, err) : next_of_store(r, document));
        r->n_tokens += document->n_ids;
        if (document->n_ids > 0)
            return GLOT_OK;
        close_file(r);
    }
}
