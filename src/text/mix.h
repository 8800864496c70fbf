/* mix.h
 *
 * From token stores to training blocks: which document comes next, of which language, cut into blocks of
 * `length` ids.
 *
 * Documents, each followed by EOS (which counts as its language's), are laid end to end and cut into blocks
 * of `length` ids (INTERFACES, "Training blocks"). `shuffled`: the next document's language is the one
 * furthest behind its share
 *
 *     share_l * (ids given) - (ids given of l)        largest; first of equals in the languages' order
 *
 * and its documents come in a shuffle seeded by (seed, name, epoch), again and again. Then no language is
 * ever ahead of its share by more than one document. `file`: all documents of the first language in order,
 * then of the next, and from the start when they run out; weights play no part.
 *
 * Shares are weights over their sum. With old_share the group-0 languages get that share together, the
 * others the rest, and weights divide inside each. A language whose share is 0 takes no part, in file order
 * neither.
 *
 * The whole state is plain data (glot_mix_state): saved and restored, the sequence goes on with the same
 * ids.
 */
#ifndef GLOT_TEXT_MIX_H
#define GLOT_TEXT_MIX_H

#include "text/token_store.h"

enum { GLOT_MAX_LANGUAGES = 64 };

typedef struct glot_mix_language {
    const glot_token_store *store; /* stays open as long as the mix */
    int32_t store_language;        /* index in the store */
    int32_t group;                 /* 0: old (G0), 1, 2, ...: new */
    double weight;                 /* positive */
} glot_mix_language;

typedef struct glot_mix_options {
    const glot_mix_language *languages; /* [n_languages] */
    size_t n_languages;
    int64_t length; /* ids in a block */
    int32_t eos_id;
    uint64_t seed;
    bool shuffled;      /* false: file order */
    double old_share;   /* < 0: weights alone decide; else the share of tokens from group 0 */
    uint64_t total_ids; /* 0: text repeats for ever; else after so many ids the last block is short (the
                           caller pads and masks it) and later ones are empty */
} glot_mix_options;

/* Everything that moves. */
typedef struct glot_mix_state {
    uint64_t tokens[GLOT_MAX_LANGUAGES]; /* ids given so far, EOS included */
    uint64_t epoch[GLOT_MAX_LANGUAGES];  /* times the language began again */
    uint64_t next[GLOT_MAX_LANGUAGES];   /* next place in its order */
    int64_t language;                    /* of the document being cut; -1: none yet */
    uint64_t document;                   /* its index in the store */
    uint64_t offset;                     /* ids of it already given; n_ids + 1 once its EOS is */
} glot_mix_state;

/* One block: ids and, per id, language and document start. */
typedef struct glot_block {
    int32_t *ids;       /* [length] */
    int32_t *languages; /* [length] index into glot_mix_options.languages */
    uint8_t *is_start;  /* [length] 1 where a document (or the rest of one, at the block's start) begins */
    int64_t n;          /* ids in this block: `length`, or fewer at the end (total_ids) */
} glot_block;

typedef struct glot_mix glot_mix;
/* GLOT_BAD_VALUE, with the language's name, for one without documents, a weight that is not positive,
 * stores of different tokenizers, or shares that leave no language; GLOT_BAD_ARGUMENT for a count or length
 * out of range. */
glot_status glot_mix_create(glot_mix **out, const glot_mix_options *options, glot_error *err);
void glot_mix_free(glot_mix *m);
/* The name of language i of the options; the store's. */
const char *glot_mix_language_name(const glot_mix *m, size_t i);
/* Fills the caller's arrays. Makes no heap call (shuffled orders are kept in memory made by create). */
void glot_mix_next(glot_mix *m, glot_block *block);
const glot_mix_state *glot_mix_get_state(const glot_mix *m);
/* GLOT_BAD_VALUE, and the mix unchanged, where the state is none that this mix can be in: every field is
 * checked against the languages, their documents and the seed's order. */
glot_status glot_mix_set_state(glot_mix *m, const glot_mix_state *state, glot_error *err);

#endif
