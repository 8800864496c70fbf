/* stored.c: the table of tensors of a file, searched by halving. */
#include "format/stored.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

glot_status glot_stored_add(glot_stored_table *table, const char *name, size_t length,
                            const glot_tensor *tensor, const char *file, glot_error *err)
{
    GLOT_TRY(glot_grow(&table->items, &table->capacity, table->n + 1, sizeof *table->items,
                       "the table of tensors", err));
    char *copy = glot_strndup(name, length);
    if (!copy)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a tensor (%zu bytes)", length);
    table->items[table->n++] = (glot_stored_tensor){.name = copy, .tensor = *tensor, .file = file};
    return GLOT_OK;
}

static int compare_names(const void *a, const void *b)
{
    const glot_stored_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

glot_status glot_stored_index(glot_stored_table *table, glot_error *err)
{
    GLOT_TRY(glot_new(&table->by_name, table->n, sizeof *table->by_name, "the names of the tensors", err));
    for (size_t i = 0; i < table->n; i++)
        table->by_name[i] = &table->items[i];
    qsort(table->by_name, table->n, sizeof *table->by_name, compare_names);
    for (size_t i = 1; i < table->n; i++) {
        const glot_stored_tensor *a = table->by_name[i - 1], *b = table->by_name[i];
        if (strcmp(a->name, b->name) != 0)
            continue;
        if (strcmp(a->file, b->file) == 0)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': two tensors are called '%s'", a->file, a->name);
        bool in_order = strcmp(a->file, b->file) < 0;
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' and '%s' both have a tensor '%s'",
                         in_order ? a->file : b->file, in_order ? b->file : a->file, a->name);
    }
    return GLOT_OK;
}

const glot_stored_tensor *glot_stored_find(const glot_stored_table *table, const char *name)
{
    size_t low = 0, high = table->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table->by_name[middle]->name, name);
        if (order == 0)
            return table->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void glot_stored_release(glot_stored_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        glot_free((char *)table->items[i].name);
    glot_free(table->items);
    glot_free(table->by_name);
    *table = (glot_stored_table){0};
}
