/* allocate.c: METHOD 5. */
#include "expand/allocate.h"

#include <math.h>
#include <string.h>

/* Taken off before the ceiling, so that equal layers do not tip over by rounding. */
static const double TIP = 1e-9;

uint64_t glot_expert_bytes(const glot_model_config *c)
{
    return 3 * (uint64_t)c->hidden_size * (uint64_t)c->intermediate_size * sizeof(float);
}

/* ---- shares ---- */

/* shares [n] = (1/S_l) / sum_j (1/S_j) */
static glot_status shares_of(double *shares, const double *s, int64_t n, glot_error *err)
{
    double sum = 0.0;
    for (int64_t l = 0; l < n; l++) {
        bool is_possible = s[l] > 0.0 && isfinite(s[l]) && isfinite(sum += 1.0 / s[l]);
        if (!is_possible)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "the similarity of layer %" PRId64
                             " is %g; experts can only be allocated to positive similarities",
                             l, s[l]);
    }
    for (int64_t l = 0; l < n; l++)
        shares[l] = 1.0 / s[l] / sum;
    return GLOT_OK;
}

void glot_allocation_sum(glot_allocation *a, const int32_t *existing)
{
    a->total = a->n_new = 0;
    for (int64_t l = 0; l < a->n_layers; l++) {
        a->total += a->n_experts[l];
        a->n_new += a->n_experts[l] - existing[l];
    }
}

/* The delta from which layer l gets one more than n. */
static double next_delta(double share, int64_t n)
{
    return ((double)n + TIP) / share;
}

/* The smallest delta above which some layer gets its next expert, and how many do so together. counts:
 * N_l. */
static double next_step(const double *shares, const int64_t *counts, int64_t n_layers, int64_t *n_together)
{
    double least = INFINITY;
    *n_together = 0;
    for (int64_t l = 0; l < n_layers; l++) {
        double delta = next_delta(shares[l], counts[l]);
        if (delta < least) {
            least = delta;
            *n_together = 0;
        }
        *n_together += delta == least;
    }
    return least;
}

static glot_status set_counts(glot_allocation *a, const int64_t *counts, const int32_t *existing,
                              glot_error *err)
{
    for (int64_t l = 0; l < a->n_layers; l++) {
        int64_t total = existing[l] + counts[l] - 1;
        if (total > GLOT_MAX_EXPERTS)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "layer %" PRId64 " would get %" PRId64
                             " experts, expected at most %d: the budget is too large",
                             l, total, GLOT_MAX_EXPERTS);
        a->n_experts[l] = (int32_t)total;
    }
    glot_allocation_sum(a, existing);
    return GLOT_OK;
}

/* ---- budgets ---- */

static glot_status allocate_delta(glot_allocation *a, const double *shares, const int32_t *existing,
                                  double delta, glot_error *err)
{
    int64_t counts[GLOT_MAX_LAYERS], n_together;
    bool is_possible = delta > 0.0 && delta <= (double)GLOT_MAX_EXPERTS * GLOT_MAX_LAYERS;
    if (!is_possible)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "a delta of %g is outside 0 to %d", delta,
                         GLOT_MAX_EXPERTS * GLOT_MAX_LAYERS);
    for (int64_t l = 0; l < a->n_layers; l++) {
        double n = ceil(shares[l] * delta - TIP);
        counts[l] = n < 1.0 ? 1 : (int64_t)n;
    }
    a->delta = delta;
    GLOT_TRY(set_counts(a, counts, existing, err));
    if (a->n_new > 0)
        return GLOT_OK;
    for (int64_t l = 0; l < a->n_layers; l++)
        counts[l] = 1;
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                     "a delta of %g gives no layer a new expert; the first one comes above %.9g", delta,
                     next_step(shares, counts, a->n_layers, &n_together));
}

/* Goes up in delta from one new expert to the next as long as the budget holds. Layers of equal similarity
 * get theirs together. */
static glot_status allocate_number(glot_allocation *a, const double *shares, const int32_t *existing,
                                   int64_t n_new, glot_error *err)
{
    int64_t counts[GLOT_MAX_LAYERS], n_together, given = 0;
    double from = 0.0, to;
    if (n_new > (int64_t)GLOT_MAX_EXPERTS * a->n_layers)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "%" PRId64 " new experts are more than %d for each of %" PRId64 " layers", n_new,
                         GLOT_MAX_EXPERTS, a->n_layers);
    for (int64_t l = 0; l < a->n_layers; l++)
        counts[l] = 1;
    while (to = next_step(shares, counts, a->n_layers, &n_together), given + n_together <= n_new) {
        for (int64_t l = 0; l < a->n_layers; l++)
            counts[l] += next_delta(shares[l], counts[l]) == to;
        given += n_together;
        from = to;
    }
    if (given == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "%" PRId64 " new experts are too few: %" PRId64
                         " layers are equally alike and get theirs together",
                         n_new, n_together);
    a->delta = from + (to - from) / 2.0;
    return set_counts(a, counts, existing, err);
}

glot_status glot_allocate(glot_allocation *out, const double *s, const int32_t *existing, int64_t n_layers,
                          const glot_budget *budget, glot_error *err)
{
    double shares[GLOT_MAX_LAYERS];
    *out = (glot_allocation){.n_layers = n_layers};
    GLOT_TRY(shares_of(shares, s, n_layers, err));
    return budget->n_new > 0 ? allocate_number(out, shares, existing, budget->n_new, err)
                             : allocate_delta(out, shares, existing, budget->delta, err);
}

/* ---- layouts of export formats ---- */

/* As the formats' readers have it: Qwen-MoE's mlp_only_layers, ERNIE's moe_layer_start_index and
 * moe_layer_end_index. */
const glot_layout_format glot_layout_formats[] = {
    {"hf", GLOT_LAYOUT_ANY, "any counts"},
    {"mixtral", GLOT_LAYOUT_UNIFORM, "one count of experts for all layers"},
    {"qwen2_moe", GLOT_LAYOUT_UNIFORM_SOME, "one count of experts for all layers that are not dense"},
    {"qwen3_moe", GLOT_LAYOUT_UNIFORM_SOME, "one count of experts for all layers that are not dense"},
    {"ernie4_5_moe", GLOT_LAYOUT_UNIFORM_RANGE,
     "one count of experts from a first to a last layer, the others dense"},
    {"moe-lpr", GLOT_LAYOUT_UNIFORM, "one count of experts for all layers"},
    {"gguf", GLOT_LAYOUT_UNIFORM, "one count of experts for all layers"},
    {0},
};

glot_status glot_layout_find(const glot_layout_format **out, const char *name, glot_error *err)
{
    for (const glot_layout_format *f = glot_layout_formats; f->name; f++)
        if (strcmp(f->name, name) == 0) {
            *out = f;
            return GLOT_OK;
        }
    return GLOT_FAIL(
        err, GLOT_BAD_ARGUMENT,
        "'%s' is no export format, expected hf, mixtral, qwen2_moe, qwen3_moe, ernie4_5_moe, moe-lpr or gguf",
        name);
}

/* The layers with more than one expert: how many, from where to where (behind), and their count; -1 where
 * they differ. */
typedef struct extent {
    int64_t n, first, end;
    int32_t count;
} extent;

static extent extent_of(const int32_t *n_experts, int64_t n_layers)
{
    extent e = {.count = 1};
    for (int64_t l = 0; l < n_layers; l++) {
        if (n_experts[l] == 1)
            continue;
        if (e.n++ == 0) {
            e.first = l;
            e.count = n_experts[l];
        }
        if (n_experts[l] != e.count)
            e.count = -1;
        e.end = l + 1;
    }
    return e;
}

bool glot_layout_holds(const glot_layout_format *format, const int32_t *n_experts, int64_t n_layers)
{
    extent e = extent_of(n_experts, n_layers);
    if (format->layout == GLOT_LAYOUT_ANY || e.n == 0)
        return true;
    if (e.count < 0)
        return false;
    return format->layout == GLOT_LAYOUT_UNIFORM         ? e.n == n_layers
           : format->layout == GLOT_LAYOUT_UNIFORM_RANGE ? e.n == e.end - e.first
                                                         : true;
}

/* ---- making an allocation fit ---- */

typedef struct fitting {
    glot_allocation *a;
    const double *s;
    const int32_t *existing;
    int64_t n_new;  /* of the allocation: the most there may be */
    int32_t most;   /* experts that a layer has already */
    int64_t n_kept; /* experts that all layers have already */
} fitting;

static fitting begin_fitting(glot_allocation *a, const double *s, const int32_t *existing)
{
    fitting f = {.a = a, .s = s, .existing = existing, .n_new = a->n_new, .most = 1};
    for (int64_t l = 0; l < a->n_layers; l++) {
        f.most = existing[l] > f.most ? existing[l] : f.most;
        f.n_kept += existing[l];
    }
    return f;
}

/* The same count in every layer. */
static bool fit_uniform(const fitting *f)
{
    int64_t n_layers = f->a->n_layers, count = (f->n_new + f->n_kept) / n_layers;
    if (count < f->most || count * n_layers == f->n_kept || count > GLOT_MAX_EXPERTS)
        return false;
    for (int64_t l = 0; l < n_layers; l++)
        f->a->n_experts[l] = (int32_t)count;
    return true;
}

/* New experts of layers [first, end) with `count` each. */
static int64_t cost_of_range(const fitting *f, int64_t first, int64_t end, int32_t count)
{
    int64_t cost = 0;
    for (int64_t l = first; l < end; l++)
        cost += count - f->existing[l];
    return cost;
}

/* The longest run of layers around those that have experts already; of runs as long the one with the least
 * similarity. */
static bool fit_range(const fitting *f, int32_t count)
{
    extent kept = extent_of(f->existing, f->a->n_layers);
    int64_t best_first = 0, best_length = 0;
    double best_sum = INFINITY;
    for (int64_t first = 0; first < f->a->n_layers; first++) {
        double sum = 0.0;
        for (int64_t end = first + 1;
             end <= f->a->n_layers && cost_of_range(f, first, end, count) <= f->n_new; end++) {
            sum += f->s[end - 1];
            bool is_covering = kept.n == 0 || (first <= kept.first && end >= kept.end);
            if (is_covering &&
                (end - first > best_length || (end - first == best_length && sum < best_sum))) {
                best_first = first;
                best_length = end - first;
                best_sum = sum;
            }
        }
    }
    for (int64_t l = 0; l < f->a->n_layers; l++)
        f->a->n_experts[l] = l >= best_first && l < best_first + best_length ? count : 1;
    return cost_of_range(f, best_first, best_first + best_length, count) > 0;
}

/* Layers that have experts already, and of the others those with the least similarity. */
static bool fit_some(const fitting *f, int32_t count)
{
    int64_t left = f->n_new, n_layers = f->a->n_layers;
    for (int64_t l = 0; l < n_layers; l++) {
        f->a->n_experts[l] = f->existing[l] > 1 ? count : 1;
        left -= f->a->n_experts[l] - f->existing[l];
    }
    if (left < 0)
        return false;
    for (; left >= count - 1; left -= count - 1) {
        int64_t least = -1;
        for (int64_t l = 0; l < n_layers; l++)
            if (f->a->n_experts[l] == 1 && (least < 0 || f->s[l] < f->s[least]))
                least = l;
        if (least < 0)
            break;
        f->a->n_experts[least] = count;
    }
    return left < f->n_new;
}

/* The least number of new experts that gives every layer the same count. */
static int64_t least_uniform(const fitting *f)
{
    int64_t new = f->most * f->a->n_layers - f->n_kept;
    return new > 0 ? new : f->a->n_layers;
}

glot_status glot_allocation_fit(glot_allocation *a, const glot_layout_format *format, const double *s,
                                const int32_t *existing, glot_error *err)
{
    if (glot_layout_holds(format, a->n_experts, a->n_layers))
        return GLOT_OK;
    fitting f = begin_fitting(a, s, existing);
    int32_t count = f.most > 2 ? f.most : 2;
    memcpy(a->asked, a->n_experts, sizeof a->asked);
    a->is_fitted = true;
    bool fits = fit_uniform(&f);
    if (!fits && format->layout == GLOT_LAYOUT_UNIFORM_RANGE)
        fits = fit_range(&f, count);
    if (!fits && format->layout == GLOT_LAYOUT_UNIFORM_SOME)
        fits = fit_some(&f, count);
    if (!fits)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "%s holds %s: that takes at least %" PRId64
                         " new experts, and the budget gives %" PRId64,
                         format->name, format->holds, least_uniform(&f), f.n_new);
    glot_allocation_sum(a, existing);
    return GLOT_OK;
}

json_t *glot_allocation_json(const glot_allocation *a, const glot_layout_format *format)
{
    json_t *o = json_pack("{s:o, s:I, s:I, s:f}", "experts", glot_json_ints(a->n_experts, a->n_layers),
                          "total", (json_int_t)a->total, "new", (json_int_t)a->n_new, "delta", a->delta);
    if (a->is_fitted)
        json_object_update_new(
            o, json_pack("{s:s, s:o}", "for", format->name, "asked", glot_json_ints(a->asked, a->n_layers)));
    return o;
}
