/* terminal.c: everything that reaches a person: the result on standard output, the rest on standard error.
 * Colours, and a line that is written over, only where standard error is a terminal; no colours with
 * NO_COLOR. */
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double TERMINAL_SECONDS = 0.5; /* between two progress lines */
static const double LOG_SECONDS = 10.0;

static struct terminal {
    pthread_mutex_t lock; /* the log sink is called from any thread */
    bool is_terminal, has_color, is_quiet, is_verbose;
    bool is_line_open; /* a progress line stands where the next text would go */
    double last_shown; /* seconds */
} terminal = {.lock = PTHREAD_MUTEX_INITIALIZER, .last_shown = -1e9};

/* A progress line makes way for other text, on standard output too: both may be the same terminal. The lock
 * is held. */
static void clear_line(void)
{
    if (terminal.is_line_open)
        fputs("\r\033[K", stderr);
    terminal.is_line_open = false;
}

/* Standard output. */

static void make_way(void)
{
    pthread_mutex_lock(&terminal.lock);
    clear_line();
    pthread_mutex_unlock(&terminal.lock);
}

static glot_status output_failed(glot_error *err)
{
    int error = errno;
    if (error == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (error == ENOSPC)
        return GLOT_FAIL(err, GLOT_NO_SPACE, "cannot write to standard output: no space left on the disk");
    return GLOT_FAIL(err, GLOT_IO, "cannot write to standard output: %s", strerrordesc_np(error));
}

glot_status cli_write(const void *bytes, size_t n, glot_error *err)
{
    make_way();
    return fwrite(bytes, 1, n, stdout) == n ? GLOT_OK : output_failed(err);
}

glot_status cli_printf(glot_error *err, const char *format, ...)
{
    va_list args;
    make_way();
    va_start(args, format);
    int n = vprintf(format, args);
    va_end(args);
    return n >= 0 ? GLOT_OK : output_failed(err);
}

glot_status cli_json(json_t *document, glot_error *err)
{
    char *text = document ? glot_json_dump(document, 2) : NULL;
    json_decref(document);
    if (!text)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the JSON document");
    glot_status status = cli_printf(err, "%s\n", text);
    free(text);
    return status;
}

glot_status cli_flush(glot_error *err)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? GLOT_OK : output_failed(err);
}

/* Standard error. */

/* Colours: 1 bold, 31 red, 33 yellow, 2 faint. */
static void put_line(int color, const char *label, const char *message)
{
    pthread_mutex_lock(&terminal.lock);
    clear_line();
    if (terminal.has_color && color)
        fprintf(stderr, "\033[%dm%s\033[0m%s\n", color, label, message);
    else
        fprintf(stderr, "%s%s\n", label, message);
    pthread_mutex_unlock(&terminal.lock);
}

static void log_line(void *user, glot_log_level level, const char *message)
{
    (void)user;
    if (level == GLOT_LOG_WARNING)
        put_line(33, "warning: ", message);
    else if (level == GLOT_LOG_INFO && !terminal.is_quiet)
        put_line(0, "", message);
    else if (level == GLOT_LOG_DEBUG && terminal.is_verbose)
        put_line(2, "", message);
}

void cli_terminal_init(bool is_quiet, bool is_verbose)
{
    const char *no_color = getenv("NO_COLOR");
    const char *kind = getenv("TERM");
    terminal.is_terminal = isatty(STDERR_FILENO) && !(kind && strcmp(kind, "dumb") == 0);
    terminal.has_color = terminal.is_terminal && !(no_color && *no_color);
    terminal.is_quiet = is_quiet;
    terminal.is_verbose = is_verbose;
    glot_log_set_sink(log_line, NULL);
}

void cli_error(const glot_error *err, bool is_verbose)
{
    fflush(stdout);
    const char *message = err->message[0] ? err->message : glot_status_text(err->status);
    if (err->status == GLOT_CANCELLED)
        put_line(33, message, "");
    else
        put_line(31, "error: ", message);
    if (is_verbose && err->where)
        fprintf(stderr, "  %s at %s:%d\n", glot_status_name(err->status), err->where, err->line);
}

void cli_note(const char *text)
{
    if (!terminal.is_quiet)
        put_line(0, "", text);
}

static size_t terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Bytes of `line` to show in `width` columns: all of it, or without its last fields, or (a single one is too
 * long) what there is room for. The text is ASCII but for a name at its start, which may be cut sooner than
 * it would have to. */
static size_t fitting_bytes(const char *line, size_t width)
{
    size_t n = strlen(line), fits = 0;
    if (n <= width)
        return n;
    for (size_t i = 1; i <= width; i++)
        if (line[i] == ' ' && line[i + 1] == ' ')
            fits = i;
    if (fits)
        return fits;
    for (fits = width; fits && ((unsigned char)line[fits] & 0xC0) == 0x80;
         fits--) /* not inside a character */
        ;
    return fits;
}

/* The lock is held. */
static void put_progress(const char *line, bool is_last)
{
    size_t n = terminal.is_terminal ? fitting_bytes(line, terminal_width() - 1) : strlen(line);
    bool stays = is_last || !terminal.is_terminal;
    clear_line();
    fprintf(stderr, "%.*s%s", (int)n, line, stays ? "\n" : "");
    terminal.is_line_open = !stays;
    fflush(stderr);
}

void cli_progress(const glot_progress *p, const char *rest, bool is_last)
{
    double now = glot_seconds();
    double wait = terminal.is_terminal ? TERMINAL_SECONDS : LOG_SECONDS;
    if (terminal.is_quiet || (!is_last && now - terminal.last_shown < wait))
        return;
    glot_str line = {0};
    glot_progress_line(p, rest, &line);
    pthread_mutex_lock(&terminal.lock);
    terminal.last_shown = now;
    if (!line.failed)
        put_progress(line.data, is_last);
    pthread_mutex_unlock(&terminal.lock);
    glot_str_release(&line);
}
