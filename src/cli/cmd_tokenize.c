/* cmd_tokenize.c: `glot tokenize`: lines to ids on standard output (--ids), or text files to a token store
 * (--out). */
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "text/density.h"
#include "text/token_store.h"

#include <inttypes.h>
#include <string.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a model directory, GGUF file or tokenizer.json (plain or gzip)"},
    {"FILE", .kind = GLOT_OPTION_WORDS, .is_argument = true,
     .help = "with --ids: the file whose lines are tokenized, standard input without it; with --out: "
             "LANG=FILE..., the "
             "text files of each language"},
    {"ids", .kind = GLOT_OPTION_FLAG,
     .help = "print one line of ids for each raw line; no special tokens are added"},
    {"out", .letter = 'o', .kind = GLOT_OPTION_STRING, .value = "STORE", .help = "write a token store"},
    {"old", .kind = GLOT_OPTION_STRING, .value = "LANG,LANG",
     .help = "the store's old languages; those not named are new"},
    {"max-tokens", .kind = GLOT_OPTION_SIZE, .value = "N", .unit = "tokens",
     .help = "take whole documents of each language until so many; all without it"},
    {"text-key", .kind = GLOT_OPTION_STRING, .value = "KEY", .initial = "text",
     .help = "where a JSON line has its text"},
    {"skip-bad-lines", .kind = GLOT_OPTION_FLAG,
     .help = "count lines that are not UTF-8 or not JSON instead of refusing them"},
    {0},
};

/* --ids. */

/* "12 7 345\n": by hand, because this is most of the output's time. */
static void put_ids(glot_str *out, const int32_t *ids, size_t n, char separator)
{
    for (size_t i = 0; i < n; i++) {
        char digits[12];
        size_t at = sizeof digits;
        uint32_t id = (uint32_t)ids[i];
        do {
            digits[--at] = (char)('0' + id % 10);
            id /= 10;
        } while (id);
        if (i)
            glot_str_append(out, &separator, 1);
        glot_str_append(out, digits + at, sizeof digits - at);
    }
}

static glot_status print_lines(const glot_cli *cli, glot_encoder *encoder, glot_lines *lines,
                               const char *path, glot_error *err)
{
    glot_str out = {0};
    glot_status status;
    for (;;) {
        const char *line;
        const int32_t *ids;
        size_t size, n;
        GLOT_TRY_OUT(glot_lines_next(lines, &line, &size, err));
        if (!line)
            break;
        status = glot_encode(encoder, line, size, &ids, &n, err);
        if (status != GLOT_OK) {
            glot_error_prefix(err, "'%s' line %" PRIu64, path, glot_lines_number(lines));
            goto out;
        }
        glot_str_reset(&out);
        if (cli->is_json)
            glot_str_puts(&out, glot_lines_number(lines) > 1 ? ",\n[" : "\n[");
        put_ids(&out, ids, n, cli->is_json ? ',' : ' ');
        glot_str_puts(&out, cli->is_json ? "]" : "\n");
        GLOT_TRY_OUT(glot_str_check(&out, "a line of ids", err));
        GLOT_TRY_OUT(cli_write(out.data, out.length, err));
    }
out:
    glot_str_release(&out);
    return status;
}

static glot_status run_ids(const glot_cli *cli, const glot_tokenizer *t, glot_error *err)
{
    size_t n_files;
    const char *const *files = glot_args_words(cli->args, "FILE", &n_files);
    if (n_files > 1)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--ids takes one file, found '%s' too", files[1]);
    const char *path = n_files ? files[0] : "-";
    glot_encoder *encoder = NULL;
    glot_lines *lines = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_encoder_create(&encoder, t, err));
    GLOT_TRY_OUT(glot_lines_open(&lines, path, err));
    if (cli->is_json)
        GLOT_TRY_OUT(cli_printf(err, "{\"ids\": ["));
    GLOT_TRY_OUT(print_lines(cli, encoder, lines, strcmp(path, "-") == 0 ? "standard input" : path, err));
    if (cli->is_json)
        GLOT_TRY_OUT(cli_printf(err, "\n]}\n"));
out:
    glot_lines_close(lines);
    glot_encoder_free(encoder);
    return status;
}

/* --out. */

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0.0;
}

static json_t *language_json(const glot_store_language *l)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I}", "documents", (json_int_t)l->n_documents,
                     "tokens", (json_int_t)l->n_tokens, "bytes", (json_int_t)l->n_bytes, "words",
                     (json_int_t)l->n_words, "tokens_per_byte", glot_tokens_per_byte(l->n_tokens, l->n_bytes),
                     "tokens_per_word", ratio(l->n_tokens, l->n_words), "empty", (json_int_t)l->n_empty,
                     "bad_lines", (json_int_t)l->n_bad_lines);
}

static glot_status report_json(const glot_token_store *s, glot_error *err)
{
    json_t *languages = json_object();
    for (size_t i = 0; i < glot_token_store_n_languages(s); i++) {
        const glot_store_language *l = glot_token_store_language(s, i);
        json_object_set_new(languages, l->name, language_json(l));
    }
    return cli_json(json_pack("{s:s, s:s, s:o}", "store", glot_token_store_path(s), "tokenizer",
                              glot_token_store_tokenizer_hash(s), "languages", languages),
                    err);
}

static glot_status report_text(const glot_token_store *s, glot_error *err)
{
    GLOT_TRY(cli_printf(err, "%-12s %12s %14s %14s %12s %12s\n", "language", "documents", "tokens", "bytes",
                        "tokens/byte", "tokens/word"));
    for (size_t i = 0; i < glot_token_store_n_languages(s); i++) {
        const glot_store_language *l = glot_token_store_language(s, i);
        GLOT_TRY(cli_printf(err, "%-12s %12" PRIu64 " %14" PRIu64 " %14" PRIu64 " %12.4f %12.4f\n", l->name,
                            l->n_documents, l->n_tokens, l->n_bytes,
                            glot_tokens_per_byte(l->n_tokens, l->n_bytes), ratio(l->n_tokens, l->n_words)));
        if (l->n_bad_lines || l->n_empty)
            GLOT_TRY(cli_printf(err, "%12s left out: %" PRIu64 " empty documents, %" PRIu64 " bad lines\n",
                                "", l->n_empty, l->n_bad_lines));
    }
    return GLOT_OK;
}

static glot_status report(const glot_cli *cli, const char *path, glot_error *err)
{
    glot_token_store *s = NULL;
    GLOT_TRY(glot_token_store_open(&s, path, err));
    for (size_t i = 0; i < glot_token_store_n_languages(s); i++) {
        const glot_store_language *l = glot_token_store_language(s, i);
        glot_warn_of_density(l->name, l->n_tokens, l->n_bytes);
    }
    glot_status status = cli->is_json ? report_json(s, err) : report_text(s, err);
    glot_token_store_close(s);
    return status;
}

static glot_status build_store(const glot_cli *cli, const glot_tokenizer *t, const glot_text_files *texts,
                               size_t n, glot_error *err)
{
    glot_store_source *sources = NULL;
    const char *old = glot_args_string(cli->args, "old");
    const char *path = glot_args_string(cli->args, "out");
    glot_corpus_options options = glot_corpus_options_default();
    options.text_key = glot_args_string(cli->args, "text-key");
    options.skip_bad_lines = glot_args_flag(cli->args, "skip-bad-lines");
    options.cancel = cli->cancel;
    cli_catch_signals();
    GLOT_TRY(glot_new(&sources, n, sizeof *sources, "the languages", err));
    for (size_t i = 0; i < n; i++)
        sources[i] = (glot_store_source){.language = texts[i].language,
                                         .group = glot_list_has(old, texts[i].language) ? 0 : 1,
                                         .paths = texts[i].files,
                                         .n_paths = texts[i].n_files,
                                         .max_tokens = glot_args_size(cli->args, "max-tokens")};
    glot_status status = glot_token_store_build(path, t, sources, n, &options, cli->threads, err);
    glot_free(sources);
    return status == GLOT_OK ? report(cli, path, err) : status;
}

static glot_status run_store(const glot_cli *cli, const glot_tokenizer *t, glot_error *err)
{
    size_t n_words, n = 0;
    glot_text_files *texts = NULL;
    const char *const *words = glot_args_words(cli->args, "FILE", &n_words);
    if (n_words == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--out needs text: LANG=FILE...");
    GLOT_TRY(glot_texts_parse(&texts, &n, words, n_words, "text", err));
    glot_status status = build_store(cli, t, texts, n, err);
    glot_texts_free(texts, n);
    return status;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    bool is_ids = glot_args_flag(cli->args, "ids");
    if (is_ids == glot_args_given(cli->args, "out"))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "expected either --ids or --out STORE, found %s",
                         is_ids ? "both" : "neither");
    glot_tokenizer *t = NULL;
    GLOT_TRY(glot_tokenizer_open_model(&t, glot_args_string(cli->args, "MODEL"), err));
    glot_status status = is_ids ? run_ids(cli, t, err) : run_store(cli, t, err);
    glot_tokenizer_close(t);
    return status;
}

const glot_command cmd_tokenize = {"tokenize", "turn text into token ids or a token store", rows,
                                   CLI_HAS_JSON, run};
