/* cmd_bench.c: `glot bench train|review|forward|decode|tokenize|similarity|products`: tokens per second
 * beside what this machine can do. */
#include "bench/bench_decode.h"
#include "bench/bench_similarity.h"
#include "bench/bench_train.h"
#include "bench/machine.h"
#include "bench/needs.h"
#include "bench/shapes.h"
#include "cli/bench_products.h"
#include "cli/bench_tokenize.h"
#include "cli/model.h"
#include "expand/cost.h"
#include "job/memory_limit.h"

#include <string.h>

static const glot_option rows[] = {
    {"WORK", .kind = GLOT_OPTION_CHOICE, .value = "train|review|forward|decode|tokenize|similarity|products",
     .is_argument = true, .is_required = true, .help = "what to time"},
    {"shape", .kind = GLOT_OPTION_STRING, .value = "NAME", .initial = "smollm2-135m",
     .help = "smollm2-135m, qwen1.5-1.8b, llama-3.2-1b or llama-3.2-3b, with random weights"},
    {"weights", .kind = GLOT_OPTION_CHOICE, .value = "float32|bf16|f16", .initial = "float32",
     .help = "type that the shape's matrices are stored in"},
    {"model", .kind = GLOT_OPTION_STRING, .value = "MODEL",
     .help = "a model instead of a shape; tokenize: whose tokenizer, or a tokenizer.json"},
    {"layers", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = GLOT_MAX_LAYERS, .initial = "0",
     .help = "only so many layers, of a model its shape with random weights; 0: all"},
    {"experts", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "4",
     .help = "experts that every layer of a dense model gets"},
    {"top-k", .kind = GLOT_OPTION_INT, .value = "K", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "2",
     .help = "experts of a token"},
    {"batch", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 65536, .initial = "4",
     .unit = "sequences", .help = "sequences in a step; similarity: of each language"},
    {"length", .kind = GLOT_OPTION_INT, .value = "N", .min = 2, .max = 1 << 20, .initial = "256",
     .unit = "tokens", .help = "tokens in a sequence; decode: before the first that is timed"},
    {"steps", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 64, .initial = "5",
     .help = "timed steps, after one that is not; decode: of 16 tokens; similarity: of nine languages"},
    {"recompute", .kind = GLOT_OPTION_FLAG,
     .help = "train, review: keep less of the forward pass and compute it again"},
    {"text", .kind = GLOT_OPTION_TEXTS, .value = "LANG=FILE",
     .help = "tokenize: text of each language, .jsonl or .txt"},
    {"max-bytes", .kind = GLOT_OPTION_SIZE, .value = "N", .initial = "0", .unit = "bytes",
     .help = "tokenize: whole documents of each language until so many bytes; 0: all"},
    {0},
};

static glot_dtype weights_of(const glot_args *a)
{
    const char *name = glot_args_string(a, "weights");
    return strcmp(name, "bf16") == 0 ? GLOT_BF16 : strcmp(name, "f16") == 0 ? GLOT_F16 : GLOT_F32;
}

static bool is_work(const glot_args *a, const char *work)
{
    return strcmp(glot_args_string(a, "WORK"), work) == 0;
}

/* What an option is about: of no use, and so refused, in any other work. */
static const struct {
    const char *option, *works;
} works_of[] = {
    {"shape", "train, review, forward, decode, similarity"},
    {"weights", "train, review, forward, decode, similarity, products"},
    {"model", "train, review, forward, decode, similarity, tokenize"},
    {"layers", "train, review, forward, decode, similarity"},
    {"experts", "train, review, forward, decode, similarity"},
    {"top-k", "train, review, forward, decode, similarity"},
    {"batch", "train, review, forward, similarity"},
    {"length", "train, review, forward, decode, similarity"},
    {"steps", "train, review, forward, decode, similarity, tokenize"},
    {"recompute", "train, review"},
    {"text", "tokenize"},
    {"max-bytes", "tokenize"},
    {"dtype", "train, review, forward, decode, similarity, products"},
};

static glot_status check_options(const glot_args *a, glot_error *err)
{
    for (size_t i = 0; i < sizeof works_of / sizeof *works_of; i++)
        if (glot_args_given(a, works_of[i].option) && !strstr(works_of[i].works, glot_args_string(a, "WORK")))
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--%s is for bench %s, not for bench %s",
                             works_of[i].option, works_of[i].works, glot_args_string(a, "WORK"));
    if (glot_args_given(a, "language"))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--language has no meaning here: the text is made of random ids");
    if (glot_args_given(a, "model") && (glot_args_given(a, "shape") || glot_args_given(a, "weights")))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--model has its own shape and weights: give either it or --shape and --weights");
    return GLOT_OK;
}

static glot_bench_work needs_of(const glot_args *a)
{
    int64_t length = glot_args_int(a, "length"), steps = glot_args_int(a, "steps");
    bool is_decode = is_work(a, "decode");
    glot_bench_work work = {.n_experts = (int)glot_args_int(a, "experts"),
                            .top_k = (int)glot_args_int(a, "top-k"),
                            .is_training = is_work(a, "train") || is_work(a, "review"),
                            .is_recomputed = glot_args_flag(a, "recompute"),
                            .rows = is_decode ? 1 : length * glot_args_int(a, "batch"),
                            .length = length,
                            .n_cached = is_decode ? length + steps * GLOT_BENCH_DECODE_TOKENS : 0};
    work.trainable =
        glot_bench_trainable(is_work(a, "train") ? GLOT_PHASE_TRAIN : GLOT_PHASE_REVIEW, work.n_experts);
    return work;
}

/* Random weights in this shape, once it is known that there is memory for them; they are float32 at first. */
static glot_status create_model(glot_model **m, glot_backend *be, const glot_model_config *c,
                                const glot_args *a, glot_error *err)
{
    glot_bench_work work = needs_of(a);
    glot_cost cost;
    glot_dtype dtype = weights_of(a), widest = work.is_training ? GLOT_F32 : dtype;
    GLOT_TRY(glot_cost_of(&cost, c, GLOT_TRAIN_ROUTERS, 2, err));
    GLOT_TRY(glot_bench_check_memory(&work, c, cost.n_parameters * sizeof(float), widest, be, err));
    GLOT_TRY(glot_model_create_random(m, be, c, 1, err));
    return glot_model_store_as(*m, dtype, err);
}

/* The first layers of a model's shape. */
static glot_status create_slice(glot_model **out, const glot_model *m, int64_t n_layers, const glot_args *a,
                                glot_error *err)
{
    glot_model_config c;
    if (m->config.is_expanded || n_layers > m->config.n_layers)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--layers %" PRId64
                         ": '%s' is %s, expected a dense model of at least so many layers",
                         n_layers, m->path, m->config.is_expanded ? "an expanded model" : "a smaller one");
    GLOT_TRY(glot_config_copy(&c, &m->config, err));
    c.n_layers = n_layers;
    glot_status status = create_model(out, m->be, &c, a, err);
    glot_config_release(&c);
    return status;
}

static glot_status check_opened(const glot_model *m, const glot_args *a, glot_error *err)
{
    glot_bench_work work = needs_of(a);
    uint64_t owned = 0;
    if (m->config.is_expanded && (glot_args_given(a, "experts") || glot_args_given(a, "top-k")))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "'%s' has its own experts: --experts and --top-k are for dense models", m->path);
    for (size_t i = 0; i < m->n_params; i++)
        owned += m->params[i]->is_owned ? glot_tensor_bytes(&m->params[i]->weight) : 0;
    glot_dtype dtype = work.is_training ? GLOT_F32 : m->layers[0].gate_proj[0]->weight.dtype;
    return glot_bench_check_memory(&work, &m->config, owned, dtype, m->be, err);
}

static glot_status open_model(glot_model **m, glot_backend *be, const glot_args *a, glot_error *err)
{
    int64_t n_layers = glot_args_int(a, "layers");
    glot_model_config c;
    if (!glot_args_given(a, "model")) {
        GLOT_TRY(glot_shape_config(&c, glot_args_string(a, "shape"), n_layers, err));
        return create_model(m, be, &c, a, err);
    }
    GLOT_TRY(glot_model_open(m, be, glot_args_string(a, "model"), err));
    if (n_layers == 0)
        return check_opened(*m, a, err);
    glot_model *whole = *m;
    *m = NULL;
    glot_status status = create_slice(m, whole, n_layers, a, err);
    glot_model_close(whole);
    return status;
}

/* The work, whichever it was, and what this machine can do. */
typedef struct result {
    double tokens_per_s, best_tokens_per_s;
    double flops_per_token, bytes_per_token; /* bytes: the least that must come from or go to memory */
    glot_bench_times times;
    uint64_t planned_bytes, activation_bytes,
        memory_bytes;       /* train, review: memory as planned, a part of it, and as measured */
    double forward_seconds; /* similarity: of the forward passes that it takes */
} result;

static json_t *phases_json(const glot_bench_times *t)
{
    json_t *phases = json_object();
    for (int i = 0; i < GLOT_N_TIMED; i++)
        json_object_set_new(phases, glot_timed_name((glot_timed)i), json_real(t->phases[i]));
    return phases;
}

static const char *products_name(const glot_backend *be)
{
    return be->products == GLOT_BF16 ? "bf16" : "float32";
}

static json_t *machine_json(const glot_machine *machine, const glot_backend *be)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:i, s:s}", "peak_flops_per_s",
                     glot_machine_peak(machine, be), "peak_float32_flops_per_s", machine->float32_flops,
                     "peak_bf16_flops_per_s", machine->bf16_flops, "product_flops_per_s",
                     machine->product_flops, "peak_bytes_per_s", machine->read_bytes, "threads",
                     be->n_threads, "isa", be->isa);
}

static glot_status print_json(const glot_cli *cli, const glot_backend *be, const glot_machine *machine,
                              const result *r, glot_error *err)
{
    json_t *out = json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o}", "work",
                            glot_args_string(cli->args, "WORK"), "dtype", products_name(be), "tokens_per_s",
                            r->tokens_per_s, "best_tokens_per_s", r->best_tokens_per_s, "seconds_per_step",
                            r->times.median, "flops_per_token", r->flops_per_token, "bytes_per_token",
                            r->bytes_per_token, "flops_per_s", r->tokens_per_s * r->flops_per_token,
                            "bytes_per_s", r->tokens_per_s * r->bytes_per_token, "heap_calls",
                            (json_int_t)r->times.heap_calls, "phases", phases_json(&r->times));
    json_t *limits = machine_json(machine, be);
    json_object_update(out, limits);
    json_decref(limits);
    if (r->planned_bytes) {
        json_object_set_new(out, "planned_memory_bytes", json_integer((json_int_t)r->planned_bytes));
        json_object_set_new(out, "activation_bytes", json_integer((json_int_t)r->activation_bytes));
        json_object_set_new(out, "peak_memory_bytes", json_integer((json_int_t)r->memory_bytes));
    }
    if (r->forward_seconds > 0) {
        json_object_set_new(out, "forward_seconds", json_real(r->forward_seconds));
        json_object_set_new(out, "forward_ratio", json_real(r->times.median / r->forward_seconds));
    }
    return cli_json(out, err);
}

static glot_status print_limits(const glot_backend *be, const glot_machine *machine, glot_error *err)
{
    return cli_printf(err,
                      "this machine: %d threads, %s; multiply-adds %.1f GFLOP/s in float32, %.1f in bf16; a "
                      "product of 1024 x 1536 x 576 "
                      "in %s %.1f GFLOP/s; memory read at %.1f GB/s\n",
                      be->n_threads, be->isa, machine->float32_flops / 1e9, machine->bf16_flops / 1e9,
                      products_name(be), machine->product_flops / 1e9, machine->read_bytes / 1e9);
}

static glot_status print_phases(const glot_bench_times *t, glot_error *err)
{
    double all = 0.0;
    for (int i = 0; i < GLOT_N_TIMED; i++)
        all += t->phases[i];
    GLOT_TRY(cli_printf(err, "the fastest one, %.3f ms, by phase:\n", 1e3 * all));
    for (int i = 0; i < GLOT_N_TIMED; i++)
        GLOT_TRY(cli_printf(err, "%18s %9.3f ms %5.1f %%\n", glot_timed_name((glot_timed)i),
                            1e3 * t->phases[i], 100.0 * t->phases[i] / all));
    return GLOT_OK;
}

static glot_status print_text(const glot_backend *be, const glot_machine *machine, const result *r,
                              glot_error *err)
{
    double flops = r->tokens_per_s * r->flops_per_token, bytes = r->tokens_per_s * r->bytes_per_token;
    GLOT_TRY(print_limits(be, machine, err));
    GLOT_TRY(cli_printf(err, "%.1f tokens/s (%.4g s a step, best %.1f tokens/s)\n", r->tokens_per_s,
                        r->times.median, r->best_tokens_per_s));
    GLOT_TRY(cli_printf(
        err, "%.1f GFLOP/s, %.0f %% of the multiply-adds, %.0f %% of the product; %.2f GFLOP a token\n",
        flops / 1e9, 100.0 * flops / glot_machine_peak(machine, be), 100.0 * flops / machine->product_flops,
        r->flops_per_token / 1e9));
    GLOT_TRY(cli_printf(err, "%.1f GB/s, %.0f %% of what can be read; %.1f MB a token\n", bytes / 1e9,
                        100.0 * bytes / machine->read_bytes, r->bytes_per_token / 1e6));
    if (r->planned_bytes)
        GLOT_TRY(cli_printf(err, "memory: %.0f MB planned, of them activations %.0f MB; %.0f MB at most\n",
                            (double)r->planned_bytes / 1e6, (double)r->activation_bytes / 1e6,
                            (double)r->memory_bytes / 1e6));
    if (r->forward_seconds > 0)
        GLOT_TRY(cli_printf(err, "%.3f times the forward passes alone (%.4g s)\n",
                            r->times.median / r->forward_seconds, r->forward_seconds));
    return print_phases(&r->times, err);
}

/* train, review and forward. */
static glot_status time_steps(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli,
                              glot_error *err)
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
    *out = (result){r.tokens_per_s,
                    r.best_tokens_per_s,
                    r.flops_per_token,
                    r.bytes_per_token,
                    .times = r.times,
                    .planned_bytes = r.planned_bytes,
                    .activation_bytes = r.memory.workspace,
                    .memory_bytes = r.peak_bytes};
    return GLOT_OK;
}

static glot_status time_decode(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli,
                               glot_error *err)
{
    const glot_args *a = cli->args;
    glot_bench_decode_options o = {.n_experts = (int)glot_args_int(a, "experts"),
                                   .top_k = (int)glot_args_int(a, "top-k"),
                                   .length = glot_args_int(a, "length"),
                                   .steps = glot_args_int(a, "steps"),
                                   .seed = 1,
                                   .timing = timing};
    glot_bench_decode_result r;
    glot_cost cost;
    GLOT_TRY(glot_bench_decode(&r, m, &o, cli->cancel, err));
    int64_t context = 2 * o.length; /* half of which a token sees */
    GLOT_TRY(glot_cost_of(&cost, &m->config, GLOT_TRAIN_ROUTERS, context, err));
    *out = (result){1.0 / r.times.median, 1.0 / r.times.best, cost.forward_flops_per_token, r.active_bytes,
                    .times = r.times};
    return GLOT_OK;
}

static glot_status time_similarity(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli,
                                   glot_error *err)
{
    const glot_args *a = cli->args;
    glot_bench_similarity_options o = {.n_experts = (int)glot_args_int(a, "experts"),
                                       .top_k = (int)glot_args_int(a, "top-k"),
                                       .batch = glot_args_int(a, "batch"),
                                       .length = glot_args_int(a, "length"),
                                       .steps = glot_args_int(a, "steps"),
                                       .seed = 1,
                                       .timing = timing};
    glot_bench_similarity_result r;
    double n_tokens = (double)(GLOT_BENCH_LANGUAGES * o.batch * o.length);
    GLOT_TRY(glot_bench_similarity(&r, m, &o, cli->cancel, err));
    *out = (result){n_tokens / r.times.median, n_tokens / r.times.best, r.flops_per_token,
                    r.bytes_per_token,         .times = r.times,        .forward_seconds = r.forward_seconds};
    return GLOT_OK;
}

typedef glot_status time_work(result *out, glot_model *m, glot_timing *timing, const glot_cli *cli,
                              glot_error *err);

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
    glot_machine machine;
    result r;
    glot_status status = GLOT_OK;
    GLOT_TRY(check_options(a, err));
    if (is_work(a, "tokenize"))
        return cli_bench_tokenize(cli, err);
    if (is_work(a, "products"))
        return cli_bench_products(cli, weights_of(a), err);
    GLOT_TRY(cli_backend_open(&be, cli, err));
    GLOT_TRY_OUT(glot_timing_create(&timing, be, err));
    GLOT_TRY_OUT(open_model(&m, glot_timing_backend(timing), a, err));
    GLOT_TRY_OUT(glot_machine_measure(&machine, be, err));
    glot_memory_forget_peak();
    GLOT_TRY_OUT(work_of(a)(&r, m, timing, cli, err));
    GLOT_TRY_OUT(cli->is_json ? print_json(cli, be, &machine, &r, err) : print_text(be, &machine, &r, err));
out:
    glot_model_close(m);
    glot_backend_close(timing ? glot_timing_backend(timing) : be);
    return status;
}

const glot_command cmd_bench = {"bench", "measure speed against this machine's limits", rows,
                                CLI_HAS_JSON | CLI_HAS_MODEL, run};
