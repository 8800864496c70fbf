/* base.h: opening the model that a recipe names, and whether the recipe fits it. Private to src/job. */
#ifndef GLOT_JOB_BASE_H
#define GLOT_JOB_BASE_H

#include "job/recipe.h"
#include "expand/upcycle.h"
#include "text/tokenizer.h"

/* Opens the base (base_init: random needs only its configuration and tokenizer, and draws weights from the
 * seed) and its tokenizer. Refuses what does not go together, with the recipe's key where one is at fault:
 * for train and review a dense base, experts that the base cannot be given, languages that its groups
 * contradict, an expanded base whose weights are not those that were frozen, a length beyond the context,
 * a tokenizer beyond the vocabulary, no EOS. The caller closes both, whatever the status. */
glot_status glot_base_open(glot_model **model, glot_tokenizer **tokenizer, const glot_recipe *r,
                           glot_backend *be, glot_error *err);
/* How the recipe upcycles; source_expert is left to whoever measures it (init: best). */
glot_upcycle_settings glot_base_upcycle_settings(const glot_recipe *r);
/* Says through glot_warn what of a base deserves it: an instruction-tuned one. */
void glot_base_warn(const glot_recipe *r);

#endif
