/* corpus.h
 *
 * Text files as documents: .jsonl (one JSON object a line, the text under a key) and .txt (one document a
 * line, empty lines skipped), each plain, gzip (any number of members) or zstd (any number of frames);
 * compression is known by content, whatever the name. "-" is standard input. Standard input, and a file
 * with another name, is JSON lines if its first byte is '{', else plain text. Everything streams: memory
 * does not grow with a file, only with its longest line.
 *
 *     glot_corpus *c = NULL;
 *     glot_corpus_options options = glot_corpus_options_default();
 *     GLOT_TRY(glot_corpus_open(&c, paths, n_paths, &options, err));
 *     while ((status = glot_corpus_next(c, &text, &size, err)) == GLOT_OK && text)
 *         ...;
 *     glot_corpus_close(c);
 */
#ifndef GLOT_TEXT_CORPUS_H
#define GLOT_TEXT_CORPUS_H

#include "base/cancel.h"
#include "base/error.h"
#include "text/utf8.h"

/* Expands patterns (*, ?, [..]) into paths, sorted by bytes within each pattern. A word that names an
 * existing file and "-" stand for themselves; a pattern or path that matches nothing is GLOT_NOT_FOUND.
 * Free with glot_paths_free. */
glot_status glot_paths_expand(char ***paths, size_t *n, const char *const *patterns, size_t n_patterns,
                              glot_error *err);
void glot_paths_free(char **paths, size_t n);

/* Raw lines of a file of any kind above, decompressed on the fly: the bytes between newlines, nothing taken
 * away (a byte order mark and the CR of CR LF are the corpus's business). A last line without a newline
 * counts, an empty rest after the last newline does not. A compressed file that ends early or is damaged is
 * GLOT_BAD_FORMAT with the line and the byte, a line of more than 1 GiB too. */
typedef struct glot_lines glot_lines;
glot_status glot_lines_open(glot_lines **out, const char *path, glot_error *err);
/* *line is NULL at the end; valid until the next call; *size bytes, zero-terminated. */
glot_status glot_lines_next(glot_lines *l, const char **line, size_t *size, glot_error *err);
/* The same without the byte order mark that may begin a file and the CR of CR LF. */
glot_status glot_lines_next_text(glot_lines *l, const char **line, size_t *size, glot_error *err);
bool glot_line_is_blank(const char *line, size_t size); /* spaces, tabs and CR at most */
uint64_t glot_lines_number(const glot_lines *l); /* of the line last returned, from 1 */
void glot_lines_close(glot_lines *l);

typedef struct glot_corpus_options {
    const char *text_key;      /* "text" */
    bool skip_bad_lines;       /* count instead of refusing */
    const glot_cancel *cancel; /* looked at for every document: GLOT_CANCELLED; NULL: never */
} glot_corpus_options;
glot_corpus_options glot_corpus_options_default(void);

typedef struct glot_corpus glot_corpus;
/* Reads `paths` (expanded ones, kept by the caller) one after the other. */
glot_status glot_corpus_open(glot_corpus **out, const char *const *paths, size_t n_paths,
                             const glot_corpus_options *options, glot_error *err);
/* The next document; *text is NULL at the end; valid until the next call (the text may
 * hold zero bytes). A byte order mark at a file's start and the CR of CR LF are dropped; lines of
 * nothing (.txt) or of white space (.jsonl) are no documents. A line that is not UTF-8, not a JSON object
 * or without a string under the key is refused with file and line number, or counted. A JSON text of size 0
 * is skipped and counted as empty. */
glot_status glot_corpus_next(glot_corpus *c, const char **text, size_t *size, glot_error *err);
uint64_t glot_corpus_bad_lines(const glot_corpus *c);
uint64_t glot_corpus_empty(const glot_corpus *c);
void glot_corpus_close(glot_corpus *c);

#endif
