/* bench_tokenize.h: `glot bench tokenize`. */
#ifndef GLOT_CLI_BENCH_TOKENIZE_H
#define GLOT_CLI_BENCH_TOKENIZE_H

#include "cli/cli.h"

/* Times one thread with the tokenizer of --model on each language of --text, up to --max-bytes of it. */
glot_status cli_bench_tokenize(const glot_cli *cli, glot_error *err);

#endif
