/* items.h
 *
 * Multiple-choice items: JSON lines of {"id", "query", "choices", "gold"} (INTERFACES, "Commands"). "id" is any string or number (where it is
 * missing: the line's number), "gold" counts from 0, other keys are allowed.
 */
#ifndef GLOT_EVAL_ITEMS_H
#define GLOT_EVAL_ITEMS_H

#include "base/json.h"

typedef struct glot_item {
    json_t *id;           /* owned */
    char *query;          /* owned */
    char **choices;       /* [n_choices], owned */
    size_t n_choices, gold;
} glot_item;

typedef struct glot_items {
    glot_item *items;
    size_t n, capacity;
} glot_items;

/* Reads a file, plain, gzip or zstd. A line that is no item (no JSON object, a key missing or of another type, fewer than two choices, a gold
 * that is none of them) is refused with file and line; a file without items too. `out` is zeroed first. */
glot_status glot_items_read(glot_items *out, const char *path, glot_error *err);
/* One line. The fuzz target's door. */
glot_status glot_items_add(glot_items *out, const char *line, size_t size, const char *path, uint64_t number, glot_error *err);
void glot_items_release(glot_items *items);

#endif
