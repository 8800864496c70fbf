/* pool.c: tensors one behind the other in one block of backend memory. */
#include "tensor/backend.h"

enum { ALIGNMENT = 64 };

void glot_pool_measure(glot_pool *pool, glot_backend *be)
{
    *pool = (glot_pool){.be = be, .is_measuring = true};
}

glot_status glot_pool_init(glot_pool *pool, glot_backend *be, size_t bytes, const char *what, glot_error *err)
{
    *pool = (glot_pool){.be = be, .size = bytes};
    void *base = NULL;
    if (bytes)
        GLOT_TRY(be->alloc(be, &base, bytes, what, err));
    pool->base = base;
    return GLOT_OK;
}

void glot_pool_release(glot_pool *pool)
{
    if (pool->base)
        pool->be->free(pool->be, pool->base);
    *pool = (glot_pool){0};
}

void glot_pool_take(glot_pool *pool, glot_tensor *t)
{
    size_t bytes = (glot_tensor_bytes(t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    GLOT_ASSERT(pool->is_measuring || bytes <= pool->size - pool->used);
    t->addr = pool->is_measuring ? NULL : pool->base + pool->used;
    pool->used += bytes;
    if (pool->used > pool->peak)
        pool->peak = pool->used;
}

size_t glot_pool_mark(const glot_pool *pool)
{
    return pool->used;
}

void glot_pool_return(glot_pool *pool, size_t mark)
{
    GLOT_ASSERT(mark <= pool->used);
    pool->used = mark;
}

void glot_backend_close(glot_backend *be)
{
    if (be)
        be->close(be);
}

bool glot_ops_complete(const glot_ops *ops)
{
#define GLOT_OP(name, parameters, arguments)                                                                 \
    if (!ops->name)                                                                                          \
        return false;
#include "tensor/ops.inc"
#undef GLOT_OP
    return true;
}
