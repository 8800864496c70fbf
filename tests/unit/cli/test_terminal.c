/* test_terminal.c: what a person sees on a terminal (a pseudo terminal stands for it), and what Ctrl-C does there. */
#include "run_glot.h"
#include "unit/byte_model.h"

#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>

enum { MAX_ROWS = 600, MAX_COLUMNS = 240, MAX_OUTPUT = 1 << 18 };

/* ---- a terminal ---- */

/* What was printed, and how it looks: rows as the cursor left them; wrapped[r]: row r goes on with what row r - 1 had no room for. */
typedef struct screen {
    char output[MAX_OUTPUT];
    size_t n;
    char rows[MAX_ROWS][MAX_COLUMNS + 1];
    bool wrapped[MAX_ROWS];
    size_t row, column, width;
    int status; /* of waitpid */
} screen;

static void next_row(screen *s, bool is_wrap)
{
    assert_true(s->row + 1 < MAX_ROWS);
    s->wrapped[++s->row] = is_wrap;
    s->column = 0;
}

static void put_byte(screen *s, char byte)
{
    char *row = s->rows[s->row];
    if (s->column == s->width) {
        next_row(s, true);
        row = s->rows[s->row];
    }
    if (!row[s->column])
        row[s->column + 1] = '\0';
    row[s->column++] = byte;
}

/* Draws the output (ASCII here): carriage return, newline, "clear to the end of the row"; colours leave no mark. */
static void draw(screen *s)
{
    for (const char *p = s->output; *p; p++) {
        if (strncmp(p, "\033[K", 3) == 0) {
            s->rows[s->row][s->column] = '\0';
            p += 2;
        } else if (*p == '\033') {
            p += strcspn(p, "m");
        } else if (*p == '\r') {
            s->column = 0;
        } else if (*p == '\n') {
            next_row(s, false);
        } else {
            put_byte(s, *p);
        }
    }
}

/* Something that is typed or sent when a text has appeared, or (CATCHES) when the program has begun to catch SIGINT. */
#define CATCHES ""
typedef struct action {
    const char *after; /* NULL: none */
    const char *keys;
    int signal; /* where there are no keys */
} action;

static void act(const action *a, int terminal, pid_t child)
{
    if (a->keys)
        assert_int_equal(write(terminal, a->keys, strlen(a->keys)), strlen(a->keys));
    else
        kill(child, a->signal);
}

static void wait_until_caught(pid_t child)
{
    for (unsigned long long mask = 0; !(mask & 1ull << (SIGINT - 1));) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%ld/status", (long)child);
        FILE *status = fopen(path, "r");
        assert_non_null(status);
        while (fgets(line, sizeof line, status))
            sscanf(line, "SigCgt: %llx", &mask);
        fclose(status);
        usleep(1000);
    }
}

/* Reads until the program is gone; each action follows the one before. `actions` ends with {0}. */
static void watch(screen *s, int terminal, pid_t child, const action *actions)
{
    const char *seen = s->output;
    if (actions->after && !*actions->after) {
        wait_until_caught(child);
        act(actions++, terminal, child);
    }
    for (;;) {
        ssize_t got = read(terminal, s->output + s->n, MAX_OUTPUT - 1 - s->n);
        if (got <= 0) /* EIO: nobody holds the other side any more */
            break;
        s->n += (size_t)got;
        s->output[s->n] = '\0';
        const char *found = actions->after ? strstr(seen, actions->after) : NULL;
        if (found) {
            seen = found;
            act(actions++, terminal, child);
        }
    }
    assert_true(waitpid(child, &s->status, 0) == child);
}

static void exec_on_terminal(const char *variable, const char *const *args)
{
    const char *words[64] = {GLOT_PROGRAM};
    int n = 1;
    while (*args && n < 63)
        words[n++] = *args++;
    unsetenv("GLOT_DEVICE");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    if (variable)
        putenv((char *)(uintptr_t)variable);
    execv(GLOT_PROGRAM, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Runs the program in a terminal of so many columns. `variable`: NAME=VALUE of its environment, or NULL. The caller frees. */
static screen *run_on_terminal(unsigned short width, const char *variable, const action *actions, const char *const *args)
{
    int terminal;
    struct winsize size = {.ws_row = 24, .ws_col = width};
    screen *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->width = width;
    pid_t child = forkpty(&terminal, NULL, NULL, &size);
    assert_true(child >= 0);
    if (child == 0)
        exec_on_terminal(variable, args);
    watch(s, terminal, child, actions);
    close(terminal);
    draw(s);
    return s;
}

static int exit_code(const screen *s)
{
    return WIFEXITED(s->status) ? WEXITSTATUS(s->status) : -1;
}

/* ---- a job to look at ---- */

/* An expanded model in "up", text in "el.txt" and "en.txt". */
static int make_model(void **state)
{
    static const char text[] = "one line of text\nand another one\nthe third is the last\n";
    glot_error err = {0};
    if (make_folder(state) != 0)
        return -1;
    byte_model_save(in_folder(state, "m"));
    glot_run made = run_glot(state, "upcycle", in_folder(state, "m"), "--experts", "2", "--out", in_folder(state, "up"), "-q");
    int exit_code = made.exit_code;
    run_release(&made);
    OK(glot_file_write(in_folder(state, "el.txt"), text, sizeof text - 1, &err));
    return exit_code;
}

static screen *train(void **state, unsigned short width, const char *variable, const action *actions)
{
    char text[600];
    snprintf(text, sizeof text, "el=%s", in_folder(state, "el.txt"));
    return run_on_terminal(width, variable, actions,
                           ARGS("train", in_folder(state, "up"), "--text", text, "--out", in_folder(state, "run"), "--steps", "40",
                                "--length", "8", "--batch", "2", "--checkpoint-every", "4", "--threads", "1"));
}

/* ---- tests ---- */

/* At any width: a progress line keeps to one row and leaves out whole fields at its end; other text begins a row of its own. */
static void test_progress(void **state)
{
    static const unsigned short widths[] = {40, 80, 200};
    static const char *const first_rows[] = {"train 40/40 (100%)  eta 0:00", "train 40/40 (100%)  eta 0:00  tok/s ",
                                             "train 40/40 (100%)  eta 0:00  tok/s "};
    for (size_t w = 0; w < 3; w++) {
        screen *s = train(state, widths[w], NULL, (action[]){{0}});
        size_t n_saved = 0, n_progress = 0;
        assert_int_equal(exit_code(s), 0);
        for (size_t r = 0; r <= s->row; r++) {
            const char *saved = strstr(s->rows[r], "saved ");
            n_saved += saved != NULL;
            assert_true(!saved || saved == s->rows[r] + 3);
            if (strncmp(s->rows[r], first_rows[w], strlen(first_rows[w])) != 0)
                continue;
            n_progress++;
            assert_false(s->wrapped[r + 1]);
            assert_true((strstr(s->rows[r], "  lr ") != NULL) == (widths[w] == 200));
        }
        assert_int_equal(n_saved, 10);
        assert_int_equal(n_progress, 1); /* the last one: all others were written over */
        assert_non_null(strstr(s->output, "\r\033[K"));
        assert_non_null(strstr(s->output, "\033[33mwarning: ")); /* the tokenizer hardly knows the script */
        free(s);
        assert_int_equal(glot_dir_remove(in_folder(state, "run"), NULL), GLOT_OK);
    }
}

static void test_without_colors(void **state)
{
    screen *s = train(state, 80, "NO_COLOR=1", (action[]){{0}});
    assert_int_equal(exit_code(s), 0);
    assert_non_null(strstr(s->output, "\r\033[K"));
    assert_null(strstr(s->output, "\033[3"));
    free(s);
    assert_int_equal(glot_dir_remove(in_folder(state, "run"), NULL), GLOT_OK);
    s = train(state, 80, "TERM=dumb", (action[]){{0}});
    assert_int_equal(exit_code(s), 0);
    assert_null(strchr(s->output, '\033'));
    assert_non_null(strstr(s->output, "train 40/40 (100%)"));
    free(s);
}

/* Ctrl-C or SIGTERM: everything is saved, it is said how to go on, and it does. */
static void test_stopped(void **state)
{
    const action rows[][2] = {{{"saved", "\003", 0}}, {{"saved", NULL, SIGTERM}}};
    for (size_t i = 0; i < 2; i++) {
        screen *s = train(state, 120, NULL, rows[i]);
        assert_int_equal(exit_code(s), 75);
        assert_non_null(strstr(s->output, "stopping; once more to stop at once"));
        const char *last = strstr(s->output, "stopped after step ");
        assert_non_null(last);
        assert_non_null(strstr(last, "of 40\033[0m\r\nthe same command goes on from here\r\n"));
        free(s);
        s = train(state, 120, NULL, (action[]){{0}});
        assert_int_equal(exit_code(s), 0);
        assert_null(strstr(s->output, "train 1/40"));
        assert_non_null(strstr(s->output, "train 40/40"));
        free(s);
        assert_int_equal(glot_dir_remove(in_folder(state, "run"), NULL), GLOT_OK);
    }
}

/* The first Ctrl-C waits for the text that is being read, here for ever: nobody types any. The second one ends the program at once. */
static void test_stopped_at_once(void **state)
{
    const action twice[] = {{CATCHES, "\003", 0}, {"once more", "\003", 0}, {0}};
    screen *s = run_on_terminal(80, NULL, twice, ARGS("tokenize", in_folder(state, "m"), "--out", in_folder(state, "x.tokens"), "el=-"));
    assert_true(WIFSIGNALED(s->status) && WTERMSIG(s->status) == SIGINT);
    assert_false(glot_path_exists(in_folder(state, "x.tokens")));
    free(s);
}

#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, make_model, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(test_progress),
        WITH_MODEL(test_without_colors),
        WITH_MODEL(test_stopped),
        WITH_MODEL(test_stopped_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
