/* eval_tasks.c: `glot eval MODEL --tasks FILE.jsonl...`: multiple choice, or its prompts alone. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/eval.h"
#include "eval/multiple_choice.h"
#include "eval/prompt.h"

#include <stdlib.h>
#include <string.h>

/* What runs through the tasks of one command. */
typedef struct task_run {
    const glot_cli *cli;
    const cli_model *model;        /* NULL: what it would be asked is printed, and nothing scored */
    const glot_template *template; /* of all of them */
    const glot_items *examples;    /* of all of them, or NULL */
    size_t shots;
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
    glot_progress_add(&run->progress, 1, 1.0, cli_now());
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

static glot_status read_items(const task_run *run, const char *path, glot_items *items, glot_error *err)
{
    return glot_items_read(items, path, run->template, (size_t)glot_args_int(run->cli->args, "limit"), err);
}

static glot_status score_task(task_run *run, const char *path, json_t *out, glot_error *err)
{
    const glot_cli *cli = run->cli;
    const cli_model *m = run->model;
    glot_items items = {0};
    glot_choice_score s;
    GLOT_TRY(read_items(run, path, &items, err));
    run->progress = glot_progress_begin(run->name, "items/s", 0, items.n, cli_now());
    glot_choice_options options = {.examples = run->examples,
                                   .shots = run->shots,
                                   .exact = m->exact,
                                   .cancel = cli->cancel,
                                   .on_item = on_item,
                                   .user = run};
    glot_status status = glot_multiple_choice(&s, m->model, m->tokenizer, &items, &options, err);
    glot_items_release(&items);
    GLOT_TRY(status);
    json_object_set_new(out, run->name, glot_choice_score_json(&s));
    if (cli->is_json)
        return GLOT_OK;
    if (json_object_size(out) == 1)
        GLOT_TRY(cli_printf(err, "%-20s %8s %8s %8s %8s\n", "task", "acc", "stderr", "acc_norm", "items"));
    return cli_printf(err, "%-20s %8.4f %8.4f %8.4f %8" PRIu64 "\n", run->name, s.acc, s.acc_stderr,
                      s.acc_norm, s.items);
}

/* A line for each item: what a model would be asked. */
static glot_status print_prompts(task_run *run, const char *path, json_t *out, glot_error *err)
{
    glot_items items = {0};
    GLOT_TRY(read_items(run, path, &items, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < items.n && status == GLOT_OK; i++) {
        json_t *prompts = glot_prompts_json(run->examples, run->shots, &items.items[i]);
        char *line = prompts ? glot_json_dump(prompts, 0) : NULL;
        status = line ? cli_printf(err, "%s\n", line) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for prompts");
        json_decref(prompts);
        free(line);
    }
    glot_items_release(&items);
    json_object_set_new(out, run->name, json_null());
    return status;
}

/* Every task, or the first sentence about what is wrong. */
static glot_status run_tasks(task_run *run, json_t *out, glot_error *err)
{
    size_t n;
    const char *const *paths = glot_args_words(run->cli->args, "tasks", &n);
    for (size_t i = 0; i < n; i++) {
        char *name = glot_task_name(paths[i]);
        if (!name)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a name");
        run->name = name;
        glot_status status = GLOT_OK;
        if (json_object_get(out, name))
            status = GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': another file of --tasks is named '%s' too",
                               paths[i], name);
        else
            status =
                run->model ? score_task(run, paths[i], out, err) : print_prompts(run, paths[i], out, err);
        glot_free(name);
        GLOT_TRY(status);
    }
    return GLOT_OK;
}

/* The tasks with the template and the examples of the command. */
static glot_status with_examples(task_run *run, json_t *out, glot_error *err)
{
    const glot_args *args = run->cli->args;
    const char *name = glot_args_string(args, "template"), *from = glot_args_string(args, "examples");
    glot_items examples = {0};
    run->shots = (size_t)glot_args_int(args, "shots");
    if ((run->shots > 0) != (from != NULL))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--shots N and --examples FILE go together");
    if (name && glot_template_find(&run->template, name, err) != GLOT_OK)
        return err->status = GLOT_BAD_ARGUMENT;
    if (from)
        GLOT_TRY(glot_items_read(&examples, from, run->template, 0, err));
    run->examples = from ? &examples : NULL;
    glot_status status = run_tasks(run, out, err);
    glot_items_release(&examples);
    return status;
}

glot_status cli_eval_tasks(const glot_cli *cli, const cli_model *m, json_t *out, glot_error *err)
{
    const char *samples = glot_args_string(cli->args, "samples");
    glot_str lines = {0};
    task_run run = {
        .cli = cli, .model = m, .template = &glot_template_plain, .samples = samples ? &lines : NULL};
    glot_status status = with_examples(&run, out, err);
    if (status == GLOT_OK && samples)
        status = glot_file_write(samples, lines.data ? lines.data : "", lines.length, err);
    glot_str_release(&lines);
    return status;
}

glot_status cli_eval_prompts(const glot_cli *cli, glot_error *err)
{
    task_run run = {.cli = cli, .template = &glot_template_plain};
    json_t *names = json_object();
    glot_status status = with_examples(&run, names, err);
    json_decref(names);
    return status;
}
