/* eval_translation.c: `glot eval --hypotheses FILE --references FILE`: line by line, any compression that texts may have. */
#include "cli/eval.h"
#include "eval/translation.h"
#include "text/corpus.h"

/* The next line without the CR of CR LF; *line NULL at the end. */
static glot_status next_line(glot_lines *l, const char *path, const char **line, size_t *size, glot_error *err)
{
    GLOT_TRY(glot_lines_next(l, line, size, err));
    if (!*line)
        return GLOT_OK;
    size_t valid = glot_utf8_valid_prefix(*line, *size);
    if (valid != *size)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' line %" PRIu64 ": byte %zu begins no UTF-8 character", path,
                         glot_lines_number(l), valid + 1);
    if (*size && (*line)[*size - 1] == '\r')
        --*size;
    return GLOT_OK;
}

static glot_status add_lines(glot_translation *t, glot_lines *const files[2], const char *const paths[2], glot_error *err)
{
    for (;;) {
        const char *lines[2];
        size_t sizes[2];
        for (int i = 0; i < 2; i++)
            GLOT_TRY(next_line(files[i], paths[i], &lines[i], &sizes[i], err));
        if (!lines[0] && !lines[1])
            return GLOT_OK;
        if (!lines[0] || !lines[1])
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has %" PRIu64 " lines and '%s' has more, expected as many",
                             paths[lines[0] != NULL], glot_lines_number(files[lines[0] != NULL]), paths[lines[0] == NULL]);
        GLOT_TRY(glot_translation_add(t, lines[0], sizes[0], lines[1], sizes[1], err));
    }
}

static glot_status print_scores(const glot_cli *cli, const glot_translation_scores *s, const char *path, glot_error *err)
{
    if (s->sentences == 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has no lines, expected sentences to score", path);
    if (cli->is_json)
        return cli_json(json_pack("{s:f, s:f, s:f, s:I}", "bleu", s->bleu, "chrf", s->chrf, "chrf++", s->chrf_pp, "sentences",
                                  (json_int_t)s->sentences), err);
    return cli_printf(err, "BLEU %.2f   chrF %.2f   chrF++ %.2f   (%" PRIu64 " sentences)\n", s->bleu, s->chrf, s->chrf_pp,
                      s->sentences);
}

glot_status cli_eval_translation(const glot_cli *cli, glot_error *err)
{
    const char *paths[] = {glot_args_string(cli->args, "hypotheses"), glot_args_string(cli->args, "references")};
    glot_lines *files[2] = {NULL, NULL};
    glot_translation *t = NULL;
    glot_status status = GLOT_OK;
    if (!paths[0] || !paths[1])
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "--%s needs --%s beside it", paths[0] ? "hypotheses" : "references",
                         paths[0] ? "references" : "hypotheses");
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
