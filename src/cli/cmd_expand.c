/* cmd_expand.c: `glot expand RECIPE`: the main job. */
#include "cli/job_view.h"

static const glot_option rows[] = {
    {"RECIPE", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a recipe (docs/RECIPE.md)"},
    {"set", .kind = GLOT_OPTION_STRINGS, .value = "KEY=VALUE",
     .help = "another value for a key of the recipe: train.lr=1e-4; may be given again"},
    {"fresh", .kind = GLOT_OPTION_FLAG,
     .help = "start over: delete the earlier run in the output directory (only what glot wrote)"},
    {"dry-run", .kind = GLOT_OPTION_FLAG, .help = "print the plan and stop"},
    {0},
};

static glot_status run_job(const glot_cli *cli, const glot_recipe *recipe, glot_error *err)
{
    cli_job_view view;
    json_t *results = NULL;
    cli_job_view_init(&view);
    glot_job_options options = {.job = GLOT_JOB_EXPAND,
                                .is_fresh = glot_args_flag(cli->args, "fresh"),
                                .commit = cli_commit(),
                                .cancel = cli->cancel,
                                .view = &view.view};
    GLOT_TRY(glot_expand(&results, recipe, &options, err));
    if (cli->is_json)
        return cli_json(results, err);
    glot_status status = cli_job_summary(results, recipe->output, err);
    json_decref(results);
    return status;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    size_t n_settings;
    const char *const *settings = glot_args_words(cli->args, "set", &n_settings);
    glot_recipe *recipe = NULL;
    GLOT_TRY(glot_recipe_load(&recipe, glot_args_string(cli->args, "RECIPE"), settings, n_settings, err));
    if (recipe->threads == 0)
        recipe->threads = cli->threads;
    glot_status status =
        glot_args_flag(cli->args, "dry-run") ? cli_print_plan(cli, recipe, err) : run_job(cli, recipe, err);
    glot_recipe_free(recipe);
    return status;
}

const glot_command cmd_expand = {"expand",
                                 "teach a model new languages: the whole job from a recipe to a report", rows,
                                 CLI_HAS_JSON | CLI_STOPS_SAVED, run};
