/* fuzz_similarity.c: any bytes as a similarity file; what is taken can be allocated to, with either kind of budget and for every format.
 *
 * links: expand
 */
#include "expand/allocate.h"
#include "expand/similarity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void allocate(const glot_layer_similarity *s, glot_budget budget)
{
    glot_error err = {0};
    glot_allocation a, fitted;
    if (glot_allocate(&a, s->s, s->n_experts, s->n_layers, &budget, &err) != GLOT_OK) {
        GLOT_ASSERT(err.message[0] != '\0');
        return;
    }
    GLOT_ASSERT(a.n_new >= 1 && (budget.n_new == 0 || a.n_new <= budget.n_new));
    for (const glot_layout_format *f = glot_layout_formats; f->name; f++) {
        fitted = a;
        if (glot_allocation_fit(&fitted, f, s->s, s->n_experts, NULL) == GLOT_OK)
            GLOT_ASSERT(glot_layout_holds(f, fitted.n_experts, s->n_layers) && fitted.n_new >= 1 && fitted.n_new <= a.n_new);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    glot_layer_similarity s;
    if (glot_json_load(&root, (const char *)data, size, "fuzz", NULL) != GLOT_OK)
        return 0;
    if (glot_layer_similarity_from_json(&s, root, "fuzz", NULL) == GLOT_OK) {
        allocate(&s, (glot_budget){.delta = 1.5 * (double)s.n_layers});
        allocate(&s, (glot_budget){.n_new = 7});
    }
    json_decref(root);
    return 0;
}
