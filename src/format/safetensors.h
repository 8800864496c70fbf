/* safetensors.h
 *
 * The safetensors format: 8 bytes little-endian header length, a JSON header, then the data. Knows no
 * architecture. A reader maps the file; tensors point into the map. Checked on opening: header length, JSON,
 * dtype names, every shape x dtype against its offsets, offsets against the file, no overlap and no hole.
 * Values are not looked at.
 *
 *     glot_safetensors *s;
 *     GLOT_TRY(glot_safetensors_open_dir(&s, "path/to/model", err));
 *     const glot_stored_tensor *t = glot_safetensors_find(s, "model.embed_tokens.weight");
 *     ...
 *     glot_safetensors_close(s);
 */
#ifndef GLOT_FORMAT_SAFETENSORS_H
#define GLOT_FORMAT_SAFETENSORS_H

#include "base/file.h"
#include "base/json.h"
#include "tensor/tensor.h"

/* One tensor of a file: `tensor.addr` points into the file's map (host memory), read-only, aligned for its
 * type: a tensor that the file has at an odd place is copied once, at opening. */
typedef struct glot_stored_tensor {
    const char *name; /* owned by the file object */
    glot_tensor tensor;
    const char *file; /* path, for messages */
} glot_stored_tensor;

typedef struct glot_safetensors glot_safetensors;

/* Opens one file; the map lives until close. */
glot_status glot_safetensors_open(glot_safetensors **out, const char *path, glot_error *err);
/* The same of a file's bytes in memory, borrowed until close; `path` is its name for messages. */
glot_status glot_safetensors_parse(glot_safetensors **out, const uint8_t *bytes, size_t size,
                                   const char *path, glot_error *err);
void glot_safetensors_close(glot_safetensors *s); /* NULL is allowed */
size_t glot_safetensors_count(const glot_safetensors *s);
const glot_stored_tensor *glot_safetensors_at(const glot_safetensors *s, size_t i); /* in file order */
const glot_stored_tensor *glot_safetensors_find(const glot_safetensors *s, const char *name); /* NULL: none */
/* Value of a key of __metadata__ (of the first shard that has it), or NULL. */
const char *glot_safetensors_metadata(const glot_safetensors *s, const char *key);

/* Opens DIR/model.safetensors, or else DIR/model.safetensors.index.json with all its shards, as one set:
 * every tensor of the index in the shard it names, no name twice, no shard tensor that the index leaves out.
 * Same functions as above then; shards come in the order of their names. */
glot_status glot_safetensors_open_dir(glot_safetensors **out, const char *dir, glot_error *err);

/* Writing: a list of tensors whose bytes are in host memory at `tensor.addr`, or made piece by piece by
 * `fill`. */
typedef struct glot_save_tensor {
    const char *name;
    glot_tensor tensor; /* addr NULL: the fill function below delivers the bytes */
} glot_save_tensor;
/* Pieces of this many bytes are asked for, the last one of a tensor being shorter: a whole number of any
 * type's blocks. */
enum { GLOT_SAVE_PIECE = 1 << 22 };
/* Delivers bytes [offset, offset + n) of tensor `index` into `out`; each tensor's pieces come in order,
 * once. */
typedef glot_status glot_save_fill(void *user, size_t index, size_t offset, size_t n, void *out,
                                   glot_error *err);

/* Writes one file atomically, byte for byte the same for the same list; `metadata` (flat string object) may
 * be NULL. The data starts at a multiple of 64; tensors lie by falling size of their elements, in the list's
 * order within one size, so that each is aligned. SHA-256 and size of the file go to `sha256_hex` and *bytes
 * where these are not NULL. A list that the format cannot hold (two of one name, a block type, a name that is
 * not UTF-8) is GLOT_BAD_ARGUMENT. */
glot_status glot_safetensors_save(const char *path, const glot_save_tensor *tensors, size_t n,
                                  const json_t *metadata, glot_save_fill *fill, void *user,
                                  char sha256_hex[65], uint64_t *bytes, glot_error *err);
/* Writes DIR/model.safetensors, or, where that would be larger than `shard_bytes`, files of at most so many
 * bytes (a single tensor may be larger) and the index, with the Hugging Face names; the list is cut in its
 * order. The index comes last. The other form's file in DIR is refused (GLOT_EXISTS), as readers would take
 * it for the model. */
glot_status glot_safetensors_save_dir(const char *dir, const glot_save_tensor *tensors, size_t n,
                                      const json_t *metadata, uint64_t shard_bytes, glot_save_fill *fill,
                                      void *user, glot_error *err);

#endif
