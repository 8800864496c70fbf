/* beam.c: the n_beams best of all continuations, length by length. */
#include "infer/beam.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* A next step: beam `parent` with `id` behind it. */
typedef struct step {
    double sum; /* of log p */
    int32_t parent, id;
} step;

/* The best n_beams of some steps, best first. */
typedef struct best_steps {
    step *items; /* [n_beams] */
    int64_t n;
} best_steps;

typedef struct finished {
    glot_beam_result result;
    int32_t *ids; /* [max_tokens] */
} finished;

typedef struct search {
    const glot_beam_options *o;
    glot_session *session;
    int64_t vocab;
    int64_t length;           /* tokens of every running beam */
    double *sums;             /* [n_beams] of the running beams */
    int32_t *ids, *next_ids;  /* [n_beams, max_tokens] */
    best_steps going, ending; /* steps to tokens that do not stop, and to those that do */
    int32_t *parents, *fed;   /* [n_beams] */
    finished *done;           /* [n_beams] best first */
    int64_t n_done;
    int32_t *done_ids; /* their memory */
} search;

static glot_status prepare(search *s, glot_error *err)
{
    const char *what = "beam search";
    size_t n = (size_t)s->o->n_beams, length = (size_t)s->o->max_tokens;
    GLOT_TRY(glot_new(&s->sums, n, sizeof *s->sums, what, err));
    GLOT_TRY(glot_new(&s->ids, n * length, sizeof *s->ids, what, err));
    GLOT_TRY(glot_new(&s->next_ids, n * length, sizeof *s->next_ids, what, err));
    GLOT_TRY(glot_new(&s->going.items, n, sizeof *s->going.items, what, err));
    GLOT_TRY(glot_new(&s->ending.items, n, sizeof *s->ending.items, what, err));
    GLOT_TRY(glot_new(&s->parents, n, sizeof *s->parents, what, err));
    GLOT_TRY(glot_new(&s->fed, n, sizeof *s->fed, what, err));
    GLOT_TRY(glot_new(&s->done, n, sizeof *s->done, what, err));
    GLOT_TRY(glot_new(&s->done_ids, n * length, sizeof *s->done_ids, what, err));
    for (size_t i = 0; i < n; i++)
        s->done[i].ids = s->done_ids + i * length;
    return GLOT_OK;
}

static void release(search *s)
{
    glot_free(s->sums);
    glot_free(s->ids);
    glot_free(s->next_ids);
    glot_free(s->going.items);
    glot_free(s->ending.items);
    glot_free(s->parents);
    glot_free(s->fed);
    glot_free(s->done);
    glot_free(s->done_ids);
}

/* Of equals the one of the lower beam, then the lower id, as they are found. */
static bool is_before(const step *a, const step *b)
{
    if (a->sum != b->sum)
        return a->sum > b->sum;
    return a->parent != b->parent ? a->parent < b->parent : a->id < b->id;
}

static void offer(best_steps *best, int64_t capacity, step candidate)
{
    int64_t at = best->n;
    if (at == capacity && !is_before(&candidate, &best->items[at - 1]))
        return;
    at = at == capacity ? at - 1 : best->n++;
    for (; at > 0 && is_before(&candidate, &best->items[at - 1]); at--)
        best->items[at] = best->items[at - 1];
    best->items[at] = candidate;
}

/* log_probs [n, vocab] of the running beams. */
static void find_steps(search *s, const float *log_probs, int64_t n)
{
    s->going.n = s->ending.n = 0;
    for (int64_t beam = 0; beam < n; beam++)
        for (int64_t id = 0; id < s->vocab; id++) {
            step candidate = {s->sums[beam] + (double)log_probs[beam * s->vocab + id], (int32_t)beam,
                              (int32_t)id};
            offer(s->o->is_stop[id] ? &s->ending : &s->going, s->o->n_beams, candidate);
        }
}

/* Adds an ended continuation to the best n_beams. */
static void finish(search *s, const step *last, bool is_stopped)
{
    const glot_beam_options *o = s->o;
    int64_t n = s->length + 1, at = s->n_done;
    double score = last->sum / pow((double)n, o->length_penalty);
    if (at == o->n_beams && !(score > s->done[at - 1].result.score))
        return;
    at = at == o->n_beams ? at - 1 : s->n_done++;
    finished entry = {.result = {n, is_stopped, last->sum, score}, .ids = s->done[at].ids};
    memcpy(entry.ids, s->ids + last->parent * o->max_tokens, (size_t)s->length * sizeof *entry.ids);
    entry.ids[s->length] = last->id;
    for (; at > 0 && score > s->done[at - 1].result.score; at--)
        s->done[at] = s->done[at - 1];
    s->done[at] = entry;
}

/* Ends the stopping steps among the n_beams best of all; at the last length the others among them end too. */
static void finish_steps(search *s, bool is_last)
{
    int64_t e = 0, g = 0;
    for (int64_t rank = 0; rank < s->o->n_beams; rank++) {
        bool is_ending =
            e < s->ending.n && (g == s->going.n || is_before(&s->ending.items[e], &s->going.items[g]));
        if (is_ending)
            finish(s, &s->ending.items[e++], true);
        else if (g == s->going.n)
            return;
        else if (is_last)
            finish(s, &s->going.items[g++], false);
        else
            g++;
    }
}

/* The best steps that do not stop become the running beams. */
static void go_on(search *s)
{
    int64_t width = s->o->max_tokens;
    for (int64_t i = 0; i < s->going.n; i++) {
        const step *next = &s->going.items[i];
        int32_t *ids = s->next_ids + i * width;
        memcpy(ids, s->ids + next->parent * width, (size_t)s->length * sizeof *ids);
        ids[s->length] = s->fed[i] = next->id;
        s->parents[i] = next->parent;
        s->sums[i] = next->sum;
    }
    int32_t *old = s->ids;
    s->ids = s->next_ids;
    s->next_ids = old;
    s->length++;
}

static bool can_improve(const search *s)
{
    if (s->n_done < s->o->n_beams)
        return true;
    return s->sums[0] / pow((double)s->length, s->o->length_penalty) > s->done[s->n_done - 1].result.score;
}

static glot_status run(search *s, const int32_t *prompt, int64_t n_prompt, glot_error *err)
{
    const float *log_probs;
    glot_session_reset(s->session);
    GLOT_TRY(glot_session_feed(s->session, prompt, n_prompt, &log_probs, err));
    for (int64_t n = 1;; n = s->o->n_beams) {
        if (glot_cancelled(s->o->cancel))
            return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while generating");
        bool is_last = s->length + 1 == s->o->max_tokens;
        find_steps(s, log_probs, n);
        finish_steps(s, is_last);
        if (is_last)
            return GLOT_OK;
        if (s->going.n < s->o->n_beams)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "%" PRId64
                             " beams need as many tokens that do not stop, and the vocabulary has %" PRId64,
                             s->o->n_beams, s->going.n);
        go_on(s);
        if (!can_improve(s))
            return GLOT_OK;
        GLOT_TRY(glot_session_feed_branches(s->session, s->parents, s->fed, &log_probs, err));
    }
}

glot_status glot_beam_search(glot_beam_result *out, int32_t *ids, glot_session *session, int64_t vocab,
                             const int32_t *prompt, int64_t n_prompt, const glot_beam_options *options,
                             glot_error *err)
{
    search s = {.o = options, .session = session, .vocab = vocab};
    glot_status status = prepare(&s, err);
    if (status == GLOT_OK)
        status = run(&s, prompt, n_prompt, err);
    if (status == GLOT_OK) {
        *out = s.done[0].result;
        memcpy(ids, s.done[0].ids, (size_t)out->n * sizeof *ids);
    }
    release(&s);
    return status;
}
