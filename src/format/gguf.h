/* gguf.h
 *
 * GGUF version 2 and 3 (little-endian): metadata key-values and tensors, mapped. Shapes are given in
 * PyTorch's order (GGUF stores the fastest dimension first). Knows no architecture. Every count, length, type
 * and offset is checked against the file's size, and tensors follow each other as llama.cpp wants them: in
 * the order of their infos, padded to the alignment.
 *
 *     glot_gguf *g;
 *     GLOT_TRY(glot_gguf_open(&g, "model.gguf", err));
 *     const glot_stored_tensor *t = glot_gguf_find(g, "token_embd.weight");
 *     glot_dequantize(out, t->tensor.addr, t->tensor.dtype, (size_t)glot_tensor_elements(&t->tensor));
 *     glot_gguf_close(g);
 */
#ifndef GLOT_FORMAT_GGUF_H
#define GLOT_FORMAT_GGUF_H

#include "base/str.h"
#include "format/safetensors.h"

typedef struct glot_gguf glot_gguf;

glot_status glot_gguf_open(glot_gguf **out, const char *path, glot_error *err);
/* The same of a file's bytes in memory, borrowed until close, aligned as malloc does; `path` is its name for
 * messages. */
glot_status glot_gguf_parse(glot_gguf **out, const uint8_t *bytes, size_t size, const char *path,
                            glot_error *err);
/* Lets go of the memory of tensors read so far; their addresses stay good. For once they have been copied. */
void glot_gguf_forget(const glot_gguf *g);
void glot_gguf_close(glot_gguf *g);       /* NULL is allowed */
bool glot_gguf_is_file(const char *path); /* starts with the magic "GGUF" */

size_t glot_gguf_count(const glot_gguf *g);
const glot_stored_tensor *glot_gguf_at(const glot_gguf *g, size_t i);
const glot_stored_tensor *glot_gguf_find(const glot_gguf *g, const char *name);

/* Metadata. The getters fail with the key's name where it is missing or has another type; `has` tells first.
 * Integer types of any width are accepted for int, float32/64 and integers for real. Strings are copied at
 * opening, zero-terminated (a zero byte inside one is refused), owned by g. */
bool glot_gguf_has(const glot_gguf *g, const char *key);
glot_status glot_gguf_int(const glot_gguf *g, const char *key, int64_t *out, glot_error *err);
glot_status glot_gguf_real(const glot_gguf *g, const char *key, double *out, glot_error *err);
glot_status glot_gguf_bool(const glot_gguf *g, const char *key, bool *out, glot_error *err);
glot_status glot_gguf_string(const glot_gguf *g, const char *key, const char **out, glot_error *err);
/* Arrays: of strings, of integers (widened), of reals (as float). Pointers owned by g. Lengths of strings:
 * strlen. */
glot_status glot_gguf_strings(const glot_gguf *g, const char *key, const char *const **out, size_t *n,
                              glot_error *err);
glot_status glot_gguf_ints(const glot_gguf *g, const char *key, const int64_t **out, size_t *n,
                           glot_error *err);
glot_status glot_gguf_reals(const glot_gguf *g, const char *key, const float **out, size_t *n,
                            glot_error *err);
/* Every key in file order, for `inspect`: name and a short printed value ("[49152 strings]" for arrays). */
size_t glot_gguf_n_keys(const glot_gguf *g);
const char *glot_gguf_key(const glot_gguf *g, size_t i);
void glot_gguf_print_value(const glot_gguf *g, size_t i, glot_str *out);

const char *glot_gguf_path(const glot_gguf *g);

/* Dequantises n elements (a multiple of the block's) of any dtype of dtype.h that holds numbers: F32, F16,
 * BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K. Exactly llama.cpp's values (ggml's dequantize_row_*:
 * float32 arithmetic in the same order). */
void glot_dequantize(float *out, const void *blocks, glot_dtype dtype, size_t n);

#endif
