/* job_exact.c: the exact path in a job (METHOD 8): its evidence, counted from the train text when the last
 * stage is done, and what it keeps and costs. */
#include "base/log.h"
#include "expand/evidence.h"
#include "job/job.h"
#include "job/language_groups.h"
#include "model/exact.h"

/* Every language of the recipe whose train text is there; *n of them. */
static glot_status list_languages(glot_evidence_language *out, size_t *n, const glot_job *job,
                                  const int32_t *groups, glot_error *err)
{
    *n = 0;
    for (size_t i = 0, at; i < job->recipe->n_languages; i++) {
        if (!job->recipe->languages[i].train.n)
            continue;
        GLOT_TRY(glot_token_store_find_language(job->train, job->recipe->languages[i].name, &at, err));
        out[(*n)++] = (glot_evidence_language){.store = job->train, .language = at, .is_old = groups[i] == 0};
    }
    return GLOT_OK;
}

/* With fewer held-out documents than this the share to keep cannot be told from all of them. */
static void warn_of_few(double keep, uint64_t n_held_out)
{
    if (keep < 1.0 && (1.0 - keep) * (double)n_held_out < 1.0)
        glot_warn("exact.keep %g: only %" PRIu64
                  " old documents are held out to find the threshold, so that all of them are kept",
                  keep, n_held_out);
}

static json_t *counts_json(const glot_job *job, const glot_evidence_language *languages, size_t n)
{
    uint64_t n_held_out = 0, n_stay = 0;
    json_t *tokens = json_object();
    for (size_t i = 0; i < n; i++) {
        const glot_evidence_language *l = &languages[i];
        json_object_set_new(tokens, glot_token_store_language(l->store, l->language)->name,
                            json_integer((json_int_t)l->n_counted_tokens));
        n_held_out += l->n_held_out;
        n_stay += l->n_stay;
    }
    warn_of_few(job->recipe->exact.keep, n_held_out);
    return json_pack("{s:f, s:f, s:o, s:{s:I, s:I}}", "threshold", job->model->config.exact.threshold, "keep",
                     job->recipe->exact.keep, "counted_tokens", tokens, "held_out", "documents",
                     (json_int_t)n_held_out, "stay", (json_int_t)n_stay);
}

glot_status glot_job_check_evidence(const glot_job *job, glot_error *err)
{
    glot_evidence_language languages[GLOT_MAX_LANGUAGES];
    int32_t groups[GLOT_MAX_LANGUAGES];
    size_t n = 0;
    if (job->recipe->exact.mode != GLOT_RECIPE_EXACT_TOKENS)
        return GLOT_OK;
    GLOT_TRY(glot_language_groups(groups, job->recipe, &job->model->config, err));
    GLOT_TRY(list_languages(languages, &n, job, groups, err));
    return glot_evidence_check(languages, n, err);
}

glot_status glot_job_count_evidence(glot_job *job, glot_error *err)
{
    glot_evidence_language languages[GLOT_MAX_LANGUAGES];
    size_t n = 0;
    if (job->recipe->exact.mode != GLOT_RECIPE_EXACT_TOKENS) {
        if (job->recipe->exact
                .is_mode_given) /* a review alone keeps what the model has unless told otherwise */
            glot_exact_remove(job->model);
        return glot_model_link(job->model, err);
    }
    GLOT_TRY(list_languages(languages, &n, job, job->groups, err));
    GLOT_TRY(glot_evidence_count(job->model, languages, n, job->recipe->exact.keep, err));
    return glot_run_dir_put(job->dir, "exact", counts_json(job, languages, n), err);
}

/* ---- what it keeps and costs ---- */

static double ratio_of(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

static json_t *delay_json(const glot_exact_share *share)
{
    return share->documents == share->documents_that_stay
               ? json_null()
               : json_pack("{s:f, s:f}", "median", share->median, "p90", share->p90);
}

/* Bits per byte before, and of the result without and with the exact path; NULL where nothing is scored. */
static json_t *bits_json(const glot_job *job, const char *language, const json_t *off)
{
    static const char *const whens[] = {"after_review", "after_train"};
    const json_t *base = json_object_get(glot_run_dir_get(job->dir, "before"), language), *on = NULL;
    for (size_t i = 0; i < 2 && !on; i++)
        on = json_object_get(glot_run_dir_get(job->dir, whens[i]), language);
    const json_t *bits[] = {json_object_get(base, "bits_per_byte"),
                            json_object_get(json_object_get(off, language), "bits_per_byte"),
                            json_object_get(on, "bits_per_byte")};
    if (!bits[0] || !bits[1] || !bits[2])
        return NULL;
    return json_pack("{s:f, s:f, s:f}", "base", json_number_value(bits[0]), "off", json_number_value(bits[1]),
                     "on", json_number_value(bits[2]));
}

static glot_status measure_language(json_t **out, const glot_job *job, size_t language, size_t at,
                                    const json_t *off, glot_error *err)
{
    const glot_recipe_language *l = &job->recipe->languages[language];
    glot_exact_share share;
    GLOT_TRY(glot_exact_share_measure(&share, job->model, job->valid, (int32_t)at,
                                      (uint64_t)job->recipe->eval.max_tokens, err));
    *out = json_pack("{s:s, s:I, s:f, s:I, s:f, s:o}", "group", job->groups[language] == 0 ? "old" : "new",
                     "documents", (json_int_t)share.documents, "document_share",
                     ratio_of(share.documents_that_stay, share.documents), "tokens", (json_int_t)share.tokens,
                     "token_share", ratio_of(share.tokens_on_path, share.tokens), "leaves_after",
                     delay_json(&share));
    json_t *bits = bits_json(job, l->name, off);
    if (bits)
        json_object_set_new(*out, "bits_per_byte", bits);
    return GLOT_OK;
}

glot_status glot_job_measure_exact(glot_job *job, glot_error *err)
{
    json_t *exact = glot_run_dir_get(job->dir, "exact"), *off = NULL, *languages = json_object();
    double began = glot_seconds();
    glot_status status = GLOT_OK;
    if (job->recipe->exact.mode != GLOT_RECIPE_EXACT_TOKENS)
        goto out;
    glot_job_begin(job, "exact", "scoring every language without the exact path");
    GLOT_TRY_OUT(glot_job_score(&off, job, GLOT_EXACT_NEVER, err));
    for (size_t i = 0, at; i < job->recipe->n_languages; i++) {
        json_t *entry = NULL;
        if (!glot_job_find_valid(job, i, &at))
            continue;
        GLOT_TRY_OUT(measure_language(&entry, job, i, at, off, err));
        json_object_set_new(languages, job->recipe->languages[i].name, entry);
    }
    json_object_set(exact, "languages", languages);
    glot_job_add_seconds(job, "exact", glot_seconds() - began);
out:
    json_decref(languages);
    json_decref(off);
    return status;
}
