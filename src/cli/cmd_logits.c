/* cmd_logits.c: `glot logits MODEL --ids "1 2 3"`: what the model expects next at every position. */
#include "base/memory.h"
#include "cli/model.h"
#include "infer/session.h"

#include <stdlib.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a model directory or GGUF file"},
    {"ids", .kind = GLOT_OPTION_STRING, .value = "\"1 2 3\"", .is_required = true,
     .help = "token ids, separated by spaces or commas; no BOS is added"},
    {"top", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 1 << 20, .initial = "10",
     .help = "the N likeliest at each position"},
    {"all", .kind = GLOT_OPTION_FLAG, .help = "log p of every vocabulary entry, in id order"},
    {0},
};

typedef struct rows_out {
    int64_t top;
    bool is_all;
    int32_t *order; /* [vocab] */
    json_t *ids, *log_probs;
} rows_out;

static glot_status parse_ids(int32_t **out, int64_t *n, const char *text, int64_t vocab, glot_error *err)
{
    size_t capacity = 0;
    for (const char *p = text; *p;) {
        char *end;
        if (*p == ' ' || *p == ',' || *p == '\n' || *p == '\t') {
            p++;
            continue;
        }
        long id = strtol(p, &end, 10);
        if (end == p || id < 0 || id > INT32_MAX ||
            (*end && *end != ' ' && *end != ',' && *end != '\n' && *end != '\t'))
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--ids: '%.20s' is no token id", p);
        if (id >= vocab)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "--ids: %ld is not below the model's vocabulary of %" PRId64, id, vocab);
        GLOT_TRY(glot_grow(out, &capacity, (size_t)*n + 1, sizeof **out, "token ids", err));
        (*out)[(*n)++] = (int32_t)id;
        p = end;
    }
    return *n ? GLOT_OK : GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--ids is empty, expected at least one token id");
}

static int compare(const void *a, const void *b, void *user)
{
    const float *log_probs = user;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (log_probs[i] != log_probs[j])
        return log_probs[i] > log_probs[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* glot_on_row: the row's likeliest entries, or all of it, as JSON. */
static glot_status take_row(void *user, int64_t position, const float *log_probs, int64_t vocab,
                            glot_error *err)
{
    (void)position;
    rows_out *out = user;
    json_t *ids = json_array(), *values = json_array();
    int64_t n = out->is_all || out->top > vocab ? vocab : out->top;
    for (int64_t i = 0; i < vocab; i++)
        out->order[i] = (int32_t)i;
    if (!out->is_all)
        qsort_r(out->order, (size_t)vocab, sizeof *out->order, compare, (void *)(uintptr_t)log_probs);
    for (int64_t i = 0; i < n; i++) {
        json_array_append_new(ids, json_integer(out->order[i]));
        json_array_append_new(values, json_real((double)log_probs[out->order[i]]));
    }
    if (json_array_append_new(out->ids, ids) || json_array_append_new(out->log_probs, values))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the result");
    return GLOT_OK;
}

static glot_status print(const glot_cli *cli, const rows_out *out, glot_error *err)
{
    if (cli->is_json)
        return cli_json(out->is_all
                            ? json_pack("{s:O}", "logp", out->log_probs)
                            : json_pack("{s:O, s:O}", "top_ids", out->ids, "top_logp", out->log_probs),
                        err);
    for (size_t i = 0; i < json_array_size(out->ids); i++) {
        const json_t *ids = json_array_get(out->ids, i), *values = json_array_get(out->log_probs, i);
        GLOT_TRY(cli_printf(err, "%zu:", i));
        for (size_t k = 0; k < json_array_size(ids); k++)
            GLOT_TRY(cli_printf(err, " %lld %.6f", (long long)json_integer_value(json_array_get(ids, k)),
                                json_real_value(json_array_get(values, k))));
        GLOT_TRY(cli_printf(err, "\n"));
    }
    return GLOT_OK;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    cli_model m;
    int32_t *ids = NULL;
    int64_t n = 0;
    glot_session *s = NULL;
    rows_out out = {.top = glot_args_int(cli->args, "top"),
                    .is_all = glot_args_flag(cli->args, "all"),
                    .ids = json_array(),
                    .log_probs = json_array()};
    glot_status status = cli_model_open(&m, cli, false, err);
    if (status == GLOT_OK)
        status = parse_ids(&ids, &n, glot_args_string(cli->args, "ids"), m.model->config.vocab_size, err);
    if (status == GLOT_OK)
        status =
            glot_new(&out.order, (size_t)m.model->config.vocab_size, sizeof *out.order, "the result", err);
    if (status == GLOT_OK)
        status = glot_session_create(&s, m.model, n, n < 512 ? n : 512, err);
    if (status == GLOT_OK) {
        glot_session_set_exact(s, m.exact);
        status = glot_session_log_probs(s, ids, n, take_row, &out, err);
    }
    if (status == GLOT_OK)
        status = print(cli, &out, err);
    json_decref(out.ids);
    json_decref(out.log_probs);
    glot_free(out.order);
    glot_free(ids);
    glot_session_free(s);
    cli_model_release(&m);
    return status;
}

const glot_command cmd_logits = {"logits", "print the likeliest next tokens at every position", rows,
                                 CLI_HAS_JSON | CLI_HAS_MODEL, run};
