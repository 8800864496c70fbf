/* ref_backend.h: the reference backend in float32, opened once for all tests of a program. */
#ifndef GLOT_TESTS_REF_BACKEND_H
#define GLOT_TESTS_REF_BACKEND_H

#include "tensor/backend.h"

static glot_backend *backend;

static inline int open_backend(void **state)
{
    glot_error err = {0};
    (void)state;
    return glot_ref_backend_create(&backend, GLOT_F32, &err) == GLOT_OK ? 0 : -1;
}

static inline int close_backend(void **state)
{
    (void)state;
    glot_backend_close(backend);
    return 0;
}

#endif
