/* corpus.h
 *
 * Text files as documents: .jsonl (one JSON object a line, the text under a key) and .txt (one document a line, empty lines
 * skipped), each plain, gzip or zstd (known by content), "-" for standard input (JSON lines if the first byte is '{', else plain
 * text). Patterns (*, ?, [..]) expand sorted.
 */
#ifndef GLOT_TEXT_CORPUS_H
#define GLOT_TEXT_CORPUS_H

#include "base/error.h"

/* Expands patterns into paths, sorted within each pattern; a pattern or path that matches no file is GLOT_NOT_FOUND. Free with
 * glot_paths_free. */
glot_status glot_paths_expand(char ***paths, size_t *n, const char *const *patterns, size_t n_patterns, glot_error *err);
void glot_paths_free(char **paths, size_t n);

/* Raw lines of a file of any kind above (without the newline, CR LF accepted), decompressed on the fly. */
typedef struct glot_lines glot_lines;
glot_status glot_lines_open(glot_lines **out, const char *path, glot_error *err);
/* *line is NULL at the end; valid until the next call; *size bytes, zero-terminated. */
glot_status glot_lines_next(glot_lines *l, const char **line, size_t *size, glot_error *err);
uint64_t glot_lines_number(const glot_lines *l); /* of the line last returned, from 1 */
void glot_lines_close(glot_lines *l);

typedef struct glot_corpus_options {
    const char *text_key; /* "text" */
    bool skip_bad_lines;  /* count instead of refusing */
} glot_corpus_options;
glot_corpus_options glot_corpus_options_default(void);

typedef struct glot_corpus glot_corpus;
/* Reads `paths` (expanded ones) one after the other. */
glot_status glot_corpus_open(glot_corpus **out, const char *const *paths, size_t n_paths, const glot_corpus_options *options,
                             glot_error *err);
/* The next document; *text is NULL at the end; valid until the next call. A line that is not UTF-8, not JSON or without the key
 * is refused with file and line number, or counted. Documents of size 0 are skipped and counted as empty. */
glot_status glot_corpus_next(glot_corpus *c, const char **text, size_t *size, glot_error *err);
uint64_t glot_corpus_bad_lines(const glot_corpus *c);
uint64_t glot_corpus_empty(const glot_corpus *c);
void glot_corpus_close(glot_corpus *c);

/* Offset of the first byte that is no valid UTF-8 (no surrogates, nothing over U+10FFFF), or size. */
size_t glot_utf8_valid_prefix(const char *text, size_t size);

#endif
