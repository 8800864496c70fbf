/* cmd_watch.c: `glot watch DIR`: a run that another process works on, followed until it ends. On a terminal a
 * few rows that are written over; elsewhere a line for each look that found something. */
#include "cli/cli.h"
#include "cli/job_view.h"
#include "job/watch.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const glot_option rows[] = {
    {"DIR", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true, .help = "a run directory"},
    {"interval", .kind = GLOT_OPTION_REAL, .value = "SECONDS", .min = 0.05, .max = 3600, .initial = "1",
     .unit = "seconds", .help = "time between two looks"},
    {0},
};

/* ---- a run in words ---- */

/* "train 41/80 (51%)  eta 3:12  tok/s 658  loss 3.41 ...", as the job itself tells it. */
static void put_step(glot_str *out, const glot_watch *w)
{
    char text[128];
    bool is_train = strcmp(w->progress.name, "train") == 0;
    cli_step_text(text, is_train, glot_json_number(w->step, "ce"),
                  glot_json_number(w->step, is_train ? "balance" : "lpr"),
                  glot_json_number(w->step, "grad_norm"), glot_json_number(w->step, "lr"));
    glot_progress_line(&w->progress, text, out);
}

static void put_scores(glot_str *out, const json_t *line)
{
    const char *language;
    json_t *score;
    glot_str_printf(out, "%s: bits per byte", glot_json_text(line, "stage"));
    if (json_object_get(line, "step"))
        glot_str_printf(out, " at step %lld", (long long)json_integer_value(json_object_get(line, "step")));
    json_object_foreach(json_object_get(line, "text"), language, score)
        glot_str_printf(out, "  %s %.4f", language, glot_json_number(score, "bits_per_byte"));
}

static const char *end_text(glot_watch_end end)
{
    return end == GLOT_WATCH_FINISHED ? "finished"
           : end == GLOT_WATCH_STOPPED
               ? "stopped: the process that worked on it is gone; the same command goes on from there"
               : "";
}

static const char idle[] = "no process of this machine works on it; waiting (Ctrl-C leaves)";

static bool is_idle(const glot_watch *w)
{
    return w->end == GLOT_WATCH_GOES_ON && !w->is_worked_on;
}

/* ---- line by line ---- */

/* Evaluations as they come, and the newest step. `was_idle`: what the look before found. */
static glot_status print_news(const glot_watch *w, bool *was_idle, glot_error *err)
{
    size_t i;
    const json_t *line;
    bool has_step = false;
    glot_str text = {0};
    json_array_foreach(w->news, i, line)
    {
        bool is_evaluation = strcmp(glot_json_text(line, "phase"), "eval") == 0;
        has_step = has_step || !is_evaluation;
        if (!is_evaluation)
            continue;
        put_scores(&text, line);
        glot_str_puts(&text, "\n");
    }
    if (has_step && w->step) {
        put_step(&text, w);
        glot_str_puts(&text, "\n");
    }
    if (w->end != GLOT_WATCH_GOES_ON)
        glot_str_printf(&text, "%s\n", end_text(w->end));
    glot_status status = glot_str_check(&text, "a line", err);
    if (status == GLOT_OK && text.length)
        status = cli_write(text.data, text.length, err);
    glot_str_release(&text);
    if (is_idle(w) && !*was_idle)
        cli_note(idle);
    *was_idle = is_idle(w);
    return status == GLOT_OK ? cli_flush(err) : status;
}

/* ---- on a terminal ---- */

typedef struct screen {
    size_t width, height; /* columns and rows there are */
    size_t n_rows;        /* drawn last time: they are written over */
    bool has_color, has_blocks;
    glot_str text; /* the rows being drawn */
    size_t n_new;
} screen;

/* Does the terminal show more than ASCII? */
static bool has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static bool is_terminal(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(kind && strcmp(kind, "dumb") == 0);
}

static screen begin_screen(void)
{
    const char *no_color = getenv("NO_COLOR");
    return (screen){.has_color = !(no_color && *no_color), .has_blocks = has_utf8()};
}

/* Columns of the character that begins with a byte: from U+1000 on (but for signs, U+2000 to U+2FFF) it may
 * take two. A row that is longer than the terminal would become two, and writing over it go wrong. */
static size_t columns_of(unsigned char lead)
{
    return lead >= 0xE1 && lead != 0xE2 ? 2 : 1;
}

/* Bytes of the first characters that fit into `width` columns. */
static size_t fitting_bytes(const char *text, size_t width)
{
    size_t at = 0, used = 0;
    while (text[at] && (used += columns_of((unsigned char)text[at])) <= width)
        for (at++; ((unsigned char)text[at] & 0xC0) == 0x80;)
            at++;
    return at;
}

/* One more row of the text, which is emptied; color 0: none. Rows that the terminal has no room for are left
 * out. */
static void put_row(screen *s, int color, glot_str *text)
{
    const char *row = text->data ? text->data : "";
    int n = (int)fitting_bytes(row, s->width - 1);
    s->text.failed = s->text.failed || text->failed;
    if (s->n_new + 1 < s->height) {
        glot_str_puts(&s->text, "\r\033[K");
        if (s->has_color && color)
            glot_str_printf(&s->text, "\033[%dm%.*s\033[0m\n", color, n, row);
        else
            glot_str_printf(&s->text, "%.*s\n", n, row);
        s->n_new++;
    }
    glot_str_reset(text);
}

/* How much of the stage is done, over half of the width. */
static void put_bar(screen *s, glot_str *row, const glot_progress *p)
{
    size_t width = s->width / 2;
    if (!p->total)
        return;
    size_t done = (size_t)((double)width * fmin((double)p->done / (double)p->total, 1.0));
    for (size_t i = 0; i < width; i++)
        glot_str_puts(row, s->has_blocks ? (i < done ? "━" : "─") : i < done ? "#" : "-");
    put_row(s, 32, row);
}

/* The curve of cross-entropy as bars of eight heights, each the mean of as many steps. */
static void put_curve(screen *s, glot_str *row, const glot_watch *w)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = w->n_ce < s->width / 2 ? w->n_ce : s->width / 2;
    double least = INFINITY, most = -INFINITY;
    if (!s->has_blocks || n < 2)
        return;
    for (size_t i = 0; i < w->n_ce; i++) {
        least = fmin(least, w->ce[i]);
        most = fmax(most, w->ce[i]);
    }
    for (size_t i = 0; i < n; i++) {
        size_t first = i * w->n_ce / n, last = (i + 1) * w->n_ce / n;
        double sum = 0.0;
        for (size_t k = first; k < last; k++)
            sum += w->ce[k];
        double height = most > least ? (sum / (double)(last - first) - least) / (most - least) : 0.5;
        glot_str_puts(row, bars[(int)fmin(fmax(8.0 * height, 0.0), 7.0)]);
    }
    glot_str_printf(row, "  loss between %.3f and %.3f", least, most);
    put_row(s, 36, row);
}

/* A name and spaces up to `width` columns. */
static void put_name(glot_str *row, const char *name, size_t width)
{
    size_t used = 0;
    for (const char *p = name; *p; p++)
        used += ((unsigned char)*p & 0xC0) == 0x80 ? 0 : columns_of((unsigned char)*p);
    glot_str_printf(row, "  %s%*s", name, (int)(used < width ? width - used : 0), "");
}

static void put_number(glot_str *row, double value, int decimals)
{
    isnan(value) ? glot_str_printf(row, " %9s", "-") : glot_str_printf(row, " %9.*f", decimals, value);
}

/* A row for each language: bits per byte of the base, of now, and their ratio. */
static void put_languages(screen *s, glot_str *row, const glot_watch *w)
{
    const char *language;
    json_t *score;
    if (!w->scores)
        return;
    glot_str_puts(row, "bits per byte      before       now     ratio");
    put_row(s, 1, row);
    json_object_foreach(w->scores, language, score)
    {
        double now = glot_json_number(score, "bits_per_byte"),
               before = glot_json_number(json_object_get(w->before, language), "bits_per_byte");
        put_name(row, language, 13);
        put_number(row, before, 4);
        put_number(row, now, 4);
        put_number(row, now / before, 3);
        put_row(s, 0, row);
    }
}

/* What is done, and whether anybody works on the rest. */
static void put_state(screen *s, glot_str *row, const glot_watch *w)
{
    size_t i;
    const json_t *step;
    glot_str_puts(row, "done:");
    json_array_foreach(json_object_get(w->state, "done"), i, step)
        glot_str_printf(row, "%s %s", i ? "," : "", json_string_value(step) ? json_string_value(step) : "?");
    put_row(s, 2, row);
    if (is_idle(w)) {
        glot_str_puts(row, idle);
        put_row(s, 33, row);
    }
    if (w->end != GLOT_WATCH_GOES_ON) {
        glot_str_puts(row, end_text(w->end));
        put_row(s, w->end == GLOT_WATCH_FINISHED ? 32 : 33, row);
    }
}

static void measure_screen(screen *s)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    s->width = is_known && size.ws_col > 1 ? size.ws_col : 80;
    s->height = is_known && size.ws_row > 1 ? size.ws_row : 24;
}

static glot_status draw(screen *s, const glot_watch *w, glot_error *err)
{
    glot_str row = {0};
    measure_screen(s);
    s->n_new = 0;
    glot_str_reset(&s->text);
    if (s->n_rows)
        glot_str_printf(&s->text, "\033[%zuA", s->n_rows);
    glot_str_puts(&row, w->dir);
    put_row(s, 1, &row);
    if (w->step) {
        put_step(&row, w);
        put_row(s, 0, &row);
        put_bar(s, &row, &w->progress);
        put_curve(s, &row, w);
    }
    put_languages(s, &row, w);
    put_state(s, &row, w);
    glot_str_puts(&s->text, "\033[J");
    glot_str_release(&row);
    s->n_rows = s->n_new;
    GLOT_TRY(glot_str_check(&s->text, "the screen", err));
    GLOT_TRY(cli_write(s->text.data, s->text.length, err));
    return cli_flush(err);
}

/* ---- the loop ---- */

/* Waits; true where Ctrl-C or SIGTERM came meanwhile: they are blocked and taken here, so that nothing is
 * left half drawn. */
static bool is_left(const sigset_t *signals, double seconds)
{
    struct timespec wait = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * fmod(seconds, 1.0))};
    return sigtimedwait(signals, NULL, &wait) > 0;
}

static glot_status follow(glot_watch *w, double interval, glot_error *err)
{
    sigset_t signals;
    bool is_drawn = is_terminal(), was_idle = false;
    screen s = begin_screen();
    glot_status status = GLOT_OK;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    do {
        status = glot_watch_look(w, err);
        if (status == GLOT_OK)
            status = is_drawn ? draw(&s, w, err) : print_news(w, &was_idle, err);
    } while (status == GLOT_OK && w->end == GLOT_WATCH_GOES_ON && !is_left(&signals, interval));
    glot_str_release(&s.text);
    return status;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    glot_watch *w = NULL;
    GLOT_TRY(glot_watch_open(&w, glot_args_string(cli->args, "DIR"), err));
    glot_status status = follow(w, glot_args_real(cli->args, "interval"), err);
    glot_watch_close(w);
    return status;
}

const glot_command cmd_watch = {"watch", "follow a run that another process works on", rows, 0, run};
