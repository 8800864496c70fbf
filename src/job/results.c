/* results.c: what a job measures: bits per byte, sample continuations, where tokens go; and results.json. */
#include "base/memory.h"
#include "job/job.h"
#include "text/density.h"
#include "text/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Sizes of what is shown and measured beside the scores; arbitrary, small enough to cost a few seconds. */
enum { PROMPT_TOKENS = 16, SAMPLE_TOKENS = 32, ROUTING_TOKENS = 2048 };

/* ---- scores ---- */

const char *const glot_job_whens[GLOT_N_WHENS] = {"before", "after_train", "after_review"};

bool glot_job_find_valid(const glot_job *job, size_t language, size_t *at)
{
    const glot_recipe_language *l = &job->recipe->languages[language];
    return job->valid && l->valid.n &&
           glot_token_store_find_language(job->valid, l->name, at, NULL) == GLOT_OK;
}

glot_status glot_job_score(json_t **out, const glot_job *job, glot_exact_choice exact, glot_error *err)
{
    json_t *scores = json_object();
    glot_score_options options = {
        .max_tokens = (uint64_t)job->recipe->eval.max_tokens, .exact = exact, .cancel = job->options->cancel};
    glot_status status = GLOT_OK;
    for (size_t i = 0, at; i < job->recipe->n_languages && status == GLOT_OK; i++) {
        glot_text_score s;
        if (!job->recipe->eval.bits_per_byte || !glot_job_find_valid(job, i, &at))
            continue;
        status = glot_score_store(&s, job->model, job->valid, (int32_t)at, &options, err);
        if (status == GLOT_OK)
            json_object_set_new(scores, job->recipe->languages[i].name, glot_text_score_json(&s));
    }
    if (status == GLOT_OK)
        *out = scores;
    else
        json_decref(scores);
    return status;
}

/* ---- samples ---- */

/* Appends greedy continuations of ids to `ids` (room for SAMPLE_TOKENS more); *n grows. */
static glot_status continue_greedily(glot_session *session, const glot_model_config *c, int32_t *ids,
                                     int64_t *n, glot_error *err)
{
    const float *log_probs;
    glot_sample_params params = glot_sample_params_default();
    glot_session_reset(session);
    GLOT_TRY(glot_session_feed(session, ids, *n, &log_probs, err));
    for (int i = 0; i < SAMPLE_TOKENS; i++) {
        int32_t id = glot_sample(log_probs, c->vocab_size, &params, NULL, NULL);
        if (id == c->eos_id)
            break;
        ids[(*n)++] = id;
        if (i + 1 < SAMPLE_TOKENS)
            GLOT_TRY(glot_session_feed(session, &id, 1, &log_probs, err));
    }
    return GLOT_OK;
}

/* Text of ids with what is no whole character cut off. New reference. */
static glot_status text_of(json_t **out, const glot_job *job, const int32_t *ids, int64_t n, bool is_start,
                           glot_error *err)
{
    glot_str text = {0};
    glot_status status = glot_decode(job->tokenizer, ids, (size_t)n, true, is_start, &text, err);
    if (status == GLOT_OK)
        status = glot_str_check(&text, "a sample", err);
    const char *data = text.data ? text.data : "";
    size_t first = 0; /* a continuation may begin inside a character */
    while (first < text.length && ((uint8_t)data[first] & 0xC0) == 0x80)
        first++;
    if (status == GLOT_OK)
        *out = json_stringn(data + first, glot_utf8_valid_prefix(data + first, text.length - first));
    glot_str_release(&text);
    return status;
}

static glot_status sample_language(json_t *samples, const glot_job *job, glot_session *session,
                                   size_t language, size_t at, glot_error *err)
{
    int32_t ids[1 + PROMPT_TOKENS + SAMPLE_TOKENS];
    const glot_model_config *c = &job->model->config;
    uint64_t first = glot_token_store_first_document(job->valid, at);
    uint64_t last = first + glot_token_store_language(job->valid, at)->n_documents;
    glot_document d = {0};
    while (first < last && (d = glot_token_store_document(job->valid, first)).n_ids < 2 * PROMPT_TOKENS)
        first++;
    if (first == last)
        return GLOT_OK;
    int64_t n_start = 0, n;
    if (glot_config_start_id(c) >= 0)
        ids[n_start++] = glot_config_start_id(c);
    memcpy(ids + n_start, d.ids, PROMPT_TOKENS * sizeof *ids);
    n = n_start + PROMPT_TOKENS;
    GLOT_TRY(continue_greedily(session, c, ids, &n, err));
    json_t *prompt = NULL, *text = NULL;
    GLOT_TRY(text_of(&prompt, job, ids + n_start, PROMPT_TOKENS, true, err));
    glot_status status =
        text_of(&text, job, ids + n_start + PROMPT_TOKENS, n - n_start - PROMPT_TOKENS, false, err);
    if (status != GLOT_OK) {
        json_decref(prompt);
        return status;
    }
    json_array_append_new(samples,
                          json_pack("{s:s, s:o, s:o}", "language", job->recipe->languages[language].name,
                                    "prompt", prompt, "text", text));
    return GLOT_OK;
}

glot_status glot_job_samples(json_t **out, const glot_job *job, glot_error *err)
{
    glot_session *session = NULL;
    int64_t n_context = 1 + PROMPT_TOKENS + SAMPLE_TOKENS;
    if (n_context >
        job->model->config.context_length) { /* too short a context for a sample to mean anything */
        *out = json_array();
        return GLOT_OK;
    }
    GLOT_TRY(glot_session_create(&session, job->model, n_context, n_context, err));
    json_t *samples = json_array();
    glot_status status = GLOT_OK;
    for (size_t i = 0, at; i < job->recipe->n_languages && status == GLOT_OK; i++) {
        status = glot_job_check_cancel(job, err);
        if (status == GLOT_OK && glot_job_find_valid(job, i, &at))
            status = sample_language(samples, job, session, i, at, err);
    }
    glot_session_free(session);
    if (status == GLOT_OK)
        *out = samples;
    else
        json_decref(samples);
    return status;
}

/* ---- routing ---- */

/* Of a layer's shares: 0 where one expert gets everything, log2 E where all get the same. */
static double entropy_bits(const double *shares, int n)
{
    double sum = 0.0;
    for (int e = 0; e < n; e++)
        sum -= shares[e] > 0.0 ? shares[e] * log2(shares[e]) : 0.0;
    return sum;
}

static json_t *routing_json(const glot_model_config *c, const double *shares, const double *probs,
                            const glot_exact_share *exact)
{
    json_t *layers = json_array(), *originals = json_array(), *entropies = json_array();
    for (int64_t l = 0; l < c->n_layers; l++) {
        json_t *row = json_array();
        for (int e = 0; e < c->n_experts[l]; e++)
            json_array_append_new(row, json_real(shares[l * GLOT_MAX_EXPERTS + e]));
        json_array_append_new(layers, row);
        json_array_append_new(entropies,
                              json_real(entropy_bits(shares + l * GLOT_MAX_EXPERTS, c->n_experts[l])));
        json_array_append_new(originals, json_real(probs[l * GLOT_MAX_EXPERTS]));
    }
    return json_pack("{s:o, s:o, s:o, s:f}", "expert_share", layers, "entropy", entropies, "p_original",
                     originals, "exact_share",
                     exact->tokens ? (double)exact->tokens_on_path / (double)exact->tokens : 0.0);
}

/* A share, or null where there was nothing to take it of. */
static json_t *share_json(double share)
{
    return isnan(share) ? json_null() : json_real(share);
}

/* Adds the language's gate accuracy to its entry, where the model has gates. */
static glot_status put_gate_accuracy(json_t *entry, const glot_job *job, size_t language, size_t at,
                                     glot_error *err)
{
    glot_gate_accuracy accuracy;
    if (job->model->config.gate.n_layers == 0)
        return GLOT_OK;
    GLOT_TRY(glot_gate_accuracy_measure(&accuracy, job->model, job->valid, (int32_t)at, job->groups[language],
                                        ROUTING_TOKENS, err));
    json_t *after = json_object();
    for (int i = 0; i < GLOT_N_GATE_POSITIONS; i++) {
        char position[24];
        snprintf(position, sizeof position, "%" PRId64, glot_gate_positions[i]);
        json_object_set_new(after, position, share_json(accuracy.after[i]));
    }
    json_object_set_new(entry, "gate_accuracy",
                        json_pack("{s:o, s:o}", "after", after, "all", share_json(accuracy.all)));
    return GLOT_OK;
}

glot_status glot_job_routing(json_t **out, const glot_job *job, glot_error *err)
{
    const glot_model_config *c = &job->model->config;
    double *shares = NULL, *probs = NULL;
    glot_exact_share exact;
    json_t *routing = json_object();
    glot_status status = GLOT_OK;
    GLOT_TRY_OUT(
        glot_new(&shares, (size_t)c->n_layers * GLOT_MAX_EXPERTS, sizeof *shares, "routing shares", err));
    GLOT_TRY_OUT(
        glot_new(&probs, (size_t)c->n_layers * GLOT_MAX_EXPERTS, sizeof *probs, "routing shares", err));
    for (size_t i = 0, at; i < job->recipe->n_languages; i++) {
        GLOT_TRY_OUT(glot_job_check_cancel(job, err));
        if (!glot_job_find_valid(job, i, &at))
            continue;
        GLOT_TRY_OUT(glot_routing_shares(shares, probs, job->model, job->valid, (int32_t)at, ROUTING_TOKENS,
                                         GLOT_EXACT_AUTO, err));
        GLOT_TRY_OUT(glot_exact_share_measure(&exact, job->model, job->valid, (int32_t)at,
                                              (uint64_t)job->recipe->eval.max_tokens, err));
        json_t *entry = routing_json(c, shares, probs, &exact);
        json_object_set_new(routing, job->recipe->languages[i].name, entry);
        GLOT_TRY_OUT(put_gate_accuracy(entry, job, i, at, err));
    }
    *out = json_incref(routing);
out:
    json_decref(routing);
    glot_free(shares);
    glot_free(probs);
    return status;
}

/* ---- results.json ---- */

static json_t *kept(const glot_job *job, const char *key)
{
    json_t *value = glot_run_dir_get(job->dir, key);
    return value ? json_deep_copy(value) : NULL;
}

static void put_scores(json_t *results, const glot_job *job, const char *when)
{
    json_t *scores = kept(job, when), *tasks = json_object_get(glot_run_dir_get(job->dir, "tasks"), when);
    if (!scores)
        return;
    json_t *both = json_pack("{s:o}", "text", scores);
    if (json_object_size(tasks))
        json_object_set_new(both, "tasks", json_deep_copy(tasks));
    json_object_set_new(results, when, both);
}

static json_t *language_list(const glot_job *job)
{
    json_t *list = json_array();
    for (size_t i = 0, at; i < job->recipe->n_languages; i++) {
        const glot_recipe_language *l = &job->recipe->languages[i];
        json_t *entry =
            json_pack("{s:s, s:s}", "name", l->name, "group", l->group == GLOT_RECIPE_OLD ? "old" : "new");
        if (glot_job_find_train(job, i, &at)) {
            const glot_store_language *text = glot_token_store_language(job->train, at);
            json_object_set_new(entry, "tokens_per_byte",
                                json_real(glot_tokens_per_byte(text->n_tokens, text->n_bytes)));
        }
        json_array_append_new(list, entry);
    }
    return list;
}

/* What ran, and on what. */
static void put_machine(json_t *results, const glot_job *job)
{
    struct rusage usage;
    char processor[96];
    getrusage(RUSAGE_SELF, &usage);
    glot_cpu_name(processor);
    json_object_set_new(results, "peak_memory_bytes", json_integer((json_int_t)usage.ru_maxrss * 1024));
    json_object_set_new(results, "threads", json_integer(job->be->n_threads));
    json_object_set_new(results, "isa", json_string(job->be->isa));
    json_object_set_new(results, "processor", json_string(processor));
    json_object_set_new(results, "glot", json_string(glot_version()));
    if (job->options->commit && *job->options->commit)
        json_object_set_new(results, "commit", json_string(job->options->commit));
}

glot_status glot_job_results(json_t **out, const glot_job *job, glot_error *err)
{
    static const char *const copied[] = {"experts_before",
                                         "base_sha256",
                                         "frozen_tensors",
                                         "frozen_sha256",
                                         "similarity",
                                         "allocation",
                                         "routing_before_review",
                                         "routing",
                                         "exact",
                                         "samples",
                                         "seconds",
                                         "train_text",
                                         "review_text"};
    json_t *results = json_object();
    for (size_t i = 0; i < GLOT_N_WHENS; i++)
        put_scores(results, job, glot_job_whens[i]);
    json_object_set_new(results, "languages", language_list(job));
    json_object_set_new(results, "experts",
                        glot_json_ints(job->model->config.n_experts, job->model->config.n_layers));
    json_object_set_new(results, "top_k",
                        json_integer(job->model->config.is_expanded ? job->model->config.top_k : 1));
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        json_t *value = kept(job, copied[i]);
        if (value)
            json_object_set_new(results, copied[i], value);
    }
    put_machine(results, job);
    if (!results)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the results");
    *out = results;
    return GLOT_OK;
}
