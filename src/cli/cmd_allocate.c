/* cmd_allocate.c: `glot allocate`: similarity and a budget to experts per layer (METHOD 5). */
#include "cli/model.h"
#include "expand/allocate.h"
#include "expand/similarity.h"

#include <string.h>

static const glot_option rows[] = {
    {"similarity", .kind = GLOT_OPTION_STRING, .value = "FILE", .is_required = true,
     .help = "what `glot similarity --json` printed, or a JSON list of S for each layer"},
    {"delta", .kind = GLOT_OPTION_REAL, .value = "D", .help = "the budget as the formula has it"},
    {"new-total", .kind = GLOT_OPTION_SIZE, .value = "N", .unit = "experts",
     .help = "at most so many new experts in all"},
    {"new-bytes", .kind = GLOT_OPTION_SIZE, .value = "B", .unit = "bytes",
     .help = "at most so many bytes of new experts, in float32 as they are trained; needs --model"},
    {"model", .kind = GLOT_OPTION_STRING, .value = "MODEL",
     .help = "the model that similarity was measured on: checked, and the experts it has are kept"},
    {"for", .kind = GLOT_OPTION_STRING, .value = "FORMAT",
     .help = "only layouts that this export format can hold: hf, mixtral, qwen2_moe, qwen3_moe, "
             "ernie4_5_moe, moe-lpr, gguf"},
    {0},
};

static glot_status check_budget(const glot_args *a, glot_error *err)
{
    int n = glot_args_given(a, "delta") + glot_args_given(a, "new-total") + glot_args_given(a, "new-bytes");
    if (n != 1)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "%s budget is given, expected one of --delta, --new-total and --new-bytes",
                         n ? "more than one" : "no");
    if (glot_args_given(a, "new-bytes") && !glot_args_given(a, "model"))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--new-bytes needs --model, whose shape says what an expert takes");
    return GLOT_OK;
}

/* model: NULL where none is given. */
static glot_status budget_of(glot_budget *budget, const glot_args *a, const glot_model *model,
                             glot_error *err)
{
    const char *name = glot_args_given(a, "new-total") ? "new-total" : "new-bytes";
    *budget = (glot_budget){.delta = glot_args_real(a, "delta")};
    if (glot_args_given(a, "delta"))
        return GLOT_OK;
    uint64_t size = glot_args_size(a, name), n = size;
    if (glot_args_given(a, "new-bytes"))
        n /= glot_expert_bytes(&model->config);
    if (n == 0 && glot_args_given(a, "new-bytes"))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--new-bytes %" PRIu64 " is less than one new expert of '%s', which takes %" PRIu64
                         " bytes",
                         size, model->path, glot_expert_bytes(&model->config));
    if (n == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--new-total 0 leaves nothing to allocate, expected at least 1");
    budget->n_new = n < INT64_MAX ? (int64_t)n : INT64_MAX;
    return GLOT_OK;
}

static glot_status print_table(const glot_allocation *a, const glot_layer_similarity *s,
                               const glot_layout_format *format, glot_error *err)
{
    GLOT_TRY(cli_printf(err, "%5s %9s %8s %5s\n", "layer", "S", "experts", "new"));
    for (int64_t l = 0; l < a->n_layers; l++)
        GLOT_TRY(cli_printf(err, "%5" PRId64 " %9.5f %8d %5d\n", l, s->s[l], a->n_experts[l],
                            a->n_experts[l] - s->n_experts[l]));
    GLOT_TRY(cli_printf(err, "%" PRId64 " experts, %" PRId64 " of them new, delta %.9g\n", a->total, a->n_new,
                        a->delta));
    if (!a->is_fitted)
        return GLOT_OK;
    GLOT_TRY(cli_printf(err, "%s holds %s; similarity alone would give", format->name, format->holds));
    for (int64_t l = 0; l < a->n_layers; l++)
        GLOT_TRY(cli_printf(err, " %d", a->asked[l]));
    return cli_printf(err, "\n");
}

static glot_status read_similarity(glot_layer_similarity *s, const char *path, glot_error *err)
{
    json_t *root = NULL;
    GLOT_TRY(glot_json_load_file(&root, path, err));
    glot_status status = glot_layer_similarity_from_json(s, root, path, err);
    json_decref(root);
    return status;
}

/* What is wrong with the similarities is told with their file. */
static glot_status allocate_by(glot_allocation *a, const glot_layer_similarity *s, const glot_budget *budget,
                               const char *path, glot_error *err)
{
    glot_error problem = {0};
    glot_status status = glot_allocate(a, s->s, s->n_experts, s->n_layers, budget, &problem);
    if (status == GLOT_OK)
        return GLOT_OK;
    bool is_file_bad = status == GLOT_BAD_VALUE;
    return is_file_bad ? GLOT_FAIL(err, status, "'%s': %s", path, problem.message)
                       : GLOT_FAIL(err, status, "%s", problem.message);
}

static glot_status allocate(const glot_cli *cli, const glot_model *model, glot_error *err)
{
    const char *path = glot_args_string(cli->args, "similarity"), *name = glot_args_string(cli->args, "for");
    const glot_layout_format *format = NULL;
    glot_layer_similarity s;
    glot_allocation a;
    glot_budget budget;
    GLOT_TRY(glot_layout_find(&format, name ? name : "hf", err));
    GLOT_TRY(read_similarity(&s, path, err));
    if (model)
        GLOT_TRY(glot_layer_similarity_check(&s, model, path, err));
    GLOT_TRY(budget_of(&budget, cli->args, model, err));
    GLOT_TRY(allocate_by(&a, &s, &budget, path, err));
    GLOT_TRY(glot_allocation_fit(&a, format, s.s, s.n_experts, err));
    return cli->is_json ? cli_json(glot_allocation_json(&a, format), err) : print_table(&a, &s, format, err);
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    glot_backend *be = NULL;
    glot_model *model = NULL;
    const char *path = glot_args_string(cli->args, "model");
    GLOT_TRY(check_budget(cli->args, err));
    glot_status status = path ? glot_cpu_backend_create(&be, cli->threads, NULL, err) : GLOT_OK;
    if (path && status == GLOT_OK)
        status = glot_model_open(&model, be, path, err);
    if (status == GLOT_OK)
        status = allocate(cli, model, err);
    glot_model_close(model);
    glot_backend_close(be);
    return status;
}

const glot_command cmd_allocate = {"allocate",
                                   "give each layer its number of experts, from similarity and a budget",
                                   rows, CLI_HAS_JSON, run};
