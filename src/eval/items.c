/* items.c: JSON lines to items. */
#include "eval/items.h"
#include "base/memory.h"
#include "text/corpus.h"

#include <string.h>

static void release_item(glot_item *item)
{
    json_decref(item->id);
    glot_texts_release(&item->queries);
    glot_texts_release(&item->choices);
    *item = (glot_item){0};
}

void glot_items_release(glot_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        release_item(&items->items[i]);
    glot_free(items->items);
    *items = (glot_items){0};
}

size_t glot_item_n_choices(const glot_item *item)
{
    return item->queries.n > 1 ? item->queries.n : item->choices.n;
}

const char *glot_item_query(const glot_item *item, size_t choice)
{
    return item->queries.items[item->queries.n > 1 ? choice : 0];
}

const char *glot_item_choice(const glot_item *item, size_t choice)
{
    return item->choices.items[item->choices.n > 1 ? choice : 0];
}

bool glot_item_is_same(const glot_item *a, const glot_item *b)
{
    return json_equal(a->id, b->id) && strcmp(glot_item_query(a, a->gold), glot_item_query(b, b->gold)) == 0;
}

static glot_status read_id(glot_item *item, const glot_template_source *source, uint64_t number,
                           glot_error *err)
{
    json_t *id = source->element ? json_object_get(source->element, "id") : NULL;
    id = id ? id : json_object_get(source->line, "id");
    if (id && !json_is_string(id) && !json_is_number(id))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key 'id' is no string and no number", source->where);
    item->id = id ? json_incref(id) : json_integer((json_int_t)number);
    return item->id ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for an item");
}

static glot_status check_choices(const glot_item *item, const glot_template *t, const char *where,
                                 glot_error *err)
{
    size_t n = glot_item_n_choices(item);
    if (item->queries.n == 0)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the list of queries is empty", where);
    if (item->queries.n != 1 && item->choices.n != 1)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': %zu queries and %zu choices, expected one choice for all queries", where,
                         item->queries.n, item->choices.n);
    if (!t->gold && n != 1)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': a text to complete has %zu endings, expected 1", where,
                         n);
    if (t->gold && n < 2 && !t->each)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': an item has %zu choice%s, expected at least 2", where,
                         n, n == 1 ? "" : "s");
    for (size_t i = 0; i < item->choices.n; i++)
        if (!*item->choices.items[i])
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': choice %zu is empty", where, i);
    return GLOT_OK;
}

/* Of a list of objects (`each`) some may leave one choice; nowhere else. */
static bool is_nothing_to_choose(const glot_item *item, const glot_template *t)
{
    return t->gold && glot_item_n_choices(item) < 2;
}

static glot_status read_item(glot_item *item, const glot_template_source *source, uint64_t number,
                             const glot_template *t, glot_error *err)
{
    GLOT_TRY(read_id(item, source, number, err));
    GLOT_TRY(glot_template_render(&item->queries, t->query, source, err));
    for (const char *const *choice = t->choices; *choice; choice++)
        GLOT_TRY(glot_template_render(&item->choices, *choice, source, err));
    GLOT_TRY(check_choices(item, t, source->where, err));
    if (!t->gold || is_nothing_to_choose(item, t))
        return GLOT_OK;
    return glot_template_gold(&item->gold, t, item->queries.n > 1 ? &item->queries : &item->choices, source,
                              err);
}

/* An item of one source; one with nothing to choose between is left out where the template says so. */
static glot_status add_item(glot_items *out, const glot_template_source *source, uint64_t number,
                            const glot_template *t, glot_error *err)
{
    glot_item item = {0};
    glot_status status = read_item(&item, source, number, t, err);
    bool is_kept = status == GLOT_OK && !is_nothing_to_choose(&item, t);
    if (is_kept)
        status = glot_grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items, "items", err);
    if (status == GLOT_OK && is_kept)
        out->items[out->n++] = item;
    else
        release_item(&item);
    return status;
}

static glot_status add_line(glot_items *out, const json_t *line, const char *where, uint64_t number,
                            const glot_template *t, glot_error *err)
{
    glot_template_source source = {.line = line, .where = where};
    if (!json_is_object(line))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': no JSON object", where);
    if (!t->each)
        return add_item(out, &source, number, t, err);
    const json_t *list = json_object_get(line, t->each);
    if (!json_is_array(list))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': key '%s' is missing or no list", where, t->each);
    for (size_t i = 0; i < json_array_size(list); i++) {
        source.element = json_array_get(list, i);
        GLOT_TRY(add_item(out, &source, number, t, err));
    }
    return GLOT_OK;
}

glot_status glot_items_add(glot_items *out, const char *line, size_t size, const char *path, uint64_t number,
                           const glot_template *t, glot_error *err)
{
    json_t *o = NULL;
    glot_str where = {0};
    glot_str_printf(&where, "%s line %" PRIu64, path, number);
    glot_status status = glot_str_check(&where, "an item", err);
    if (status == GLOT_OK)
        status = glot_json_load(&o, line, size, where.data, err);
    if (status == GLOT_OK)
        status = add_line(out, o, where.data, number, t, err);
    json_decref(o);
    glot_str_release(&where);
    return status;
}

static void keep_first(glot_items *items, size_t limit)
{
    while (limit && items->n > limit)
        release_item(&items->items[--items->n]);
}

glot_status glot_items_read(glot_items *out, const char *path, const glot_template *t, size_t limit,
                            glot_error *err)
{
    glot_lines *lines = NULL;
    const char *line = NULL;
    size_t size;
    *out = (glot_items){0};
    GLOT_TRY(glot_lines_open(&lines, path, err));
    glot_status status = GLOT_OK;
    while ((limit == 0 || out->n < limit) &&
           (status = glot_lines_next_text(lines, &line, &size, err)) == GLOT_OK && line)
        if (!glot_line_is_blank(line, size) &&
            (status = glot_items_add(out, line, size, path, glot_lines_number(lines), t, err)) != GLOT_OK)
            break;
    keep_first(out, limit);
    if (status == GLOT_OK && out->n == 0)
        status = GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has no items", path);
    if (status != GLOT_OK)
        glot_items_release(out);
    glot_lines_close(lines);
    return status;
}

glot_status glot_items_check_examples(const glot_items *items, const glot_items *examples, size_t shots,
                                      const char *path, glot_error *err)
{
    for (size_t i = 0; i < items->n; i++) {
        size_t n = 0;
        for (size_t e = 0; e < examples->n && n < shots; e++)
            n += !glot_item_is_same(&examples->items[e], &items->items[i]);
        if (n < shots)
            return GLOT_FAIL(
                err, GLOT_BAD_VALUE,
                "'%s' has %zu example%s for item %zu (an item is never its own), expected the %zu of 'shots'",
                path, n, n == 1 ? "" : "s", i + 1, shots);
    }
    return GLOT_OK;
}

char *glot_task_name(const char *path)
{
    static const char *const endings[] = {".gz", ".zst", ".jsonl"};
    const char *slash = strrchr(path, '/');
    char *name = glot_strdup(slash ? slash + 1 : path);
    for (size_t i = 0; name && i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(name), k = strlen(endings[i]);
        if (n > k && strcmp(name + n - k, endings[i]) == 0)
            name[n - k] = '\0';
    }
    return name;
}
