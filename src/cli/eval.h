/* eval.h: the parts of `glot eval` that have a file of their own. */
#ifndef GLOT_CLI_EVAL_H
#define GLOT_CLI_EVAL_H

#include "cli/model.h"

/* --hypotheses FILE --references FILE: BLEU, chrF and chrF++, no model. */
glot_status cli_eval_translation(const glot_cli *cli, glot_error *err);
/* --translate SOURCE=FILE TARGET=FILE: the model's translations; an entry "SOURCE-TARGET" in `out`. */
glot_status cli_eval_translate(const glot_cli *cli, const cli_model *m, json_t *out, glot_error *err);
/* --tasks FILE...: an entry for each task in `out`, INTERFACES' "tasks". */
glot_status cli_eval_tasks(const glot_cli *cli, const cli_model *m, json_t *out, glot_error *err);

/* --tasks FILE... --prompts: what a model would be asked, a line for each item; no model. */
glot_status cli_eval_prompts(const glot_cli *cli, glot_error *err);

#endif
