/* hash.c: what the weights are (SHA-256) and whether they are numbers. Both read every byte, a chunk at a
 * time, in the type the weight lies in: the hash is of values and types, wherever they came from. */
#include "model/params.h"
#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = GLOT_PARAM_CHUNK };

/* A parameter to be hashed, under which name and in which type. */
typedef struct hashed_param {
    const glot_param *param;
    char *name; /* owned where it is not the parameter's own */
    glot_dtype dtype;
} hashed_param;

typedef struct hash_list {
    const glot_model *m;
    hashed_param *items; /* [n], room for all parameters */
    size_t n;
} hash_list;

static void hash_list_release(hash_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].name != list->items[i].param->name)
            glot_free(list->items[i].name);
    glot_free(list->items);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const hashed_param *)a)->name, ((const hashed_param *)b)->name);
}

/* "name\0dtype\0[shape]\0", then the bytes. */
static void hash_param(glot_sha256 *h, const glot_model *m, const hashed_param *p,
                       glot_param_buffers *buffers)
{
    char shape[96];
    glot_tensor_shape_text(&p->param->weight, shape);
    const char *type = glot_dtype_name(p->dtype);
    glot_sha256_update(h, p->name, strlen(p->name) + 1);
    glot_sha256_update(h, type, strlen(type) + 1);
    glot_sha256_update(h, shape, strlen(shape) + 1);
    int64_t n = glot_tensor_elements(&p->param->weight);
    size_t element = glot_dtype_block_bytes(p->dtype);
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t count = n - first < CHUNK ? n - first : CHUNK;
        glot_param_read_as(buffers->out, p->dtype, m, &p->param->weight, first, count, buffers);
        glot_sha256_update(h, buffers->out, (size_t)count * element);
    }
}

/* Sorts the list by name and hashes it. */
static glot_status hash_all(char hex[65], hash_list *list, glot_error *err)
{
    glot_param_buffers buffers = {0};
    glot_sha256 *h = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_param_buffers_create(&buffers, err));
    GLOT_TRY_OUT(glot_sha256_create(&h, err));
    qsort(list->items, list->n, sizeof *list->items, compare_names);
    for (size_t i = 0; i < list->n; i++)
        hash_param(h, list->m, &list->items[i], &buffers);
    glot_sha256_finish(h, hex);
out:
    glot_sha256_free(h);
    glot_param_buffers_release(&buffers);
    return status;
}

static glot_status hash_list_create(hash_list *list, const glot_model *m, glot_error *err)
{
    *list = (hash_list){.m = m};
    return glot_new(&list->items, m->n_params, sizeof *list->items, "the parameters in order of names", err);
}

/* The exact path's evidence is counted, not trained, and comes into a model after its training: it is not
 * what training must leave alone. */
static bool is_frozen(const glot_param *p)
{
    return !p->is_trainable && p->role != GLOT_ROLE_EXACT_EVIDENCE;
}

glot_status glot_model_sha256(char hex[65], const glot_model *m, bool frozen_only, glot_error *err)
{
    hash_list list;
    GLOT_TRY(hash_list_create(&list, m, err));
    for (size_t i = 0; i < m->n_params; i++) {
        const glot_param *p = m->params[i];
        if (!frozen_only || is_frozen(p))
            list.items[list.n++] = (hashed_param){p, p->name, p->weight.dtype};
    }
    glot_status status = hash_all(hex, &list, err);
    hash_list_release(&list);
    return status;
}

size_t glot_model_n_frozen(const glot_model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_params; i++)
        n += is_frozen(m->params[i]);
    return n;
}

/* ---- what each language group brought ---- */

/* The base: all but routers, gates, evidence and added experts. A later group: its experts. */
static bool is_of_group(const glot_model_config *c, const glot_param *p, int group)
{
    if (p->role == GLOT_ROLE_ROUTER || p->role == GLOT_ROLE_LANGUAGE_GATE ||
        p->role == GLOT_ROLE_EXACT_EVIDENCE)
        return false;
    return group == (p->expert > 0 ? c->expert_group[p->layer][p->expert] : 0);
}

glot_status glot_model_group_sha256(char hex[65], const glot_model *m, int group,
                                    const glot_dtype *save_dtype, glot_error *err)
{
    hash_list list;
    glot_model_config dense =
        m->config; /* for names: every layer with its plain FFN; shares what it points to */
    glot_status status = GLOT_OK;
    for (int64_t l = 0; l < dense.n_layers; l++)
        dense.n_experts[l] = 1;
    GLOT_TRY(hash_list_create(&list, m, err));
    for (size_t i = 0; i < m->n_params && status == GLOT_OK; i++) {
        glot_param *p = m->params[i];
        if (!is_of_group(&m->config, p, group))
            continue;
        char *name = p->expert == 0 ? glot_param_name(&dense, p->role, p->layer, 0) : p->name;
        if (!name)
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a parameter");
        else
            list.items[list.n++] = (hashed_param){p, name, glot_param_saved_dtype(p, save_dtype)};
    }
    if (status == GLOT_OK)
        status = hash_all(hex, &list, err);
    hash_list_release(&list);
    return status;
}

/* Where the configuration keeps a group's hash. */
static char *recorded(glot_model_config *c, int group)
{
    return group == 0 ? c->base_sha256 : c->added_sha256[group];
}

glot_status glot_model_record_groups(glot_model *m, const glot_dtype *save_dtype, glot_error *err)
{
    for (int g = 0; g < m->config.n_groups; g++)
        if (g > 0 || m->config.base_sha256[0])
            GLOT_TRY(glot_model_group_sha256(recorded(&m->config, g), m, g, save_dtype, err));
    return GLOT_OK;
}

glot_status glot_model_check_groups(const glot_model *m, glot_error *err)
{
    for (int g = 0; g < m->config.n_groups; g++) {
        const char *expected = g == 0 ? m->config.base_sha256 : m->config.added_sha256[g];
        char found[65];
        if (!expected[0])
            continue;
        GLOT_TRY(glot_model_group_sha256(found, m, g, NULL, err));
        if (strcmp(found, expected) != 0)
            return GLOT_FAIL(
                err, GLOT_BAD_VALUE,
                "'%s': the weights of language group %d have SHA-256 %s, but config.json says %s: they "
                "were changed after they were frozen",
                m->path, g, found, expected);
    }
    return GLOT_OK;
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
