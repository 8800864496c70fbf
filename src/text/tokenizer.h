/* tokenizer.h
 *
 * Byte-pair-encoding tokenizers: byte-level BPE (GPT-2, SmolLM2, Llama 3, Qwen) and SentencePiece-style BPE
 * with byte fallback (Llama 2, TinyLlama, Mistral). The ids are those of the Hugging Face `tokenizers`
 * library for the same tokenizer.json.
 *
 * A tokenizer is read-only after opening and may be shared by threads; each thread brings a glot_encoder
 * (scratch memory and the cache of pieces). Encoding makes no heap call per word.
 */
#ifndef GLOT_TEXT_TOKENIZER_H
#define GLOT_TEXT_TOKENIZER_H

#include "base/error.h"
#include "format/gguf.h"

typedef struct glot_tokenizer glot_tokenizer;
typedef struct glot_encoder glot_encoder;

/* From tokenizer.json, plain or gzip (by content). Whatever the file asks for that is not supported (another
 * model type, normaliser, pre-tokenizer, ...) is refused by name. */
glot_status glot_tokenizer_open(glot_tokenizer **out, const char *path, glot_error *err);
/* From a buffer; `path` for messages. The fuzz target's door. */
glot_status glot_tokenizer_parse(glot_tokenizer **out, const char *json, size_t size, const char *path,
                                 glot_error *err);
/* From GGUF metadata (tokenizer.ggml.model gpt2 with a known tokenizer.ggml.pre, or llama). */
glot_status glot_tokenizer_from_gguf(glot_tokenizer **out, const glot_gguf *gguf, glot_error *err);
/* What MODEL names: a directory's tokenizer.json, a tokenizer.json(.gz) file itself, or a GGUF file. */
glot_status glot_tokenizer_open_model(glot_tokenizer **out, const char *model_path, glot_error *err);
void glot_tokenizer_close(glot_tokenizer *t);

/* Highest id + 1 (added tokens included). */
int32_t glot_tokenizer_size(const glot_tokenizer *t);
/* Id of a token's text (special and added tokens by their content), or -1. */
int32_t glot_tokenizer_id(const glot_tokenizer *t, const char *token);
/* The token as it stands in the vocabulary (static until close), NULL for an id without a token. */
const char *glot_tokenizer_token(const glot_tokenizer *t, int32_t id);
bool glot_tokenizer_is_special(const glot_tokenizer *t, int32_t id);
/* BOS and EOS that the source names (GGUF metadata, or -1: tokenizer.json names none), and whether encoding a
 * text with special tokens puts a BOS in front (the post-processor's or add_bos_token's setting). */
int32_t glot_tokenizer_bos(const glot_tokenizer *t);
int32_t glot_tokenizer_eos(const glot_tokenizer *t);
bool glot_tokenizer_adds_bos(const glot_tokenizer *t);
/* SHA-256 over everything that decides the ids (canonical form: vocabulary, merges, added tokens, settings);
 * 64 hex digits. */
const char *glot_tokenizer_hash(const glot_tokenizer *t);
/* A tokenizer.json that gives the same ids (for a GGUF base; for one read from tokenizer.json its own bytes).
 * Caller frees. */
glot_status glot_tokenizer_json(const glot_tokenizer *t, char **json, size_t *size, glot_error *err);

/* Ids of a UTF-8 text. `ids` is owned by the encoder, valid until its next use. Added tokens in the text are
 * recognised (as `tokenizers` does with encode()); no BOS/EOS is added. Text that is not valid UTF-8:
 * GLOT_BAD_FORMAT with the byte offset; more than 512 MiB: GLOT_BAD_VALUE. */
glot_status glot_encoder_create(glot_encoder **out, const glot_tokenizer *t, glot_error *err);
void glot_encoder_free(glot_encoder *e);
glot_status glot_encode(glot_encoder *e, const char *text, size_t size, const int32_t **ids, size_t *n,
                        glot_error *err);

/* Text of ids, as `tokenizers`' decode(ids, skip_special_tokens=skip_special) but as raw bytes: a UTF-8
 * sequence may be cut at the end. Ids without a token give nothing. Appends to out. `is_start`: these are the
 * first ids of a text (SentencePiece drops its leading space there). */
glot_status glot_decode(const glot_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                        bool is_start, glot_str *out, glot_error *err);

#endif
