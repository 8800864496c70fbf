/* document_reader.h
 *
 * The documents of one language in order, as ids, from text files (tokenized on the way) and token stores
 * alike: what scoring reads. Streams.
 *
 *     glot_document d;
 *     while ((status = glot_document_reader_next(r, &d, err)) == GLOT_OK && d.ids)
 *         ...;
 */
#ifndef GLOT_TEXT_DOCUMENT_READER_H
#define GLOT_TEXT_DOCUMENT_READER_H

#include "text/token_store.h"

typedef struct glot_document_reader glot_document_reader;
/* `paths`: text files or token stores made with `t`, patterns allowed; of a store the language that
 * glot_token_store_language_for gives for `language`. max_tokens: whole documents until so many ids are
 * reached; 0: all. `t` must stay until close. */
glot_status glot_document_reader_open(glot_document_reader **out, const char *language,
                                      const char *const *paths, size_t n_paths, const glot_tokenizer *t,
                                      const glot_corpus_options *options, uint64_t max_tokens,
                                      glot_error *err);
/* The next document, valid until the next call; ids is NULL at the end. document->language is 0. */
glot_status glot_document_reader_next(glot_document_reader *r, glot_document *document, glot_error *err);
void glot_document_reader_close(glot_document_reader *r);

#endif
