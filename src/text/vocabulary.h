/* vocabulary.h: the tokens of a tokenizer, by id and by text. */
#ifndef GLOT_TEXT_VOCABULARY_H
#define GLOT_TEXT_VOCABULARY_H

#include "base/str.h"

/* Ids are below this: a higher one is taken for damage (the largest vocabularies in use have some 260,000
 * tokens). */
enum { GLOT_MAX_TOKEN_ID = 1 << 22 };

typedef struct glot_vocabulary_entry {
    uint32_t offset; /* of the text in `texts` */
    uint32_t length; /* bytes */
    bool exists;
    bool in_model; /* known to the BPE model; an added token may be known to the tokenizer alone */
    int32_t added; /* its place among the added tokens + 1, or 0; the tokenizer's */
} glot_vocabulary_entry;

typedef struct glot_vocabulary {
    glot_vocabulary_entry *entries; /* [size] by id */
    size_t size, capacity;          /* highest id + 1 */
    size_t n_tokens, n_model;       /* how many exist; how many of them in the model */
    glot_str texts;                 /* all texts, each followed by a zero byte */
    int32_t *slots;                 /* [n_slots] ids by hash of the text, -1: empty; linear probing */
    size_t n_slots;                 /* a power of two, at least twice n_tokens */
} glot_vocabulary;

/* Adds a token. `where` names the file for messages. GLOT_BAD_VALUE where the id or the text is taken or the
 * id is out of range. */
glot_status glot_vocabulary_add(glot_vocabulary *v, int64_t id, const char *text, size_t length,
                                bool in_model, const char *where, glot_error *err);
/* Id of a text, or -1. */
int32_t glot_vocabulary_find(const glot_vocabulary *v, const char *text, size_t length);
/* The same among the tokens of the model. */
int32_t glot_vocabulary_find_in_model(const glot_vocabulary *v, const char *text, size_t length);
/* Zero-terminated text of an id, or NULL; *length (may be NULL) gets its bytes. */
const char *glot_vocabulary_text(const glot_vocabulary *v, int64_t id, size_t *length);
void glot_vocabulary_release(glot_vocabulary *v);

/* Hash of a byte string: for tables in memory, never stored. */
uint64_t glot_hash_bytes(const char *bytes, size_t n);

#endif
