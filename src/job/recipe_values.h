/* recipe_values.h: one value of a recipe: from a YAML node by the key's row, and back to text. Private to
 * src/job. */
#ifndef GLOT_JOB_RECIPE_VALUES_H
#define GLOT_JOB_RECIPE_VALUES_H

#include "job/recipe.h"
#include "job/yaml_tree.h"

/* Reads `node` into *value (which the row's type tells) or writes into `problem` what was found and what is
 * expected: "is 'abc', expected a number from 0 to 100". folder: where relative paths start. *value must be
 * in the empty state (glot_recipe_value_clear). GLOT_BAD_VALUE for a bad value; else GLOT_NOMEM. */
glot_status glot_recipe_value_read(void *value, const glot_recipe_key *key, const glot_yaml_node *node,
                                   const char *folder, glot_str *problem);
/* The state of a key that is not given, after freeing what is there. */
void glot_recipe_value_clear(void *value, const glot_recipe_key *key);
bool glot_recipe_value_is_given(const void *value, const glot_recipe_key *key);
/* The value as YAML text. */
void glot_recipe_value_write(glot_str *out, const void *value, const glot_recipe_key *key);
/* A text as a YAML scalar: plain where that is safe, else in double quotes. */
void glot_recipe_write_text(glot_str *out, const char *text);

#endif
