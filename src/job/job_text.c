/* job_text.c: the recipe's text as two token stores in the run directory, and the mix of each stage. */
#include "base/log.h"
#include "base/memory.h"
#include "job/job.h"
#include "text/density.h"
#include "text/overlap.h"

/* Sources of one store; valid text may be missing for a language. The caller frees the array. */
static glot_status list_sources(glot_store_source **out, size_t *n, const glot_recipe *r, bool is_valid,
                                glot_error *err)
{
    *n = 0;
    GLOT_TRY(glot_new(out, r->n_languages, sizeof **out, "the list of text", err));
    for (size_t i = 0; i < r->n_languages; i++) {
        const glot_recipe_language *l = &r->languages[i];
        const glot_recipe_list *files = is_valid ? &l->valid : &l->train;
        if (files->n)
            (*out)[(*n)++] = (glot_store_source){.language = l->name,
                                                 .group = l->group == GLOT_RECIPE_NEW,
                                                 .paths = (const char *const *)files->items,
                                                 .n_paths = files->n};
    }
    return GLOT_OK;
}

static glot_status build_store(const glot_job *job, const char *path, bool is_valid, glot_error *err)
{
    glot_store_source *sources = NULL;
    size_t n = 0;
    glot_corpus_options options = glot_corpus_options_default();
    options.cancel = job->options->cancel;
    glot_status status = list_sources(&sources, &n, job->recipe, is_valid, err);
    if (status == GLOT_OK && n)
        status = glot_token_store_build(path, job->tokenizer, sources, n, &options, job->be->n_threads, err);
    glot_free(sources);
    return status;
}

static glot_status make_store(glot_token_store **out, glot_job *job, const char *name, bool is_valid,
                              glot_error *err)
{
    char *path = glot_run_dir_join(job->dir, name);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = GLOT_OK;
    if (!glot_run_dir_is_done(job->dir, "text") || !glot_path_exists(path))
        status = build_store(job, path, is_valid, err);
    if (status == GLOT_OK && glot_path_exists(path))
        status = glot_token_store_open(out, path, err);
    if (status == GLOT_OK && *out)
        status = glot_token_store_check_tokenizer(*out, job->tokenizer, err);
    if (status == GLOT_OK && *out)
        status = glot_token_store_verify(*out, err);
    glot_free(path);
    return status;
}

bool glot_job_find_train(const glot_job *job, size_t language, size_t *at)
{
    return job->train && glot_token_store_find_language(job->train, job->recipe->languages[language].name, at,
                                                        NULL) == GLOT_OK;
}

/* Text that is scored must not have been trained on; text that repeats is worth less than it looks. */
static glot_status warn_of_overlap(const glot_job *job, const char *language, glot_error *err)
{
    size_t t, v;
    if (!job->train || !job->valid ||
        glot_token_store_find_language(job->train, language, &t, NULL) != GLOT_OK ||
        glot_token_store_find_language(job->valid, language, &v, NULL) != GLOT_OK)
        return GLOT_OK;
    glot_text_overlap o;
    GLOT_TRY(glot_text_overlap_count(&o, job->train, t, job->valid, v, err));
    if (o.n_shared)
        glot_warn("language '%s': %" PRIu64 " of %" PRIu64
                  " valid documents are in the train text too, so its scores will look too good",
                  language, o.n_shared, o.n_valid);
    if (o.n_repeated * 10 > o.n_train)
        glot_warn("language '%s': %" PRIu64 " of %" PRIu64 " train documents repeat an earlier one", language,
                  o.n_repeated, o.n_train);
    return GLOT_OK;
}

/* Share of a stage's tokens that language i gets, as the mix gives them out. */
static double share_of(const glot_recipe *r, const glot_recipe_stage *s, size_t i)
{
    double weights = 0.0;
    for (size_t k = 0; k < r->n_languages; k++)
        if (r->languages[k].group == r->languages[i].group)
            weights += r->languages[k].weight;
    double group = r->languages[i].group == GLOT_RECIPE_OLD ? s->old_share : 1.0 - s->old_share;
    return group * r->languages[i].weight / weights;
}

/* How often a stage will read the text of language i. */
static double times_read(const glot_job *job, glot_phase phase, size_t i, const glot_store_language *l)
{
    const glot_recipe_stage *s = glot_recipe_stage_of(job->recipe, phase);
    double all = (double)glot_job_text_ids(job, phase);
    if (!glot_recipe_trains_on(s, &job->recipe->languages[i]))
        return 0.0;
    double tokens = (double)glot_recipe_steps(s, (uint64_t)all) * (double)(s->batch * s->length);
    /* in the order of the files every language is read as often as any other */
    return s->order == 1 ? tokens / all
                         : tokens * share_of(job->recipe, s, i) / (double)(l->n_tokens + l->n_documents);
}

/* A tokenizer that hardly knows a script, and text that will be read many times over. */
static void warn_of_language(const glot_job *job, size_t i)
{
    static const double MANY_TIMES = 4.0; /* beyond that repeated text gives little */
    const char *name = job->recipe->languages[i].name;
    size_t at;
    if (!glot_job_find_train(job, i, &at))
        return;
    const glot_store_language *l = glot_token_store_language(job->train, at);
    glot_warn_of_density(name, l->n_tokens, l->n_bytes);
    for (int phase = 0; phase < 2; phase++) {
        double times = times_read(job, (glot_phase)phase, i, l);
        if (times > MANY_TIMES)
            glot_warn("language '%s': %s reads its text %.0f times over; more text would teach more", name,
                      phase == GLOT_PHASE_TRAIN ? "stage 1" : "the review", times);
    }
}

glot_status glot_job_text(glot_job *job, glot_error *err)
{
    bool is_done = glot_run_dir_is_done(job->dir, "text");
    double began = glot_seconds();
    char *folder = glot_run_dir_join(job->dir, "tokens");
    glot_status status =
        folder ? glot_dir_make(folder, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_free(folder);
    GLOT_TRY(status);
    if (!is_done)
        glot_job_begin(job, "text", "tokenizing the text");
    GLOT_TRY(make_store(&job->train, job, "tokens/train.tokens", false, err));
    GLOT_TRY(make_store(&job->valid, job, "tokens/valid.tokens", true, err));
    if (is_done)
        return GLOT_OK;
    for (size_t i = 0; i < job->recipe->n_languages; i++) {
        GLOT_TRY(warn_of_overlap(job, job->recipe->languages[i].name, err));
        warn_of_language(job, i);
    }
    glot_job_add_seconds(job, "text", glot_seconds() - began);
    return glot_run_dir_set_done(job->dir, "text", err);
}

uint64_t glot_job_text_ids(const glot_job *job, glot_phase phase)
{
    const glot_recipe *r = job->recipe;
    uint64_t ids = 0;
    for (size_t i = 0, at; i < r->n_languages; i++)
        if (glot_recipe_trains_on(glot_recipe_stage_of(r, phase), &r->languages[i]) &&
            glot_job_find_train(job, i, &at)) {
            const glot_store_language *l = glot_token_store_language(job->train, at);
            ids += l->n_tokens + l->n_documents; /* an EOS behind each document */
        }
    return ids;
}

glot_status glot_job_mix(glot_mix **out, const glot_job *job, glot_phase phase, int32_t *groups, size_t *n,
                         glot_error *err)
{
    const glot_recipe *r = job->recipe;
    const glot_recipe_stage *s = glot_recipe_stage_of(r, phase);
    glot_mix_language languages[GLOT_MAX_LANGUAGES];
    *n = 0;
    for (size_t i = 0, at; i < r->n_languages; i++) {
        const glot_recipe_language *l = &r->languages[i];
        if (!glot_recipe_trains_on(s, l))
            continue;
        GLOT_TRY(glot_token_store_find_language(job->train, l->name, &at, err));
        groups[*n] = job->groups[i];
        languages[(*n)++] = (glot_mix_language){.store = job->train, .store_language = (int32_t)at,
                                                .group = l->group == GLOT_RECIPE_NEW, .weight = l->weight};
    }
    /* The stages read their text in different orders. With `epochs` the text ends; with tokens or steps it
     * repeats. */
    bool ends = s->epochs > 0.0;
    glot_mix_options o = {.languages = languages,
                          .n_languages = *n,
                          .length = s->length,
                          .eos_id = job->model->config.eos_id,
                          .seed = (uint64_t)r->seed + (phase == GLOT_PHASE_REVIEW),
                          .shuffled = s->order == 0,
                          .old_share = s->old_share,
                          .total_ids =
                              ends ? (uint64_t)(s->epochs * (double)glot_job_text_ids(job, phase)) : 0};
    return glot_mix_create(out, &o, err);
}
