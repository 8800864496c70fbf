/* job_view.c: a job in a terminal, or line by line in a log. */
#include "cli/job_view.h"
#include "base/clock.h"
#include "job/plan.h"
#include "text/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Shows the text and releases it; nothing where memory has ended. */
static void note(glot_str *text)
{
    if (text->data && !text->failed)
        cli_note(text->data);
    glot_str_release(text);
}

static void on_begin(void *user, const char *step, const char *what)
{
    cli_job_view *v = user;
    glot_str line = {0};
    v->has_progress = false;
    glot_str_printf(&line, "== %s: %s", step, what);
    note(&line);
}

static void on_language(void *user, const char *step, const char *language, size_t done, size_t total)
{
    cli_job_view *v = user;
    double now = glot_seconds();
    if (done == 0)
        v->progress = glot_progress_begin(step, NULL, 0, total, now);
    else
        glot_progress_add(&v->progress, 1, 1.0, now);
    cli_progress(&v->progress, language, done == total);
}

static void on_plan(void *user, const glot_plan *plan)
{
    glot_str text = {0};
    (void)user;
    glot_plan_text(plan, &text);
    if (text.length && text.data[text.length - 1] == '\n')
        text.data[text.length - 1] = '\0';
    note(&text);
}

void cli_step_text(char text[128], bool is_train, double ce, double balance_or_lpr, double grad_norm,
                   double lr)
{
    char loss[40] = "";
    if (!is_train)
        snprintf(loss, sizeof loss, "  lpr %.4f", balance_or_lpr);
    else if (balance_or_lpr > 0.0) /* a dense model has no router to balance */
        snprintf(loss, sizeof loss, "  balance %.3f", balance_or_lpr);
    snprintf(text, 128, "loss %.4f%s  grad %.2f  lr %.2e", ce, loss, grad_norm, lr);
}

static void on_step(void *user, const glot_step_report *r)
{
    cli_job_view *v = user;
    char middle[128];
    const char *name = r->phase == GLOT_PHASE_TRAIN ? "train" : "review";
    double now = glot_seconds();
    double tokens = (double)r->tokens / (double)r->step;
    if (!v->has_progress) {
        v->progress =
            glot_progress_begin(name, "tok/s", (uint64_t)r->step - 1, (uint64_t)r->steps, now - r->seconds);
        v->has_progress = true;
    }
    glot_progress_add(&v->progress, 1, tokens, now);
    bool is_train = r->phase == GLOT_PHASE_TRAIN;
    cli_step_text(middle, is_train, r->ce, is_train ? r->balance : r->lpr, r->grad_norm, r->lr);
    cli_progress(&v->progress, middle, r->step == r->steps);
}

/* A number of a language's score; NaN where there is none. */
static double number_of(const json_t *scores, const char *language, const char *key)
{
    return glot_json_number(json_object_get(scores, language), key);
}

static double bits_of(const json_t *scores, const char *language)
{
    return number_of(scores, language, "bits_per_byte");
}

static void on_scores(void *user, const char *when, const json_t *scores, const json_t *before)
{
    glot_str line = {0};
    const char *language;
    json_t *score;
    (void)user;
    glot_str_printf(&line, "   %s: bits per byte", when);
    json_object_foreach((json_t *)(uintptr_t)scores, language, score)
    {
        double bits = bits_of(scores, language), base = bits_of(before, language);
        glot_str_printf(&line, "  %s %.4f", language, bits);
        if (before && !isnan(base))
            glot_str_printf(&line, " (%.3f of base)", bits / base);
    }
    note(&line);
}

static void on_checkpoint(void *user, const char *path)
{
    glot_str line = {0};
    (void)user;
    glot_str_printf(&line, "   saved %s", path);
    note(&line);
}

void cli_job_view_init(cli_job_view *v)
{
    *v = (cli_job_view){.view = {.user = v,
                                 .on_begin = on_begin,
                                 .on_language = on_language,
                                 .on_plan = on_plan,
                                 .on_step = on_step,
                                 .on_scores = on_scores,
                                 .on_checkpoint = on_checkpoint}};
}

/* ---- the summary ---- */

static const json_t *text_scores(const json_t *results, const char *when)
{
    return json_object_get(json_object_get(results, when), "text");
}

static glot_status print_cell(double bits, double before, glot_error *err)
{
    if (isnan(bits))
        return cli_printf(err, "  %9s %6s", "-", "");
    if (isnan(before))
        return cli_printf(err, "  %9.4f %6s", bits, "");
    return cli_printf(err, "  %9.4f %6.3f", bits, bits / before);
}

/* "1.1204-1.3015", or nothing where there is no interval. */
static glot_status print_interval(const json_t *scores, const char *language, glot_error *err)
{
    double low = number_of(scores, language, "bits_per_byte_low"),
           high = number_of(scores, language, "bits_per_byte_high");
    return isnan(low) ? cli_printf(err, "  %13s", "") : cli_printf(err, "  %6.4f-%6.4f", low, high);
}

static const json_t *last_scores(const json_t *results)
{
    const json_t *last = text_scores(results, "after_review");
    return last ? last : text_scores(results, "after_train");
}

/* Whether the run has scores after a stage that it may leave out. */
static bool has_stage(const json_t *results, const char *when)
{
    return json_object_size(text_scores(results, when)) > 0;
}

static glot_status print_headings(bool has_train, bool has_review, glot_error *err)
{
    GLOT_TRY(cli_printf(err,
                        "\nbits per byte (less is better; ratio to the base model; 95 %% interval over "
                        "documents)\n\n%-10s %-6s %9s",
                        "language", "group", "before"));
    if (has_train)
        GLOT_TRY(cli_printf(err, "  %9s %6s", "trained", "ratio"));
    if (has_review)
        GLOT_TRY(cli_printf(err, "  %9s %6s", "reviewed", "ratio"));
    return cli_printf(err, "  %13s  %13s\n", "95 % before", "95 % result");
}

static glot_status print_table(const json_t *results, glot_error *err)
{
    size_t i;
    const json_t *language;
    bool has_train = has_stage(results, "after_train"), has_review = has_stage(results, "after_review");
    if (!has_stage(results, "before"))
        return GLOT_OK;
    GLOT_TRY(print_headings(has_train, has_review, err));
    json_array_foreach(json_object_get(results, "languages"), i, language)
    {
        const char *name = json_string_value(json_object_get(language, "name"));
        const char *group = json_string_value(json_object_get(language, "group"));
        double before = bits_of(text_scores(results, "before"), name);
        if (isnan(before))
            continue;
        GLOT_TRY(cli_printf(err, "%-10s %-6s %9.4f", name, group, before));
        if (has_train)
            GLOT_TRY(print_cell(bits_of(text_scores(results, "after_train"), name), before, err));
        if (has_review)
            GLOT_TRY(print_cell(bits_of(text_scores(results, "after_review"), name), before, err));
        GLOT_TRY(print_interval(text_scores(results, "before"), name, err));
        GLOT_TRY(print_interval(last_scores(results), name, err));
        GLOT_TRY(cli_printf(err, "\n"));
    }
    return GLOT_OK;
}

/* acc and its standard error, of the base and of the result. */
static glot_status print_tasks(const json_t *results, glot_error *err)
{
    const json_t *before = json_object_get(json_object_get(results, "before"), "tasks");
    const char *name;
    json_t *score;
    if (!json_object_size(before))
        return GLOT_OK;
    GLOT_TRY(cli_printf(
        err,
        "\nmultiple choice: share of right answers and its standard error\n\n%-20s %6s  %15s  %15s  %15s\n",
        "task", "items", "before", "trained", "reviewed"));
    json_object_foreach((json_t *)(uintptr_t)before, name, score)
    {
        GLOT_TRY(cli_printf(err, "%-20s %6" PRId64, name,
                            (int64_t)json_integer_value(json_object_get(score, "items"))));
        for (size_t i = 0; i < GLOT_N_WHENS; i++) {
            const json_t *now = json_object_get(json_object_get(results, glot_job_whens[i]), "tasks");
            double acc = number_of(now, name, "acc");
            GLOT_TRY(isnan(acc) ? cli_printf(err, "  %15s", "-")
                                : cli_printf(err, "  %6.4f (%.4f)", acc, number_of(now, name, "acc_stderr")));
        }
        GLOT_TRY(cli_printf(err, "\n"));
    }
    return GLOT_OK;
}

/* One line for a person: line breaks become spaces. */
static glot_status print_line(const char *label, const char *text, glot_error *err)
{
    char line[400];
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < sizeof line; p++)
        line[n++] = *p == '\n' || *p == '\r' ? ' ' : *p;
    line[glot_utf8_valid_prefix(line, n)] = '\0'; /* a long text may be cut inside a character */
    return cli_printf(err, "  %-7s %s\n", label, line);
}

static glot_status print_samples(const json_t *results, glot_error *err)
{
    const json_t *samples = json_object_get(results, "samples"), *before = json_object_get(samples, "before");
    const json_t *after = json_object_get(samples, "after_review") ? json_object_get(samples, "after_review")
                                                                   : json_object_get(samples, "after_train");
    for (size_t i = 0; i < json_array_size(after); i++) {
        const json_t *now = json_array_get(after, i);
        GLOT_TRY(cli_printf(err, "\n%s\n", glot_json_text(now, "language")));
        GLOT_TRY(print_line("prompt", glot_json_text(now, "prompt"), err));
        GLOT_TRY(print_line("before", glot_json_text(json_array_get(before, i), "text"), err));
        GLOT_TRY(print_line("after", glot_json_text(now, "text"), err));
    }
    return GLOT_OK;
}

/* Full fine-tuning freezes nothing. */
static glot_status print_frozen(const json_t *results, glot_error *err)
{
    const json_t *n = json_object_get(results, "frozen_tensors");
    if (json_is_integer(n) && json_integer_value(n) == 0)
        return cli_printf(err, "\nevery weight was trained, none was frozen\n");
    return cli_printf(err, "\nfrozen weights unchanged: SHA-256 %s\n",
                      glot_json_text(json_object_get(results, "frozen_sha256"), "after"));
}

glot_status cli_job_summary(const json_t *results, const char *output, glot_error *err)
{
    GLOT_TRY(print_table(results, err));
    GLOT_TRY(print_tasks(results, err));
    GLOT_TRY(print_samples(results, err));
    GLOT_TRY(print_frozen(results, err));
    return cli_printf(err, "model   %s/model\nreport  %s/report.html\n", output, output);
}
