/* cpu_model.h: one model on the CPU backend, opened by a program's set-up for all of its tests. */
#ifndef GLOT_TESTS_CPU_MODEL_H
#define GLOT_TESTS_CPU_MODEL_H

#include "unit/tiny_model.h"

static glot_error err;
static glot_backend *be;
static glot_model *model;

static inline int close_model(void **state)
{
    (void)state;
    glot_model_close(model);
    glot_backend_close(be);
    return 0;
}

#endif
