/* inspect.h: the text form of what `glot inspect` found. */
#ifndef GLOT_CLI_INSPECT_H
#define GLOT_CLI_INSPECT_H

#include "cli/cli.h"

/* Prints a document: a line per key, objects inside one line, a list of objects as a table. */
glot_status inspect_print(const json_t *document, glot_error *err);

#endif
