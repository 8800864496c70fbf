/* allocate.h
 *
 * How many experts each layer gets (METHOD 5): the less alike the languages look in a layer, the more.
 *
 *     N_l = ceil( (1/S_l) / sum_j (1/S_j) * delta - 1e-9 )        N_l - 1 experts are new
 *
 * delta is given, or the largest allocation is taken that a number of new experts allows. An export format
 * may hold only some layouts: then the allocation is made to fit.
 */
#ifndef GLOT_EXPAND_ALLOCATE_H
#define GLOT_EXPAND_ALLOCATE_H

#include "base/json.h"
#include "model/config.h"

typedef struct glot_budget {
    double delta;  /* positive, or */
    int64_t n_new; /* at most so many new experts, at least 1; 0: delta holds */
} glot_budget;

typedef struct glot_allocation {
    int64_t n_layers;
    int32_t n_experts[GLOT_MAX_LAYERS]; /* totals afterwards, the original included */
    int64_t total, n_new;
    double delta;                       /* that gives this allocation, before it is made to fit a format */
    bool is_fitted;                     /* to a format, and so another one than similarity asks for: */
    int32_t asked[GLOT_MAX_LAYERS];     /* what that is */
} glot_allocation;

/* s [n_layers] positive; existing [n_layers]: experts that the layers have, which are kept. GLOT_BAD_ARGUMENT
 * where the budget gives no layer an expert, or a layer more than GLOT_MAX_EXPERTS, with what could be. */
glot_status glot_allocate(glot_allocation *out, const double *s, const int32_t *existing, int64_t n_layers,
                          const glot_budget *budget, glot_error *err);

/* What an export format can hold. */
typedef enum glot_layout {
    GLOT_LAYOUT_ANY,
    GLOT_LAYOUT_UNIFORM,       /* one count for all layers */
    GLOT_LAYOUT_UNIFORM_RANGE, /* one count for the layers from a first to a last one, the others dense */
    GLOT_LAYOUT_UNIFORM_SOME,  /* one count for some layers, the others dense */
} glot_layout;
typedef struct glot_layout_format {
    const char *name;
    glot_layout layout;
    const char *holds; /* the same for a person */
} glot_layout_format;
/* Every format; ends with a row without a name. */
extern const glot_layout_format glot_layout_formats[];
/* GLOT_BAD_ARGUMENT names those there are. */
glot_status glot_layout_find(const glot_layout_format **out, const char *name, glot_error *err);
bool glot_layout_holds(const glot_layout_format *format, const int32_t *n_experts, int64_t n_layers);

/* Makes an allocation one that the format holds, with at most as many new experts: the same number in every
 * layer where that can be, else (where the format allows it) the layers with the least similarity get a
 * second expert and the others stay dense. GLOT_BAD_ARGUMENT, with the least that could be, where nothing
 * fits. */
glot_status glot_allocation_fit(glot_allocation *a, const glot_layout_format *format, const double *s,
                                const int32_t *existing, glot_error *err);

/* INTERFACES `glot allocate`: {"experts", "total", "new", "delta"}, and where it was made to fit a format
 * "for" and "asked". New reference. */
json_t *glot_allocation_json(const glot_allocation *a, const glot_layout_format *format);
/* total and n_new out of n_experts. */
void glot_allocation_sum(glot_allocation *a, const int32_t *existing);

/* Bytes of one new expert of a model as it is trained: float32. */
uint64_t glot_expert_bytes(const glot_model_config *c);

#endif
