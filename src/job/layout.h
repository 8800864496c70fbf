/* layout.h: how many experts each layer of a recipe's model will have. */
#ifndef GLOT_JOB_LAYOUT_H
#define GLOT_JOB_LAYOUT_H

#include "expand/allocate.h"
#include "job/recipe.h"

/* The experts of each layer afterwards; with a stage alone those of the base. `s` [n_layers] is the
 * similarity that a layerwise allocation follows (METHOD 5), which is then made to fit the recipe's format;
 * where it is NULL, not measured yet, the most new experts that the budget allows are spread evenly: the
 * sizes are right, the layers are not. Refuses what the recipe's list, budget or export format do not allow,
 * with the key. */
glot_status glot_recipe_layout(glot_allocation *out, const glot_recipe *r, const glot_model_config *base,
                               const double *s, glot_error *err);
/* experts.for; any layout where it is not given. */
glot_status glot_recipe_format(const glot_layout_format **out, const glot_recipe *r, glot_error *err);
/* Is the layout known only after similarity has been measured? */
bool glot_recipe_is_layerwise(const glot_recipe *r);

/* The gated layers of a model with these experts (METHOD 6): what the recipe asks for, and those that have
 * a gate already. similarity: S of each layer, or NULL before it is measured: then only their number is
 * right. */
glot_status glot_recipe_gates(glot_gate_config *gate, const glot_recipe *r, const glot_model_config *c,
                              const double *similarity, glot_error *err);

#endif
