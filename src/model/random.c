/* random.c
 *
 * Random weights from a seed: every parameter has a generator of its own, (seed, its name), so that its
 * numbers depend on nothing else in the model. Values are those of Hugging Face's initialisation: embeddings
 * and projections normal with std 0.02, norms 1, biases 0; routers and language gates Xavier-normal (METHOD
 * 1, 6); LoRA's A Kaiming-uniform as PEFT has it, sqrt(6 / ((1 + 5) k)) either way, and its B 0.
 */
#include "model/params.h"
#include "base/memory.h"
#include "base/rng.h"

#include <math.h>

enum { CHUNK = GLOT_PARAM_CHUNK };
static const double INIT_STD = 0.02; /* initializer_range of every configuration this program reads */

static bool is_constant(glot_role role, float *value)
{
    switch (role) {
    case GLOT_ROLE_ATTN_NORM:
    case GLOT_ROLE_FFN_NORM:
    case GLOT_ROLE_FINAL_NORM:
    case GLOT_ROLE_Q_NORM:
    case GLOT_ROLE_K_NORM:
        *value = 1.0f;
        return true;
    case GLOT_ROLE_Q_BIAS:
    case GLOT_ROLE_K_BIAS:
    case GLOT_ROLE_V_BIAS:
    case GLOT_ROLE_EXACT_EVIDENCE:
    case GLOT_ROLE_LORA_B:
        *value = 0.0f;
        return true;
    default:
        return false;
    }
}

/* Xavier-normal std of a [rows, cols] matrix: sqrt(2 / (rows + cols)). */
static double std_of(const glot_param *p)
{
    if (p->role == GLOT_ROLE_ROUTER || p->role == GLOT_ROLE_LANGUAGE_GATE)
        return sqrt(2.0 / (double)(p->weight.shape[0] + p->weight.shape[1]));
    return INIT_STD;
}

static double draw(glot_rng *rng, const glot_param *p, double std)
{
    if (p->role == GLOT_ROLE_LORA_A)
        return (2.0 * glot_rng_uniform(rng) - 1.0) / sqrt((double)glot_tensor_cols(&p->weight));
    return std * glot_rng_normal(rng);
}

glot_status glot_param_randomize(const glot_model *m, const glot_param *p, int64_t first_row, uint64_t seed,
                                 glot_error *err)
{
    float constant = 0.0f;
    bool is_drawn = !is_constant(p->role, &constant);
    double std = std_of(p);
    glot_rng rng = glot_rng_seed(seed, glot_rng_stream_of(p->name));
    int64_t n = glot_tensor_elements(&p->weight), skipped = first_row * glot_tensor_cols(&p->weight);
    float *values = NULL;
    void *scratch = NULL;
    glot_status status = glot_new(&values, CHUNK, sizeof *values, "random weights", err);
    if (status == GLOT_OK)
        status = glot_new(&scratch, CHUNK, sizeof(double), "random weights", err);
    for (int64_t i = 0; i < skipped && is_drawn; i++)
        draw(&rng, p, std);
    for (int64_t first = skipped; first < n && status == GLOT_OK; first += CHUNK) {
        int64_t count = n - first < CHUNK ? n - first : CHUNK;
        for (int64_t i = 0; i < count; i++)
            values[i] = is_drawn ? (float)draw(&rng, p, std) : constant;
        glot_param_write(m, &p->weight, first, count, values, scratch);
    }
    glot_free(values);
    glot_free(scratch);
    return status;
}

static glot_status fill(glot_model *m, uint64_t seed, glot_error *err)
{
    glot_param_id *ids;
    size_t n;
    GLOT_TRY(glot_param_list(&ids, &n, &m->config, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        glot_param *p;
        status = glot_model_add_param(&p, m, ids[i].role, ids[i].layer, ids[i].expert, m->be->real, err);
        if (status == GLOT_OK)
            status = glot_param_randomize(m, p, 0, seed, err);
    }
    glot_free(ids);
    return status == GLOT_OK ? glot_model_link(m, err) : status;
}

glot_status glot_model_create_random(glot_model **out, glot_backend *be, const glot_model_config *config,
                                     uint64_t seed, glot_error *err)
{
    static const char path[] = "random weights";
    glot_model *m;
    GLOT_TRY(glot_config_check(config, path, err));
    GLOT_TRY(glot_model_create_empty(&m, be, config, path, err));
    glot_status status = fill(m, seed, err);
    if (status == GLOT_OK)
        *out = m;
    else
        glot_model_close(m);
    return status;
}
