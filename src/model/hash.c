/* hash.c: what the weights are (SHA-256) and whether they are numbers. Both read every byte, a chunk at a
 * time, in the type the weight lies in: the hash is of values and types, wherever they came from. */
#include "model/params.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = GLOT_PARAM_CHUNK };

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(glot_param *const *)a)->name, (*(glot_param *const *)b)->name);
}

/* "name\0dtype\0[shape]\0", then the bytes. */
static void hash_param(glot_sha256 *h, const glot_model *m, const glot_param *p, void *chunk)
{
    char shape[96];
    glot_tensor_shape_text(&p->weight, shape);
    const char *type = glot_dtype_name(p->weight.dtype);
    glot_sha256_update(h, p->name, strlen(p->name) + 1);
    glot_sha256_update(h, type, strlen(type) + 1);
    glot_sha256_update(h, shape, strlen(shape) + 1);
    int64_t n = glot_tensor_elements(&p->weight);
    size_t element = glot_dtype_block_bytes(p->weight.dtype);
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t count = n - first < CHUNK ? n - first : CHUNK;
        glot_param_read(chunk, m, &p->weight, first, count);
        glot_sha256_update(h, chunk, (size_t)count * element);
    }
}

/* The exact path's evidence is counted, not trained, and comes into a model after its training: it is not what
 * training must leave alone. */
static bool is_frozen(const glot_param *p)
{
    return !p->is_trainable && p->role != GLOT_ROLE_EXACT_EVIDENCE;
}

glot_status glot_model_sha256(char hex[65], const glot_model *m, bool frozen_only, glot_error *err)
{
    glot_param **sorted = NULL;
    void *chunk = NULL;
    glot_sha256 *h = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_new(&sorted, m->n_params, sizeof *sorted, "the parameters in order of names", err));
    GLOT_TRY_OUT(glot_new(&chunk, CHUNK, sizeof(double), "a chunk of weights", err));
    GLOT_TRY_OUT(glot_sha256_create(&h, err));
    memcpy(sorted, m->params, m->n_params * sizeof *sorted);
    qsort(sorted, m->n_params, sizeof *sorted, compare_names);
    for (size_t i = 0; i < m->n_params; i++)
        if (!frozen_only || is_frozen(sorted[i]))
            hash_param(h, m, sorted[i], chunk);
    glot_sha256_finish(h, hex);
out:
    glot_sha256_free(h);
    glot_free(chunk);
    glot_free(sorted);
    return status;
}

/* "[3, 17]" of element `index`. */
static void place_text(char out[96], const glot_tensor *t, int64_t index)
{
    glot_tensor place = *t;
    for (int d = t->n_dims - 1; d >= 0; d--) {
        place.shape[d] = index % t->shape[d];
        index /= t->shape[d];
    }
    glot_tensor_shape_text(&place, out);
}

static glot_status check_param(const glot_model *m, const glot_param *p, void *chunk, float *values,
                               glot_error *err)
{
    int64_t n = glot_tensor_elements(&p->weight);
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t count = n - first < CHUNK ? n - first : CHUNK;
        glot_param_read(chunk, m, &p->weight, first, count);
        glot_values_to_f32(values, chunk, p->weight.dtype, count);
        for (int64_t i = 0; i < count; i++) {
            if (isfinite(values[i]))
                continue;
            char place[96];
            place_text(place, &p->weight, first + i);
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': tensor '%s' has %s at %s, expected finite numbers",
                             m->path, p->name, isnan(values[i]) ? "a NaN" : "an infinity", place);
        }
    }
    return GLOT_OK;
}

glot_status glot_model_check_values(const glot_model *m, glot_error *err)
{
    void *chunk = NULL;
    float *values = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_new(&chunk, CHUNK, sizeof(double), "a chunk of weights", err));
    GLOT_TRY_OUT(glot_new(&values, CHUNK, sizeof *values, "a chunk of weights", err));
    for (size_t i = 0; i < m->n_params; i++)
        GLOT_TRY_OUT(check_param(m, m->params[i], chunk, values, err));
out:
    glot_free(values);
    glot_free(chunk);
    return status;
}
