/* cmd_bench.c: `glot bench train|review|forward|decode|tokenize|similarity|products`: tokens per second beside what this machine can do. */
#include "base/memory.h"
#include "bench/bench_decode.h"
#include "bench/bench_similarity.h"
#include "bench/bench_train.h"
#include "bench/shapes.h"
#include "cli/bench_products.h"
#include "cli/bench_tokenize.h"
#include "cli/model.h"
#include "expand/cost.h"
#include "tensor/cpu/peak.h"

#include <string.h>

static const glot_option rows[] = {
    {"WORK", .kind = GLOT_OPTION_CHOICE, .value = "train|review|forward|decode|tokenize|similarity|products", .is_argument = true, .is_required = true, .help = "what to time"},
    {"shape", .kind = GLOT_OPTION_STRING, .value = "NAME", .initial = "smollm2-135m",
     .help = "smollm2-135m, qwen1.5-1.8b, llama-3.2-1b or llama-3.2-3b, with random weights"},
    {"weights", .kind = GLOT_OPTION_CHOICE, .value = "float32|bf16|f16", .initial = "float32", .help = "type that the shape's matrices are stored in"},
    {"model", .kind = GLOT_OPTION_STRING, .value = "MODEL", .help = "a dense model instead of a shape; tokenize: whose tokenizer, or a tokenizer.json"},
    {"layers", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = GLOT_MAX_LAYERS, .initial = "0",
     .help = "only so many layers of the shape; 0: all"},
    {"experts", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "4", .help = "experts in every layer"},
    {"top-k", .kind = GLOT_OPTION_INT, .value = "K", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "2", .help = "experts of a token"},
    {"batch", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 65536, .initial = "4", .unit = "sequences", .help = "sequences in a step; similarity: of each language"},
    {"length", .kind = GLOT_OPTION_INT, .value = "N", .min = 2, .max = 1 << 20, .initial = "256", .unit = "tokens", .help = "tokens in a sequence; decode: before the first that is timed"},
    {"steps", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 64, .initial = "5", .help = "timed steps, after one that is not; decode: of 16 tokens; similarity: of nine languages"},
    {"recompute", .kind = GLOT_OPTION_FLAG, .help = "train, review: keep less of the forward pass and compute it again"},
    {"text", .kind = GLOT_OPTION_TEXTS, .value = "LANG=FILE", .help = "tokenize: text of each language, .jsonl or .txt"},
    {"max-bytes", .kind = GLOT_OPTION_SIZE, .value = "N", .initial = "0", .unit = "bytes",
     .help = "tokenize: whole documents of each language until so many bytes; 0: all"},
    {0},
};

static glot_dtype weights_of(const glot_args *a)
{
    const char *name = glot_args_string(a, "weights");
    return strcmp(name, "bf16") == 0 ? GLOT_BF16 : strcmp(name, "f16") == 0 ? GLOT_F16 : GLOT_F32;
}

static glot_status open_model(glot_model **m, glot_backend *be, const glot_args *a, glot_error *err)
{
    glot_model_config c;
    if (glot_args_given(a, "model"))
        return glot_model_open(m, be, glot_args_string(a, "model"), err);
    GLOT_TRY(glot_shape_config(&c, glot_args_string(a, "shape"), glot_args_int(a, "layers"), err));
    GLOT_TRY(glot_model_create_random(m, be, &c, 1, err));
    return glot_model_store_as(*m, weights_of(a), err);
}

/* What the threads can read from memory; 0 where there is too little of it to tell. The numbers are written first: pages that nobody wrote are
 * all the same page. */
static double peak_bytes(const glot_backend *be)
{
    const int64_t n = (int64_t)1 << 26;
    float *memory = glot_calloc((size_t)n, sizeof *memory);
    if (!memory)
        return 0;
    memset(memory, 1, (size_t)n * sizeof *memory);
    double bytes = glot_cpu_peak_bytes(be, memory, n);
    glot_free(memory);
    return bytes;
}

/* The work, whichever it was, and what this machine can do. */
typedef struct result {
    double tokens_per_s, best_tokens_per_s;
    double flops_per_token, bytes_per_token; /* bytes: train, review: what gradients and the optimizer must move; decode: active weights */
    double peak_flops, peak_bytes;           /* a second */
    glot_bench_times times;
    uint64_t planned_bytes, activation_bytes, memory_bytes; /* train, review: memory as planned, a part of it, and as measured */
    double forward_seconds; /* similarity: of the forward passes that it takes */
} result;

static json_t *phases_json(const glot_bench_times *t)
{
    json_t *phases = json_object();
    for (int i = 0; i < GLOT_N_TIMED; i++)
        json_object_set_new(phases, glot_timed_name((glot_timed)i), json_real(t->phases[i]));
    return phases;
}

static glot_status print_json(const glot_cli *cli, const glot_backend *be, const result *r, glot_error *err)
{
    json_t *out = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "work", glot_args_string(cli->args, "WORK"), "tokens_per_s", r->tokens_per_s,
                            "best_tokens_per_s", r->best_tokens_per_s, "seconds_per_step", r->times.median, "flops_per_token",
                            r->flops_per_token, "bytes_per_token", r->bytes_per_token);
    json_t *machine = json_pack("{s:f, s:f, s:f, s:f, s:i, s:s, s:I, s:o}", "flops_per_s", r->tokens_per_s * r->flops_per_token,
                                "peak_flops_per_s", r->peak_flops, "bytes_per_s", r->tokens_per_s * r->bytes_per_token, "peak_bytes_per_s",
                                r->peak_bytes, "threads", be->n_threads, "isa", be->isa, "heap_calls", (json_int_t)r->times.heap_calls,
                                "phases", phases_json(&r->times));
    json_object_update(out, machine);
    if (r->planned_bytes) {
        json_object_set_new(out, "planned_memory_bytes", json_integer((json_int_t)r->planned_bytes));
        json_object_set_new(out, "activation_bytes", json_integer((json_int_t)r->activation_bytes));
        json_object_set_new(out, "peak_memory_bytes", json_integer((json_int_t)r->memory_bytes));
    }
    if (r->forward_seconds > 0)
        json_object_set_new(out, "forward_ratio", json_real(r->times.median / r->forward_seconds));
    json_decref(machine);
    return cli_json(out, err);
}

static glot_status print_text(const glot_backend *be, const result *r, glot_error *err)
{
    double all = 0.0, flops = r->tokens_per_s * r->flops_per_token, bytes = r->tokens_per_s * r->bytes_per_token;
    GLOT_TRY(cli_printf(err, "%.1f tokens/s (%.4g s a step, best %.1f tokens/s), %d threads, %s\n", r->tokens_per_s, r->times.median,
                        r->best_tokens_per_s, be->n_threads, be->isa));
    GLOT_TRY(cli_printf(err, "%.1f GFLOP/s of %.1f (%.0f %%), %.2f GFLOP a token\n", flops / 1e9, r->peak_flops / 1e9,
                        100.0 * flops / r->peak_flops, r->flops_per_token / 1e9));
    GLOT_TRY(cli_printf(err, "%.1f GB/s of %.1f that can be read (%.0f %%), %.1f MB a token\n", bytes / 1e9, r->peak_bytes / 1e9,
                        100.0 * bytes / r->peak_bytes, r->bytes_per_token / 1e6));
    if (r->planned_bytes)
        GLOT_TRY(cli_printf(err, "memory: %.0f MB planned, of them activations %.0f MB; %.0f MB at most\n", (double)r->planned_bytes / 1e6,
                            (double)r->activation_bytes / 1e6, (double)r->memory_bytes / 1e6));
    if (r->forward_seconds > 0)
        GLOT_TRY(cli_printf(err, "%.3f times the forward passes alone (%.4g s)\n", r->times.median / r->forward_seconds, r->forward_seconds));
    for (int i = 0; i < GLOT_N_TIMED; i++)
        all += r->times.phases[i];
    for (int i = 0; i < GLOT_N_TIMED; i++)
        GLOT_TRY(cli_printf(err, "%18s %9.3f ms %5.1f %%\n", glot_timed_name((glot_timed)i), 1e3 * r->times.phases[i],
                            100.0 * r->times.phases[i] / all));
    return GLOT_OK;
}

static bool is_work(const glot_args *a, const char *work)
{
    return strcmp(glot_args_string(a, "WORK"), work) == 0;
}

/* train, review and forward. */
static glot_status time_steps(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli, glot_error *err)
{
    const glot_args *a = cli->args;
    glot_bench_train_options o = glot_bench_train_options_default();
    glot_bench_train_result r;
    o.phase = is_work(a, "review") ? GLOT_PHASE_REVIEW : GLOT_PHASE_TRAIN;
    o.n_experts = (int)glot_args_int(a, "experts");
    o.top_k = (int)glot_args_int(a, "top-k");
    o.batch = o.micro_batch = glot_args_int(a, "batch");
    o.length = glot_args_int(a, "length");
    o.steps = glot_args_int(a, "steps");
    o.is_recomputed = glot_args_flag(a, "recompute");
    o.timing = timing;
    GLOT_TRY((is_work(a, "forward") ? glot_bench_forward : glot_bench_train)(&r, m, &o, cli->cancel, err));
    /* what the optimizer and the gradients alone must move in a step: g written and read, w, m, v read and written */
    double moved = 8.0 * (double)r.memory.gradients;
    *out = (result){r.tokens_per_s, r.best_tokens_per_s, r.flops_per_token, moved / (double)(o.batch * o.length), .times = r.times,
                    .planned_bytes = r.planned_bytes, .activation_bytes = r.memory.workspace, .memory_bytes = r.peak_bytes};
    return GLOT_OK;
}

static glot_status time_decode(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli, glot_error *err)
{
    const glot_args *a = cli->args;
    glot_bench_decode_options o = {.n_experts = (int)glot_args_int(a, "experts"), .top_k = (int)glot_args_int(a, "top-k"),
                                   .length = glot_args_int(a, "length"), .steps = glot_args_int(a, "steps"), .seed = 1, .timing = timing};
    glot_bench_decode_result r;
    glot_cost cost;
    GLOT_TRY(glot_bench_decode(&r, m, &o, cli->cancel, err));
    GLOT_TRY(glot_cost_of(&cost, &m->config, GLOT_TRAIN_ROUTERS, 2 * o.length, err)); /* half of which a token sees */
    *out = (result){1.0 / r.times.median, 1.0 / r.times.best, cost.forward_flops_per_token, r.active_bytes, .times = r.times};
    return GLOT_OK;
}

static glot_status time_similarity(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli, glot_error *err)
{
    const glot_args *a = cli->args;
    glot_bench_similarity_options o = {.n_experts = (int)glot_args_int(a, "experts"), .top_k = (int)glot_args_int(a, "top-k"),
                                       .batch = glot_args_int(a, "batch"), .length = glot_args_int(a, "length"),
                                       .steps = glot_args_int(a, "steps"), .seed = 1, .timing = timing};
    glot_bench_similarity_result r;
    double n_tokens = (double)(GLOT_BENCH_LANGUAGES * o.batch * o.length);
    GLOT_TRY(glot_bench_similarity(&r, m, &o, cli->cancel, err));
    *out = (result){n_tokens / r.times.median, n_tokens / r.times.best, r.flops_per_token, .times = r.times, .forward_seconds = r.forward_seconds};
    return GLOT_OK;
}

typedef glot_status time_work(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli, glot_error *err);

static time_work *work_of(const glot_args *a)
{
    return is_work(a, "decode") ? time_decode : is_work(a, "similarity") ? time_similarity : time_steps;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    const glot_args *a = cli->args;
    glot_backend *be = NULL;
    glot_timing *timing = NULL;
    glot_model *m = NULL;
    result r;
    glot_status status = GLOT_OK;
    if (is_work(a, "tokenize"))
        return cli_bench_tokenize(cli, err);
    if (is_work(a, "products"))
        return cli_bench_products(cli, weights_of(a), err);
    GLOT_TRY(cli_backend_open(&be, cli, err));
    GLOT_TRY_OUT(glot_timing_create(&timing, be, err));
    GLOT_TRY_OUT(open_model(&m, glot_timing_backend(timing), a, err));
    GLOT_TRY_OUT(work_of(a)(&r, m, timing, cli, err));
    r.peak_flops = glot_cpu_peak_flops(be);
    r.peak_bytes = peak_bytes(be);
    GLOT_TRY_OUT(cli->is_json ? print_json(cli, be, &r, err) : print_text(be, &r, err));
out:
    glot_model_close(m);
    glot_backend_close(timing ? glot_timing_backend(timing) : be);
    return status;
}

const glot_command cmd_bench = {"bench", "measure speed against this machine's limits", rows, CLI_HAS_JSON | CLI_HAS_MODEL, run};
