/* eval_tasks.c: `glot eval MODEL --tasks FILE.jsonl...`: multiple choice, or its prompts alone. */
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/eval.h"
#include "eval/multiple_choice.h"
#include "eval/prompt.h"

#include <stdlib.h>
#include <string.h>

/* ---- scoring ---- */

/* What runs through the tasks of one command. */
typedef struct task_run {
    const glot_cli *cli;
    const char *name; /* of the task under way */
    glot_progress progress;
    glot_str *samples; /* lines for --samples; NULL: not asked for */
} task_run;

static json_t *sample_json(const task_run *run, const glot_item *item, const double *loglikelihoods,
                           size_t picked)
{
    json_t *sums = json_array();
    for (size_t i = 0; i < glot_item_n_choices(item); i++)
        json_array_append_new(sums, json_real(loglikelihoods[i]));
    return json_pack("{s:s, s:O, s:o, s:I, s:I}", "task", run->name, "id", item->id, "loglikelihoods", sums,
                     "picked", (json_int_t)picked, "gold", (json_int_t)item->gold);
}

static glot_status on_item(void *user, const glot_item *item, const double *loglikelihoods, size_t picked,
                           glot_error *err)
{
    task_run *run = user;
    glot_progress_add(&run->progress, 1, 1.0, glot_seconds());
    cli_progress(&run->progress, NULL, false);
    if (!run->samples)
        return GLOT_OK;
    json_t *sample = sample_json(run, item, loglikelihoods, picked);
    char *line = sample ? glot_json_dump(sample, 0) : NULL;
    if (line)
        glot_str_printf(run->samples, "%s\n", line);
    json_decref(sample);
    free(line);
    return line ? glot_str_check(run->samples, "samples", err)
                : GLOT_FAIL(err, GLOT_NOMEM, "no memory for samples");
}

static glot_status score_task(task_run *run, const cli_model *m, const cli_tasks *tasks, const cli_task *task,
                              json_t *out, glot_error *err)
{
    const glot_cli *cli = run->cli;
    glot_choice_score s;
    run->name = task->name;
    run->progress = glot_progress_begin(run->name, "items/s", 0, task->items.n, glot_seconds());
    glot_choice_options options = {.examples = tasks->examples.n ? &tasks->examples : NULL,
                                   .shots = (size_t)glot_args_int(cli->args, "shots"),
                                   .exact = m->exact,
                                   .cancel = cli->cancel,
                                   .on_item = on_item,
                                   .user = run};
    glot_status status = glot_multiple_choice(&s, m->model, m->tokenizer, &task->items, &options, err);
    if (status != GLOT_OK)
        return glot_error_prefix(err, "'%s'", task->path);
    json_object_set_new(out, run->name, glot_choice_score_json(&s));
    if (cli->is_json)
        return GLOT_OK;
    if (json_object_size(out) == 1)
        GLOT_TRY(cli_printf(err, "%-20s %8s %8s %8s %8s\n", "task", "acc", "stderr", "acc_norm", "items"));
    return cli_printf(err, "%-20s %8.4f %8.4f %8.4f %8" PRIu64 "\n", run->name, s.acc, s.acc_stderr,
                      s.acc_norm, s.items);
}

glot_status cli_eval_tasks(const glot_cli *cli, const cli_model *m, const cli_tasks *tasks, json_t *out,
                           glot_error *err)
{
    const char *samples = glot_args_string(cli->args, "samples");
    glot_str lines = {0};
    task_run run = {.cli = cli, .samples = samples ? &lines : NULL};
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < tasks->n && status == GLOT_OK; i++)
        status = score_task(&run, m, tasks, &tasks->items[i], out, err);
    if (status == GLOT_OK && samples)
        status = glot_file_write(samples, lines.data ? lines.data : "", lines.length, err);
    glot_str_release(&lines);
    return status;
}

/* ---- prompts ---- */

/* A line for each item: what a model would be asked. */
static glot_status print_prompts(const glot_cli *cli, const cli_tasks *tasks, const glot_items *items,
                                 glot_error *err)
{
    size_t shots = (size_t)glot_args_int(cli->args, "shots");
    for (size_t i = 0; i < items->n; i++) {
        json_t *prompts = glot_prompts_json(&tasks->examples, shots, &items->items[i]);
        char *line = prompts ? glot_json_dump(prompts, 0) : NULL;
        glot_status status =
            line ? cli_printf(err, "%s\n", line) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for prompts");
        json_decref(prompts);
        free(line);
        GLOT_TRY(status);
    }
    return GLOT_OK;
}

glot_status cli_eval_prompts(const glot_cli *cli, glot_error *err)
{
    cli_tasks tasks;
    GLOT_TRY(cli_tasks_read(&tasks, cli, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < tasks.n && status == GLOT_OK; i++)
        status = print_prompts(cli, &tasks, &tasks.items[i].items, err);
    cli_tasks_release(&tasks);
    return status;
}

/* ---- reading ---- */

/* One more task, whose name no other may have. */
static glot_status read_task(cli_tasks *tasks, const glot_cli *cli, const char *path, const glot_template *t,
                             glot_error *err)
{
    const char *from = glot_args_string(cli->args, "examples");
    size_t limit = (size_t)glot_args_int(cli->args, "limit"),
           shots = (size_t)glot_args_int(cli->args, "shots");
    cli_task *task = &tasks->items[tasks->n++];
    *task = (cli_task){.path = path, .name = glot_task_name(path)};
    if (!task->name)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a name");
    for (const cli_task *other = tasks->items; other < task; other++)
        if (strcmp(other->name, task->name) == 0)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': another file of --tasks is named '%s' too", path,
                             task->name);
    GLOT_TRY(glot_items_read(&task->items, path, t, limit, err));
    return from ? glot_items_check_examples(&task->items, &tasks->examples, shots, from, err) : GLOT_OK;
}

static glot_status read_tasks(cli_tasks *tasks, const glot_cli *cli, glot_error *err)
{
    size_t n;
    const char *const *paths = glot_args_words(cli->args, "tasks", &n);
    const char *from = glot_args_string(cli->args, "examples"),
               *name = glot_args_string(cli->args, "template");
    const glot_template *t = &glot_template_plain;
    if ((glot_args_int(cli->args, "shots") > 0) != (from != NULL))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--shots N and --examples FILE go together");
    if (name && glot_template_find(&t, name, err) != GLOT_OK)
        return err->status = GLOT_BAD_ARGUMENT;
    if (from)
        GLOT_TRY(glot_items_read(&tasks->examples, from, t, 0, err));
    GLOT_TRY(glot_new(&tasks->items, n, sizeof *tasks->items, "tasks", err));
    for (size_t i = 0; i < n; i++)
        GLOT_TRY(read_task(tasks, cli, paths[i], t, err));
    return GLOT_OK;
}

glot_status cli_tasks_read(cli_tasks *tasks, const glot_cli *cli, glot_error *err)
{
    *tasks = (cli_tasks){0};
    glot_status status = read_tasks(tasks, cli, err);
    if (status != GLOT_OK)
        cli_tasks_release(tasks);
    return status;
}

void cli_tasks_release(cli_tasks *tasks)
{
    for (size_t i = 0; i < tasks->n; i++) {
        glot_free(tasks->items[i].name);
        glot_items_release(&tasks->items[i].items);
    }
    glot_free(tasks->items);
    glot_items_release(&tasks->examples);
    *tasks = (cli_tasks){0};
}
