/* plan_print.c: a plan for a person and for a program. */
#include "base/progress.h"
#include "job/plan.h"
#include "text/density.h"

static void put_bytes(glot_str *out, const char *label, uint64_t bytes)
{
    char text[32];
    glot_bytes_text(bytes, text);
    glot_str_printf(out, "%s %s", label, text);
}

static void put_stage(glot_str *out, const char *name, const glot_plan_stage *s)
{
    if (!s->steps)
        return;
    glot_str_printf(
        out, "%-10s %" PRId64 " steps, %" PRIu64 " tokens, trains %.1f M parameters, %.2f GFLOP a token\n",
        name, s->steps, s->tokens, (double)s->n_trained / 1e6, s->flops_per_token / 1e9);
}

static void put_densities(glot_str *out, const glot_plan *p)
{
    for (size_t i = 0; i < p->n_densities; i++)
        glot_str_printf(out, "%s%s %.3f", i ? ", " : "text       tokens per byte: ", p->densities[i].language,
                        glot_tokens_per_byte(p->densities[i].tokens, p->densities[i].bytes));
    glot_str_puts(out, p->n_densities ? "\n" : "");
}

static void put_counts(glot_str *out, const int32_t *counts, int64_t n)
{
    for (int64_t l = 0; l < n; l++)
        glot_str_printf(out, "%s%d", l ? " " : "", counts[l]);
}

/* Where similarity decides: what it has decided, or that it will. */
static void put_layout(glot_str *out, const glot_plan *p)
{
    const glot_allocation *a = &p->layout;
    if (p->is_layout_open) {
        glot_str_puts(out, "layout     decided after similarity has been measured; the numbers are for all "
                           "that the budget allows\n");
        return;
    }
    glot_str_puts(out, "layout     by similarity, experts of each layer: ");
    put_counts(out, a->n_experts, a->n_layers);
    if (a->is_fitted) {
        glot_str_printf(out, "\n           %s holds %s; similarity alone would give ", p->format->name,
                        p->format->holds);
        put_counts(out, a->asked, a->n_layers);
    }
    glot_str_puts(out, "\n");
}

void glot_plan_text(const glot_plan *p, glot_str *out)
{
    const glot_plan_stage *s = p->train.steps ? &p->train : &p->review;
    char duration[32];
    glot_str_printf(out, "parameters %.1f M of the base + %.1f M new\n", (double)p->n_base / 1e6,
                    (double)p->n_new / 1e6);
    if (p->is_layerwise)
        put_layout(out, p);
    put_densities(out, p);
    put_stage(out, "train", &p->train);
    put_stage(out, "review", &p->review);
    put_bytes(out, "memory     at most", p->peak_bytes);
    put_bytes(out, " of", p->available_bytes);
    put_bytes(out, " available: weights", p->owned_bytes);
    put_bytes(out, " +", p->mapped_bytes);
    put_bytes(out, " mapped, gradients", s->memory.gradients);
    put_bytes(out, ", moments", s->memory.moments);
    put_bytes(out, ", activations", s->memory.workspace);
    put_bytes(out, ", the program itself", p->other_bytes);
    put_bytes(out, "\ndisk       at most", p->disk_bytes);
    put_bytes(out, " of", p->disk_free_bytes);
    put_bytes(out, " free: a checkpoint", p->checkpoint_bytes);
    put_bytes(out, ", the model", p->model_bytes);
    glot_str_puts(out, "\n");
    if (p->seconds > 0.0) {
        glot_duration_text(p->seconds, duration);
        glot_str_printf(out,
                        "time       about %s of training at %.0f GFLOP/s (measured on one product just now), "
                        "and the scoring\n",
                        duration, p->flops_per_s / 1e9);
    }
}

static json_t *stage_json(const glot_plan_stage *s)
{
    return json_pack("{s:I, s:I, s:I, s:f, s:I, s:I, s:I}", "steps", (json_int_t)s->steps, "tokens",
                     (json_int_t)s->tokens, "trained_parameters", (json_int_t)s->n_trained, "flops_per_token",
                     s->flops_per_token, "gradient_bytes", (json_int_t)s->memory.gradients, "moment_bytes",
                     (json_int_t)s->memory.moments, "activation_bytes", (json_int_t)s->memory.workspace);
}

static json_t *densities_json(const glot_plan *p)
{
    json_t *all = json_object();
    for (size_t i = 0; i < p->n_densities; i++)
        json_object_set_new(all, p->densities[i].language,
                            json_real(glot_tokens_per_byte(p->densities[i].tokens, p->densities[i].bytes)));
    return all;
}

json_t *glot_plan_json(const glot_plan *p)
{
    json_t *experts =
        p->is_layout_open ? json_null() : glot_json_ints(p->layout.n_experts, p->layout.n_layers);
    return json_pack("{s:o, s:I, s:I, s:I, s:b, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     "s:I, s:f, s:f}",
                     "tokens_per_byte", densities_json(p), "base_parameters", (json_int_t)p->n_base,
                     "parameters", (json_int_t)p->n_parameters, "new_parameters", (json_int_t)p->n_new,
                     "is_layout_open", p->is_layout_open, "experts", experts, "train", stage_json(&p->train),
                     "review", stage_json(&p->review), "scoring_bytes", (json_int_t)p->score_bytes,
                     "mapped_bytes", (json_int_t)p->mapped_bytes, "owned_bytes", (json_int_t)p->owned_bytes,
                     "other_bytes", (json_int_t)p->other_bytes, "peak_memory_bytes",
                     (json_int_t)p->peak_bytes, "available_memory_bytes", (json_int_t)p->available_bytes,
                     "checkpoint_bytes", (json_int_t)p->checkpoint_bytes, "model_bytes",
                     (json_int_t)p->model_bytes, "disk_bytes", (json_int_t)p->disk_bytes, "disk_free_bytes",
                     (json_int_t)p->disk_free_bytes, "flops_per_s", p->flops_per_s, "seconds", p->seconds);
}
