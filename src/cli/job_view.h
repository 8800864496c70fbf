/* job_view.h: what a person sees of a job that runs: steps, progress, scores, checkpoints. Everything on
 * standard error. */
#ifndef GLOT_CLI_JOB_VIEW_H
#define GLOT_CLI_JOB_VIEW_H

#include "cli/cli.h"
#include "job/expand.h"

typedef struct cli_job_view {
    glot_job_view view; /* to be handed to the job */
    glot_progress progress;
    bool has_progress; /* false: the next step begins one */
} cli_job_view;

void cli_job_view_init(cli_job_view *v);
/* What is told of a step beside its number and speed. `balance_or_lpr`: the loss beside cross-entropy that
 * its stage has. */
void cli_step_text(char text[128], bool is_train, double ce, double balance_or_lpr, double grad_norm,
                   double lr);
/* `glot plan` and `expand --dry-run`: the plan of a recipe, on standard output. */
glot_status cli_print_plan(const glot_cli *cli, const glot_recipe *recipe, glot_error *err);
/* The table of scores and the samples of a finished job, on standard output. */
glot_status cli_job_summary(const json_t *results, const char *output, glot_error *err);

#endif
