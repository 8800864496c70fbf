/* plan.h: what a recipe will need, before anything is written: parameters, memory, disk, work. */
#ifndef GLOT_JOB_PLAN_H
#define GLOT_JOB_PLAN_H

#include "base/json.h"
#include "base/str.h"
#include "expand/allocate.h"
#include "job/recipe.h"

/* One stage. All zero where it is left out. */
typedef struct glot_plan_stage {
    int64_t steps;
    uint64_t tokens;             /* input tokens of all steps */
    uint64_t n_trained;          /* parameters */
    double flops_per_token;
    glot_train_memory memory;    /* bytes while it runs */
} glot_plan_stage;

/* What the base's tokenizer makes of a language's train text. */
typedef struct glot_plan_density {
    const char *language; /* the recipe's */
    uint64_t tokens, bytes;
} glot_plan_density;

typedef struct glot_plan {
    glot_plan_density densities[GLOT_MAX_LANGUAGES]; /* of all train text, or of its beginning */
    size_t n_densities;
    uint64_t n_base, n_parameters, n_new; /* of the base, of the result, new experts and routers */
    glot_allocation layout;               /* the experts of each layer */
    const glot_layout_format *format;     /* that the layout fits; not owned */
    bool is_layerwise;                    /* the layout follows similarity, or will: */
    bool is_layout_open; /* it is not measured yet, and the numbers are those of the largest layout of the
                            budget */
    uint64_t mapped_bytes, owned_bytes; /* weights used where the file is mapped; weights in memory, new
                                           experts and adapters included */
    uint64_t merged_bytes; /* weights that adapters are merged into after stage 1, which have been mapped
                              until then */
    glot_plan_stage train, review;
    uint64_t score_bytes;                 /* memory of the scoring */
    uint64_t other_bytes;                 /* of memory: code, tokenizer, text maps, buffers */
    uint64_t peak_bytes; /* of memory: weights, the program, and the most that stages, merging and scoring
                            need at a time */
    uint64_t available_bytes;             /* memory that this process may hold */
    const char *available_name;           /* what sets that: "this machine", "its control group", ... */
    uint64_t checkpoint_bytes, model_bytes, disk_bytes; /* disk_bytes: the most at any time */
    uint64_t disk_free_bytes, disk_there_bytes; /* there: what of it the run directory holds already */
    double flops_per_s;                   /* measured on a product of this model's size; 0: not measured */
    double seconds;                       /* of both stages at that speed; 0: not known */
} glot_plan;

/* `text_ids`: ids of one epoch of each stage's text where epochs are given (else 0). `model`: the base,
 * opened and not yet expanded (or an expanded one that a stage alone trains). `similarity`: of each layer,
 * where it has been measured (else NULL). measure_speed: take a quarter of a second to time a product. */
glot_status glot_plan_make(glot_plan *out, const glot_recipe *r, const glot_model *model,
                           const double *similarity, uint64_t train_ids, uint64_t review_ids,
                           bool measure_speed, glot_error *err);
/* GLOT_NOMEM or GLOT_NO_SPACE with what is needed and what there is, and the micro_batch that would fit. */
glot_status glot_plan_check(const glot_plan *p, const glot_recipe *r, const glot_model *model,
                            glot_error *err);
/* Opens the base and plans: for `glot plan` and `expand --dry-run`. Reads the text once where the recipe
 * counts epochs, else the beginning of it. */
glot_status glot_plan_recipe(glot_plan *out, const glot_recipe *r, glot_error *err);

void glot_plan_text(const glot_plan *p, glot_str *out);
json_t *glot_plan_json(const glot_plan *p); /* new reference */

#endif
