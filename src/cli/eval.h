/* eval.h: the parts of `glot eval` that have a file of their own. */
#ifndef GLOT_CLI_EVAL_H
#define GLOT_CLI_EVAL_H

#include "cli/model.h"
#include "eval/items.h"

/* --hypotheses FILE --references FILE: BLEU, chrF and chrF++, no model. */
glot_status cli_eval_translation(const glot_cli *cli, glot_error *err);
/* --translate SOURCE=FILE TARGET=FILE: the model's translations; an entry "SOURCE-TARGET" in `out`. */
glot_status cli_eval_translate(const glot_cli *cli, const cli_model *m, json_t *out, glot_error *err);

/* What --tasks, --template, --examples, --shots and --limit name. */
typedef struct cli_task {
    const char *path; /* borrowed */
    char *name;
    glot_items items;
} cli_task;
typedef struct cli_tasks {
    cli_task *items;
    size_t n;
    glot_items examples; /* none: without --examples */
} cli_tasks;
/* Before anything is scored: a file that is not there or holds no items is then known. */
glot_status cli_tasks_read(cli_tasks *tasks, const glot_cli *cli, glot_error *err);
void cli_tasks_release(cli_tasks *tasks);
/* An entry for each task in `out`, INTERFACES' "tasks". */
glot_status cli_eval_tasks(const glot_cli *cli, const cli_model *m, const cli_tasks *tasks, json_t *out,
                           glot_error *err);

/* --tasks FILE... --prompts: what a model would be asked, a line for each item; no model. */
glot_status cli_eval_prompts(const glot_cli *cli, glot_error *err);

#endif
