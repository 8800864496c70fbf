/* items.c: JSON lines to items. */
#include "eval/items.h"
#include "base/memory.h"
#include "base/str.h"
#include "text/corpus.h"

#include <string.h>

static void release_item(glot_item *item)
{
    json_decref(item->id);
    glot_free(item->query);
    for (size_t i = 0; item->choices && i < item->n_choices; i++)
        glot_free(item->choices[i]);
    glot_free(item->choices);
    *item = (glot_item){0};
}

void glot_items_release(glot_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        release_item(&items->items[i]);
    glot_free(items->items);
    *items = (glot_items){0};
}

static glot_status copy_text(char **out, const char *text, glot_error *err)
{
    *out = glot_strdup(text);
    return *out ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for an item");
}

static glot_status read_choices(glot_item *item, const json_t *o, const char *where, glot_error *err)
{
    const json_t *choices = json_object_get(o, "choices");
    size_t n = json_array_size(choices);
    if (n < 2)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key 'choices' has %zu texts, expected a list of at least 2", where, n);
    GLOT_TRY(glot_new(&item->choices, n, sizeof *item->choices, "an item", err));
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(choices, i));
        if (!text || !*text)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': choice %zu is no text, expected one that is not empty", where, i);
        item->n_choices = i + 1;
        GLOT_TRY(copy_text(&item->choices[i], text, err));
    }
    return GLOT_OK;
}

static glot_status read_item(glot_item *item, const json_t *o, const char *where, uint64_t number, glot_error *err)
{
    json_t *id = json_object_get(o, "id");
    const char *query;
    int64_t gold;
    if (id && !json_is_string(id) && !json_is_number(id))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key 'id' is no string and no number", where);
    item->id = id ? json_incref(id) : json_integer((json_int_t)number);
    if (!item->id)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for an item");
    GLOT_TRY(glot_json_get_string(o, "query", &query, where, err));
    GLOT_TRY(copy_text(&item->query, query, err));
    GLOT_TRY(read_choices(item, o, where, err));
    GLOT_TRY(glot_json_get_int(o, "gold", &gold, where, err));
    if (gold < 0 || gold >= (int64_t)item->n_choices)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key 'gold' is %" PRId64 ", expected 0 to %zu", where, gold, item->n_choices - 1);
    item->gold = (size_t)gold;
    return GLOT_OK;
}

glot_status glot_items_add(glot_items *out, const char *line, size_t size, const char *path, uint64_t number, glot_error *err)
{
    json_t *o = NULL;
    glot_item item = {0};
    glot_str where = {0};
    glot_str_printf(&where, "%s line %" PRIu64, path, number);
    glot_status status = glot_str_check(&where, "an item", err);
    if (status == GLOT_OK)
        status = glot_json_load(&o, line, size, where.data, err);
    if (status == GLOT_OK && !json_is_object(o))
        status = GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': no JSON object, expected {\"query\", \"choices\", \"gold\"}", where.data);
    if (status == GLOT_OK)
        status = read_item(&item, o, where.data, number, err);
    if (status == GLOT_OK)
        status = glot_grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items, "items", err);
    if (status == GLOT_OK)
        out->items[out->n++] = item;
    else
        release_item(&item);
    json_decref(o);
    glot_str_release(&where);
    return status;
}

glot_status glot_items_read(glot_items *out, const char *path, glot_error *err)
{
    glot_lines *lines = NULL;
    const char *line = NULL;
    size_t size;
    *out = (glot_items){0};
    GLOT_TRY(glot_lines_open(&lines, path, err));
    glot_status status;
    while ((status = glot_lines_next(lines, &line, &size, err)) == GLOT_OK && line)
        if (size > 0 && (status = glot_items_add(out, line, size, path, glot_lines_number(lines), err)) != GLOT_OK)
            break;
    if (status == GLOT_OK && out->n == 0)
        status = GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has no items", path);
    if (status != GLOT_OK)
        glot_items_release(out);
    glot_lines_close(lines);
    return status;
}
