/* yaml_tree.h
 *
 * A YAML document as a small tree whose every node knows its line: what a recipe is read from. Only plain
 * data is taken: maps, lists and scalars. Anchors, aliases, tags, a second document, duplicate keys, keys
 * that are no plain text and deep nesting are refused with file and line. Scalars stay text: what a text
 * means is decided where it is known what is expected. Private to src/job.
 */
#ifndef GLOT_JOB_YAML_TREE_H
#define GLOT_JOB_YAML_TREE_H

#include "base/error.h"

typedef enum glot_yaml_kind { GLOT_YAML_SCALAR, GLOT_YAML_LIST, GLOT_YAML_MAP } glot_yaml_kind;

typedef struct glot_yaml_node {
    glot_yaml_kind kind;
    int line;                      /* from 1; 0: it comes from the command line */
    bool is_quoted;                /* a scalar in quotes or a block: never a number */
    char *text;                    /* of a scalar */
    char **keys;                   /* of a map: [n] */
    int *key_lines;                /* [n] */
    struct glot_yaml_node **items; /* of a map or list: [n] */
    size_t n, key_capacity, line_capacity, item_capacity;
} glot_yaml_node;

enum { GLOT_YAML_MAX_DEPTH = 16, GLOT_YAML_MAX_NODES = 20000 };

/* Parses one document. `path` for messages. With is_option the text comes from the command line: nodes have
 * line 0 and faults are GLOT_BAD_ARGUMENT. An empty document is an empty map (an empty scalar with
 * is_option). */
glot_status glot_yaml_parse(glot_yaml_node **out, const char *text, size_t size, const char *path,
                            bool is_option, glot_error *err);
void glot_yaml_free(glot_yaml_node *node); /* NULL is allowed */

/* An empty map (as an option's: line 0). */
glot_status glot_yaml_new_map(glot_yaml_node **out, glot_error *err);
/* The value of a key, NULL where there is none. */
glot_yaml_node *glot_yaml_get(const glot_yaml_node *map, const char *key);
int glot_yaml_key_line(const glot_yaml_node *map, const char *key);
/* Puts a value under a key in place of the one that is there; takes the node, on failure too. */
glot_status glot_yaml_put(glot_yaml_node *map, const char *key, glot_yaml_node *value, glot_error *err);
/* Removes a key if it is there. */
void glot_yaml_remove(glot_yaml_node *map, const char *key);

#endif
