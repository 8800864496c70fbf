/* normalizer.h: what happens to a text before it is split: NFC, putting a string in front, replacing one
 * string by another. */
#ifndef GLOT_TEXT_NORMALIZER_H
#define GLOT_TEXT_NORMALIZER_H

#include "text/unicode.h"

enum { GLOT_MAX_NORMALIZERS = 16 };

typedef enum glot_normalizer_kind {
    GLOT_NORMALIZE_NFC,
    GLOT_NORMALIZE_PREPEND,
    GLOT_NORMALIZE_REPLACE
} glot_normalizer_kind;

typedef struct glot_normalizer_step {
    glot_normalizer_kind kind;
    char *pattern; /* REPLACE: what is replaced, not empty */
    char *content; /* PREPEND, REPLACE */
} glot_normalizer_step;

typedef struct glot_normalizer {
    glot_normalizer_step steps[GLOT_MAX_NORMALIZERS];
    size_t n;
} glot_normalizer;

/* Scratch memory of one thread; zero it to start. */
typedef struct glot_normalizer_scratch {
    glot_nfc_scratch nfc;
    char *texts[2]; /* steps read one and write the other */
    size_t capacities[2];
} glot_normalizer_scratch;

/* Adds a step; pattern and content are copied, NULL where the kind has none. `where` names the file for
 * messages. */
glot_status glot_normalizer_add(glot_normalizer *normalizer, glot_normalizer_kind kind, const char *pattern,
                                const char *content, const char *where, glot_error *err);
/* Runs all steps; an empty text stays empty. *out is `text` itself or memory of the scratch, valid until its
 * next use. */
glot_status glot_normalize(const glot_normalizer *normalizer, glot_normalizer_scratch *s, const char *text,
                           size_t size, const char **out, size_t *out_size, glot_error *err);
void glot_normalizer_release(glot_normalizer *normalizer);
void glot_normalizer_scratch_release(glot_normalizer_scratch *s);

/* Writes `text` (not empty) with every occurrence of `pattern` (not empty; leftmost first, not overlapping)
 * replaced by `content` into *buffer, which grows as needed. Returns the new size through *out_size. */
glot_status glot_replace(char **buffer, size_t *capacity, const char *text, size_t size, const char *pattern,
                         const char *content, size_t *out_size, glot_error *err);

#endif
