/* cmd_bench.c: `glot bench train|review|tokenize`: tokens per second beside what this machine can do. */
#include "base/memory.h"
#include "bench/bench_train.h"
#include "bench/shapes.h"
#include "cli/bench_tokenize.h"
#include "cli/model.h"
#include "tensor/cpu/peak.h"

#include <string.h>

static const glot_option rows[] = {
    {"WORK", .kind = GLOT_OPTION_CHOICE, .value = "train|review|tokenize", .is_argument = true, .is_required = true, .help = "what to time"},
    {"shape", .kind = GLOT_OPTION_STRING, .value = "NAME", .initial = "smollm2-135m",
     .help = "smollm2-135m, qwen1.5-1.8b, llama-3.2-1b or llama-3.2-3b, with random weights"},
    {"model", .kind = GLOT_OPTION_STRING, .value = "MODEL", .help = "a dense model instead of a shape; tokenize: whose tokenizer, or a tokenizer.json"},
    {"layers", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = GLOT_MAX_LAYERS, .initial = "0",
     .help = "only so many layers of the shape; 0: all"},
    {"experts", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "4", .help = "experts in every layer"},
    {"top-k", .kind = GLOT_OPTION_INT, .value = "K", .min = 1, .max = GLOT_MAX_EXPERTS, .initial = "2", .help = "experts of a token"},
    {"batch", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 65536, .initial = "4", .unit = "sequences", .help = "sequences in a step"},
    {"length", .kind = GLOT_OPTION_INT, .value = "N", .min = 2, .max = 1 << 20, .initial = "256", .unit = "tokens", .help = "tokens in a sequence"},
    {"steps", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 64, .initial = "5", .help = "timed steps, after one that is not"},
    {"text", .kind = GLOT_OPTION_TEXTS, .value = "LANG=FILE", .help = "tokenize: text of each language, .jsonl or .txt"},
    {"max-bytes", .kind = GLOT_OPTION_SIZE, .value = "N", .initial = "0", .unit = "bytes",
     .help = "tokenize: whole documents of each language until so many bytes; 0: all"},
    {0},
};

static glot_status open_model(glot_model **m, glot_backend *be, const glot_args *a, glot_error *err)
{
    glot_model_config c;
    if (glot_args_given(a, "model"))
        return glot_model_open(m, be, glot_args_string(a, "model"), err);
    GLOT_TRY(glot_shape_config(&c, glot_args_string(a, "shape"), glot_args_int(a, "layers"), err));
    return glot_model_create_random(m, be, &c, 1, err);
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

static glot_status print(const glot_cli *cli, const glot_backend *be, const glot_bench_train_result *r, glot_error *err)
{
    double peak = glot_cpu_peak_flops(be), bytes = peak_bytes(be);
    double flops = r->tokens_per_s * r->flops_per_token;
    /* what the optimizer and the gradients alone must move in a step: g written and read, w, m, v read and written */
    double moved = 8.0 * (double)r->memory.gradients / r->seconds_per_step;
    if (cli->is_json)
        return cli_json(json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:s, s:I}", "work",
                                  glot_args_string(cli->args, "WORK"), "tokens_per_s", r->tokens_per_s, "best_tokens_per_s",
                                  r->best_tokens_per_s, "seconds_per_step", r->seconds_per_step, "flops_per_token", r->flops_per_token,
                                  "flops_per_s", flops, "peak_flops_per_s", peak, "bytes_per_s", moved, "peak_bytes_per_s", bytes,
                                  "threads", be->n_threads, "isa", be->isa, "heap_calls", (json_int_t)r->heap_calls), err);
    GLOT_TRY(cli_printf(err, "%.1f tokens/s (%.2f s a step, best %.1f tokens/s), %d threads, %s\n", r->tokens_per_s, r->seconds_per_step,
                        r->best_tokens_per_s, be->n_threads, be->isa));
    return cli_printf(err, "%.1f GFLOP/s of %.1f (%.0f %%), %.2f GFLOP a token; memory read %.1f GB/s at most\n", flops / 1e9, peak / 1e9,
                      100.0 * flops / peak, r->flops_per_token / 1e9, bytes / 1e9);
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    const glot_args *a = cli->args;
    if (strcmp(glot_args_string(a, "WORK"), "tokenize") == 0)
        return cli_bench_tokenize(cli, err);
    glot_backend *be = NULL;
    glot_model *m = NULL;
    glot_bench_train_result r;
    glot_bench_train_options o = glot_bench_train_options_default();
    o.phase = strcmp(glot_args_string(a, "WORK"), "review") == 0 ? GLOT_PHASE_REVIEW : GLOT_PHASE_TRAIN;
    o.n_experts = (int)glot_args_int(a, "experts");
    o.top_k = (int)glot_args_int(a, "top-k");
    o.batch = o.micro_batch = glot_args_int(a, "batch");
    o.length = glot_args_int(a, "length");
    o.steps = glot_args_int(a, "steps");
    glot_status status = cli_backend_open(&be, cli, err);
    if (status == GLOT_OK)
        status = open_model(&m, be, a, err);
    if (status == GLOT_OK)
        status = glot_bench_train(&r, m, &o, cli->cancel, err);
    if (status == GLOT_OK)
        status = print(cli, be, &r, err);
    glot_model_close(m);
    glot_backend_close(be);
    return status;
}

const glot_command cmd_bench = {"bench", "measure speed against this machine's limits", rows, CLI_HAS_JSON | CLI_HAS_MODEL, run};
