/* token_store_layout.h: the bytes of a token store, version 1 (docs/formats-tokens.md). Everything is
 * little-endian and lies at a multiple of its own size. Inside src/text only. */
#ifndef GLOT_TEXT_TOKEN_STORE_LAYOUT_H
#define GLOT_TEXT_TOKEN_STORE_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "token stores are mapped as they are: little-endian only");

#define STORE_MAGIC "GLOTTOKS"
#define STORE_END_MAGIC "SKOTTOLG"
enum { STORE_VERSION = 1, STORE_MAX_LANGUAGES = 1024, STORE_HASH_DIGITS = 64 };

typedef struct store_header {
    char magic[8];
    uint32_t version;
    uint8_t zero[52];
} store_header;

typedef struct store_document {
    uint64_t first_id; /* sum of n_ids of all documents before */
    uint32_t n_ids, n_bytes, n_words;
    uint32_t language;
} store_document;

typedef struct store_language {
    char name[64]; /* UTF-8, zero bytes behind it to the end */
    int32_t group;
    uint32_t zero_1;
    uint64_t n_documents, n_tokens, n_bytes, n_words, n_empty, n_bad_lines;
    uint64_t zero_2;
} store_language;

typedef struct store_footer {
    uint64_t n_ids, n_documents;
    uint64_t documents_offset, languages_offset;
    uint32_t n_languages, vocabulary_size;
    char tokenizer_hash[STORE_HASH_DIGITS];
    uint64_t file_size;
    char magic[8];
    char sha256[STORE_HASH_DIGITS]; /* of all bytes before this field */
} store_footer;

_Static_assert(sizeof(store_header) == 64, "no padding");
_Static_assert(sizeof(store_document) == 24, "no padding");
_Static_assert(sizeof(store_language) == 128, "no padding");
_Static_assert(sizeof(store_footer) == 184 && offsetof(store_footer, sha256) == 120, "no padding");

#endif
