/* evidence.c: what each token says of the language it stands in, and how much is needed to be sure. */
#include "expand/evidence.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

enum { OLD, NEW, N_GROUPS };

/* The two groups' frequencies, and the highest S of every held-out document. */
typedef struct tally {
    int64_t vocab;
    double *frequencies[N_GROUPS]; /* [vocab] sums of the languages' frequencies */
    double n_tokens[N_GROUPS];
    size_t n_languages[N_GROUPS];
    uint64_t *counts; /* [vocab] of one language */
    float *evidence;  /* [vocab] */
    double *highest;  /* [n_held_out] */
    size_t n_held_out;
} tally;

static void release(tally *t)
{
    glot_free(t->frequencies[OLD]);
    glot_free(t->frequencies[NEW]);
    glot_free(t->counts);
    glot_free(t->evidence);
    glot_free(t->highest);
}

static const glot_store_language *language_of(const glot_evidence_language *l)
{
    return glot_token_store_language(l->store, l->language);
}

static uint64_t held_out_of(const glot_evidence_language *l)
{
    uint64_t half = language_of(l)->n_documents / 2;
    if (!l->is_old)
        return 0;
    return half < GLOT_EVIDENCE_MAX_HELD_OUT ? half : GLOT_EVIDENCE_MAX_HELD_OUT;
}

/* Whether document i of the language's n is one of its h held-out ones: evenly spread. */
static bool is_held_out(uint64_t i, uint64_t n, uint64_t h)
{
    return (i + 1) * h / n != i * h / n;
}

static glot_document document_of(const glot_evidence_language *l, uint64_t i)
{
    return glot_token_store_document(l->store, glot_token_store_first_document(l->store, l->language) + i);
}

/* ---- frequencies ---- */

/* counts [vocab] of the language's documents that are not held out. Of more text than is counted, documents
 * are taken evenly over it. */
static void count_tokens(uint64_t *counts, glot_evidence_language *l)
{
    const glot_store_language *s = language_of(l);
    uint64_t seen = 0, held_out = held_out_of(l);
    for (uint64_t i = 0; i < s->n_documents; i++) {
        glot_document d = document_of(l, i);
        uint64_t left = GLOT_EVIDENCE_MAX_TOKENS - l->n_counted_tokens, n = d.n_ids < left ? d.n_ids : left;
        bool is_ahead =
            s->n_tokens > GLOT_EVIDENCE_MAX_TOKENS &&
            (double)l->n_counted_tokens * (double)s->n_tokens > (double)seen * GLOT_EVIDENCE_MAX_TOKENS;
        seen += d.n_ids;
        if (is_ahead || is_held_out(i, s->n_documents, held_out))
            continue;
        for (uint64_t k = 0; k < n; k++)
            counts[d.ids[k]]++;
        l->n_counted_tokens += n;
    }
}

static glot_status add_language(tally *t, glot_evidence_language *l, glot_error *err)
{
    int group = l->is_old ? OLD : NEW;
    if (glot_token_store_vocabulary_size(l->store) > t->vocab)
        return GLOT_FAIL(
            err, GLOT_BAD_VALUE, "'%s' has ids up to %d, but the model's vocabulary has %" PRId64 " entries",
            glot_token_store_path(l->store), glot_token_store_vocabulary_size(l->store) - 1, t->vocab);
    for (int64_t v = 0; v < t->vocab; v++)
        t->counts[v] = 0;
    l->n_counted_tokens = l->n_held_out = l->n_stay = 0;
    count_tokens(t->counts, l);
    for (int64_t v = 0; v < t->vocab; v++)
        t->frequencies[group][v] += (double)t->counts[v] / (double)l->n_counted_tokens;
    t->n_tokens[group] += (double)l->n_counted_tokens;
    t->n_languages[group]++;
    t->n_held_out += held_out_of(l);
    return GLOT_OK;
}

/* log of the group's frequency of v with half a count added. */
static double log_frequency(const tally *t, int group, int64_t v)
{
    double n = t->n_tokens[group], count = n * t->frequencies[group][v] / (double)t->n_languages[group];
    return log((count + 0.5) / (n + 0.5 * (double)t->vocab));
}

static void make_evidence(tally *t)
{
    for (int64_t v = 0; v < t->vocab; v++) {
        double l = log_frequency(t, NEW, v) - log_frequency(t, OLD, v);
        t->evidence[v] = (float)fmax(-GLOT_EXACT_MOST_EVIDENCE, fmin(GLOT_EXACT_MOST_EVIDENCE, l));
    }
}

/* ---- the threshold ---- */

/* The least A at which the document stays. S is 0 at its beginning. */
static double highest_sum(const glot_exact_test *test, const glot_document *d)
{
    double sum = 0.0, highest = 0.0;
    for (uint32_t i = 0; i < d->n_ids && i < GLOT_EVIDENCE_HELD_OUT_TOKENS; i++) {
        sum = glot_exact_next(test, sum, d->ids[i]);
        highest = fmax(highest, sum);
    }
    return highest;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest A that at least the share `keep` of n values (sorted here) does not exceed. The little that is
 * taken off keeps a whole product whole: 0.07 * 100 is 7.000000000000001. */
static double quantile(double *values, size_t n, double keep)
{
    double rank = ceil(keep * (double)n - 1e-9);
    qsort(values, n, sizeof *values, compare);
    return values[rank < 1.0 ? 0 : (size_t)rank - 1];
}

static void test_held_out(tally *t, glot_evidence_language *l, const glot_exact_test *test)
{
    uint64_t n = language_of(l)->n_documents, held_out = held_out_of(l);
    for (uint64_t i = 0; i < n && held_out; i++) {
        if (!is_held_out(i, n, held_out))
            continue;
        glot_document d = document_of(l, i);
        t->highest[t->n_held_out++] = highest_sum(test, &d);
        l->n_held_out++;
    }
}

static void count_staying(const tally *t, glot_evidence_language *languages, size_t n, double threshold)
{
    const double *highest = t->highest;
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < languages[i].n_held_out; k++)
            languages[i].n_stay += *highest++ <= threshold;
}

/* The model has its evidence: A from the held-out documents. */
static glot_status find_threshold(tally *t, glot_model *m, glot_evidence_language *languages, size_t n,
                                  double keep, glot_error *err)
{
    glot_exact_test test;
    double *sorted = NULL;
    glot_status status = GLOT_OK;
    GLOT_TRY(glot_exact_test_init(&test, m, err));
    GLOT_TRY_OUT(glot_new(&t->highest, t->n_held_out, sizeof *t->highest, "the held-out documents", err));
    GLOT_TRY_OUT(glot_new(&sorted, t->n_held_out, sizeof *sorted, "the held-out documents", err));
    t->n_held_out = 0;
    for (size_t i = 0; i < n; i++)
        test_held_out(t, &languages[i], &test);
    for (size_t i = 0; i < t->n_held_out; i++)
        sorted[i] = t->highest[i];
    m->config.exact.threshold = quantile(sorted, t->n_held_out, keep);
    count_staying(t, languages, n, m->config.exact.threshold);
out:
    glot_free(sorted);
    glot_exact_test_release(&test);
    return status;
}

glot_status glot_evidence_check(const glot_evidence_language *languages, size_t n, glot_error *err)
{
    size_t n_old = 0;
    for (size_t i = 0; i < n; i++) {
        if (languages[i].is_old && held_out_of(&languages[i]) == 0)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "old language '%s' has 1 document to train on, but the exact path needs at "
                             "least 2: one that is "
                             "counted and one that is held out",
                             language_of(&languages[i])->name);
        n_old += languages[i].is_old;
    }
    if (n_old == 0 || n_old == n)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the exact path needs text of old and of new languages, but none is %s",
                         n_old ? "new" : "old");
    return GLOT_OK;
}

glot_status glot_evidence_count(glot_model *m, glot_evidence_language *languages, size_t n, double keep,
                                glot_error *err)
{
    tally t = {.vocab = m->config.vocab_size};
    size_t vocab = (size_t)t.vocab;
    const char *what = "the evidence of the exact path";
    glot_status status = GLOT_OK;
    if (!(keep > 0.0 && keep <= 1.0))
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "the share of old documents to keep is %g, expected a number above 0 to 1", keep);
    GLOT_TRY(glot_evidence_check(languages, n, err));
    GLOT_TRY_OUT(glot_new(&t.frequencies[OLD], vocab, sizeof(double), what, err));
    GLOT_TRY_OUT(glot_new(&t.frequencies[NEW], vocab, sizeof(double), what, err));
    GLOT_TRY_OUT(glot_new(&t.counts, vocab, sizeof *t.counts, what, err));
    GLOT_TRY_OUT(glot_new(&t.evidence, vocab, sizeof *t.evidence, what, err));
    for (size_t i = 0; i < n; i++)
        GLOT_TRY_OUT(add_language(&t, &languages[i], err));
    make_evidence(&t);
    GLOT_TRY_OUT(glot_exact_set(m, t.evidence, 0.0, err));
    GLOT_TRY_OUT(find_threshold(&t, m, languages, n, keep, err));
out:
    release(&t);
    return status;
}
