/* report_run.c: what a report is made of: the files of a finished run. */
#include "base/file.h"
#include "base/memory.h"
#include "job/report.h"
#include "job/report_parts.h"
#include "job/run_dir.h"
#include "job/yaml_tree.h"

#include <string.h>

glot_status glot_report_check(const char *dir, glot_error *err)
{
    json_t *state = NULL;
    GLOT_TRY(glot_run_dir_read_state(&state, dir, err));
    bool is_done = glot_run_state_is_done(state, "model");
    json_decref(state);
    if (!is_done)
        return GLOT_FAIL(err, GLOT_NOT_FOUND,
                         "the run in '%s' is not finished, so that it has no results to report; the command "
                         "that began it goes on "
                         "with it, 'glot watch %s' tells how far it is",
                         dir, dir);
    return GLOT_OK;
}

static glot_status load_file(char **text, size_t *size, const char *dir, const char *name, glot_error *err)
{
    char *path = glot_path_join(dir, name);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_file_read(text, size, path, 1 << 24, err);
    glot_free(path);
    return status;
}

glot_status glot_report_load(glot_report_run *run, const char *dir, glot_error *err)
{
    *run = (glot_report_run){.dir = dir};
    char *path = glot_path_join(dir, "results.json");
    glot_status status = path ? glot_json_load_file(&run->results, path, err)
                              : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_free(path);
    if (status == GLOT_OK)
        status = glot_run_dir_read_metrics(&run->lines, dir, err);
    if (status == GLOT_OK)
        status = load_file(&run->recipe, &run->recipe_bytes, dir, "recipe.yaml", err);
    if (status != GLOT_OK)
        glot_report_release(run);
    return status;
}

void glot_report_release(glot_report_run *run)
{
    json_decref(run->results);
    json_decref(run->lines);
    glot_free(run->recipe);
    *run = (glot_report_run){0};
}

/* ---- the recipe as one list ---- */

/* An absolute path as seen from the folder `from`, so that runs on two machines or in two checkouts say the
 * same of the same files; as it is where they have no folder in common. */
static void put_path(glot_str *out, const char *path, const char *from)
{
    size_t at = 0, same = 0, n_from = strlen(from); /* same: bytes of the folders that both are in */
    for (; path[at] && path[at] == from[at]; at++)
        if (path[at] == '/')
            same = at + 1;
    if (path[at] == '/' && at == n_from) /* the path is below `from` */
        same = at + 1;
    if (same <= 1) {
        glot_str_puts(out, path);
        return;
    }
    for (size_t i = same; i < n_from; i++)
        if (i == same || from[i - 1] == '/')
            glot_str_puts(out, "../");
    glot_str_puts(out, path + same);
}

/* A value as it would stand in a recipe on one line, in the folder `from`. */
static void put_value(glot_str *out, const glot_yaml_node *node, const char *from)
{
    if (node->kind == GLOT_YAML_SCALAR) {
        if (node->text[0] == '/')
            put_path(out, node->text, from);
        else
            glot_str_puts(out, node->text);
        return;
    }
    glot_str_puts(out, node->kind == GLOT_YAML_LIST ? "[" : "{");
    for (size_t i = 0; i < node->n; i++) {
        glot_str_puts(out, i ? ", " : "");
        if (node->kind == GLOT_YAML_MAP)
            glot_str_printf(out, "%s: ", node->keys[i]);
        put_value(out, node->items[i], from);
    }
    glot_str_puts(out, node->kind == GLOT_YAML_LIST ? "]" : "}");
}

/* Puts the values below `node` into `flat` under "section.key"; `path` is the key of node. */
static glot_status flatten(json_t *flat, const char *path, const glot_yaml_node *node, const char *from,
                           glot_error *err)
{
    glot_str text = {0};
    glot_status status = GLOT_OK;
    if (node->kind != GLOT_YAML_MAP) {
        put_value(&text, node, from);
        status = glot_str_check(&text, "the recipe", err);
        if (status == GLOT_OK &&
            json_object_set_new(flat, path, json_string(text.data ? text.data : "")) != 0)
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    }
    for (size_t i = 0; node->kind == GLOT_YAML_MAP && i < node->n && status == GLOT_OK; i++) {
        glot_str_reset(&text);
        glot_str_printf(&text, "%s%s%s", path, *path ? "." : "", node->keys[i]);
        status = glot_str_check(&text, "the recipe", err);
        if (status == GLOT_OK)
            status = flatten(flat, text.data, node->items[i], from, err);
    }
    glot_str_release(&text);
    return status;
}

/* Where the run is by its recipe; "" where that does not say. */
static const char *output_of(const glot_yaml_node *tree)
{
    for (size_t i = 0; tree->kind == GLOT_YAML_MAP && i < tree->n; i++)
        if (strcmp(tree->keys[i], "output") == 0 && tree->items[i]->kind == GLOT_YAML_SCALAR)
            return tree->items[i]->text;
    return "";
}

glot_status glot_report_flat_recipe(json_t **out, const glot_report_run *run, glot_error *err)
{
    glot_yaml_node *tree = NULL;
    json_t *flat = json_object();
    glot_status status = flat ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    if (status == GLOT_OK)
        status = glot_yaml_parse(&tree, run->recipe, run->recipe_bytes, run->dir, false, err);
    if (status == GLOT_OK)
        status = flatten(flat, "", tree, output_of(tree), err);
    glot_yaml_free(tree);
    if (status == GLOT_OK)
        *out = flat;
    else
        json_decref(flat);
    return status;
}
