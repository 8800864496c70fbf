/* pretokenizer.h
 *
 * Splits a normalized text into the pieces that BPE works on, as the pre_tokenizer of a tokenizer.json asks:
 * stages, each of which splits every piece of the one before. The split patterns of the known families are
 * scanners written by hand; any other pattern runs through PCRE2.
 */
#ifndef GLOT_TEXT_PRETOKENIZER_H
#define GLOT_TEXT_PRETOKENIZER_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/str.h"

enum { GLOT_MAX_STAGES = 16 };

typedef enum glot_stage_kind {
    GLOT_STAGE_GPT2,     /* GPT-2's pattern */
    GLOT_STAGE_LLAMA3,   /* Llama 3's: any case of contractions, digits in groups of up to three */
    GLOT_STAGE_QWEN2,    /* Qwen2's: the same with single digits */
    GLOT_STAGE_DIGITS,   /* matches every numeric character */
    GLOT_STAGE_STRING,   /* matches a string */
    GLOT_STAGE_PATTERN,  /* matches a regular expression, by PCRE2 */
    GLOT_STAGE_SPACE,    /* splits nothing; puts a space before a piece that has none */
    GLOT_STAGE_METASPACE /* spaces become a character; one goes in front; splits before each where asked */
} glot_stage_kind;

/* What becomes of the matches of DIGITS, STRING and PATTERN (the known patterns match everything, every match
 * is a piece). */
typedef enum glot_split_behavior {
    GLOT_SPLIT_ISOLATED, /* a piece of its own */
    GLOT_SPLIT_REMOVED,
    GLOT_SPLIT_CONTIGUOUS, /* neighbouring matches are one piece */
    GLOT_SPLIT_MERGED_WITH_PREVIOUS,
    GLOT_SPLIT_MERGED_WITH_NEXT
} glot_split_behavior;

typedef enum glot_prepend_scheme {
    GLOT_PREPEND_ALWAYS,
    GLOT_PREPEND_FIRST,
    GLOT_PREPEND_NEVER
} glot_prepend_scheme;

typedef struct glot_stage {
    glot_stage_kind kind;
    glot_split_behavior behavior;
    bool invert;                /* matches and what lies between change roles */
    char *text;                 /* STRING, PATTERN: what is matched; METASPACE: the character */
    glot_prepend_scheme scheme; /* METASPACE */
    bool split;                 /* METASPACE */
    pcre2_code *code;           /* PATTERN */
} glot_stage;

typedef struct glot_pretokenizer {
    glot_stage stages[GLOT_MAX_STAGES];
    size_t n;
    bool byte_level; /* pieces are mapped to bytes' characters at the end */
} glot_pretokenizer;

/* Scratch memory of one thread; zero it to start. */
typedef struct glot_pretokenizer_scratch {
    char *texts[GLOT_MAX_STAGES][2]; /* of the stages that change their piece */
    size_t capacities[GLOT_MAX_STAGES][2];
    pcre2_match_data *matches[GLOT_MAX_STAGES];
    pcre2_match_context *limits;
} glot_pretokenizer_scratch;

/* Takes one piece. */
typedef glot_status glot_piece_fn(void *user, const char *piece, size_t size, glot_error *err);

/* Adds a stage; its text is copied. A pattern of a known family becomes its scanner; another is compiled with
 * PCRE2 and warned about, or refused where PCRE2 does not take it or would read it otherwise. `where` names
 * the file for messages. */
glot_status glot_pretokenizer_add(glot_pretokenizer *p, const glot_stage *stage, const char *where,
                                  glot_error *err);
/* Gives the pieces of a valid UTF-8 text to `take` in order. `is_first`: the text stands at the very start. A
 * failure of `take` ends it. GLOT_BAD_VALUE where a pattern's match limit is hit. */
glot_status glot_pretokenize(const glot_pretokenizer *p, glot_pretokenizer_scratch *s, const char *text,
                             size_t size, bool is_first, glot_piece_fn *take, void *user, glot_error *err);
void glot_pretokenizer_release(glot_pretokenizer *p);
void glot_pretokenizer_scratch_release(glot_pretokenizer_scratch *s);

/* The pattern that GPT2, LLAMA3 or QWEN2 stands for; NULL for another kind. */
const char *glot_stage_pattern(glot_stage_kind kind);

/* End of the piece that begins at `at` < size: the known patterns. */
size_t glot_scan_gpt2(const char *text, size_t size, size_t at);
size_t glot_scan_llama3(const char *text, size_t size, size_t at);
size_t glot_scan_qwen2(const char *text, size_t size, size_t at);

#endif
