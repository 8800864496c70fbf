/* stored.h
 *
 * The table of tensors that a file (or a set of shards) holds: in file order, with a second order by name for
 * searching. Shared by the readers of this folder.
 */
#ifndef GLOT_FORMAT_STORED_H
#define GLOT_FORMAT_STORED_H

#include "format/safetensors.h"

/* Longest tensor name that is accepted, in bytes: longer than any model's, short enough to stand in a
 * message. */
enum { GLOT_MAX_TENSOR_NAME = 512 };

/* Zero it to start. */
typedef struct glot_stored_table {
    glot_stored_tensor *items; /* [n] in file order; names owned */
    size_t n, capacity;
    const glot_stored_tensor **by_name; /* [n] after glot_stored_index */
} glot_stored_table;

/* Appends a tensor; the name's `length` bytes are copied. `file` is borrowed and must live as long as the
 * table. */
glot_status glot_stored_add(glot_stored_table *table, const char *name, size_t length,
                            const glot_tensor *tensor, const char *file, glot_error *err);
/* Builds the order by name, once, after the last add. GLOT_BAD_FORMAT where two tensors have one name. */
glot_status glot_stored_index(glot_stored_table *table, glot_error *err);
/* NULL where there is none. */
const glot_stored_tensor *glot_stored_find(const glot_stored_table *table, const char *name);
void glot_stored_release(glot_stored_table *table);

#endif
