/* cmd_similarity.c: `glot similarity MODEL LANG=FILE...`: how alike languages look in each layer (METHOD
 * 4). */
#include "base/clock.h"
#include "base/memory.h"
#include "cli/model.h"
#include "expand/similarity.h"
#include "text/document_reader.h"

#include <string.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a model directory or GGUF file"},
    {"LANG=FILE", .kind = GLOT_OPTION_TEXTS, .is_argument = true, .is_required = true,
     .help =
         "text of each language: .jsonl, .txt, gzip or zstd of either, a token store, - for standard input"},
    {"old", .kind = GLOT_OPTION_STRING, .value = "LANG,LANG",
     .help = "the old languages, beside those that an expanded model names; the others are new"},
    {"max-tokens", .kind = GLOT_OPTION_SIZE, .value = "N", .initial = "100000", .unit = "tokens",
     .help = "whole documents of each language until so many tokens are reached; 0: all"},
    {"length", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = 1 << 24, .initial = "0",
     .unit = "tokens",
     .help = "text tokens in a window; 0: the smaller of 1024 and the model's context less one"},
    {"text-key", .kind = GLOT_OPTION_STRING, .value = "KEY", .initial = "text",
     .help = "key of the text in JSON lines"},
    {"skip-bad-lines", .kind = GLOT_OPTION_FLAG,
     .help = "count lines that are not UTF-8 or not JSON instead of refusing them"},
    {0},
};

/* The languages of a measurement. */
typedef struct languages {
    glot_text_files *texts; /* [n] */
    size_t n;
    const char **names;     /* [n] */
    bool *is_old;           /* [n] */
    double **means;         /* [n] of [n_layers, hidden_size] */
} languages;

static void release(languages *s)
{
    for (size_t i = 0; s->means && i < s->n; i++)
        glot_free(s->means[i]);
    glot_free(s->means);
    glot_free(s->is_old);
    glot_free(s->names);
    glot_texts_free(s->texts, s->n);
}

/* Was the language there before: named by --old, or in a group of the expanded model? */
static bool is_old_language(const glot_model_config *c, const char *old, const char *name)
{
    for (int g = 0; g < c->n_groups; g++)
        if (glot_list_has(c->group_languages[g], name))
            return true;
    return glot_list_has(old, name);
}

/* Every word of --old must be one of the languages. */
static glot_status check_old(const languages *s, const char *old, glot_error *err)
{
    for (const char *word = old; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        size_t n = strcspn(word, ",");
        bool is_known = false;
        for (size_t i = 0; i < s->n; i++)
            is_known = is_known || (strlen(s->names[i]) == n && strncmp(s->names[i], word, n) == 0);
        if (!is_known)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--old names '%.*s', which has no text here", (int)n,
                             word);
    }
    return GLOT_OK;
}

static glot_status begin(languages *s, const glot_cli *cli, const glot_model_config *c, glot_error *err)
{
    size_t n_words, n_values = (size_t)(c->n_layers * c->hidden_size);
    const char *const *words = glot_args_words(cli->args, "LANG=FILE", &n_words);
    const char *old = glot_args_string(cli->args, "old");
    GLOT_TRY(glot_texts_parse(&s->texts, &s->n, words, n_words, "LANG=FILE", err));
    GLOT_TRY(glot_new(&s->names, s->n, sizeof *s->names, "the languages", err));
    GLOT_TRY(glot_new(&s->is_old, s->n, sizeof *s->is_old, "the languages", err));
    GLOT_TRY(glot_new(&s->means, s->n, sizeof *s->means, "the languages", err));
    for (size_t i = 0; i < s->n; i++) {
        s->names[i] = s->texts[i].language;
        s->is_old[i] = is_old_language(c, old, s->names[i]);
        GLOT_TRY(glot_new(&s->means[i], n_values, sizeof **s->means, "the means of a language", err));
    }
    GLOT_TRY(check_old(s, old, err));
    return glot_similarity_check_groups(s->is_old, s->n, err);
}

static glot_status add_documents(glot_hsa *hsa, glot_document_reader *r, const char *language,
                                 glot_error *err)
{
    glot_document d;
    glot_progress progress = glot_progress_begin(language, "tok/s", 0, 0, glot_seconds());
    for (;;) {
        GLOT_TRY(glot_document_reader_next(r, &d, err));
        if (!d.ids)
            return GLOT_OK;
        GLOT_TRY(glot_hsa_add(hsa, &d, err));
        glot_progress_add(&progress, 1, (double)d.n_ids, glot_seconds());
        cli_progress(&progress, NULL, false);
    }
}

static glot_status measure_language(const glot_cli *cli, const cli_model *m, glot_hsa *hsa,
                                    const glot_text_files *t, double *means, glot_error *err)
{
    glot_corpus_options corpus = glot_corpus_options_default();
    corpus.text_key = glot_args_string(cli->args, "text-key");
    corpus.skip_bad_lines = glot_args_flag(cli->args, "skip-bad-lines");
    glot_document_reader *r = NULL;
    uint64_t n_tokens = 0;
    glot_status status = glot_document_reader_open(&r, t->language, t->files, t->n_files, m->tokenizer,
                                                   &corpus, glot_args_size(cli->args, "max-tokens"), err);
    if (status == GLOT_OK)
        status = add_documents(hsa, r, t->language, err);
    if (status == GLOT_OK)
        status = glot_hsa_finish(hsa, means, &n_tokens, err);
    glot_document_reader_close(r);
    return status;
}

static glot_status measure(const glot_cli *cli, const cli_model *m, const languages *s, glot_error *err)
{
    glot_hsa *hsa = NULL;
    glot_hsa_options options = {.length = glot_args_int(cli->args, "length"), .cancel = cli->cancel};
    GLOT_TRY(glot_hsa_create(&hsa, m->model, &options, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < s->n && status == GLOT_OK; i++)
        status = measure_language(cli, m, hsa, &s->texts[i], s->means[i], err);
    glot_hsa_free(hsa);
    return status;
}

/* A line for each layer: S, and the least and the most alike pair. */
static glot_status print_table(const glot_similarity *s, const languages *l, glot_error *err)
{
    GLOT_TRY(cli_printf(err, "%5s %9s   %-24s %s\n", "layer", "S", "least alike", "most alike"));
    for (int64_t layer = 0; layer < s->n_layers; layer++) {
        size_t least[2] = {0, 1}, most[2] = {0, 1};
        for (size_t a = 0; a < s->n_languages; a++)
            for (size_t b = a + 1; b < s->n_languages; b++) {
                double sim = glot_similarity_of(s, layer, a, b);
                if (sim < glot_similarity_of(s, layer, least[0], least[1]))
                    memcpy(least, (size_t[]){a, b}, sizeof least);
                if (sim > glot_similarity_of(s, layer, most[0], most[1]))
                    memcpy(most, (size_t[]){a, b}, sizeof most);
            }
        GLOT_TRY(cli_printf(err, "%5" PRId64 " %9.5f   %s %s %-16.5f %s %s %.5f\n", layer, s->s[layer],
                            l->names[least[0]], l->names[least[1]],
                            glot_similarity_of(s, layer, least[0], least[1]), l->names[most[0]],
                            l->names[most[1]], glot_similarity_of(s, layer, most[0], most[1])));
    }
    return GLOT_OK;
}

static glot_status print(const glot_cli *cli, const cli_model *m, const languages *l, glot_error *err)
{
    const glot_model_config *c = &m->model->config;
    glot_similarity s = {0};
    json_t *document = NULL;
    glot_status status = glot_similarity_measure(&s, (const double *const *)l->means, l->is_old, l->n,
                                                 c->n_layers, c->hidden_size, err);
    if (status == GLOT_OK && cli->is_json)
        status = glot_similarity_to_json(&document, &s, m->model, l->names, l->is_old, err);
    if (status == GLOT_OK)
        status = cli->is_json ? cli_json(document, err) : print_table(&s, l, err);
    glot_similarity_release(&s);
    return status;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    cli_model m;
    languages l = {0};
    glot_status status = cli_model_open(&m, cli, true, err);
    if (status == GLOT_OK)
        status = begin(&l, cli, &m.model->config, err);
    if (status == GLOT_OK)
        status = measure(cli, &m, &l, err);
    if (status == GLOT_OK)
        status = print(cli, &m, &l, err);
    release(&l);
    cli_model_release(&m);
    return status;
}

const glot_command cmd_similarity = {"similarity",
                                     "measure how alike languages look in each layer of a model", rows,
                                     CLI_HAS_JSON | CLI_HAS_MODEL, run};
