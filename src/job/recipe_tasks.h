/* recipe_tasks.h: `eval.tasks`: files of multiple choice, each with its template, examples and limit. Private
 * to src/job. */
#ifndef GLOT_JOB_RECIPE_TASKS_H
#define GLOT_JOB_RECIPE_TASKS_H

#include "eval/items.h"
#include "job/recipe_reader.h"

/* Reads, clears, writes as recipe_values.h says. A path alone is a task with nothing else said. */
glot_status glot_recipe_tasks_read(glot_recipe_tasks *tasks, const glot_recipe_key *key,
                                   const glot_yaml_node *node, const char *folder, glot_str *problem);
void glot_recipe_tasks_clear(glot_recipe_tasks *tasks);
void glot_recipe_tasks_write(glot_str *out, const glot_recipe_tasks *tasks);

/* Names, templates, examples and shots must make sense; a name that is not given is the file's. */
glot_status glot_recipe_tasks_resolve(const glot_recipe_reader *p, glot_error *err);
/* Every file must be there and every line an item. */
glot_status glot_recipe_tasks_check_files(const glot_recipe_reader *p, glot_error *err);

/* What a task is made of; points into it. */
glot_template glot_recipe_task_template(const glot_recipe_task *task);
/* Its items and few-shot examples; the caller releases both. */
glot_status glot_recipe_task_items(glot_items *items, glot_items *examples, const glot_recipe_task *task,
                                   glot_error *err);

#endif
