/* recipe_tasks.c: a task of a recipe is a small map of its own, read by a table like the recipe itself. */
#include "job/recipe_tasks.h"
#include "base/memory.h"
#include "job/recipe_values.h"

#include <string.h>

#define AT(member) offsetof(glot_recipe_task, member)

const glot_recipe_key glot_recipe_task_keys[] = {
    {.name = "file",
     .type = GLOT_KEY_PATH,
     .offset = AT(file),
     .help = "JSON lines: items {\"id\", \"query\", \"choices\", \"gold\"}, or what the template reads "
             "(required)"},
    {.name = "name",
     .type = GLOT_KEY_TEXT,
     .offset = AT(name),
     .help = "what the scores stand under; the file's name without it"},
    {.name = "template",
     .type = GLOT_KEY_TEXT,
     .offset = AT(template_name),
     .help = "a template of docs/evaluation.md by name"},
    {.name = "query",
     .type = GLOT_KEY_TEXT,
     .offset = AT(query),
     .help = "a template of the recipe's own: the query, with {placeholders}; empty without it"},
    {.name = "choices",
     .type = GLOT_KEY_TEXTS,
     .offset = AT(choices),
     .help = "its choices: a placeholder of a list, or texts"},
    {.name = "gold",
     .type = GLOT_KEY_TEXT,
     .offset = AT(gold),
     .help = "its right choice: a placeholder of a number from 0, of one of `labels`, or of one of the "
             "choices ({gold} without it)"},
    {.name = "labels",
     .type = GLOT_KEY_TEXTS,
     .offset = AT(labels),
     .help = "what `gold` says, in the order of the choices"},
    {.name = "complete",
     .type = GLOT_KEY_TEXT,
     .offset = AT(complete),
     .help = "instead of choices and gold: how the query must go on, token for token"},
    {.name = "each",
     .type = GLOT_KEY_TEXT,
     .offset = AT(each),
     .help = "a list of objects in a line: an item for each"},
    {.name = "examples",
     .type = GLOT_KEY_PATH,
     .offset = AT(examples),
     .help = "few-shot examples, as the file; an item is never its own example"},
    {.name = "shots",
     .type = GLOT_KEY_INT,
     .offset = AT(shots),
     .min = 0,
     .max = 1000,
     .help = "how many of them stand in front of each item"},
    {.name = "limit",
     .type = GLOT_KEY_INT,
     .offset = AT(limit),
     .min = 1,
     .max = 1e9,
     .help = "the first so many items; all without it"},
    {.name = NULL},
};

/* ---- values ---- */

static void clear_task(glot_recipe_task *task)
{
    for (const glot_recipe_key *k = glot_recipe_task_keys; k->name; k++)
        glot_recipe_value_clear((char *)task + k->offset, k);
}

void glot_recipe_tasks_clear(glot_recipe_tasks *tasks)
{
    for (size_t i = 0; i < tasks->n; i++)
        clear_task(&tasks->items[i]);
    glot_free(tasks->items);
    *tasks = (glot_recipe_tasks){0};
}

static const glot_recipe_key *find_key(const char *name)
{
    const glot_recipe_key *k = glot_recipe_task_keys;
    while (k->name && strcmp(k->name, name) != 0)
        k++;
    return k->name ? k : NULL;
}

static glot_status read_map(glot_recipe_task *task, const glot_yaml_node *node, const char *folder,
                            glot_str *problem)
{
    for (size_t i = 0; i < node->n; i++) {
        const glot_recipe_key *k = find_key(node->keys[i]);
        if (!k) {
            glot_str_printf(problem, "has a task with '%s', which is not known", node->keys[i]);
            return GLOT_BAD_VALUE;
        }
        glot_str_printf(problem, "has a task whose '%s' ", k->name);
        GLOT_TRY(glot_recipe_value_read((char *)task + k->offset, k, node->items[i], folder, problem));
        glot_str_reset(problem);
    }
    return GLOT_OK;
}

static glot_status read_task(glot_recipe_tasks *tasks, const glot_yaml_node *node, const char *folder,
                             glot_str *problem)
{
    GLOT_TRY(
        glot_grow(&tasks->items, &tasks->capacity, tasks->n + 1, sizeof *tasks->items, "the recipe", NULL));
    glot_recipe_task *task = &tasks->items[tasks->n++];
    *task = (glot_recipe_task){0};
    clear_task(task);
    if (node->kind == GLOT_YAML_MAP)
        return read_map(task, node, folder, problem);
    const glot_recipe_key *file = find_key("file");
    return glot_recipe_value_read((char *)task + file->offset, file, node, folder, problem);
}

glot_status glot_recipe_tasks_read(glot_recipe_tasks *tasks, const glot_recipe_key *key,
                                   const glot_yaml_node *node, const char *folder, glot_str *problem)
{
    (void)key;
    if (node->kind != GLOT_YAML_LIST)
        return read_task(tasks, node, folder, problem);
    for (size_t i = 0; i < node->n; i++)
        GLOT_TRY(read_task(tasks, node->items[i], folder, problem));
    return GLOT_OK;
}

static void write_task(glot_str *out, const glot_recipe_task *task)
{
    const char *separator = "{";
    for (const glot_recipe_key *k = glot_recipe_task_keys; k->name; k++) {
        const void *value = (const char *)task + k->offset;
        bool is_list = k->type == GLOT_KEY_TEXTS;
        if (is_list ? ((const glot_recipe_list *)value)->n == 0 : !glot_recipe_value_is_given(value, k))
            continue;
        glot_str_printf(out, "%s%s: ", separator, k->name);
        glot_recipe_value_write(out, value, k);
        separator = ", ";
    }
    glot_str_puts(out, "}");
}

void glot_recipe_tasks_write(glot_str *out, const glot_recipe_tasks *tasks)
{
    glot_str_puts(out, "[");
    for (size_t i = 0; i < tasks->n; i++) {
        glot_str_puts(out, i ? ", " : "");
        write_task(out, &tasks->items[i]);
    }
    glot_str_puts(out, "]");
}

bool glot_recipe_has_same_tasks(const glot_recipe *a, const glot_recipe *b)
{
    glot_str texts[2] = {{0}, {0}};
    glot_recipe_tasks_write(&texts[0], &a->eval.tasks);
    glot_recipe_tasks_write(&texts[1], &b->eval.tasks);
    bool is_same = !texts[0].failed && !texts[1].failed && strcmp(texts[0].data, texts[1].data) == 0;
    glot_str_release(&texts[0]);
    glot_str_release(&texts[1]);
    return is_same;
}

/* ---- meaning ---- */

static void copy_texts(const char *out[GLOT_MAX_CHOICE_TEXTS + 1], const glot_recipe_list *list)
{
    for (size_t i = 0; i < list->n && i < GLOT_MAX_CHOICE_TEXTS; i++)
        out[i] = list->items[i];
}

static bool has_own_template(const glot_recipe_task *t)
{
    return t->choices.n || t->complete;
}

glot_template glot_recipe_task_template(const glot_recipe_task *task)
{
    const glot_template *known = &glot_template_plain;
    if (!has_own_template(task)) {
        if (task->template_name)
            (void)glot_template_find(&known, task->template_name, NULL); /* resolved: it is there */
        return *known;
    }
    glot_template t = {.name = task->name,
                       .each = task->each,
                       .query = task->query ? task->query : "",
                       .gold = task->complete ? NULL
                               : task->gold   ? task->gold
                                              : "{gold}"};
    copy_texts(t.choices, &task->choices);
    copy_texts(t.labels, &task->labels);
    if (task->complete)
        t.choices[0] = task->complete;
    return t;
}

/* Why the keys of a task do not go together; NULL: they do. */
static const char *contradiction(const glot_recipe_task *t)
{
    bool has_parts = t->query || t->gold || t->labels.n || t->each;
    if (!t->file)
        return "has a task without 'file'";
    if (t->template_name && (has_parts || has_own_template(t)))
        return "has a task with 'template' and a template of its own";
    if (!has_own_template(t) && has_parts)
        return "has a task with a template of its own but neither 'choices' nor 'complete'";
    if (t->complete && (t->choices.n || t->gold || t->labels.n))
        return "has a task with 'complete' and choices";
    if ((t->shots > 0) != (t->examples != NULL))
        return "has a task with 'shots' or 'examples' alone, expected both";
    if (t->choices.n > GLOT_MAX_CHOICE_TEXTS || t->labels.n > GLOT_MAX_CHOICE_TEXTS)
        return "has a task with more than 16 choices";
    return NULL;
}

static glot_status resolve_task(const glot_recipe_reader *p, size_t i, glot_recipe_place place,
                                glot_error *err)
{
    glot_recipe_task *tasks = p->recipe->eval.tasks.items, *task = &tasks[i];
    const glot_template *known;
    glot_error found = {0};
    const char *problem = contradiction(task);
    if (problem)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err, "%s", problem);
    if (task->template_name && glot_template_find(&known, task->template_name, &found) != GLOT_OK)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err, "has a task whose %s", found.message);
    if (!task->name && !(task->name = glot_task_name(task->file)))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    glot_template t = glot_recipe_task_template(task);
    if (glot_template_check(&t, &found) != GLOT_OK)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err, "has a task whose template is wrong: %s",
                                  found.message);
    for (size_t k = 0; k < i; k++)
        if (strcmp(tasks[k].name, task->name) == 0)
            return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err,
                                      "has two tasks of the name '%s', expected 'name' to tell them apart",
                                      task->name);
    return GLOT_OK;
}

glot_status glot_recipe_tasks_resolve(const glot_recipe_reader *p, glot_error *err)
{
    glot_recipe_place place = {"eval", NULL, "tasks"};
    for (size_t i = 0; i < p->recipe->eval.tasks.n; i++)
        GLOT_TRY(resolve_task(p, i, place, err));
    return GLOT_OK;
}

glot_status glot_recipe_task_items(glot_items *items, glot_items *examples, const glot_recipe_task *task,
                                   glot_error *err)
{
    glot_template t = glot_recipe_task_template(task);
    *items = *examples = (glot_items){0};
    GLOT_TRY(glot_items_read(items, task->file, &t, task->limit > 0 ? (size_t)task->limit : 0, err));
    glot_status status = task->examples ? glot_items_read(examples, task->examples, &t, 0, err) : GLOT_OK;
    if (status == GLOT_OK && task->examples)
        status = glot_items_check_examples(items, examples, (size_t)task->shots, task->examples, err);
    if (status != GLOT_OK) {
        glot_items_release(items);
        glot_items_release(examples);
    }
    return status;
}

glot_status glot_recipe_tasks_check_files(const glot_recipe_reader *p, glot_error *err)
{
    for (size_t i = 0; i < p->recipe->eval.tasks.n; i++) {
        glot_items items, examples;
        GLOT_TRY(glot_recipe_task_items(&items, &examples, &p->recipe->eval.tasks.items[i], err));
        glot_items_release(&items);
        glot_items_release(&examples);
    }
    return GLOT_OK;
}
