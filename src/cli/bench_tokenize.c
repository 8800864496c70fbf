/* bench_tokenize.c: `glot bench tokenize`: bytes and tokens per second of one thread, by language. */
#include "cli/bench_tokenize.h"
#include "bench/bench_tokenize.h"

#include <inttypes.h>

static json_t *result_json(const glot_bench_tokenize_result *r)
{
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f}", "documents", (json_int_t)r->n_documents, "bytes",
                     (json_int_t)r->n_bytes, "tokens", (json_int_t)r->n_tokens, "bytes_per_s",
                     (double)r->n_bytes / r->best_seconds, "first_bytes_per_s",
                     (double)r->n_bytes / r->first_seconds, "tokens_per_s",
                     (double)r->n_tokens / r->best_seconds);
}

static glot_status time_language(const glot_cli *cli, const glot_tokenizer *t, const glot_text_files *text,
                                 json_t *out, glot_error *err)
{
    glot_bench_tokenize_result r;
    char **paths = NULL;
    size_t n_paths = 0;
    GLOT_TRY(glot_paths_expand(&paths, &n_paths, text->files, text->n_files, err));
    glot_status status = glot_bench_tokenize(&r, t, (const char *const *)paths, n_paths,
                                             glot_args_size(cli->args, "max-bytes"),
                                             glot_args_int(cli->args, "steps"), cli->cancel, err);
    glot_paths_free(paths, n_paths);
    if (status != GLOT_OK) {
        glot_error_prefix(err, "language '%s'", text->language);
        return status;
    }
    json_object_set_new(out, text->language, result_json(&r));
    if (cli->is_json)
        return GLOT_OK;
    return cli_printf(err, "%-10s %10.2f %10.2f %12.0f %12" PRIu64 " %12" PRIu64 "\n", text->language,
                      (double)r.n_bytes / r.best_seconds / 1e6, (double)r.n_bytes / r.first_seconds / 1e6,
                      (double)r.n_tokens / r.best_seconds, r.n_bytes, r.n_tokens);
}

static glot_status time_languages(const glot_cli *cli, const glot_tokenizer *t, const glot_text_files *texts,
                                  size_t n, glot_error *err)
{
    json_t *languages = json_object();
    glot_status status = GLOT_OK;
    if (!cli->is_json)
        status = cli_printf(err, "%-10s %10s %10s %12s %12s %12s\n", "language", "MB/s", "first MB/s",
                            "tokens/s", "bytes", "tokens");
    for (size_t i = 0; i < n && status == GLOT_OK; i++)
        status = time_language(cli, t, &texts[i], languages, err);
    if (status == GLOT_OK && cli->is_json)
        status = cli_json(json_pack("{s:s, s:O}", "work", "tokenize", "languages", languages), err);
    json_decref(languages);
    return status;
}

glot_status cli_bench_tokenize(const glot_cli *cli, glot_error *err)
{
    size_t n_words, n = 0;
    glot_tokenizer *t = NULL;
    glot_text_files *texts = NULL;
    const char *model = glot_args_string(cli->args, "model");
    const char *const *words = glot_args_words(cli->args, "text", &n_words);
    if (!model || n_words == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "tokenize needs --model MODEL and --text LANG=FILE");
    GLOT_TRY(glot_texts_parse(&texts, &n, words, n_words, "--text", err));
    glot_status status = glot_tokenizer_open_model(&t, model, err);
    if (status == GLOT_OK)
        status = time_languages(cli, t, texts, n, err);
    glot_tokenizer_close(t);
    glot_texts_free(texts, n);
    return status;
}
