/* expand.c: the job, top to bottom:
 *
 * open      the base model and its tokenizer, then the run directory, or the run that is there
 * text      documents to token stores
 * before    scores and samples of the base model
 * similarity between the languages in each layer, where experts or gates follow it (METHOD 4, 5)
 * upcycle   new experts and routers (METHOD 1), made again from the seed on every start
 * train     stage 1 (METHOD 2); adapters go into the weights; then scores
 * review    language gates (METHOD 6), stage 2 (METHOD 3), the evidence of the exact path (METHOD 8), then
 *           scores, samples, and where tokens go
 * model     the frozen weights' hash must be what it was; the result as a model directory, results.json,
 *           report.html
 */
#include "job/expand.h"
#include "job/base.h"
#include "base/log.h"
#include "base/memory.h"
#include "expand/trainable.h"
#include "job/job.h"
#include "job/plan.h"
#include "job/report.h"

#include <string.h>

glot_status glot_job_check_cancel(const glot_job *job, glot_error *err)
{
    if (glot_cancelled(job->options->cancel))
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped between two pieces of work");
    return GLOT_OK;
}

void glot_job_begin(const glot_job *job, const char *step, const char *what)
{
    const glot_job_view *view = job->options->view;
    if (view && view->on_begin)
        view->on_begin(view->user, step, what);
}

void glot_job_add_seconds(glot_job *job, const char *step, double seconds)
{
    json_t *all = glot_run_dir_get(job->dir, "seconds");
    if (!all) {
        glot_run_dir_put(job->dir, "seconds", json_object(), NULL);
        all = glot_run_dir_get(job->dir, "seconds");
    }
    double so_far = all ? json_number_value(json_object_get(all, step)) : 0.0;
    if (all)
        json_object_set_new(all, step, json_real(so_far + seconds));
}

/* ---- opening ---- */

static const char *job_name(glot_recipe_job job)
{
    return job == GLOT_JOB_EXPAND ? "expand" : job == GLOT_JOB_TRAIN ? "train" : "review";
}

/* Scores can be compared only where they were taken alike: after a change of `eval` all of them are taken
 * again. */
static glot_status undo_scores(const glot_job *job, const glot_recipe *old, glot_error *err)
{
    static const char *const steps[] = {"before", "after_train", "after_review", "model"};
    const glot_recipe *now = job->recipe;
    if (old->eval.bits_per_byte == now->eval.bits_per_byte && old->eval.max_tokens == now->eval.max_tokens &&
        glot_recipe_has_same_tasks(old, now))
        return GLOT_OK;
    return glot_run_dir_set_undone(job->dir, steps, sizeof steps / sizeof steps[0], err);
}

/* A run that is there must have begun with this recipe, but for what may change. */
static glot_status check_recipe(const glot_job *job, const char *path, glot_error *err)
{
    glot_recipe *old = NULL;
    glot_recipe_progress done = {.is_train_done = glot_run_dir_is_done(job->dir, "train"),
                                 .is_review_done = glot_run_dir_is_done(job->dir, "review")};
    GLOT_TRY(glot_recipe_reload(&old, path, job->options->job, err));
    glot_status status = glot_recipe_check_change(old, job->recipe, done, err);
    if (status == GLOT_OK)
        status = undo_scores(job, old, err);
    glot_recipe_free(old);
    return status;
}

/* A run without its recipe has only just begun, or somebody has begun to delete it. */
static glot_status check_just_begun(const glot_job *job, glot_error *err)
{
    if (json_array_size(glot_run_dir_get(job->dir, "done")) == 0)
        return GLOT_OK;
    return GLOT_FAIL(err, GLOT_EXISTS,
                     "the run in '%s' has lost its recipe.yaml, so that what it did cannot be gone on with "
                     "(--fresh starts over)",
                     job->recipe->output);
}

static glot_status keep_recipe(const glot_job *job, glot_error *err)
{
    glot_str text = {0};
    glot_status status = glot_recipe_write(job->recipe, &text, err);
    if (status == GLOT_OK)
        status = glot_run_dir_write(job->dir, "recipe.yaml", text.data, text.length, err);
    glot_str_release(&text);
    return status;
}

static glot_status open_run(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    if (job->options->is_fresh)
        GLOT_TRY(glot_run_dir_clear(r->output, err));
    GLOT_TRY(glot_run_dir_open(&job->dir, r->output, job_name(job->options->job), err));
    char *path = glot_run_dir_join(job->dir, "recipe.yaml");
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_path_exists(path) ? check_recipe(job, path, err) : check_just_begun(job, err);
    glot_free(path);
    GLOT_TRY(status);
    return keep_recipe(job, err);
}

/* Opening looks at structure only; a run of hours begins with a look at every value too. */
static glot_status open_base(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    GLOT_TRY(glot_cpu_backend_create(&job->be, (int)r->threads, NULL, err));
    GLOT_TRY(glot_base_open(&job->model, &job->tokenizer, r, job->be, err));
    return glot_model_check_values(job->model, err);
}

/* ---- measuring ---- */

/* Adds `value` under `when` to an object of state.json. */
static glot_status put_under(glot_job *job, const char *key, const char *when, json_t *value, glot_error *err)
{
    json_t *all = glot_run_dir_get(job->dir, key);
    all = all ? json_incref(all) : json_object();
    json_object_set_new(all, when, value);
    return glot_run_dir_put(job->dir, key, all, err);
}

static glot_status put_samples(glot_job *job, const char *when, glot_error *err)
{
    json_t *samples = NULL;
    GLOT_TRY(glot_job_samples(&samples, job, err));
    return put_under(job, "samples", when, samples, err);
}

static glot_status put_routing(glot_job *job, const char *key, glot_error *err)
{
    json_t *routing = NULL;
    GLOT_TRY(glot_job_routing(&routing, job, err));
    return glot_run_dir_put(job->dir, key, routing, err);
}

/* One line of metrics.jsonl. */
static glot_status put_evaluation(glot_job *job, const char *when, json_t *text, json_t *tasks,
                                  glot_error *err)
{
    json_t *line = json_pack("{s:s, s:s, s:O}", "phase", "eval", "stage", when, "text", text);
    if (json_object_size(tasks))
        json_object_set(line, "tasks", tasks);
    return glot_run_dir_put_evaluation(job->dir, when, line, err);
}

/* What is told of a model: scores, where its tokens go, and of the base and the result (with_samples) what
 * they write. */
static glot_status take_scores(glot_job *job, const char *when, json_t *text, json_t *tasks,
                               bool with_samples, glot_error *err)
{
    GLOT_TRY(glot_run_dir_put(job->dir, when, json_incref(text), err));
    GLOT_TRY(put_under(job, "tasks", when, json_incref(tasks), err));
    GLOT_TRY(put_evaluation(job, when, text, tasks, err));
    if (with_samples)
        GLOT_TRY(put_samples(job, when, err));
    return job->model->config.is_expanded
               ? put_routing(job, with_samples ? "routing" : "routing_before_review", err)
               : GLOT_OK;
}

/* Scores under the name `when`, once. */
static glot_status measure(glot_job *job, const char *when, bool with_samples, glot_error *err)
{
    const glot_job_view *view = job->options->view;
    json_t *text = NULL, *tasks = NULL;
    if (glot_run_dir_is_done(job->dir, when))
        return GLOT_OK;
    double began = glot_seconds();
    bool has_text = job->valid && job->recipe->eval.bits_per_byte; /* `train` and `review` alone have none */
    if (has_text)
        glot_job_begin(job, when, "scoring every language");
    GLOT_TRY(glot_job_score(&text, job, GLOT_EXACT_AUTO, err));
    if (job->recipe->eval.tasks.n)
        glot_job_begin(job, when, "scoring the tasks");
    glot_status status = glot_job_tasks(&tasks, job, err);
    if (status == GLOT_OK)
        status = take_scores(job, when, text, tasks, with_samples, err);
    if (status == GLOT_OK && has_text && view && view->on_scores)
        view->on_scores(view->user, when, text,
                        strcmp(when, "before") == 0 ? NULL : glot_run_dir_get(job->dir, "before"));
    json_decref(text);
    json_decref(tasks);
    GLOT_TRY(status);
    glot_job_add_seconds(job, when, glot_seconds() - began);
    return glot_run_dir_set_done(job->dir, when, err);
}

/* SHA-256 of what stage 1 leaves frozen. */
static glot_status hash_frozen(char hex[65], glot_job *job, glot_error *err)
{
    glot_trainable what = job->options->job == GLOT_JOB_REVIEW
                              ? GLOT_TRAIN_ROUTERS
                              : (glot_trainable)job->recipe->train.trainable.what;
    GLOT_TRY(glot_set_trainable(job->model, what, err));
    for (size_t i = 0; i < job->model->n_params; i++) /* the review's */
        job->model->params[i]->is_trainable |= job->model->params[i]->role == GLOT_ROLE_LANGUAGE_GATE;
    return glot_model_sha256(hex, job->model, true, err);
}

/* DESIGN, invariant 2: after any training every frozen byte has the hash it had before. */
static glot_status check_frozen(glot_job *job, glot_error *err)
{
    char after[65];
    GLOT_TRY(hash_frozen(after, job, err));
    if (strcmp(job->frozen_before, after) != 0)
        return GLOT_FAIL(err, GLOT_INTERNAL, "the frozen weights changed: SHA-256 %s before, %s after",
                         job->frozen_before, after);
    GLOT_TRY(glot_run_dir_put(job->dir, "frozen_tensors",
                              json_integer((json_int_t)glot_model_n_frozen(job->model)), err));
    return glot_run_dir_put(job->dir, "frozen_sha256",
                            json_pack("{s:s, s:s}", "before", job->frozen_before, "after", after), err);
}

/* After LoRA has trained: its adapters into the base's weights, which were left alone so far. */
static glot_status merge_adapters(glot_job *job, glot_error *err)
{
    if (job->recipe->train.trainable.what != GLOT_TRAIN_LORA)
        return GLOT_OK;
    GLOT_TRY(check_frozen(job, err));
    job->is_merged = true;
    return glot_model_merge_lora(job->model, err);
}

/* ---- the result ---- */

/* What a later growth compares the groups' weights with. Where stage 1 has trained the base itself there is
 * nothing to compare. */
static glot_status record_groups(glot_job *job, const glot_dtype *save_dtype, glot_error *err)
{
    bool is_base_trained =
        job->options->job != GLOT_JOB_REVIEW && job->recipe->train.trainable.what != GLOT_TRAIN_NEW_EXPERTS;
    if (is_base_trained)
        job->model->config.base_sha256[0] = '\0';
    return glot_model_record_groups(job->model, save_dtype, err);
}

static glot_status save_model(glot_job *job, glot_error *err)
{
    static const glot_dtype types[] = {GLOT_F32, GLOT_F32, GLOT_BF16};
    char *json = NULL, *path = glot_run_dir_join(job->dir, "model");
    size_t size = 0;
    int wanted = job->recipe->save_dtype;
    const glot_dtype *save_dtype = wanted == GLOT_RECIPE_DTYPE_AUTO ? NULL : &types[wanted];
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = record_groups(job, save_dtype, err);
    if (status == GLOT_OK)
        status = glot_tokenizer_json(job->tokenizer, &json, &size, err);
    if (status == GLOT_OK)
        status = glot_model_save(job->model, path, save_dtype, json, size, err);
    glot_free(json);
    glot_free(path);
    return status;
}

static glot_status write_result(glot_job *job, glot_error *err)
{
    if (glot_run_dir_is_done(job->dir, "model"))
        return GLOT_OK;
    double began = glot_seconds();
    glot_job_begin(job, "model", "writing the model and the report");
    if (!job->is_merged)
        GLOT_TRY(check_frozen(job, err));
    GLOT_TRY(save_model(job, err));
    glot_job_add_seconds(job, "model", glot_seconds() - began);
    json_t *results = NULL;
    GLOT_TRY(glot_job_results(&results, job, err));
    glot_status status = glot_run_dir_write_json(job->dir, "results.json", results, err);
    json_decref(results);
    GLOT_TRY(status);
    GLOT_TRY(glot_report_write(job->dir->path, NULL, err));
    return glot_run_dir_set_done(job->dir, "model", err);
}

static glot_status load_results(json_t **out, const glot_job *job, glot_error *err)
{
    char *path = glot_run_dir_join(job->dir, "results.json");
    glot_status status =
        path ? glot_json_load_file(out, path, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_free(path);
    return status;
}

/* What the job needs is told, and refused where it is not there, before anything expensive begins. */
static glot_status plan(const glot_job *job, glot_error *err)
{
    const glot_job_view *view = job->options->view;
    glot_plan p;
    GLOT_TRY(glot_plan_make(&p, job->recipe, job->model, job->layer_similarity,
                            glot_job_text_ids(job, GLOT_PHASE_TRAIN),
                            glot_job_text_ids(job, GLOT_PHASE_REVIEW), true, err));
    for (size_t i = 0, at; i < job->recipe->n_languages; i++)
        if (glot_job_find_train(job, i, &at)) {
            const glot_store_language *l = glot_token_store_language(job->train, at);
            p.densities[p.n_densities++] = (glot_plan_density){l->name, l->n_tokens, l->n_bytes};
        }
    if (view && view->on_plan)
        view->on_plan(view->user, &p);
    return glot_plan_check(&p, job->recipe, job->model, err);
}

/* ---- the story ---- */

static glot_status run_steps(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    bool is_review_alone = job->options->job == GLOT_JOB_REVIEW;
    GLOT_TRY(glot_job_text(job, err));
    GLOT_TRY(glot_job_check_evidence(job, err));
    job->train_steps =
        is_review_alone ? 0 : glot_recipe_steps(&r->train, glot_job_text_ids(job, GLOT_PHASE_TRAIN));
    bool has_train = job->train_steps > 0;
    bool has_review = glot_recipe_steps(&r->review, glot_job_text_ids(job, GLOT_PHASE_REVIEW)) > 0;

    GLOT_TRY(plan(job, err));
    GLOT_TRY(measure(job, "before", true, err));
    GLOT_TRY(glot_job_similarity(job, err));
    if (job->layer_similarity) /* now the layout is known */
        GLOT_TRY(plan(job, err));
    GLOT_TRY(glot_job_upcycle(job, err));
    GLOT_TRY(hash_frozen(job->frozen_before, job, err));
    if (has_train) {
        GLOT_TRY(glot_job_stage(job, GLOT_PHASE_TRAIN, err));
        GLOT_TRY(merge_adapters(job, err));
        if (!has_review)
            GLOT_TRY(glot_job_count_evidence(job, err));
        GLOT_TRY(measure(job, "after_train", !has_review, err));
    }
    if (has_review) {
        GLOT_TRY(glot_job_add_gates(job, err));
        GLOT_TRY(glot_job_stage(job, GLOT_PHASE_REVIEW, err));
        GLOT_TRY(glot_job_count_evidence(job, err));
        GLOT_TRY(measure(job, "after_review", true, err));
    }
    GLOT_TRY(glot_job_measure_exact(job, err));
    return write_result(job, err);
}

/* The base is looked at before the run directory is made or an old run deleted: what is wrong with it is said
 * before anything is written. A finished run needs no base. */
static glot_status run(glot_job *job, json_t **results, glot_error *err)
{
    glot_run_kind kind;
    GLOT_TRY(glot_run_dir_look(&kind, job->recipe->output, job_name(job->options->job), err));
    bool is_new = kind == GLOT_RUN_NONE || job->options->is_fresh;
    if (is_new)
        GLOT_TRY(open_base(job, err));
    GLOT_TRY(open_run(job, err));
    if (!glot_run_dir_is_done(job->dir, "model")) {
        if (!is_new)
            GLOT_TRY(open_base(job, err));
        glot_base_warn(job->recipe);
        GLOT_TRY(run_steps(job, err));
    } else
        glot_info("the run in '%s' is finished, so nothing is done again (--fresh starts over)",
                  job->recipe->output);
    return results ? load_results(results, job, err) : GLOT_OK;
}

glot_status glot_expand(json_t **results, const glot_recipe *recipe, const glot_job_options *options,
                        glot_error *err)
{
    glot_job job = {.recipe = recipe, .options = options};
    glot_status status = run(&job, results, err);
    if (status == GLOT_CANCELLED && job.dir)
        glot_run_dir_save(job.dir, NULL);
    glot_free(job.layer_similarity);
    glot_token_store_close(job.train);
    glot_token_store_close(job.valid);
    if (job.tokenizer)
        glot_tokenizer_close(job.tokenizer);
    glot_model_close(job.model);
    glot_backend_close(job.be);
    glot_run_dir_close(job.dir);
    return status;
}
