/* model.h: what every command that runs a model does first: the backend, the model, its tokenizer, --device,
 * --dtype and --language. */
#ifndef GLOT_CLI_MODEL_H
#define GLOT_CLI_MODEL_H

#include "cli/cli.h"
#include "infer/session.h"
#include "text/tokenizer.h"

typedef struct cli_model {
    glot_backend *be;
    glot_model *model;
    glot_tokenizer *tokenizer; /* NULL unless asked for */
    glot_encoder *encoder;
    glot_exact_choice exact;   /* what --language says */
} cli_model;

/* A backend for --device and --dtype; what is not there is refused by name. */
glot_status cli_backend_open(glot_backend **out, const glot_cli *cli, glot_error *err);
/* Opens MODEL (the argument of that name). Release whatever the status. */
glot_status cli_model_open(cli_model *m, const glot_cli *cli, bool with_tokenizer, glot_error *err);
void cli_model_release(cli_model *m);

#endif
