/* inspect.h: the parts of `glot inspect`: what is looked at, the kinds that have a file of their own, and the
 * text form of what was found. */
#ifndef GLOT_CLI_INSPECT_H
#define GLOT_CLI_INSPECT_H

#include "cli/cli.h"

/* What is being looked at, and what was found. */
typedef struct inspection {
    const glot_cli *cli;
    const char *path;
    json_t *document;
} inspection;

/* Sets a key (takes the reference); a value that memory did not suffice for shows when the document is
 * printed. */
void inspect_put(inspection *in, const char *key, json_t *value);
void inspect_put_int(inspection *in, const char *key, int64_t value);
void inspect_put_text(inspection *in, const char *key, const char *value);

glot_status inspect_model_dir(inspection *in, glot_error *err);
/* A run: what is done and what came of it; its checkpoints and its result are read to the last byte. `state`,
 * the job's own record, is in the JSON document only. */
glot_status inspect_run(inspection *in, glot_error *err);
glot_status inspect_checkpoint(inspection *in, glot_error *err);

/* Prints a document: a line per key, objects inside one line, a list of objects as a table. */
glot_status inspect_print(const json_t *document, glot_error *err);

#endif
