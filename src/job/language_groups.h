/* language_groups.h: which language group of the model each language of a recipe belongs to (METHOD 7).
 * Private to src/job. */
#ifndef GLOT_JOB_LANGUAGE_GROUPS_H
#define GLOT_JOB_LANGUAGE_GROUPS_H

#include "job/recipe.h"

/* groups [n_languages]: of the base when a stage alone trains it, of what it becomes in the whole job.
 * Languages that the base knows keep their group, by name; new ones form the newest; what no group knows yet
 * and is old belongs to G0. GLOT_BAD_VALUE where recipe and base contradict each other, and where a base is
 * to grow whose own training or review has not been done. */
glot_status glot_language_groups(int32_t *groups, const glot_recipe *r, const glot_model_config *base,
                                 glot_error *err);
/* The group that knows a language; -1: none. */
int glot_language_group_of(const glot_model_config *c, const char *language);

#endif
