/* safetensors_file.h: what the source files of the safetensors reader and writer share. */
#ifndef GLOT_FORMAT_SAFETENSORS_FILE_H
#define GLOT_FORMAT_SAFETENSORS_FILE_H

#include "format/stored.h"

#define GLOT_SAFETENSORS_NAME "model.safetensors"
#define GLOT_SAFETENSORS_INDEX_NAME "model.safetensors.index.json"
#define GLOT_SAFETENSORS_METADATA "__metadata__"

/* One file of a set. */
typedef struct glot_safetensors_shard {
    char *path;
    glot_map map;     /* empty where the bytes are borrowed */
    json_t *metadata; /* object of strings, or NULL */
} glot_safetensors_shard;

struct glot_safetensors {
    glot_safetensors_shard *shards; /* [n_shards] */
    size_t n_shards, shards_capacity;
    glot_stored_table table;
    void **copies; /* [n_copies] tensors whose place in the file is not aligned */
    size_t n_copies, copies_capacity;
};

/* Maps one more file and appends its tensors; the caller indexes the table when all are there. */
glot_status glot_safetensors_add_file(glot_safetensors *s, const char *path, glot_error *err);

/* Where a list of tensors is cut so that no file is larger than `shard_bytes`: shard i holds tensors first[i]
 * .. first[i + 1] - 1. At least one shard, none empty but that of an empty list. The caller frees `first`. */
typedef struct glot_shard_plan {
    size_t *first; /* [n_shards + 1] */
    size_t n_shards;
    uint64_t total_bytes; /* of all tensors */
} glot_shard_plan;
glot_status glot_shard_plan_make(glot_shard_plan *plan, const glot_save_tensor *tensors, size_t n,
                                 const json_t *metadata, uint64_t shard_bytes, glot_error *err);

#endif
