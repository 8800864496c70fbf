/* gates.h: which layers get a language gate (METHOD 6), and giving it to them.
 *
 *     glot_gate_config gate;
 *     GLOT_TRY(glot_gates_most_similar(&gate, &m->config, S, 7, &err));     or glot_gates_listed
 *     GLOT_TRY(glot_gates_add(m, &gate, seed, &err));                     before the review that trains them
 *
 * Layers that have a gate keep it: a model that grows again asks for more, or for none besides.
 */
#ifndef GLOT_EXPAND_GATES_H
#define GLOT_EXPAND_GATES_H

#include "model/model.h"

/* `count` gated layers in all: those that have a gate, then the most similar of the others with a router;
 * equals: the lower layer first. similarity: S [n_layers] (METHOD 4). `gate` is overwritten, its form is the
 * model's. */
glot_status glot_gates_most_similar(glot_gate_config *gate, const glot_model_config *c,
                                    const double *similarity, int64_t count, glot_error *err);
/* The layers listed, in any order, and those that have a gate. */
glot_status glot_gates_listed(glot_gate_config *gate, const glot_model_config *c, const int32_t *layers,
                              size_t n, glot_error *err);

/* The model's gates become `gate`, which holds the layers that have one: the new ones get Xavier-normal
 * weights, drawn by (seed, their name). Another form than the gates there are: GLOT_BAD_ARGUMENT. After a
 * failure the model can only be closed. */
glot_status glot_gates_add(glot_model *m, const glot_gate_config *gate, uint64_t seed, glot_error *err);

#endif
