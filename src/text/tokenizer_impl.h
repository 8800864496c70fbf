/* tokenizer_impl.h: what a tokenizer holds; for the files of this folder that build, run and write one. */
#ifndef GLOT_TEXT_TOKENIZER_IMPL_H
#define GLOT_TEXT_TOKENIZER_IMPL_H

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

/* How tokens become text again. All but these rules is in the table of decoded tokens. */
typedef struct glot_decoding {
    enum {
        GLOT_DECODE_SPACED, /* no decoder: tokens with a space between */
        GLOT_DECODE_BYTES,  /* ByteLevel: characters stand for bytes */
        GLOT_DECODE_PIECES  /* SentencePiece: a string replaced, bytes from <0xNN>, the start stripped */
    } kind;
    char *replace, *content; /* PIECES: replaced in every token; NULL: nothing */
    bool byte_fallback;      /* PIECES: <0xNN> is a byte */
    bool metaspace_first;    /* PIECES: in the first token `replace` disappears instead */
    char *strip;             /* PIECES: one character stripped from the start; NULL: none */
    int64_t n_strip;         /* how many times */
} glot_decoding;

typedef struct glot_decoded {
    uint32_t offset, length; /* in decoded_texts */
    bool exists;
    bool skipped; /* with skip_special */
} glot_decoded;

struct glot_tokenizer {
    char *path;
    char *source; /* the tokenizer.json it was read from; NULL: from a GGUF */
    size_t source_size;
    glot_vocabulary vocabulary;
    glot_bpe bpe;
    glot_normalizer normalizer;
    glot_pretokenizer pretokenizer;
    glot_added_token *added;
    size_t n_added, added_capacity;
    glot_added_matcher raw_matcher, normalized_matcher;
    glot_decoding decoding;
    glot_decoded *decoded; /* [vocabulary.size] */
    glot_str decoded_texts;
    int32_t bos, eos; /* -1: the source names none */
    bool adds_bos;
    char hash[65];
};

/* --- building, in this order: new, vocabulary and settings, merges, added tokens, finish; closed by the
 * caller on failure --- */

glot_status glot_tokenizer_new(glot_tokenizer **out, const char *path, glot_error *err);
/* Adds the merge of two pieces by their text; rank is the order of the calls. `index` for messages. */
glot_status glot_tokenizer_add_merge(glot_tokenizer *t, size_t index, const char *left, size_t left_size,
                                     const char *right, size_t right_size, glot_error *err);
/* Adds an added token (content is copied, pattern and id are ignored). Its id is the one of the vocabulary,
 * else the next free one, as in tokenizers; expected_id is what the file says. */
glot_status glot_tokenizer_add_token(glot_tokenizer *t, const glot_added_token *token, int64_t expected_id,
                                     glot_error *err);
/* Tables that follow from the rest, checks, hash. */
glot_status glot_tokenizer_finish(glot_tokenizer *t, glot_error *err);

/* Fills decoded tokens from the decoding rules. */
glot_status glot_tokenizer_prepare_decoding(glot_tokenizer *t, glot_error *err);

#endif
