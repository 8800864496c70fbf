/* cmd_eval.c: `glot eval`: a model on text (bits per byte), multiple choice and translation, or translations
 * that are there already. */
#include "base/clock.h"
#include "cli/eval.h"
#include "eval/eval.h"
#include "text/density.h"
#include "text/document_reader.h"

#include <math.h>
#include <stdio.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .help = "a model directory or GGUF file"},
    {"text", .kind = GLOT_OPTION_TEXTS, .value = "LANG=FILE",
     .help =
         "text of each language: .jsonl, .txt, gzip or zstd of either, a token store, - for standard input"},
    {"length", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = 1 << 24, .initial = "0",
     .unit = "tokens",
     .help = "text tokens in a window; 0: the smaller of 1024 and the model's context less one"},
    {"max-tokens", .kind = GLOT_OPTION_SIZE, .value = "N", .initial = "0", .unit = "tokens",
     .help = "whole documents of each language until so many tokens are reached; 0: all"},
    {"text-key", .kind = GLOT_OPTION_STRING, .value = "KEY", .initial = "text",
     .help = "key of the text in JSON lines"},
    {"skip-bad-lines", .kind = GLOT_OPTION_FLAG,
     .help = "count lines that are not UTF-8 or not JSON instead of refusing them"},
    {"token-by-token", .kind = GLOT_OPTION_FLAG,
     .help = "feed each token of --text alone, as a text is generated; slow, and the same score but for a "
             "gate of form sequence_sum"},
    {"tasks", .kind = GLOT_OPTION_WORDS, .value = "FILE",
     .help = "multiple choice: JSON lines of {\"id\", \"query\", \"choices\", \"gold\"}; a task is named as "
             "its file"},
    {"template", .kind = GLOT_OPTION_STRING, .value = "NAME",
     .help = "how lines of a data set become items, in --tasks and --examples: arc_challenge, arc_easy, "
             "boolq, copa_en, ... (docs/evaluation.md)"},
    {"limit", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = 1 << 30, .initial = "0",
     .unit = "items", .help = "the first N items of each task, or sentences to translate; 0: all"},
    {"examples", .kind = GLOT_OPTION_STRING, .value = "FILE",
     .help = "few-shot examples of the tasks, items as --tasks has them"},
    {"shots", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = 1000, .initial = "0",
     .help =
         "how many examples stand in front: of --examples (never the item itself), of --translate's lines"},
    {"prompts", .kind = GLOT_OPTION_FLAG,
     .help = "print what each item of --tasks asks, a JSON line with context and continuation of every "
             "choice, and score nothing; no model"},
    {"translate", .kind = GLOT_OPTION_TEXTS, .value = "SOURCE=FILE TARGET=FILE",
     .help = "translate the lines of the first file and score them against the second's: BLEU, chrF, chrF++; "
             "the languages as the prompt names them, the first "
             "--shots lines are its examples and are not scored"},
    {"beams", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 256, .initial = "1",
     .help = "beams of --translate; 1 is greedy"},
    {"max-new-tokens", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 1 << 20, .initial = "256",
     .unit = "tokens", .help = "longest translation, if its line does not end before"},
    {"samples", .kind = GLOT_OPTION_STRING, .value = "OUT",
     .help = "write a JSON line for each item of --tasks (its id and the log likelihood of each choice) or "
             "sentence of --translate"},
    {"hypotheses", .kind = GLOT_OPTION_STRING, .value = "FILE",
     .help = "translations to score against --references, a sentence a line: BLEU, chrF, chrF++; no model"},
    {"references", .kind = GLOT_OPTION_STRING, .value = "FILE",
     .help = "what --hypotheses should be, a sentence a line"},
    {0},
};

static glot_status score_documents(glot_scorer *s, glot_document_reader *r, const char *language,
                                   glot_text_score *score, glot_error *err)
{
    char name[80];
    glot_document d;
    snprintf(name, sizeof name, "%s: document", language);
    glot_progress progress = glot_progress_begin(name, "tok/s", 0, 0, glot_seconds());
    for (uint64_t done = 0, n_documents = 1;; n_documents++) {
        GLOT_TRY(glot_document_reader_next(r, &d, err));
        if (!d.ids)
            return glot_scorer_finish(s, score, err);
        GLOT_TRY(glot_scorer_add(s, &d, err));
        uint64_t now = glot_scorer_tokens_done(s);
        if (now == done)
            continue;
        glot_progress_add(&progress, n_documents - progress.done, (double)(now - done), glot_seconds());
        cli_progress(&progress, NULL, false);
        done = now;
    }
}

static glot_status score_language(const glot_cli *cli, const cli_model *m, const glot_text_files *t,
                                  glot_text_score *score, glot_error *err)
{
    glot_corpus_options corpus = glot_corpus_options_default();
    corpus.text_key = glot_args_string(cli->args, "text-key");
    corpus.skip_bad_lines = glot_args_flag(cli->args, "skip-bad-lines");
    glot_score_options options = {.length = glot_args_int(cli->args, "length"),
                                  .exact = m->exact,
                                  .is_token_by_token = glot_args_flag(cli->args, "token-by-token"),
                                  .cancel = cli->cancel};
    glot_document_reader *r = NULL;
    glot_scorer *s = NULL;
    glot_status status = glot_document_reader_open(&r, t->language, t->files, t->n_files, m->tokenizer,
                                                   &corpus, glot_args_size(cli->args, "max-tokens"), err);
    if (status == GLOT_OK)
        status = glot_scorer_create(&s, m->model, &options, err);
    if (status == GLOT_OK)
        status = score_documents(s, r, t->language, score, err);
    if (status == GLOT_OK && score->tokens == 0)
        status = GLOT_FAIL(err, GLOT_BAD_VALUE, "language '%s' has no text to score", t->language);
    glot_scorer_free(s);
    glot_document_reader_close(r);
    return status;
}

static glot_status print_score(const char *language, const glot_text_score *s, glot_error *err)
{
    char interval[40] = "-";
    if (!isnan(s->interval.low))
        snprintf(interval, sizeof interval, "%.4f-%.4f", s->interval.low, s->interval.high);
    return cli_printf(err, "%-10s %14.4f %16s %12" PRIu64 " %12" PRIu64 " %12.4f %10" PRIu64 "\n", language,
                      s->bits_per_byte, interval, s->tokens, s->bytes,
                      glot_tokens_per_byte(s->tokens, s->bytes), s->documents);
}

/* Files that are not there are known before the first language is scored. */
static glot_status check_files(const glot_text_files *texts, size_t n, glot_error *err)
{
    for (size_t i = 0; i < n; i++) {
        char **paths = NULL;
        size_t n_paths = 0;
        GLOT_TRY(glot_paths_expand(&paths, &n_paths, texts[i].files, texts[i].n_files, err));
        glot_paths_free(paths, n_paths);
    }
    return GLOT_OK;
}

static glot_status score_all(const glot_cli *cli, const cli_model *m, const glot_text_files *texts, size_t n,
                             json_t *out, glot_error *err)
{
    for (size_t i = 0; i < n; i++) {
        glot_text_score s;
        GLOT_TRY(score_language(cli, m, &texts[i], &s, err));
        if (i == 0 && !cli->is_json) /* not before there is something to print */
            GLOT_TRY(cli_printf(err, "%-10s %14s %16s %12s %12s %12s %10s\n", "language", "bits per byte",
                                "95 % interval", "tokens", "bytes", "tokens/byte", "documents"));
        json_object_set_new(out, texts[i].language, glot_text_score_json(&s));
        if (!cli->is_json)
            GLOT_TRY(print_score(texts[i].language, &s, err));
    }
    return GLOT_OK;
}

static glot_status eval_text(const glot_cli *cli, const cli_model *m, const char *const *words,
                             size_t n_words, json_t *out, glot_error *err)
{
    glot_text_files *texts = NULL;
    size_t n = 0;
    GLOT_TRY(glot_texts_parse(&texts, &n, words, n_words, "--text", err));
    glot_status status = check_files(texts, n, err);
    if (status == GLOT_OK)
        status = score_all(cli, m, texts, n, out, err);
    glot_texts_free(texts, n);
    return status;
}

/* What a model is asked for. */
typedef struct wanted {
    const char *const *text;
    size_t n_text, n_tasks, n_translate; /* words */
} wanted;

/* What an option is about: of no use, and so refused, where none of these is asked for. */
static const struct {
    const char *option, *modes[2];
} modes_of[] = {
    {"length", {"text"}},
    {"max-tokens", {"text"}},
    {"text-key", {"text"}},
    {"skip-bad-lines", {"text"}},
    {"token-by-token", {"text"}},
    {"template", {"tasks"}},
    {"examples", {"tasks"}},
    {"limit", {"tasks", "translate"}},
    {"shots", {"tasks", "translate"}},
    {"samples", {"tasks", "translate"}},
    {"beams", {"translate"}},
    {"max-new-tokens", {"translate"}},
};

static glot_status check_modes(const glot_args *args, glot_error *err)
{
    for (size_t i = 0; i < sizeof modes_of / sizeof *modes_of; i++) {
        const char *first = modes_of[i].modes[0], *second = modes_of[i].modes[1];
        if (!glot_args_given(args, modes_of[i].option) || glot_args_given(args, first) ||
            (second && glot_args_given(args, second)))
            continue;
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--%s goes with --%s%s%s", modes_of[i].option, first,
                         second ? " or --" : "", second ? second : "");
    }
    return GLOT_OK;
}

/* A place that cannot be written is known before anything is scored; what is there stays as it is. */
static glot_status check_samples_place(const glot_args *args, glot_error *err)
{
    const char *path = glot_args_string(args, "samples");
    glot_writer *w = NULL;
    if (path)
        GLOT_TRY(glot_writer_open(&w, path, err));
    glot_writer_abandon(w);
    return GLOT_OK;
}

/* With one opening of the model. */
static glot_status eval_model(const glot_cli *cli, const wanted *w, glot_error *err)
{
    cli_model m = {0};
    cli_tasks tasks_read = {0};
    json_t *scores = json_object(), *text = json_object(), *tasks = json_object(),
           *translation = json_object();
    glot_status status = w->n_tasks ? cli_tasks_read(&tasks_read, cli, err) : GLOT_OK;
    if (status == GLOT_OK)
        status = check_samples_place(cli->args, err);
    if (status == GLOT_OK)
        status = cli_model_open(&m, cli, true, err);
    if (status == GLOT_OK && w->n_text)
        status = eval_text(cli, &m, w->text, w->n_text, text, err);
    if (status == GLOT_OK && w->n_tasks)
        status = cli_eval_tasks(cli, &m, &tasks_read, tasks, err);
    if (status == GLOT_OK && w->n_translate)
        status = cli_eval_translate(cli, &m, translation, err);
    if (w->n_text)
        json_object_set(scores, "text", text);
    if (w->n_tasks)
        json_object_set(scores, "tasks", tasks);
    if (w->n_translate)
        json_object_set(scores, "translation", translation);
    if (status == GLOT_OK && cli->is_json)
        status = cli_json(json_incref(scores), err);
    json_decref(text);
    json_decref(tasks);
    json_decref(translation);
    json_decref(scores);
    cli_tasks_release(&tasks_read);
    cli_model_release(&m);
    return status;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    wanted w = {0};
    const char *model = glot_args_string(cli->args, "MODEL");
    bool is_asking = glot_args_flag(cli->args, "prompts");
    bool is_scoring_alone =
        glot_args_string(cli->args, "hypotheses") || glot_args_string(cli->args, "references");
    w.text = glot_args_words(cli->args, "text", &w.n_text);
    (void)glot_args_words(cli->args, "tasks", &w.n_tasks);
    (void)glot_args_words(cli->args, "translate", &w.n_translate);
    GLOT_TRY(check_modes(cli->args, err));
    if (is_scoring_alone && (model || w.n_text + w.n_tasks + w.n_translate))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--hypotheses and --references score files alone, without MODEL, --text, --tasks "
                         "and --translate");
    if (is_scoring_alone)
        return cli_eval_translation(cli, err);
    if (is_asking &&
        (model || w.n_text + w.n_translate || !w.n_tasks || glot_args_given(cli->args, "samples")))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "--prompts goes with --tasks, without MODEL, --text, --translate and --samples");
    if (is_asking)
        return cli_eval_prompts(cli, err);
    if (w.n_tasks && w.n_translate)
        return GLOT_FAIL(
            err, GLOT_BAD_ARGUMENT,
            "--tasks and --translate each have their own --shots and --samples: one of them at a time");
    if (!model || w.n_text + w.n_tasks + w.n_translate == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "expected MODEL with --text LANG=FILE, --tasks FILE or --translate, or --hypotheses "
                         "FILE and --references FILE");
    return eval_model(cli, &w, err);
}

const glot_command cmd_eval = {
    "eval",
    "score a model on text (bits per byte), multiple choice and translation; or translations that are there",
    rows, CLI_HAS_JSON | CLI_HAS_MODEL, run};
