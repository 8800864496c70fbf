/* cmd_plan.c: `glot plan RECIPE`: what a recipe will need, without running it. */
#include "cli/job_view.h"
#include "job/plan.h"

static const glot_option rows[] = {
    {"RECIPE", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a recipe (docs/RECIPE.md)"},
    {"set", .kind = GLOT_OPTION_STRINGS, .value = "KEY=VALUE",
     .help = "another value for a key of the recipe: train.lr=1e-4; may be given again"},
    {0},
};

glot_status cli_print_plan(const glot_cli *cli, const glot_recipe *recipe, glot_error *err)
{
    glot_plan plan;
    glot_str text = {0};
    GLOT_TRY(glot_plan_recipe(&plan, recipe, err));
    if (cli->is_json)
        return cli_json(glot_plan_json(&plan), err);
    glot_plan_text(&plan, &text);
    glot_status status = glot_str_check(&text, "the plan", err);
    if (status == GLOT_OK)
        status = cli_write(text.data, text.length, err);
    glot_str_release(&text);
    return status;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    size_t n;
    const char *const *settings = glot_args_words(cli->args, "set", &n);
    glot_recipe *recipe = NULL;
    GLOT_TRY(glot_recipe_load(&recipe, glot_args_string(cli->args, "RECIPE"), settings, n, err));
    if (recipe->threads == 0)
        recipe->threads = cli->threads;
    glot_status status = cli_print_plan(cli, recipe, err);
    glot_recipe_free(recipe);
    return status;
}

const glot_command cmd_plan = {"plan", "say what a recipe will need: parameters, memory, disk, work", rows,
                               CLI_HAS_JSON, run};
