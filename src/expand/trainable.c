/* trainable.c: what is frozen (METHOD 2, 3, 7). */
#include "expand/trainable.h"

#include <string.h>

static const char *const names[] = {[GLOT_TRAIN_NEW_EXPERTS] = "new_experts",
                                    [GLOT_TRAIN_ALL_EXPERTS] = "all_experts",
                                    [GLOT_TRAIN_ALL] = "all"};

bool glot_trainable_from_name(glot_trainable *out, const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (glot_trainable)i;
            return true;
        }
    return false;
}

static bool trains(const glot_model_config *c, const glot_param *p, glot_trainable what)
{
    bool is_expert =
        p->role == GLOT_ROLE_GATE_PROJ || p->role == GLOT_ROLE_UP_PROJ || p->role == GLOT_ROLE_DOWN_PROJ;
    bool is_router = p->role == GLOT_ROLE_ROUTER, is_gate = p->role == GLOT_ROLE_LANGUAGE_GATE;
    switch (what) {
    case GLOT_TRAIN_NEW_EXPERTS:
        return is_router ||
               (is_expert && p->expert > 0 && c->expert_group[p->layer][p->expert] == c->n_groups - 1);
    case GLOT_TRAIN_ALL_EXPERTS:
        return is_router || (is_expert && c->n_experts[p->layer] > 1);
    case GLOT_TRAIN_ALL:
        return !is_gate && p->role != GLOT_ROLE_EXACT_EVIDENCE;
    case GLOT_TRAIN_LORA: /* adapters train wherever they are */
        return false;
    case GLOT_TRAIN_ROUTERS:
        return is_router || is_gate;
    }
    return false;
}

glot_status glot_set_trainable(glot_model *m, glot_trainable what, glot_error *err)
{
    for (size_t i = 0; i < m->n_params; i++)
        m->params[i]->is_trainable = trains(&m->config, m->params[i], what);
    if (glot_model_trained(m, NULL) == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': nothing would train: %s", m->path,
                         what == GLOT_TRAIN_LORA ? "no layer has an adapter"
                                                 : "no layer has more than one expert");
    return GLOT_OK;
}
