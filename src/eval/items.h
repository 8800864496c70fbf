/* items.h
 *
 * Multiple-choice items: JSON lines of {"id", "query", "choices", "gold"} (INTERFACES, "Commands"), or lines
 * of a data set and the template that says what is what in them. "id" is any string or number (where it is
 * missing: the line's number), "gold" counts from 0, other keys are allowed.
 */
#ifndef GLOT_EVAL_ITEMS_H
#define GLOT_EVAL_ITEMS_H

#include "base/json.h"
#include "eval/template.h"

typedef struct glot_item {
    json_t *id;         /* owned */
    glot_texts queries; /* one for all choices, or one for each */
    glot_texts choices; /* one for each, or one for all; one query and one choice: a text to complete */
    size_t gold;
} glot_item;

typedef struct glot_items {
    glot_item *items;
    size_t n, capacity;
} glot_items;

/* How many choices there are, and what stands for one of them. */
size_t glot_item_n_choices(const glot_item *item);
const char *glot_item_query(const glot_item *item, size_t choice);
const char *glot_item_choice(const glot_item *item, size_t choice);
/* Whether two are the same: an item is never its own example. */
bool glot_item_is_same(const glot_item *a, const glot_item *b);

/* Reads a file, plain, gzip or zstd; blank lines are skipped. A line that is no item (no JSON object, a key
 * missing or of another type, fewer than two choices, a gold that is none of them) is refused with file and
 * line; a file without items too. At most `limit` items (0: all). `out` is zeroed first. */
glot_status glot_items_read(glot_items *out, const char *path, const glot_template *t, size_t limit,
                            glot_error *err);
/* One line, which may give none or several where the template has `each`. The fuzz target's door. */
glot_status glot_items_add(glot_items *out, const char *line, size_t size, const char *path, uint64_t number,
                           const glot_template *t, glot_error *err);
/* Whether every item finds `shots` examples that are not itself; `path` is the examples' file, for the
 * message. */
glot_status glot_items_check_examples(const glot_items *items, const glot_items *examples, size_t shots,
                                      const char *path, glot_error *err);
void glot_items_release(glot_items *items);

/* A task's name: its file's, without folder, compression and .jsonl. The caller frees; NULL: no memory. */
char *glot_task_name(const char *path);

#endif
