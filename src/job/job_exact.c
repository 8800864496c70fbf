/* job_exact.c: the exact path in a job (METHOD 8): its evidence, counted from the train text when the last stage is done, and what it keeps and costs. */
#include "base/log.h"
#include "expand/evidence.h"
#include "job/job.h"

/* Every language of the recipe whose train text is there; *n of them. */
static glot_status list_languages(glot_evidence_language *out, size_t *n, const glot_job *job, glot_error *err)
{
    *n = 0;
    for (size_t i = 0, at; i < job->recipe->n_languages; i++) {
        if (!job->recipe->languages[i].train.n)
            continue;
        GLOT_TRY(glot_token_store_find_language(job->train, job->recipe->languages[i].name, &at, err));
        out[(*n)++] = (glot_evidence_language){.store = job->train, .language = at, .is_old = job->groups[i] == 0};
    }
    return GLOT_OK;
}

/* With fewer held-out documents than this the share to keep cannot be told from all of them. */
static void warn_of_few(double keep, uint64_t n_held_out)
{
    if (keep < 1.0 && (1.0 - keep) * (double)n_held_out < 1.0)
        glot_warn("exact.keep %g: only %" PRIu64 " old documents are held out to find the threshold, so that all of them are kept", keep, n_held_out);
}

static json_t *counts_json(const glot_job *job, const glot_evidence_language *languages, size_t n)
{
    uint64_t n_held_out = 0, n_stay = 0;
    json_t *tokens = json_object();
    for (size_t i = 0; i < n; i++) {
        const glot_evidence_language *l = &languages[i];
        json_object_set_new(tokens, glot_token_store_language(l->store, l->language)->name, json_integer((json_int_t)l->n_counted_tokens));
        n_held_out += l->n_held_out;
        n_stay += l->n_stay;
    }
    warn_of_few(job->recipe->exact.keep, n_held_out);
    return json_pack("{s:f, s:f, s:o, s:{s:I, s:I}}", "threshold", job->model->config.exact.threshold, "keep", job->recipe->exact.keep,
                     "counted_tokens", tokens, "held_out", "documents", (json_int_t)n_held_out, "stay", (json_int_t)n_stay);
}

glot_status glot_job_count_evidence(glot_job *job, glot_error *err)
{
    glot_evidence_language languages[GLOT_MAX_LANGUAGES];
    size_t n = 0;
    if (job->recipe->exact.mode != GLOT_RECIPE_EXACT_TOKENS)
        return GLOT_OK;
    GLOT_TRY(list_languages(languages, &n, job, err));
    GLOT_TRY(glot_evidence_count(job->model, languages, n, job->recipe->exact.keep, err));
    return glot_run_dir_put(job->dir, "exact", counts_json(job, languages, n), err);
}
