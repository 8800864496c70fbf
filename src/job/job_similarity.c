/* job_similarity.c: the step of a job that measures how alike its languages look in each layer of the base
 * (METHOD 4), where experts are allocated by it or gated layers chosen. Kept in state.json: a resumed run
 * does not measure again. */
#include "base/memory.h"
#include "expand/similarity.h"
#include "job/job.h"
#include "job/layout.h"

/* The languages of the train store in its order. */
typedef struct measurement {
    const char *names[GLOT_MAX_LANGUAGES];
    bool is_old[GLOT_MAX_LANGUAGES];
    double *means[GLOT_MAX_LANGUAGES]; /* [n_layers, hidden_size] */
    size_t n;
} measurement;

static glot_status begin(measurement *m, const glot_job *job, glot_error *err)
{
    const glot_model_config *c = &job->model->config;
    size_t n_values = (size_t)(c->n_layers * c->hidden_size);
    m->n = glot_token_store_n_languages(job->train);
    for (size_t i = 0; i < m->n; i++) {
        const glot_store_language *l = glot_token_store_language(job->train, i);
        m->names[i] = l->name;
        m->is_old[i] = l->group == 0;
        GLOT_TRY(glot_new(&m->means[i], n_values, sizeof **m->means, "the means of a language", err));
    }
    return glot_similarity_check_groups(m->is_old, m->n, err);
}

/* Whole documents from the start of the language's text until `max_tokens`. */
static glot_status measure_language(glot_hsa *hsa, const glot_job *job, size_t language, double *means,
                                    glot_error *err)
{
    uint64_t first = glot_token_store_first_document(job->train, language), n_tokens = 0;
    uint64_t end = first + glot_token_store_language(job->train, language)->n_documents;
    uint64_t max_tokens = (uint64_t)job->recipe->experts.similarity_tokens;
    for (uint64_t i = first; i < end && n_tokens < max_tokens; i++) {
        glot_document d = glot_token_store_document(job->train, i);
        GLOT_TRY(glot_hsa_add(hsa, &d, err));
        n_tokens += d.n_ids;
    }
    return glot_hsa_finish(hsa, means, &n_tokens, err);
}

static void tell(const glot_job *job, const measurement *m, size_t done)
{
    const glot_job_view *view = job->options->view;
    if (view && view->on_language)
        view->on_language(view->user, "similarity", done < m->n ? m->names[done] : NULL, done, m->n);
}

static glot_status measure_all(measurement *m, const glot_job *job, glot_error *err)
{
    glot_hsa *hsa = NULL;
    glot_hsa_options options = {.cancel = job->options->cancel};
    GLOT_TRY(glot_hsa_create(&hsa, job->model, &options, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < m->n && status == GLOT_OK; i++) {
        tell(job, m, i);
        status = measure_language(hsa, job, i, m->means[i], err);
    }
    if (status == GLOT_OK)
        tell(job, m, m->n);
    glot_hsa_free(hsa);
    return status;
}

static glot_status measure(json_t **out, const glot_job *job, glot_error *err)
{
    const glot_model_config *c = &job->model->config;
    glot_similarity s = {0};
    measurement m = {.n = 0};
    glot_status status = begin(&m, job, err);
    if (status == GLOT_OK)
        status = measure_all(&m, job, err);
    if (status == GLOT_OK)
        status = glot_similarity_measure(&s, (const double *const *)m.means, m.is_old, m.n, c->n_layers,
                                         c->hidden_size, err);
    if (status == GLOT_OK)
        status = glot_similarity_to_json(out, &s, job->model, m.names, m.is_old, err);
    for (size_t i = 0; i < m.n; i++)
        glot_free(m.means[i]);
    glot_similarity_release(&s);
    return status;
}

static glot_status measure_once(glot_job *job, glot_error *err)
{
    json_t *similarity = NULL;
    if (glot_run_dir_is_done(job->dir, "similarity"))
        return GLOT_OK;
    double began = glot_seconds();
    glot_job_begin(job, "similarity", "measuring how alike the languages look in each layer");
    GLOT_TRY(measure(&similarity, job, err));
    GLOT_TRY(glot_run_dir_put(job->dir, "similarity", similarity, err));
    glot_job_add_seconds(job, "similarity", glot_seconds() - began);
    return glot_run_dir_set_done(job->dir, "similarity", err);
}

glot_status glot_job_similarity(glot_job *job, glot_error *err)
{
    glot_layer_similarity s;
    bool is_needed = job->recipe->gate.layers.count > 0 ||
                     (job->options->job == GLOT_JOB_EXPAND && glot_recipe_is_layerwise(job->recipe));
    if (!is_needed)
        return GLOT_OK;
    GLOT_TRY(measure_once(job, err));
    GLOT_TRY(
        glot_layer_similarity_from_json(&s, glot_run_dir_get(job->dir, "similarity"), "state.json", err));
    if (s.n_layers != job->model->config.n_layers)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'state.json': similarity has %" PRId64 " layers, but '%s' has %" PRId64, s.n_layers,
                         job->recipe->base, job->model->config.n_layers);
    GLOT_TRY(glot_new(&job->layer_similarity, (size_t)s.n_layers, sizeof *job->layer_similarity, "similarity",
                      err));
    for (int64_t l = 0; l < s.n_layers; l++)
        job->layer_similarity[l] = s.s[l];
    return GLOT_OK;
}
