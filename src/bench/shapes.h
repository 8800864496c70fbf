/* shapes.h: well-known model shapes by name, for benchmarks and plans without a model. */
#ifndef GLOT_BENCH_SHAPES_H
#define GLOT_BENCH_SHAPES_H

#include "model/config.h"

/* Fills the dense configuration of "smollm2-135m", "qwen1.5-1.8b", "llama-3.2-1b", "llama-3.2-3b"; n_layers >
 * 0 keeps that many layers only. GLOT_BAD_ARGUMENT lists the names, or says how many layers there are. */
glot_status glot_shape_config(glot_model_config *c, const char *name, int64_t n_layers, glot_error *err);

#endif
