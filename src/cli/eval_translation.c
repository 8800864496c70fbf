/* eval_translation.c: `glot eval --hypotheses FILE --references FILE`, and `glot eval MODEL --translate
 * A=FILE B=FILE`: line by line, any compression that texts may have. */
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/eval.h"
#include "eval/translate.h"
#include "eval/translation.h"
#include "text/corpus.h"

#include <stdlib.h>
#include <string.h>

/* The next line without the CR of CR LF; *line NULL at the end. */
static glot_status next_line(glot_lines *l, const char *path, const char **line, size_t *size,
                             glot_error *err)
{
    GLOT_TRY(glot_lines_next(l, line, size, err));
    if (!*line)
        return GLOT_OK;
    size_t valid = glot_utf8_valid_prefix(*line, *size);
    if (valid != *size)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' line %" PRIu64 ": byte %zu begins no UTF-8 character",
                         path, glot_lines_number(l), valid + 1);
    if (*size && (*line)[*size - 1] == '\r')
        --*size;
    return GLOT_OK;
}

/* A line of each file; both NULL at the end of both. */
static glot_status next_lines(glot_lines *const files[2], const char *const paths[2], const char *lines[2],
                              size_t sizes[2], glot_error *err)
{
    for (int i = 0; i < 2; i++)
        GLOT_TRY(next_line(files[i], paths[i], &lines[i], &sizes[i], err));
    if (!lines[0] != !lines[1])
        return GLOT_FAIL(
            err, GLOT_BAD_VALUE, "'%s' has %" PRIu64 " lines and '%s' has more, expected as many",
            paths[lines[0] != NULL], glot_lines_number(files[lines[0] != NULL]), paths[lines[0] == NULL]);
    return GLOT_OK;
}

static glot_status add_lines(glot_translation *t, glot_lines *const files[2], const char *const paths[2],
                             glot_error *err)
{
    for (;;) {
        const char *lines[2];
        size_t sizes[2];
        GLOT_TRY(next_lines(files, paths, lines, sizes, err));
        if (!lines[0])
            return GLOT_OK;
        GLOT_TRY(glot_translation_add(t, lines[0], sizes[0], lines[1], sizes[1], err));
    }
}

static json_t *scores_json(const glot_translation_scores *s)
{
    return json_pack("{s:f, s:f, s:f, s:I}", "bleu", s->bleu, "chrf", s->chrf, "chrf++", s->chrf_pp,
                     "sentences", (json_int_t)s->sentences);
}

static glot_status print_scores(const glot_cli *cli, const glot_translation_scores *s, const char *path,
                                glot_error *err)
{
    if (s->sentences == 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has no lines, expected sentences to score", path);
    if (cli->is_json)
        return cli_json(scores_json(s), err);
    return cli_printf(err, "BLEU %.2f   chrF %.2f   chrF++ %.2f   (%" PRIu64 " sentences)\n", s->bleu,
                      s->chrf, s->chrf_pp, s->sentences);
}

glot_status cli_eval_translation(const glot_cli *cli, glot_error *err)
{
    const char *paths[] = {glot_args_string(cli->args, "hypotheses"),
                           glot_args_string(cli->args, "references")};
    glot_lines *files[2] = {NULL, NULL};
    glot_translation *t = NULL;
    glot_status status = GLOT_OK;
    if (!paths[0] || !paths[1])
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--%s needs --%s beside it",
                         paths[0] ? "hypotheses" : "references", paths[0] ? "references" : "hypotheses");
    for (int i = 0; i < 2; i++)
        GLOT_TRY_OUT(glot_lines_open(&files[i], paths[i], err));
    GLOT_TRY_OUT(glot_translation_create(&t, err));
    GLOT_TRY_OUT(add_lines(t, files, paths, err));
    glot_translation_scores scores = glot_translation_finish(t);
    status = print_scores(cli, &scores, paths[0], err);
out:
    glot_translation_free(t);
    glot_lines_close(files[0]);
    glot_lines_close(files[1]);
    return status;
}

/* ---- by a model ---- */

typedef struct pairs {
    glot_sentence_pair *items;
    size_t n, capacity;
} pairs;

static void release_pairs(pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        glot_free(p->items[i].source);
        glot_free(p->items[i].target);
    }
    glot_free(p->items);
}

/* At most `limit` lines of two files (0: all). */
static glot_status read_pairs(pairs *out, const char *const paths[2], size_t limit, glot_error *err)
{
    glot_lines *files[2] = {NULL, NULL};
    glot_status status = GLOT_OK;
    for (int i = 0; i < 2; i++)
        GLOT_TRY_OUT(glot_lines_open(&files[i], paths[i], err));
    while (limit == 0 || out->n < limit) {
        const char *lines[2];
        size_t sizes[2];
        GLOT_TRY_OUT(next_lines(files, paths, lines, sizes, err));
        if (!lines[0])
            break;
        GLOT_TRY_OUT(
            glot_grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items, "sentences", err));
        glot_sentence_pair *pair = &out->items[out->n++];
        *pair = (glot_sentence_pair){glot_strndup(lines[0], sizes[0]), glot_strndup(lines[1], sizes[1])};
        if (!pair->source || !pair->target)
            GLOT_TRY_OUT(GLOT_FAIL(err, GLOT_NOMEM, "no memory for sentences"));
    }
out:
    glot_lines_close(files[0]);
    glot_lines_close(files[1]);
    return status;
}

static json_t *ids_json(const int32_t *ids, int64_t n)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

/* A line of --samples. */
static glot_status put_sample(glot_str *samples, const glot_sentence_pair *pair, const glot_translated *t,
                              glot_error *err)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:f, s:f}", "source", pair->source, "reference", pair->target,
                  "hypothesis", t->text, "prompt_ids", ids_json(t->prompt, t->n_prompt), "ids",
                  ids_json(t->ids, t->beam.n), "log_prob", t->beam.log_prob, "score", t->beam.score);
    char *line = o ? glot_json_dump(o, 0) : NULL;
    if (line)
        glot_str_printf(samples, "%s\n", line);
    free(line);
    json_decref(o);
    return line ? glot_str_check(samples, "samples", err)
                : GLOT_FAIL(err, GLOT_NOMEM, "no memory for samples");
}

/* Translates every sentence behind the examples. */
static glot_status translate_all(const cli_model *m, const glot_translate_options *o, const pairs *p,
                                 glot_translation *scores, glot_str *samples, glot_error *err)
{
    glot_translator *t = NULL;
    GLOT_TRY(glot_translator_create(&t, m->model, m->tokenizer, o, err));
    glot_progress progress =
        glot_progress_begin("translate", "sentences/s", 0, p->n - o->n_examples, glot_seconds());
    glot_status status = GLOT_OK;
    for (size_t i = o->n_examples; i < p->n && status == GLOT_OK; i++) {
        glot_translated found;
        status = glot_translate(&found, t, p->items[i].source, err);
        if (status == GLOT_OK)
            status = glot_translation_add(scores, found.text, found.size, p->items[i].target,
                                          strlen(p->items[i].target), err);
        if (status == GLOT_OK)
            status = put_sample(samples, &p->items[i], &found, err);
        glot_progress_add(&progress, 1, 1.0, glot_seconds());
        cli_progress(&progress, NULL, false);
    }
    glot_translator_free(t);
    return status;
}

static glot_status report_pair(const glot_cli *cli, const char *name, const glot_translation_scores *s,
                               json_t *out, glot_error *err)
{
    json_object_set_new(out, name, scores_json(s));
    if (cli->is_json)
        return GLOT_OK;
    return cli_printf(err, "%s   BLEU %.2f   chrF %.2f   chrF++ %.2f   (%" PRIu64 " sentences)\n", name,
                      s->bleu, s->chrf, s->chrf_pp, s->sentences);
}

/* `languages`: source and target, a file each. */
static glot_status translate_files(const glot_cli *cli, const cli_model *m,
                                   const glot_text_files languages[2], json_t *out, glot_error *err)
{
    const glot_args *a = cli->args;
    const char *const paths[2] = {languages[0].files[0], languages[1].files[0]},
                      *samples_path = glot_args_string(a, "samples");
    size_t shots = (size_t)glot_args_int(a, "shots"), limit = (size_t)glot_args_int(a, "limit");
    pairs p = {0};
    glot_translation *scores = NULL;
    glot_str samples = {0}, name = {0};
    glot_status status;
    GLOT_TRY_OUT(read_pairs(&p, paths, limit ? limit + shots : 0, err));
    if (p.n <= shots)
        GLOT_TRY_OUT(GLOT_FAIL(err, GLOT_BAD_VALUE,
                               "'%s' has %zu lines, expected more than the %zu of the examples", paths[0],
                               p.n, shots));
    glot_translate_options o = {.source_language = languages[0].language,
                                .target_language = languages[1].language,
                                .examples = p.items,
                                .n_examples = shots,
                                .n_beams = glot_args_int(a, "beams"),
                                .max_tokens = glot_args_int(a, "max-new-tokens"),
                                .exact = m->exact,
                                .cancel = cli->cancel};
    GLOT_TRY_OUT(glot_translation_create(&scores, err));
    GLOT_TRY_OUT(translate_all(m, &o, &p, scores, &samples, err));
    if (samples_path)
        GLOT_TRY_OUT(glot_file_write(samples_path, samples.data, samples.length, err));
    glot_str_printf(&name, "%s-%s", o.source_language, o.target_language);
    GLOT_TRY_OUT(glot_str_check(&name, "a name", err));
    glot_translation_scores s = glot_translation_finish(scores);
    status = report_pair(cli, name.data, &s, out, err);
out:
    glot_translation_free(scores);
    glot_str_release(&samples);
    glot_str_release(&name);
    release_pairs(&p);
    return status;
}

glot_status cli_eval_translate(const glot_cli *cli, const cli_model *m, json_t *out, glot_error *err)
{
    size_t n_words, n = 0;
    const char *const *words = glot_args_words(cli->args, "translate", &n_words);
    glot_text_files *languages = NULL;
    GLOT_TRY(glot_texts_parse(&languages, &n, words, n_words, "--translate", err));
    glot_status status =
        n == 2 && languages[0].n_files == 1 && languages[1].n_files == 1
            ? translate_files(cli, m, languages, out, err)
            : GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                        "--translate takes two languages with a file each, SOURCE=FILE TARGET=FILE");
    glot_texts_free(languages, n);
    return status;
}
