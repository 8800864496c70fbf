/* cmd_generate.c: `glot generate MODEL --prompt TEXT`: the text goes to standard output as it comes. */
#include "base/clock.h"
#include "base/memory.h"
#include "cli/model.h"
#include "infer/session.h"
#include "text/chat.h"
#include "text/utf8.h"

#include <string.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a model directory or GGUF file"},
    {"prompt", .letter = 'p', .kind = GLOT_OPTION_STRING, .value = "TEXT", .is_required = true,
     .help = "the text to go on from"},
    {"max-tokens", .letter = 'n', .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 1 << 20,
     .initial = "128", .unit = "tokens", .help = "generate at most so many tokens"},
    {"temperature", .kind = GLOT_OPTION_REAL, .value = "T", .min = 0, .max = 100, .initial = "0",
     .help = "0: always the likeliest token"},
    {"top-p", .kind = GLOT_OPTION_REAL, .value = "P", .min = 0, .max = 1, .initial = "1",
     .help = "draw from the likeliest tokens that together have this probability"},
    {"top-k", .kind = GLOT_OPTION_INT, .value = "K", .min = 0, .max = 1 << 20, .initial = "0",
     .help = "draw from the K likeliest tokens only; 0: all"},
    {"seed", .kind = GLOT_OPTION_INT, .value = "N", .initial = "1", .help = "of the random numbers"},
    {"stop", .kind = GLOT_OPTION_STRINGS, .value = "TEXT",
     .help = "stop before this text; may be given again"},
    {"chat", .kind = GLOT_OPTION_FLAG,
     .help = "the prompt is a user's turn: put it into the model's chat template"},
    {0},
};

/* One generation under way. */
typedef struct generation {
    const glot_cli *cli;
    cli_model m;
    glot_session *session;
    glot_sample_params sampling;
    glot_rng rng;
    int32_t *prompt, *ids, *scratch; /* prompt's ids, generated ids, [vocab] */
    float *log_probs;                /* of the generated ids */
    int64_t n_prompt, n, max_tokens;
    int32_t end_id;                  /* of the chat turn, or -1 */
    glot_str text;                   /* all that was generated */
    size_t shown;                    /* bytes of it on standard output */
    double prompt_seconds, seconds;
} generation;

/* ids of the prompt, BOS in front where the tokenizer's setting puts one. */
static glot_status encode_prompt(generation *g, glot_error *err)
{
    glot_str text = {0};
    const char *prompt = glot_args_string(g->cli->args, "prompt");
    size_t n_valid = glot_utf8_valid_prefix(prompt, strlen(prompt));
    if (prompt[n_valid])
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--prompt: byte %zu (0x%02x) is not UTF-8", n_valid + 1,
                         (uint8_t)prompt[n_valid]);
    g->end_id = -1;
    if (glot_args_flag(g->cli->args, "chat")) {
        glot_chat_template t;
        GLOT_TRY(glot_chat_of_model(&t, g->m.model->path, err));
        glot_chat_render(&text, t, prompt);
        g->end_id = glot_tokenizer_id(g->m.tokenizer, glot_chat_end(t));
    } else {
        glot_str_puts(&text, prompt);
    }
    const int32_t *ids = NULL;
    size_t n = 0;
    glot_status status = glot_str_check(&text, "the prompt", err);
    if (status == GLOT_OK)
        status = glot_encode(g->m.encoder, text.data, text.length, &ids, &n, err);
    bool has_bos = glot_tokenizer_adds_bos(g->m.tokenizer) || n == 0;
    if (status == GLOT_OK)
        status = glot_new(&g->prompt, n + 1, sizeof *g->prompt, "the prompt", err);
    if (status == GLOT_OK) {
        const glot_model_config *c = &g->m.model->config;
        if (has_bos && glot_config_start_id(c) >= 0)
            g->prompt[g->n_prompt++] = glot_config_start_id(c);
        memcpy(g->prompt + g->n_prompt, ids, n * sizeof *ids);
        g->n_prompt += (int64_t)n;
        if (g->n_prompt == 0)
            status = GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                               "the prompt is empty and the model names no BOS token to begin with");
    }
    glot_str_release(&text);
    return status;
}

static glot_status prepare(generation *g, glot_error *err)
{
    const glot_args *a = g->cli->args;
    GLOT_TRY(cli_model_open(&g->m, g->cli, true, err));
    GLOT_TRY(encode_prompt(g, err));
    int64_t context = g->m.model->config.context_length, vocab = g->m.model->config.vocab_size;
    if (g->n_prompt >= context)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "the prompt has %" PRId64 " tokens, and the model's context is %" PRId64,
                         g->n_prompt, context);
    g->max_tokens = glot_args_int(a, "max-tokens");
    if (g->max_tokens > context - g->n_prompt)
        g->max_tokens = context - g->n_prompt;
    g->sampling = (glot_sample_params){.temperature = glot_args_real(a, "temperature"),
                                       .top_p = glot_args_real(a, "top-p"),
                                       .top_k = glot_args_int(a, "top-k"),
                                       .seed = (uint64_t)glot_args_int(a, "seed")};
    g->rng = glot_rng_seed(g->sampling.seed, glot_rng_stream_of("generate"));
    GLOT_TRY(glot_new(&g->ids, (size_t)g->max_tokens, sizeof *g->ids, "generated tokens", err));
    GLOT_TRY(glot_new(&g->log_probs, (size_t)g->max_tokens, sizeof *g->log_probs, "generated tokens", err));
    GLOT_TRY(glot_new(&g->scratch, (size_t)vocab, sizeof *g->scratch, "sampling", err));
    int64_t n_batch = g->n_prompt < 512 ? g->n_prompt : 512;
    GLOT_TRY(glot_session_create(&g->session, g->m.model, g->n_prompt + g->max_tokens, n_batch, err));
    glot_session_set_exact(g->session, g->m.exact);
    return GLOT_OK;
}

/* Cuts the text before the first --stop that occurs in it; true if one did. */
static bool cut_at_stop(generation *g)
{
    size_t n;
    const char *const *stops = glot_args_words(g->cli->args, "stop", &n);
    size_t cut = g->text.length;
    for (size_t i = 0; i < n && g->text.data; i++) {
        const char *found = strstr(g->text.data, stops[i]);
        if (found && (size_t)(found - g->text.data) < cut)
            cut = (size_t)(found - g->text.data);
    }
    bool is_found = cut < g->text.length;
    if (is_found)
        g->text.data[g->text.length = cut] = '\0';
    return is_found;
}

/* Bytes at the end that must wait: an unfinished UTF-8 character, or what may become a --stop. */
static size_t held_back(const generation *g)
{
    size_t n, held = 0, length = g->text.length;
    const char *const *stops = glot_args_words(g->cli->args, "stop", &n);
    for (size_t i = 0; i < n; i++)
        if (strlen(stops[i]) > held + 1)
            held = strlen(stops[i]) - 1;
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        uint8_t c = (uint8_t)g->text.data[length - back];
        size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if (c >= 0xC0 && need > back && back > held)
            held = back;
        if (c < 0x80 || c >= 0xC0)
            break;
    }
    return held < length ? held : length;
}

static glot_status show(generation *g, bool is_last, glot_error *err)
{
    size_t ready = g->text.length - (is_last ? 0 : held_back(g));
    if (g->cli->is_json || ready <= g->shown)
        return GLOT_OK;
    GLOT_TRY(cli_write(g->text.data + g->shown, ready - g->shown, err));
    g->shown = ready;
    return cli_flush(err);
}

static glot_status generate(generation *g, glot_error *err)
{
    const float *log_probs;
    double began = glot_seconds();
    bool is_done = false;
    GLOT_TRY(glot_session_feed(g->session, g->prompt, g->n_prompt, &log_probs, err));
    g->prompt_seconds = glot_seconds() - began;
    began = glot_seconds();
    while (!is_done && g->n < g->max_tokens && !glot_cancelled(g->cli->cancel)) {
        int32_t id = glot_sample(log_probs, g->m.model->config.vocab_size, &g->sampling, &g->rng, g->scratch);
        if (id == g->m.model->config.eos_id || id == g->end_id)
            break;
        g->log_probs[g->n] = log_probs[id];
        g->ids[g->n++] = id;
        GLOT_TRY(glot_decode(g->m.tokenizer, &id, 1, true, false, &g->text, err));
        is_done = cut_at_stop(g);
        GLOT_TRY(show(g, is_done, err));
        if (!is_done && g->n < g->max_tokens)
            GLOT_TRY(glot_session_feed(g->session, &id, 1, &log_probs, err));
    }
    g->seconds = glot_seconds() - began;
    GLOT_TRY(glot_str_check(&g->text, "generated text", err));
    return show(g, true, err);
}

static json_t *to_json(const generation *g)
{
    json_t *ids = json_array(), *log_probs = json_array();
    for (int64_t i = 0; i < g->n; i++) {
        json_array_append_new(ids, json_integer(g->ids[i]));
        json_array_append_new(log_probs, json_real((double)g->log_probs[i]));
    }
    glot_str text = {0}; /* the model's bytes may be no UTF-8, or end inside a character */
    glot_utf8_append_repaired(&text, g->text.data, g->text.length);
    json_t *text_json = json_stringn(text.data ? text.data : "", text.length);
    glot_str_release(&text);
    return json_pack("{s:o, s:I, s:o, s:o, s:f, s:f}", "text", text_json, "prompt_tokens",
                     (json_int_t)g->n_prompt, "ids", ids, "logp", log_probs, "prompt_tokens_per_s",
                     (double)g->n_prompt / g->prompt_seconds, "tokens_per_s",
                     g->seconds > 0.0 ? (double)g->n / g->seconds : 0.0);
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    generation g = {.cli = cli};
    glot_status status = prepare(&g, err);
    if (status == GLOT_OK)
        status = generate(&g, err);
    if (status == GLOT_OK)
        status = cli->is_json ? cli_json(to_json(&g), err) : cli_write("\n", 1, err);
    glot_str_release(&g.text);
    glot_session_free(g.session);
    glot_free(g.prompt);
    glot_free(g.ids);
    glot_free(g.log_probs);
    glot_free(g.scratch);
    cli_model_release(&g.m);
    return status;
}

const glot_command cmd_generate = {"generate", "continue a prompt with text from a model", rows,
                                   CLI_HAS_JSON | CLI_HAS_MODEL, run};
