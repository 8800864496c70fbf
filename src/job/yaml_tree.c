/* yaml_tree.c: libyaml's events to a tree. The recursion is bounded by GLOT_YAML_MAX_DEPTH. */
#include "job/yaml_tree.h"
#include "base/memory.h"

#include <string.h>
#include <yaml.h>

typedef struct tree_parser {
    yaml_parser_t yaml;
    const char *path;
    bool is_option;
    size_t n_nodes;
} tree_parser;

static glot_status next_event(tree_parser *p, yaml_event_t *event, glot_error *err);

/* ---- nodes ---- */

void glot_yaml_free(glot_yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->n; i++) {
        glot_yaml_free(node->items[i]);
        if (node->keys)
            glot_free(node->keys[i]);
    }
    glot_free(node->keys);
    glot_free(node->key_lines);
    glot_free(node->items);
    glot_free(node->text);
    glot_free(node);
}

glot_status glot_yaml_new_map(glot_yaml_node **out, glot_error *err)
{
    GLOT_TRY(glot_new(out, 1, sizeof **out, "the recipe", err));
    (*out)->kind = GLOT_YAML_MAP;
    return GLOT_OK;
}

static size_t find(const glot_yaml_node *map, const char *key)
{
    size_t i = 0;
    while (i < map->n && strcmp(map->keys[i], key) != 0)
        i++;
    return i;
}

glot_yaml_node *glot_yaml_get(const glot_yaml_node *map, const char *key)
{
    size_t i = map && map->kind == GLOT_YAML_MAP ? find(map, key) : 0;
    return map && map->kind == GLOT_YAML_MAP && i < map->n ? map->items[i] : NULL;
}

int glot_yaml_key_line(const glot_yaml_node *map, const char *key)
{
    size_t i = find(map, key);
    return i < map->n ? map->key_lines[i] : 0;
}

/* Appends an item, with its key where the node is a map. Takes both. */
static glot_status append(glot_yaml_node *node, char *key, int line, glot_yaml_node *item, glot_error *err)
{
    glot_status status = GLOT_OK;
    const char *what = "the recipe";
    GLOT_TRY_OUT(glot_grow(&node->items, &node->item_capacity, node->n + 1, sizeof *node->items, what, err));
    if (node->kind == GLOT_YAML_MAP) {
        GLOT_TRY_OUT(glot_grow(&node->keys, &node->key_capacity, node->n + 1, sizeof *node->keys, what, err));
        GLOT_TRY_OUT(glot_grow(&node->key_lines, &node->line_capacity, node->n + 1, sizeof *node->key_lines,
                               what, err));
        node->keys[node->n] = key;
        node->key_lines[node->n] = line;
    }
    node->items[node->n++] = item;
    return GLOT_OK;
out:
    glot_free(key);
    glot_yaml_free(item);
    return status;
}

glot_status glot_yaml_put(glot_yaml_node *map, const char *key, glot_yaml_node *value, glot_error *err)
{
    size_t i = find(map, key);
    if (i < map->n) {
        glot_yaml_free(map->items[i]);
        map->items[i] = value;
        map->key_lines[i] = value->line;
        return GLOT_OK;
    }
    char *copy = glot_strdup(key);
    if (!copy) {
        glot_yaml_free(value);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    }
    return append(map, copy, value->line, value, err);
}

void glot_yaml_remove(glot_yaml_node *map, const char *key)
{
    size_t i = find(map, key);
    if (i == map->n)
        return;
    glot_free(map->keys[i]);
    glot_yaml_free(map->items[i]);
    size_t behind = map->n - i - 1;
    memmove(map->keys + i, map->keys + i + 1, behind * sizeof *map->keys);
    memmove(map->key_lines + i, map->key_lines + i + 1, behind * sizeof *map->key_lines);
    memmove(map->items + i, map->items + i + 1, behind * sizeof *map->items);
    map->n--;
}

/* ---- parsing ---- */

static int line_of(const tree_parser *p, const yaml_mark_t *mark)
{
    return p->is_option ? 0 : (int)(mark->line < INT32_MAX - 1 ? mark->line + 1 : INT32_MAX);
}

#define REFUSE(p, mark, err, format, ...)                                                                    \
    ((p)->is_option ? GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s: " format, (p)->path, ##__VA_ARGS__)             \
                    : GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' line %d: " format, (p)->path, line_of(p, mark),  \
                                ##__VA_ARGS__))

static glot_status syntax_error(tree_parser *p, glot_error *err)
{
    const char *problem = p->yaml.problem ? p->yaml.problem : "not readable";
    if (p->yaml.error == YAML_MEMORY_ERROR)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for reading '%s'", p->path);
    if (p->yaml.error == YAML_READER_ERROR && !p->is_option)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is not UTF-8 text: %s at byte %zu", p->path, problem,
                         p->yaml.problem_offset);
    return REFUSE(p, &p->yaml.problem_mark, err, "not valid YAML: %s", problem);
}

static glot_status next_event(tree_parser *p, yaml_event_t *event, glot_error *err)
{
    return yaml_parser_parse(&p->yaml, event) ? GLOT_OK : syntax_error(p, err);
}

/* Anchors and tags have no use in a recipe, and aliases can blow a small file up. */
static glot_status check_plain(tree_parser *p, const yaml_event_t *e, glot_error *err)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_ALIAS_EVENT)
        return REFUSE(p, &e->start_mark, err, "'*%s' is a YAML alias, and a recipe has none",
                      (const char *)e->data.alias.anchor);
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor)
        return REFUSE(p, &e->start_mark, err, "'&%s' is a YAML anchor, and a recipe has none",
                      (const char *)anchor);
    if (tag)
        return REFUSE(p, &e->start_mark, err, "'%s' is a YAML tag, and a recipe has none", (const char *)tag);
    return GLOT_OK;
}

static glot_status read_node(tree_parser *p, glot_yaml_node **out, const yaml_event_t *first, int depth,
                             glot_error *err);

static glot_status check_key(tree_parser *p, const glot_yaml_node *map, const yaml_event_t *e,
                             glot_error *err)
{
    GLOT_TRY(check_plain(p, e, err));
    if (e->type != YAML_SCALAR_EVENT)
        return REFUSE(p, &e->start_mark, err, "a key that is no plain text");
    const char *text = (const char *)e->data.scalar.value;
    if (strlen(text) != e->data.scalar.length || !*text)
        return REFUSE(p, &e->start_mark, err, "a key that is empty or holds a zero byte");
    size_t i = find(map, text);
    if (i < map->n && p->is_option)
        return REFUSE(p, &e->start_mark, err, "key '%s' stands there twice", text);
    if (i < map->n)
        return REFUSE(p, &e->start_mark, err, "key '%s' stands there twice, first in line %d", text,
                      map->key_lines[i]);
    return GLOT_OK;
}

/* One "key: value" whose key event is `e`. */
static glot_status read_pair(tree_parser *p, glot_yaml_node *map, const yaml_event_t *e, int depth,
                             glot_error *err)
{
    yaml_event_t value;
    glot_yaml_node *item = NULL;
    GLOT_TRY(check_key(p, map, e, err));
    GLOT_TRY(next_event(p, &value, err));
    glot_status status = read_node(p, &item, &value, depth + 1, err);
    yaml_event_delete(&value);
    GLOT_TRY(status);
    char *key = glot_strdup((const char *)e->data.scalar.value);
    if (!key) {
        glot_yaml_free(item);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    }
    return append(map, key, line_of(p, &e->start_mark), item, err);
}

static glot_status read_item(tree_parser *p, glot_yaml_node *list, const yaml_event_t *e, int depth,
                             glot_error *err)
{
    glot_yaml_node *item = NULL;
    GLOT_TRY(read_node(p, &item, e, depth + 1, err));
    return append(list, NULL, 0, item, err);
}

/* Fills a map or list up to its end event. */
static glot_status read_items(tree_parser *p, glot_yaml_node *node, int depth, glot_error *err)
{
    for (;;) {
        yaml_event_t e;
        GLOT_TRY(next_event(p, &e, err));
        bool is_end = e.type == YAML_MAPPING_END_EVENT || e.type == YAML_SEQUENCE_END_EVENT;
        glot_status status = GLOT_OK;
        if (!is_end)
            status = node->kind == GLOT_YAML_MAP ? read_pair(p, node, &e, depth, err)
                                                 : read_item(p, node, &e, depth, err);
        yaml_event_delete(&e);
        if (is_end || status != GLOT_OK)
            return status;
    }
}

static glot_status read_scalar(tree_parser *p, glot_yaml_node *node, const yaml_event_t *e, glot_error *err)
{
    const char *text = (const char *)e->data.scalar.value;
    if (strlen(text) != e->data.scalar.length)
        return REFUSE(p, &e->start_mark, err, "a text that holds a zero byte");
    node->is_quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = glot_strdup(text);
    return node->text ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
}

/* The node that begins with `first`. */
static glot_status read_node(tree_parser *p, glot_yaml_node **out, const yaml_event_t *first, int depth,
                             glot_error *err)
{
    glot_yaml_node *node = NULL;
    GLOT_TRY(check_plain(p, first, err));
    if (depth > GLOT_YAML_MAX_DEPTH)
        return REFUSE(p, &first->start_mark, err, "nested more than %d deep", GLOT_YAML_MAX_DEPTH);
    if (++p->n_nodes > GLOT_YAML_MAX_NODES)
        return REFUSE(p, &first->start_mark, err, "more than %d values", GLOT_YAML_MAX_NODES);
    GLOT_TRY(glot_new(&node, 1, sizeof *node, "the recipe", err));
    node->line = line_of(p, &first->start_mark);
    glot_status status;
    if (first->type == YAML_SCALAR_EVENT) {
        node->kind = GLOT_YAML_SCALAR;
        status = read_scalar(p, node, first, err);
    } else {
        node->kind = first->type == YAML_MAPPING_START_EVENT ? GLOT_YAML_MAP : GLOT_YAML_LIST;
        status = read_items(p, node, depth, err);
    }
    if (status == GLOT_OK)
        *out = node;
    else
        glot_yaml_free(node);
    return status;
}

/* An empty text's tree. */
static glot_status empty_document(tree_parser *p, glot_yaml_node **out, glot_error *err)
{
    GLOT_TRY(glot_yaml_new_map(out, err));
    if (!p->is_option)
        return GLOT_OK;
    (*out)->kind = GLOT_YAML_SCALAR;
    (*out)->text = glot_strdup("");
    if ((*out)->text)
        return GLOT_OK;
    glot_yaml_free(*out);
    *out = NULL;
    return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
}

/* Takes the events around the one document. */
static glot_status read_stream(tree_parser *p, glot_yaml_node **out, glot_error *err)
{
    glot_status status = GLOT_OK;
    for (;;) {
        yaml_event_t e;
        GLOT_TRY(next_event(p, &e, err));
        yaml_event_type_t type = e.type;
        if (type == YAML_DOCUMENT_START_EVENT && *out)
            status = REFUSE(p, &e.start_mark, err, "a second YAML document begins, expected one");
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                 type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
            status = read_node(p, out, &e, 0, err);
        yaml_event_delete(&e);
        if (status != GLOT_OK || type == YAML_STREAM_END_EVENT)
            break;
    }
    return status == GLOT_OK && !*out ? empty_document(p, out, err) : status;
}

glot_status glot_yaml_parse(glot_yaml_node **out, const char *text, size_t size, const char *path,
                            bool is_option, glot_error *err)
{
    tree_parser p = {.path = path, .is_option = is_option};
    glot_yaml_node *root = NULL;
    if (!yaml_parser_initialize(&p.yaml))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for reading '%s'", path);
    yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, size);
    glot_status status = read_stream(&p, &root, err);
    yaml_parser_delete(&p.yaml);
    if (status == GLOT_OK)
        *out = root;
    else
        glot_yaml_free(root);
    return status;
}
