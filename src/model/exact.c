/* exact.c: how long a document stays on the exact path. */
#include "model/exact.h"
#include "base/memory.h"
#include "model/params.h"

#include <math.h>

void glot_exact_remove(glot_model *m)
{
    if (m->exact_evidence)
        glot_model_remove_param(m, m->exact_evidence);
    m->exact_evidence = NULL;
    m->config.exact = (glot_exact_config){0};
}

glot_status glot_exact_set(glot_model *m, const float *evidence, double threshold, glot_error *err)
{
    glot_param *p = NULL;
    glot_exact_remove(m);
    m->config.exact = (glot_exact_config){.is_on = true, .threshold = threshold};
    GLOT_TRY(glot_model_add_param(&p, m, GLOT_ROLE_EXACT_EVIDENCE, -1, -1, GLOT_F32, err));
    m->be->upload(m->be, &p->weight, evidence);
    return glot_model_link(m, err);
}

static glot_status check_evidence(const glot_exact_test *test, const glot_model *m, glot_error *err)
{
    for (int64_t v = 0; v < test->vocab; v++)
        if (!isfinite(test->evidence[v]))
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': tensor '%s' holds %g at %" PRId64 ", expected finite numbers", m->path,
                             m->exact_evidence->name, (double)test->evidence[v], v);
    return GLOT_OK;
}

glot_status glot_exact_test_init(glot_exact_test *test, const glot_model *m, glot_error *err)
{
    const glot_model_config *c = &m->config;
    *test = (glot_exact_test){.vocab = c->vocab_size, .threshold = c->exact.threshold};
    if (!m->exact_evidence)
        return GLOT_OK;
    if (m->exact_evidence->weight.dtype != GLOT_F32)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': tensor '%s' is %s, expected F32", m->path,
                         m->exact_evidence->name, glot_dtype_name(m->exact_evidence->weight.dtype));
    GLOT_TRY(glot_new(&test->evidence, (size_t)c->vocab_size, sizeof *test->evidence,
                      "the evidence of the exact path", err));
    m->be->download(m->be, test->evidence, &m->exact_evidence->weight);
    const int32_t silent[] = {c->bos_id, c->eos_id};
    for (size_t i = 0; i < 2; i++)
        if (silent[i] >= 0)
            test->evidence[silent[i]] = 0.0f;
    glot_status status = check_evidence(test, m, err);
    if (status != GLOT_OK)
        glot_exact_test_release(test);
    return status;
}

void glot_exact_test_release(glot_exact_test *test)
{
    glot_free(test->evidence);
    *test = (glot_exact_test){0};
}

double glot_exact_next(const glot_exact_test *test, double sum, int32_t id)
{
    bool is_known = id >= 0 && id < test->vocab;
    return fmax(sum + (is_known ? (double)test->evidence[id] : 0.0), GLOT_EXACT_FLOOR);
}

void glot_exact_mark(const glot_exact_test *test, glot_exact_state *state, const int32_t *ids, int64_t n,
                     uint8_t *is_exact)
{
    for (int64_t i = 0; i < n; i++) {
        if (!test->evidence)
            state->has_left = true;
        if (!state->has_left) {
            state->sum = glot_exact_next(test, state->sum, ids[i]);
            state->has_left = state->sum > test->threshold;
        }
        if (is_exact)
            is_exact[i] = !state->has_left;
    }
}
