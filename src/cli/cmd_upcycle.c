/* cmd_upcycle.c: `glot upcycle MODEL --experts N --out DIR`: dense to mixture of experts, the same function
 * bit for bit; or an expanded model with one group of experts more. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/model.h"
#include "expand/upcycle.h"

#include <stdlib.h>
#include <string.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a model directory or GGUF file, dense or expanded"},
    {"experts", .kind = GLOT_OPTION_STRING, .value = "N or N,N,...", .is_required = true,
     .help = "experts of every layer afterwards, the original included, or of each layer"},
    {"out", .kind = GLOT_OPTION_STRING, .value = "DIR", .is_required = true,
     .help = "the folder to write, new or empty"},
    {"init", .kind = GLOT_OPTION_CHOICE, .value = "copy|random", .initial = "copy",
     .help = "new experts begin as the original, or random"},
    {"router-init", .kind = GLOT_OPTION_CHOICE, .value = "keep|fresh", .initial = "keep",
     .help = "an expanded model's router rows stay, or all are drawn anew"},
    {"top-k", .kind = GLOT_OPTION_INT, .value = "K", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "2",
     .help = "experts of a token"},
    {"seed", .kind = GLOT_OPTION_INT, .value = "N", .initial = "1", .help = "of the routers' random weights"},
    {0},
};

/* "4" or "5,4,3" to one count a layer. */
static glot_status parse_experts(int32_t *counts, int64_t n_layers, const char *text, glot_error *err)
{
    int64_t n = 0;
    const char *p = text;
    for (char *end; *p; p = *end == ',' ? end + 1 : end) {
        long value = strtol(p, &end, 10);
        if (end == p || (*end && (*end != ',' || !end[1])) || value < 1 || value > GLOT_MAX_EXPERTS)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--experts: '%s' is no list of counts from 1 to %d",
                             text, GLOT_MAX_EXPERTS);
        if (n == n_layers)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "--experts: '%s' has more counts than the model's %" PRId64 " layers", text,
                             n_layers);
        counts[n++] = (int32_t)value;
    }
    for (int64_t l = 1; n == 1 && l < n_layers; l++)
        counts[l] = counts[0];
    if (n != 1 && n != n_layers)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--experts: '%s' has %" PRId64 " counts, expected 1 or %" PRId64
                         ", one for each layer",
                         text, n, n_layers);
    return GLOT_OK;
}

static glot_status check_out(const char *out, glot_error *err)
{
    char **names = NULL;
    size_t n = 0;
    if (!glot_path_exists(out))
        return GLOT_OK;
    if (!glot_path_is_dir(out))
        return GLOT_FAIL(err, GLOT_EXISTS, "'%s' is there and is no folder", out);
    GLOT_TRY(glot_dir_list(&names, &n, out, err));
    glot_dir_list_free(names, n);
    return n ? GLOT_FAIL(err, GLOT_EXISTS, "'%s' is not empty, expected a new or empty folder", out)
             : GLOT_OK;
}

static glot_upcycle_settings settings_of(const glot_args *a)
{
    bool is_random = strcmp(glot_args_string(a, "init"), "random") == 0;
    return (glot_upcycle_settings){.top_k = (int)glot_args_int(a, "top-k"),
                                   .seed = (uint64_t)glot_args_int(a, "seed"),
                                   .init = is_random ? GLOT_EXPERT_RANDOM : GLOT_EXPERT_COPY,
                                   .is_router_fresh =
                                       strcmp(glot_args_string(a, "router-init"), "fresh") == 0};
}

static glot_status upcycle_and_save(const glot_cli *cli, cli_model *m, glot_error *err)
{
    const char *out = glot_args_string(cli->args, "out");
    int32_t counts[GLOT_MAX_LAYERS];
    char *json = NULL;
    size_t size = 0;
    glot_upcycle_settings settings = settings_of(cli->args);
    GLOT_TRY(parse_experts(counts, m->model->config.n_layers, glot_args_string(cli->args, "experts"), err));
    GLOT_TRY(glot_model_check_groups(m->model, err));
    GLOT_TRY(glot_upcycle(m->model, counts, &settings, err));
    GLOT_TRY(glot_tokenizer_json(m->tokenizer, &json, &size, err));
    glot_status status = glot_model_save(m->model, out, NULL, json, size, err);
    glot_free(json);
    GLOT_TRY(status);
    int64_t total = 0;
    for (int64_t l = 0; l < m->model->config.n_layers; l++)
        total += m->model->config.n_experts[l];
    if (cli->is_json)
        return cli_json(json_pack("{s:s, s:I, s:i, s:s}", "out", out, "experts", (json_int_t)total, "top_k",
                                  m->model->config.top_k, "base_sha256", m->model->config.base_sha256),
                        err);
    return cli_printf(err, "%s: %" PRId64 " experts in %" PRId64 " layers, top-%d\n", out, total,
                      m->model->config.n_layers, m->model->config.top_k);
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    cli_model m = {0};
    glot_status status = check_out(glot_args_string(cli->args, "out"), err);
    if (status == GLOT_OK)
        status = cli_model_open(&m, cli, true, err);
    if (status == GLOT_OK)
        status = upcycle_and_save(cli, &m, err);
    cli_model_release(&m);
    return status;
}

const glot_command cmd_upcycle = {
    "upcycle",
    "turn a dense model into a mixture of experts that computes the same, or add a group of experts", rows,
    CLI_HAS_JSON | CLI_HAS_MODEL, run};
