/* backend.c: memory and life cycle of the reference backend: the heap, and scratch for attention. */
#include "tensor/ref/ref.h"
#include "base/memory.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* The heap gives 16-byte alignment: the block starts at the next multiple of 64 and the heap's own address
 * lies in front of it. Filled with NaN, so that an op reading what none has written shows. */
static glot_status ref_alloc(glot_backend *be, void **addr, size_t bytes, const char *what, glot_error *err)
{
    (void)be;
    size_t padded;
    if (!glot_size_add(&padded, bytes, ALIGNMENT + sizeof(void *)))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for %s (%zu bytes)", what, bytes);
    char *block;
    GLOT_TRY(glot_new(&block, padded, 1, what, err));
    char *aligned = block + sizeof(void *);
    aligned += (ALIGNMENT - (uintptr_t)aligned % ALIGNMENT) % ALIGNMENT;
    memcpy(aligned - sizeof(void *), &block, sizeof block);
    memset(aligned, 0xff, bytes);
    *addr = aligned;
    return GLOT_OK;
}

static void ref_free(glot_backend *be, void *addr)
{
    (void)be;
    if (!addr)
        return;
    void *block;
    memcpy(&block, (char *)addr - sizeof(void *), sizeof block);
    glot_free(block);
}

static void ref_upload(glot_backend *be, const glot_tensor *to, const void *host)
{
    (void)be;
    if (glot_tensor_elements(to))
        memcpy(to->addr, host, glot_tensor_bytes(to));
}

static void ref_download(glot_backend *be, void *host, const glot_tensor *from)
{
    (void)be;
    if (glot_tensor_elements(from))
        memcpy(host, from->addr, glot_tensor_bytes(from));
}

static void ref_zero(glot_backend *be, const glot_tensor *t)
{
    (void)be;
    if (glot_tensor_elements(t))
        memset(t->addr, 0, glot_tensor_bytes(t));
}

static void ref_copy(glot_backend *be, const glot_tensor *to, const glot_tensor *from)
{
    int64_t n = glot_tensor_elements(from);
    GLOT_ASSERT(glot_tensor_elements(to) == n);
    if (to->dtype == from->dtype) {
        ref_upload(be, to, from->addr);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        glot_dtype_set(to->dtype, to->addr, i, glot_dtype_get(from->dtype, from->addr, i));
}

static glot_status ref_place(glot_backend *be, glot_tensor *out, const glot_tensor *host, glot_error *err)
{
    (void)be, (void)err;
    *out = *host;
    return GLOT_OK;
}

static void release_scratch(ref_backend *ref)
{
    for (int i = 0; i < 2; i++) {
        glot_free(ref->scratch[i]);
        ref->scratch[i] = NULL;
    }
    ref->max_keys = 0;
}

static glot_status ref_reserve(glot_backend *be, const glot_limits *limits, glot_error *err)
{
    ref_backend *ref = (ref_backend *)be;
    if (limits->max_keys <= ref->max_keys)
        return GLOT_OK;
    release_scratch(ref);
    for (int i = 0; i < 2; i++)
        GLOT_TRY(
            glot_new(&ref->scratch[i], (size_t)limits->max_keys, sizeof(double), "attention scratch", err));
    ref->max_keys = limits->max_keys;
    return GLOT_OK;
}

static glot_status ref_check(glot_backend *be, glot_error *err)
{
    (void)be, (void)err;
    return GLOT_OK;
}

static void ref_close(glot_backend *be)
{
    release_scratch((ref_backend *)be);
    glot_free(be);
}

glot_status glot_ref_backend_create(glot_backend **out, glot_dtype real, glot_error *err)
{
    if (real != GLOT_F32 && real != GLOT_F64)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "the reference backend computes in F32 or F64, not in %s",
                         glot_dtype_name(real));
    ref_backend *ref;
    GLOT_TRY(glot_new(&ref, 1, sizeof *ref, "the reference backend", err));
    ref->base = (glot_backend){.name = real == GLOT_F32 ? "ref_f32" : "ref_f64",
                               .isa = "",
                               .real = real,
                               .products = real,
                               .n_threads = 1,
                               .ops = real == GLOT_F32 ? &ref_f32_ops : &ref_f64_ops,
                               .alloc = ref_alloc,
                               .free = ref_free,
                               .upload = ref_upload,
                               .download = ref_download,
                               .zero = ref_zero,
                               .copy = ref_copy,
                               .place = ref_place,
                               .reserve = ref_reserve,
                               .check = ref_check,
                               .close = ref_close};
    *out = &ref->base;
    return GLOT_OK;
}
