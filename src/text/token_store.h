/* token_store.h
 *
 * A token store: tokenized documents of several languages in one memory-mapped file.
 *
 *     header (128 bytes: magic "GLOTTOKS", version 1, counts, offsets, vocabulary size, tokenizer hash)
 *     languages: name, group (0 old, 1 new), counts of documents, tokens, UTF-8 bytes and words
 *     documents: [n] {uint64 first id, uint32 n_ids, uint32 n_bytes of text, uint16 language, pad}
 *     ids: int32 little-endian, without EOS and without special tokens
 *     SHA-256 of everything before it (checked by `inspect`; opening checks structure)
 *
 * docs/FORMATS.md has the exact layout.
 */
#ifndef GLOT_TEXT_TOKEN_STORE_H
#define GLOT_TEXT_TOKEN_STORE_H

#include "text/corpus.h"
#include "text/tokenizer.h"

typedef struct glot_store_language {
    char name[64];
    int32_t group;       /* 0 old, 1 new */
    uint64_t n_documents, n_tokens, n_bytes, n_words; /* words: runs of characters that are not white space */
} glot_store_language;

typedef struct glot_document {
    const int32_t *ids; /* [n_ids], in the map */
    uint32_t n_ids;
    uint32_t n_bytes;   /* UTF-8 bytes of its text */
    int32_t language;   /* index into the languages */
} glot_document;

typedef struct glot_token_store glot_token_store;
glot_status glot_token_store_open(glot_token_store **out, const char *path, glot_error *err);
void glot_token_store_close(glot_token_store *s);
bool glot_token_store_is_file(const char *path);
size_t glot_token_store_n_languages(const glot_token_store *s);
const glot_store_language *glot_token_store_language(const glot_token_store *s, size_t i);
uint64_t glot_token_store_n_documents(const glot_token_store *s);
glot_document glot_token_store_document(const glot_token_store *s, uint64_t i);
const char *glot_token_store_tokenizer_hash(const glot_token_store *s);
/* Reads every byte: checksum, every id below the vocabulary size, counts. */
glot_status glot_token_store_verify(const glot_token_store *s, glot_error *err);

/* Building: languages in order, each from its files (text files or token stores made with the same tokenizer). Streams: memory does
 * not grow with the text except for the document table. Tokenizes with `threads` threads, documents in order whatever their
 * number. At most max_documents/max_tokens per language where these are not 0 (whole documents until reached). */
typedef struct glot_store_source {
    const char *language;
    int32_t group;
    const char *const *paths; /* patterns allowed */
    size_t n_paths;
    uint64_t max_tokens;
} glot_store_source;
glot_status glot_token_store_build(const char *path, const glot_tokenizer *t, const glot_store_source *sources, size_t n,
                                   const glot_corpus_options *options, int threads, glot_error *err);

#endif
