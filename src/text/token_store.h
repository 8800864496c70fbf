/* token_store.h
 *
 * A token store: tokenized documents of one or more languages in one memory-mapped file.
 *
 *     header      64 bytes: magic "GLOTTOKS", version
 *     ids         int32, document after document, without EOS and without special tokens
 *     documents   first id, counts of ids, bytes and words, language; all of the first language, then of the
 *                 next
 *     languages   name, group, totals
 *     footer      counts and offsets of the above, vocabulary size, tokenizer hash, file size, SHA-256 of all
 *                 before it
 *
 * The tables stand behind the ids so that a store can be written in one pass. docs/formats-tokens.md has
 * the exact layout. Opening checks every offset, count and sum but not the ids; glot_token_store_verify
 * checks those and the checksum: do that before ids of a foreign file index anything. A store is read-only
 * and may be shared by threads.
 */
#ifndef GLOT_TEXT_TOKEN_STORE_H
#define GLOT_TEXT_TOKEN_STORE_H

#include "text/corpus.h"
#include "text/tokenizer.h"

typedef struct glot_store_language {
    char name[64];
    int32_t group;                                    /* 0 old, 1, 2, ...: new */
    uint64_t n_documents, n_tokens, n_bytes, n_words; /* words: runs of characters that are not white space */
    uint64_t n_empty, n_bad_lines;                    /* left out when the store was built */
} glot_store_language;

typedef struct glot_document {
    const int32_t *ids; /* [n_ids] */
    uint32_t n_ids;     /* at least 1 */
    uint32_t n_bytes;   /* UTF-8 bytes of its text */
    uint32_t n_words;
    int32_t language; /* index into the languages */
} glot_document;

typedef struct glot_token_store glot_token_store;
glot_status glot_token_store_open(glot_token_store **out, const char *path, glot_error *err);
/* The same over bytes that the caller keeps (8-byte aligned); `path` for messages. */
glot_status glot_token_store_parse(glot_token_store **out, const void *bytes, size_t size, const char *path,
                                   glot_error *err);
void glot_token_store_close(glot_token_store *s);
/* True where the file begins as a token store does (false for one that cannot be read, and for "-"). */
bool glot_token_store_is_file(const char *path);

const char *glot_token_store_path(const glot_token_store *s);
const char *glot_token_store_tokenizer_hash(const glot_token_store *s);
int32_t glot_token_store_vocabulary_size(const glot_token_store *s);
size_t glot_token_store_n_languages(const glot_token_store *s);
const glot_store_language *glot_token_store_language(const glot_token_store *s, size_t i);
/* The language of that name; GLOT_NOT_FOUND names those there are. */
glot_status glot_token_store_find_language(const glot_token_store *s, const char *name, size_t *index,
                                           glot_error *err);
/* What a store given as the text of language `name` stands for: the language of that name, or the store's
 * only one whatever its name. */
glot_status glot_token_store_language_for(const glot_token_store *s, const char *name, size_t *index,
                                          glot_error *err);
uint64_t glot_token_store_n_documents(const glot_token_store *s);
/* Documents of language i are first .. first + n_documents - 1. */
uint64_t glot_token_store_first_document(const glot_token_store *s, size_t i);
glot_document glot_token_store_document(const glot_token_store *s, uint64_t i);
/* Reads every byte: checksum, every id below the vocabulary size. */
glot_status glot_token_store_verify(const glot_token_store *s, glot_error *err);
/* GLOT_BAD_VALUE unless the store was made with this tokenizer. */
glot_status glot_token_store_check_tokenizer(const glot_token_store *s, const glot_tokenizer *t,
                                             glot_error *err);

/* Building: languages in order, each from its files in order: text files, and token stores made with the
 * same tokenizer, of which the language that glot_token_store_language_for gives is taken. Streams: memory
 * does not grow with the text except for the document table. Tokenizes with `threads` threads (0: OpenMP's
 * choice); the file's bytes do not depend on their number. At most `max_tokens` per language where not 0
 * (whole documents until reached). A language without a document is GLOT_BAD_VALUE. The store appears under
 * `path` whole or not at all. */
typedef struct glot_store_source {
    const char *language; /* at most 63 bytes, no two alike */
    int32_t group;
    const char *const *paths; /* patterns allowed */
    size_t n_paths;
    uint64_t max_tokens;
} glot_store_source;
glot_status glot_token_store_build(const char *path, const glot_tokenizer *t,
                                   const glot_store_source *sources, size_t n,
                                   const glot_corpus_options *options, int threads, glot_error *err);

#endif
