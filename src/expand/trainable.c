/* trainable.c: what is frozen (METHOD 2, 3, 7). */
#include "expand/trainable.h"

bool glot_trains(const glot_model_config *c, glot_param_id id, glot_trainable what)
{
    bool is_router = id.role == GLOT_ROLE_ROUTER, is_gate = id.role == GLOT_ROLE_LANGUAGE_GATE;
    switch (what) {
    case GLOT_TRAIN_NEW_EXPERTS:
        return is_router || (id.expert > 0 && c->expert_group[id.layer][id.expert] == c->n_groups - 1);
    case GLOT_TRAIN_ALL_EXPERTS:
        return is_router || (id.expert >= 0 && c->n_experts[id.layer] > 1);
    case GLOT_TRAIN_ALL:
        return !is_gate && id.role != GLOT_ROLE_EXACT_EVIDENCE;
    case GLOT_TRAIN_LORA: /* adapters train wherever they are */
        return false;
    case GLOT_TRAIN_ROUTERS:
        return is_router || is_gate;
    }
    return false;
}

glot_status glot_set_trainable(glot_model *m, glot_trainable what, glot_error *err)
{
    for (size_t i = 0; i < m->n_params; i++) {
        glot_param *p = m->params[i];
        p->is_trainable = glot_trains(&m->config, (glot_param_id){p->role, p->layer, p->expert}, what);
    }
    if (glot_model_trained(m, NULL) == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': nothing would train: %s", m->path,
                         what == GLOT_TRAIN_LORA ? "no layer has an adapter"
                                                 : "no layer has more than one expert");
    return GLOT_OK;
}
