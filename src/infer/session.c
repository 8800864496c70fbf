/* session.c: batches for a model that is not trained: whole sequences side by side, or one sequence piece by
 * piece behind a KV cache. Both ways run the same forward pass row by row, so they give the same bits. */
#include "infer/session.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* What is known of a document's language so far. */
typedef struct document_state {
    glot_exact_state exact;
    int64_t n_gated; /* tokens in the language gates' sums */
} document_state;

/* One continuation of the running sequence. */
typedef struct branch {
    document_state state;
    int64_t place; /* its keys and values are rows place * n_context ... of the cache, its gates' sums row
                      `place` */
} branch;

struct glot_session {
    const glot_model *model;
    glot_workspace *ws;
    glot_kv_cache *cache;   /* made at first need */
    int64_t n_context, n_batch;
    int64_t length;         /* tokens of the running sequence in the cache, of every branch */
    branch *branches, *next; /* [n_branches]; next: while they change */
    int64_t n_branches;
    int64_t n_shared;       /* first tokens that stand in every place; 0: the sequence has not branched */
    glot_exact_choice choice;
    glot_exact_test test;
    document_state scored;  /* of the document scored last */
    struct end *ends;       /* [n_batch] of a pass */
    int32_t *shares;        /* [n_batch, 4] */
    int32_t *resident;      /* [n_context] ids whose keys and values begin the cache, by `choice` */
    int64_t n_resident;
    glot_gate_sums *gate_sums; /* a slot for each branch, the last for the scored one; NULL where no layer has
                                  a language gate */
    int32_t *documents;     /* [n_batch, 4] */
    int32_t *ids, *positions, *targets; /* [n_batch] */
    int32_t *segments;      /* [n_batch, 4] */
    uint8_t *is_exact;      /* [n_batch] */
    float *nll;             /* [n_batch] */
    float *log_probs;       /* [head_rows, vocab] */
};

/* A sequence in a pass of which only the end is scored: `shared` tokens have their keys and values already or
 * get a copy, those up to `first` give more, and behind them come the rows that are scored. The last token is
 * no row. */
typedef struct end {
    const glot_sequence *sequence;
    int64_t first, shared;
    int64_t place; /* of its keys in the cache */
    document_state state;
} end;

static glot_status make_arrays(glot_session *s, glot_error *err)
{
    size_t n = (size_t)s->n_batch;
    const char *what = "a session";
    GLOT_TRY(glot_new(&s->ids, n, sizeof *s->ids, what, err));
    GLOT_TRY(glot_new(&s->positions, n, sizeof *s->positions, what, err));
    GLOT_TRY(glot_new(&s->targets, n, sizeof *s->targets, what, err));
    GLOT_TRY(glot_new(&s->segments, n * 4, sizeof *s->segments, what, err));
    GLOT_TRY(glot_new(&s->documents, n * 4, sizeof *s->documents, what, err));
    GLOT_TRY(glot_new(&s->is_exact, n, sizeof *s->is_exact, what, err));
    GLOT_TRY(glot_new(&s->nll, n, sizeof *s->nll, what, err));
    GLOT_TRY(glot_new(&s->branches, (size_t)s->n_branches, sizeof *s->branches, what, err));
    GLOT_TRY(glot_new(&s->next, (size_t)s->n_branches, sizeof *s->next, what, err));
    GLOT_TRY(glot_new(&s->ends, n, sizeof *s->ends, what, err));
    GLOT_TRY(glot_new(&s->shares, n * 4, sizeof *s->shares, what, err));
    GLOT_TRY(glot_new(&s->resident, (size_t)s->n_context, sizeof *s->resident, what, err));
    size_t n_logits = (size_t)s->ws->head_rows * (size_t)s->model->config.vocab_size;
    return glot_new(&s->log_probs, n_logits, sizeof *s->log_probs, what, err);
}

glot_status glot_session_create(glot_session **out, const glot_model *m, int64_t n_context, int64_t n_batch,
                                glot_error *err)
{
    return glot_session_create_branched(out, m, n_context, n_batch, 1, err);
}

glot_status glot_session_create_branched(glot_session **out, const glot_model *m, int64_t n_context,
                                         int64_t n_batch, int64_t n_branches, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_session *s = NULL;
    if (n_context < 1 || n_context > m->config.context_length)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "a context of %" PRId64 " tokens is outside 1 to %" PRId64 ", the context of '%s'",
                         n_context, m->config.context_length, m->path ? m->path : "the model");
    GLOT_TRY(glot_new(&s, 1, sizeof *s, "a session", err));
    *s = (glot_session){.model = m, .n_context = n_context, .n_batch = n_batch, .n_branches = n_branches};
    GLOT_TRY_OUT(glot_workspace_create(&s->ws, m, GLOT_WORKSPACE_INFER, n_batch, n_context, n_context, err));
    if (n_branches < 1 || n_branches > n_batch || n_branches > s->ws->head_rows)
        GLOT_TRY_OUT(GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                               "%" PRId64 " branches of a sequence are outside 1 to %" PRId64, n_branches,
                               n_batch < s->ws->head_rows ? n_batch : s->ws->head_rows));
    GLOT_TRY_OUT(make_arrays(s, err));
    GLOT_TRY_OUT(glot_exact_test_init(&s->test, m, err));
    if (m->config.gate.n_layers)
        GLOT_TRY_OUT(glot_gate_sums_create(&s->gate_sums, m, n_branches + 1, err));
out:
    if (status == GLOT_OK)
        *out = s;
    else
        glot_session_free(s);
    return status;
}

void glot_session_free(glot_session *s)
{
    if (!s)
        return;
    glot_kv_cache_free(s->cache);
    glot_workspace_free(s->ws);
    glot_free(s->ids);
    glot_free(s->positions);
    glot_free(s->targets);
    glot_free(s->segments);
    glot_free(s->documents);
    glot_gate_sums_free(s->gate_sums);
    glot_free(s->is_exact);
    glot_exact_test_release(&s->test);
    glot_free(s->nll);
    glot_free(s->ends);
    glot_free(s->shares);
    glot_free(s->resident);
    glot_free(s->branches);
    glot_free(s->next);
    glot_free(s->log_probs);
    glot_free(s);
}

void glot_session_set_exact(glot_session *s, glot_exact_choice choice)
{
    s->choice = choice;
    s->n_resident = 0;
}

void glot_session_reset(glot_session *s)
{
    s->length = s->n_shared = 0;
    s->branches[0] = (branch){0};
}

glot_workspace *glot_session_workspace(glot_session *s)
{
    return s->ws;
}

/* A piece of a sequence: n ids at position `past` of it; `next` is the id behind the piece, -1 where it
 * ends. */
typedef struct piece {
    const int32_t *ids;
    int64_t n, past;
    int32_t next;
    bool is_cached;        /* keys and values go through the cache */
    int64_t first_key;     /* where the sequence begins in it */
    document_state *state; /* of its document; moves on */
    int32_t slot;          /* of its document */
} piece;

static void mark_exact(glot_session *s, const piece *p, uint8_t *is_exact)
{
    if (s->choice == GLOT_EXACT_AUTO)
        glot_exact_mark(&s->test, &p->state->exact, p->ids, p->n, is_exact);
    else
        memset(is_exact, s->choice == GLOT_EXACT_ALWAYS, (size_t)p->n);
}

static void add_segment(glot_session *s, glot_batch *b, const piece *p)
{
    int64_t row = b->n_tokens;
    int32_t *segment = s->segments + 4 * b->n_segments++;
    segment[0] = (int32_t)row;
    segment[1] = (int32_t)p->n;
    segment[2] = (int32_t)(p->is_cached ? p->first_key : row);
    segment[3] = (int32_t)(p->past + p->n);
    for (int64_t i = 0; i < p->n; i++) {
        s->ids[row + i] = p->ids[i];
        s->positions[row + i] = (int32_t)(p->past + i);
        s->targets[row + i] = i + 1 < p->n ? p->ids[i + 1] : p->next;
    }
    mark_exact(s, p, s->is_exact + row);
    glot_gate_document(s->documents + 4 * b->n_documents++, &s->model->config, row, p->ids, p->n, p->slot,
                       &p->state->n_gated);
    b->n_tokens += p->n;
}

static glot_batch empty_batch(const glot_session *s)
{
    return (glot_batch){.ids = s->ids,
                        .positions = s->positions,
                        .segments = s->segments,
                        .targets = s->targets,
                        .is_exact = s->is_exact,
                        .documents = s->documents,
                        .gate_sums = s->gate_sums};
}

/* Rows for every branch, and for a few times what a pass brings, since sequences with a common beginning have
 * it each. */
static glot_status make_cache(glot_session *s, int64_t n_passes, glot_error *err)
{
    int64_t rows = s->n_context * s->n_branches;
    rows = rows < n_passes * s->n_batch ? n_passes * s->n_batch : rows;
    return s->cache ? GLOT_OK : glot_kv_cache_create(&s->cache, s->model, rows, err);
}

static glot_status run(glot_session *s, const glot_batch *b, bool is_cached, glot_error *err)
{
    if (is_cached)
        GLOT_TRY(make_cache(s, 0, err));
    GLOT_TRY(glot_workspace_load(s->ws, b, err));
    glot_model_forward(s->model, s->ws, is_cached ? s->cache : NULL);
    return s->model->be->check(s->model->be, err);
}

static glot_status check_finite(const glot_session *s, const float *values, int64_t n, glot_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return GLOT_FAIL(err, GLOT_NUMERIC,
                             "'%s': a log p is not finite; is a weight not a number? (`glot inspect` looks)",
                             s->model->path ? s->model->path : "the model");
    return GLOT_OK;
}

/* ---- scoring ---- */

/* nll of the loaded batch's rows to their sequences: row of position t holds the nll of position t + 1. */
static void scatter_nll(const float *from, int64_t n_rows, int64_t n_ids, int64_t first, float *nll)
{
    for (int64_t i = 0; i < n_rows; i++)
        if (first + i + 1 < n_ids)
            nll[first + i + 1] = from[i];
}

/* The id behind the first `n` of a sequence; -1 where its end is there. */
static int32_t id_behind(const glot_sequence *q, int64_t n)
{
    return n < q->n + q->has_next ? q->ids[n] : -1;
}

/* One sequence longer than a pass: in pieces, behind the cache, which has the first n_cached tokens. */
static glot_status score_long(glot_session *s, const glot_sequence *q, int64_t n_cached, glot_error *err)
{
    s->n_resident = 0;
    for (int64_t from = n_cached; from < q->n; from += s->n_batch) {
        int64_t rows = q->n - from < s->n_batch ? q->n - from : s->n_batch;
        glot_batch b = empty_batch(s);
        piece p = {q->ids + from, rows, from,       id_behind(q, from + rows),
                   true,          0,    &s->scored, (int32_t)s->n_branches};
        add_segment(s, &b, &p);
        GLOT_TRY(run(s, &b, true, err));
        glot_model_nll(s->model, s->ws, 0, s->nll);
        GLOT_TRY(check_finite(s, s->nll, rows, err));
        scatter_nll(s->nll, rows, q->n + q->has_next, from, q->nll);
    }
    return GLOT_OK;
}

/* `count` sequences in one pass. */
static glot_status score_packed(glot_session *s, const glot_sequence *sequences, size_t count,
                                glot_error *err)
{
    glot_batch b = empty_batch(s);
    for (size_t i = 0; i < count; i++) {
        const glot_sequence *q = &sequences[i];
        piece p = {q->ids, q->n, 0, id_behind(q, q->n), false, 0, &s->scored, (int32_t)s->n_branches};
        if (!q->is_continued)
            s->scored = (document_state){0};
        if (q->n > 0)
            add_segment(s, &b, &p);
    }
    if (b.n_tokens == 0)
        return GLOT_OK;
    GLOT_TRY(run(s, &b, false, err));
    glot_model_nll(s->model, s->ws, 0, s->nll);
    GLOT_TRY(check_finite(s, s->nll, b.n_tokens, err));
    const float *rows = s->nll;
    for (size_t i = 0; i < count; i++) {
        scatter_nll(rows, sequences[i].n, sequences[i].n + sequences[i].has_next, 0, sequences[i].nll);
        rows += sequences[i].n;
    }
    return GLOT_OK;
}

static glot_status check_length(const glot_session *s, int64_t n, glot_error *err)
{
    if (n > s->n_context)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "a sequence of %" PRId64 " tokens does not fit the context of %" PRId64, n,
                         s->n_context);
    return GLOT_OK;
}

/* How many of the n sequences fit one pass. */
static size_t count_packed(const glot_session *s, const glot_sequence *sequences, size_t n)
{
    size_t count = 0;
    for (int64_t rows = 0; count < n && rows + sequences[count].n <= s->n_batch; count++)
        rows += sequences[count].n;
    return count;
}

glot_status glot_session_score(glot_session *s, const glot_sequence *sequences, size_t n, glot_error *err)
{
    glot_session_reset(s);
    for (size_t i = 0; i < n; i++) {
        GLOT_TRY(check_length(s, sequences[i].n, err));
        if (sequences[i].n > 0)
            sequences[i].nll[0] = 0.0f;
    }
    for (size_t i = 0, count; i < n; i += count) {
        count = count_packed(s, sequences + i, n - i);
        if (count > 0) {
            GLOT_TRY(score_packed(s, sequences + i, count, err));
            continue;
        }
        if (!sequences[i].is_continued)
            s->scored = (document_state){0};
        GLOT_TRY(score_long(s, &sequences[i], 0, err));
        count = 1;
    }
    return GLOT_OK;
}

/* ---- ends of sequences with common beginnings ---- */

/* A pass may have so many keys for each of its tokens: at 4 choices and more most of an item's beginnings. */
enum { PASSES_OF_KEYS = 4 };

int64_t glot_common_beginning(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b)
{
    int64_t n = 0;
    while (n < n_a && n < n_b && a[n] == b[n])
        n++;
    return n;
}

/* Rows of a whole sequence: what is not fed is its last id. */
static int64_t fed_rows(const glot_sequence *q)
{
    return q->n - !q->has_next;
}

/* A sequence behind `before` in the pass, or first in it (NULL). Its scored rows are its own. */
static end end_of(const glot_session *s, const glot_sequence *q, int64_t first, const end *before)
{
    end e = {.sequence = q, .first = first};
    if (before) {
        e.shared = glot_common_beginning(q->ids, first - 1, before->sequence->ids, before->first - 1);
        e.place = before->place + fed_rows(before->sequence);
    } else {
        e.shared = glot_common_beginning(q->ids, first - 1, s->resident, s->n_resident);
    }
    if (s->choice == GLOT_EXACT_AUTO)
        glot_exact_mark(&s->test, &e.state.exact, q->ids, e.shared, NULL);
    return e;
}

static int64_t rows_of(const end *e)
{
    return fed_rows(e->sequence) - e->shared;
}

/* Rows [from, to) of a sequence. */
static void add_rows(glot_session *s, glot_batch *b, end *e, int64_t from, int64_t to)
{
    const int32_t *ids = e->sequence->ids;
    piece p = {ids + from, to - from, from, ids[to], true, e->place, &e->state, (int32_t)s->n_branches};
    add_segment(s, b, &p);
}

/* The batch of a pass: first what stands before the scored rows of every sequence, then those; first_scored:
 * their first. */
static glot_batch batch_of_ends(glot_session *s, size_t n, int64_t *first_scored)
{
    glot_batch b = empty_batch(s);
    b.shares = s->shares;
    for (size_t i = 0; i < n; i++) {
        end *e = &s->ends[i];
        if (i > 0 && e->shared > 0) {
            int32_t share[4] = {(int32_t)b.n_segments, (int32_t)e->place, (int32_t)e[-1].place,
                                (int32_t)e->shared};
            memcpy(s->shares + 4 * b.n_shares++, share, sizeof share);
        }
        if (e->first - 1 > e->shared)
            add_rows(s, &b, e, e->shared, e->first - 1);
    }
    *first_scored = b.n_tokens;
    for (size_t i = 0; i < n; i++)
        add_rows(s, &b, &s->ends[i], s->ends[i].first - 1, fed_rows(s->ends[i].sequence));
    return b;
}

static glot_status score_ends(glot_session *s, size_t n, glot_error *err)
{
    int64_t first_scored;
    glot_batch b = batch_of_ends(s, n, &first_scored);
    GLOT_TRY(run(s, &b, true, err));
    glot_model_nll(s->model, s->ws, first_scored, s->nll);
    GLOT_TRY(check_finite(s, s->nll, b.n_tokens - first_scored, err));
    const float *rows = s->nll;
    for (const end *e = s->ends; e < s->ends + n; e++) {
        size_t scored = (size_t)(fed_rows(e->sequence) + 1 - e->first);
        memcpy(e->sequence->nll + e->first, rows, scored * sizeof *rows);
        rows += scored;
    }
    return GLOT_OK;
}

/* One sequence with more rows than a pass. */
static glot_status score_long_end(glot_session *s, const end *e, glot_error *err)
{
    s->scored = e->state;
    return score_long(s, e->sequence, e->shared, err);
}

/* The pass that begins with sequence i; i moves on. A sequence without anything to score is left out. */
static glot_status score_pass_of_ends(glot_session *s, const glot_sequence *sequences, const int64_t *first,
                                      size_t n, size_t *i, glot_error *err)
{
    size_t count = 0;
    for (int64_t rows = 0; *i < n; ++*i) {
        if (first[*i] > fed_rows(&sequences[*i]))
            continue;
        end e = end_of(s, &sequences[*i], first[*i], count ? &s->ends[count - 1] : NULL);
        rows += rows_of(&e);
        if (count && (rows > s->n_batch || e.place + fed_rows(e.sequence) > s->cache->capacity))
            break;
        s->ends[count++] = e;
        if (rows > s->n_batch) {
            ++*i;
            break;
        }
    }
    if (count == 0)
        return GLOT_OK;
    const glot_sequence *q = s->ends[0].sequence;
    s->n_resident = 0; /* until the pass is through */
    GLOT_TRY(rows_of(&s->ends[0]) > s->n_batch ? score_long_end(s, &s->ends[0], err)
                                               : score_ends(s, count, err));
    s->n_resident = fed_rows(q);
    memcpy(s->resident, q->ids, (size_t)s->n_resident * sizeof *q->ids);
    return GLOT_OK;
}

glot_status glot_session_score_ends(glot_session *s, const glot_sequence *sequences, const int64_t *first,
                                    size_t n, glot_error *err)
{
    if (s->gate_sums)
        return glot_session_score(s, sequences, n, err);
    glot_session_reset(s);
    GLOT_TRY(make_cache(s, PASSES_OF_KEYS, err));
    for (size_t i = 0; i < n; i++) {
        GLOT_ASSERT(first[i] >= 1 && !sequences[i].is_continued);
        GLOT_TRY(check_length(s, sequences[i].n, err));
    }
    for (size_t i = 0; i < n;)
        GLOT_TRY(score_pass_of_ends(s, sequences, first, n, &i, err));
    return GLOT_OK;
}

/* ---- one sequence, token by token or in pieces ---- */

/* The running sequence's next n ids, at most a pass. What it knows moves on only when the pass has run. */
static glot_status run_piece(glot_session *s, const int32_t *ids, int64_t n, glot_error *err)
{
    glot_batch b = empty_batch(s);
    document_state state = s->branches[0].state;
    s->n_resident = 0;
    piece p = {ids, n, s->length, -1, true, 0, &state, 0};
    add_segment(s, &b, &p);
    GLOT_TRY(run(s, &b, true, err));
    s->branches[0].state = state;
    s->length += n;
    return GLOT_OK;
}

glot_status glot_session_feed(glot_session *s, const int32_t *ids, int64_t n, const float **log_probs,
                              glot_error *err)
{
    GLOT_ASSERT(n > 0 && s->n_shared == 0);
    GLOT_TRY(check_length(s, s->length + n, err));
    int64_t rows = 0;
    for (int64_t from = 0; from < n; from += rows) {
        rows = n - from < s->n_batch ? n - from : s->n_batch;
        GLOT_TRY(run_piece(s, ids + from, rows, err));
    }
    glot_model_log_probs(s->model, s->ws, rows - 1, 1, s->log_probs);
    GLOT_TRY(check_finite(s, s->log_probs, 1, err));
    *log_probs = s->log_probs;
    return GLOT_OK;
}

/* ---- branches ---- */

static void copy_rows(const glot_session *s, const glot_tensor *t, int64_t to, int64_t from, int64_t n)
{
    glot_tensor target = glot_tensor_slice(t, to, n), source = glot_tensor_slice(t, from, n);
    s->cache->be->copy(s->cache->be, &target, &source);
}

/* What a place does not have of another: keys and values from token `first` on, and the gates' sums. */
static void copy_place(const glot_session *s, int64_t to, int64_t from, int64_t first)
{
    int64_t n = s->length - first;
    for (int64_t l = 0; l < s->model->config.n_layers; l++) {
        if (n > 0) {
            copy_rows(s, &s->cache->k[l], to * s->n_context + first, from * s->n_context + first, n);
            copy_rows(s, &s->cache->v[l], to * s->n_context + first, from * s->n_context + first, n);
        }
        if (s->gate_sums && glot_config_is_gated(&s->model->config, l))
            copy_rows(s, &s->gate_sums->layers[l], to, from, 1);
    }
}

/* Whether one of the first n branches of s->next lies in the place. */
static bool is_taken(const glot_session *s, int64_t n, int64_t place)
{
    for (int64_t i = 0; i < n; i++)
        if (s->next[i].place == place)
            return true;
    return false;
}

/* Puts every branch where its parent was. The first child of each parent stays in its place; the others get a
 * copy in the place of a branch that ends, which is nobody's parent. */
static void follow_parents(glot_session *s, const int32_t *parents)
{
    for (int64_t i = 0; i < s->n_branches; i++) {
        GLOT_ASSERT(s->n_shared > 0 || parents[i] == 0);
        s->next[i] = s->branches[parents[i]];
        if (is_taken(s, i, s->next[i].place))
            s->next[i].place = -1;
    }
    for (int64_t i = 0, place = 0; i < s->n_branches; i++) {
        if (s->next[i].place >= 0)
            continue;
        while (is_taken(s, s->n_branches, place))
            place++;
        copy_place(s, place, s->branches[parents[i]].place, s->n_shared);
        s->next[i].place = place;
    }
    branch *old = s->branches;
    s->branches = s->next;
    s->next = old;
    if (s->n_shared == 0)
        s->n_shared = s->length;
}

glot_status glot_session_feed_branches(glot_session *s, const int32_t *parents, const int32_t *ids,
                                       const float **log_probs, glot_error *err)
{
    glot_batch b = empty_batch(s);
    GLOT_ASSERT(s->length > 0);
    GLOT_TRY(check_length(s, s->length + 1, err));
    follow_parents(s, parents);
    for (int64_t i = 0; i < s->n_branches; i++) {
        branch *at = &s->branches[i];
        piece p = {ids + i, 1, s->length, -1, true, at->place * s->n_context, &at->state, (int32_t)at->place};
        add_segment(s, &b, &p);
    }
    GLOT_TRY(run(s, &b, true, err));
    s->length++;
    glot_model_log_probs(s->model, s->ws, 0, s->n_branches, s->log_probs);
    for (int64_t i = 0; i < s->n_branches; i++)
        GLOT_TRY(check_finite(s, s->log_probs + i * s->model->config.vocab_size, 1, err));
    *log_probs = s->log_probs;
    return GLOT_OK;
}

/* log p of the loaded rows, a few at a time, to the caller. */
static glot_status give_rows(glot_session *s, int64_t first_position, int64_t n, glot_on_row *on_row,
                             void *user, glot_error *err)
{
    int64_t vocab = s->model->config.vocab_size;
    for (int64_t first = 0; first < n; first += s->ws->head_rows) {
        int64_t count = n - first < s->ws->head_rows ? n - first : s->ws->head_rows;
        glot_model_log_probs(s->model, s->ws, first, count, s->log_probs);
        for (int64_t i = 0; i < count; i++) {
            GLOT_TRY(check_finite(s, s->log_probs + i * vocab, 1, err));
            GLOT_TRY(on_row(user, first_position + first + i, s->log_probs + i * vocab, vocab, err));
        }
    }
    return GLOT_OK;
}

glot_status glot_session_log_probs(glot_session *s, const int32_t *ids, int64_t n, glot_on_row *on_row,
                                   void *user, glot_error *err)
{
    GLOT_TRY(check_length(s, n, err));
    glot_session_reset(s);
    for (int64_t from = 0; from < n; from += s->n_batch) {
        int64_t rows = n - from < s->n_batch ? n - from : s->n_batch;
        GLOT_TRY(run_piece(s, ids + from, rows, err));
        GLOT_TRY(give_rows(s, from, rows, on_row, user, err));
    }
    return GLOT_OK;
}
