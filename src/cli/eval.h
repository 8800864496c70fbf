/* eval.h: the parts of `glot eval` that have a file of their own. */
#ifndef GLOT_CLI_EVAL_H
#define GLOT_CLI_EVAL_H

#include "cli/cli.h"

/* --hypotheses FILE --references FILE: BLEU, chrF and chrF++, no model. */
glot_status cli_eval_translation(const glot_cli *cli, glot_error *err);

#endif
