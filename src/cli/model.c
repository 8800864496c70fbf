/* model.c: opening a model for a command. */
#include "cli/model.h"

#include <stdlib.h>
#include <string.h>

glot_status cli_backend_open(glot_backend **out, const glot_cli *cli, glot_error *err)
{
    const char *device = glot_args_string(cli->args, "device"), *dtype = glot_args_string(cli->args, "dtype");
    const char *variable = getenv("GLOT_DEVICE");
    if (strcmp(device, "auto") == 0 && variable && *variable)
        device = variable;
    if (strcmp(device, "cuda") == 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "device 'cuda' is not in this build, expected auto or cpu");
    if (strcmp(device, "auto") != 0 && strcmp(device, "cpu") != 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "device '%s' is unknown, expected auto, cpu or cuda",
                         device);
    GLOT_TRY(glot_cpu_backend_create(out, cli->threads, NULL, err));
    if (strcmp(dtype, "bf16") == 0)
        (*out)->products = GLOT_BF16;
    return GLOT_OK;
}

/* The languages of every group, separated by commas. The caller releases. */
static glot_str all_languages(const glot_model_config *c)
{
    glot_str names = {0};
    for (int g = 0; g < c->n_groups; g++)
        if (c->group_languages[g] && *c->group_languages[g])
            glot_str_printf(&names, "%s%s", names.length ? "," : "", c->group_languages[g]);
    return names;
}

/* An old language (group 0) stays on the exact path throughout, a new one is never on it (METHOD 8). */
static glot_status resolve_language(cli_model *m, const char *language, glot_error *err)
{
    const glot_model_config *c = &m->model->config;
    if (!language || !c->is_expanded)
        return GLOT_OK;
    for (int g = 0; g < c->n_groups; g++)
        if (glot_list_has(c->group_languages[g], language)) {
            m->exact = g == 0 ? GLOT_EXACT_ALWAYS : GLOT_EXACT_NEVER;
            return GLOT_OK;
        }
    glot_str names = all_languages(c);
    glot_status status =
        GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--language '%s' is none of the languages of '%s': %s", language,
                  m->model->path, names.data ? names.data : "it names none");
    glot_str_release(&names);
    return status;
}

glot_status cli_model_open(cli_model *m, const glot_cli *cli, bool with_tokenizer, glot_error *err)
{
    const char *path = glot_args_string(cli->args, "MODEL");
    *m = (cli_model){0};
    GLOT_TRY(cli_backend_open(&m->be, cli, err));
    GLOT_TRY(glot_model_open(&m->model, m->be, path, err));
    GLOT_TRY(resolve_language(m, glot_args_string(cli->args, "language"), err));
    if (!with_tokenizer)
        return GLOT_OK;
    GLOT_TRY(glot_tokenizer_open_model(&m->tokenizer, path, err));
    if (glot_tokenizer_size(m->tokenizer) > m->model->config.vocab_size)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the tokenizer has ids up to %d, but the model's vocabulary has %" PRId64
                         " entries",
                         path, glot_tokenizer_size(m->tokenizer) - 1, m->model->config.vocab_size);
    return glot_encoder_create(&m->encoder, m->tokenizer, err);
}

void cli_model_release(cli_model *m)
{
    if (m->encoder)
        glot_encoder_free(m->encoder);
    if (m->tokenizer)
        glot_tokenizer_close(m->tokenizer);
    glot_model_close(m->model);
    glot_backend_close(m->be);
    *m = (cli_model){0};
}
