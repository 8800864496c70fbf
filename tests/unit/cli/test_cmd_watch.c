/* test_cmd_watch.c: `glot watch` beside a process that plays the run: lines that come piece by piece, the end, a process that goes away,
 * Ctrl-C, a terminal; and that it changes nothing. */
#include "run_glot.h"

#include <pty.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

static const char begun[] = "{\"format\": \"glot run\", \"version\": 1, \"glot\": \"0\", \"job\": \"expand\", \"done\": [\"text\", \"before\"], "
                            "\"metrics_lines\": 0, \"train_steps\": 4}";
static const char finished[] = "{\"format\": \"glot run\", \"version\": 1, \"glot\": \"0\", \"job\": \"expand\", \"done\": [\"text\", \"model\"], "
                               "\"metrics_lines\": 0, \"train_steps\": 4}";
static const char before_line[] = "{\"phase\": \"eval\", \"stage\": \"before\", \"text\": {\"el\": {\"bits_per_byte\": 2.0}}}\n";
static const char way_line[] = "{\"phase\": \"eval\", \"stage\": \"train\", \"step\": 2, \"text\": {\"el\": {\"bits_per_byte\": 1.5}}}\n";

static void append(void **state, const char *text)
{
    FILE *file = fopen(in_folder(state, "metrics.jsonl"), "a");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        _exit(1);
}

/* A step of 100 tokens at 200 tokens a second. */
static const char *step_line(int step)
{
    static char line[256];
    snprintf(line, sizeof line, "{\"phase\": \"train\", \"step\": %d, \"tokens\": %d, \"ce\": %d.5, \"balance\": 1.25, \"grad_norm\": 2.0, "
                                "\"lr\": 0.001, \"tokens_per_s\": 200.0}\n", step, 100 * step, 9 - step);
    return line;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
}

static const char *folder_of(void **state)
{
    return *state;
}

static void test_refusals(void **state)
{
    expect_failure(run_glot(state, "watch", "/nowhere"), 3, "'/nowhere' does not exist, expected a run directory");
    char sentence[256];
    snprintf(sentence, sizeof sentence, "'%s' is no run of glot: it has no state.json", folder_of(state));
    expect_failure(run_glot(state, "watch", folder_of(state)), 3, sentence);
}

static void test_finished_run(void **state)
{
    put(state, "state.json", finished);
    put(state, "metrics.jsonl", before_line);
    append(state, step_line(1));
    append(state, step_line(2));
    append(state, way_line);
    glot_run run = run_glot(state, "watch", folder_of(state));
    assert_string_equal(run.err, "");
    assert_string_equal(run.out, "before: bits per byte  el 2.0000\n"
                                 "train: bits per byte at step 2  el 1.5000\n"
                                 "train 2/4 (50%)  eta 0:01  tok/s 200  loss 7.5000  balance 1.250  grad 2.00  lr 1.00e-03\n"
                                 "finished\n");
    assert_int_equal(run.exit_code, 0);
    run_release(&run);
    expect_content(in_folder(state, "state.json"), finished);
}

/* The other process: half a line, its rest, more lines, the end. */
static void play(void **state)
{
    pause_a_little();
    append(state, before_line);
    char line[256];
    snprintf(line, sizeof line, "%s", step_line(1));
    line[40] = '\0';
    append(state, line);
    pause_a_little();
    append(state, step_line(1) + 40);
    pause_a_little();
    append(state, way_line);
    append(state, step_line(2));
    put(state, "state.json", finished);
    _exit(0);
}

static void test_growing_run(void **state)
{
    put(state, "state.json", begun);
    pid_t child = fork();
    if (child == 0)
        play(state);
    glot_run run = run_glot(state, "watch", folder_of(state), "--interval", "0.05");
    int status;
    waitpid(child, &status, 0);
    assert_string_equal(run.err, "no process of this machine works on it; waiting (Ctrl-C leaves)\n"); /* once */
    assert_string_equal(run.out, "before: bits per byte  el 2.0000\n"
                                 "train 1/4 (25%)  eta 0:02  tok/s 200  loss 8.5000  balance 1.250  grad 2.00  lr 1.00e-03\n"
                                 "train: bits per byte at step 2  el 1.5000\n"
                                 "train 2/4 (50%)  eta 0:01  tok/s 200  loss 7.5000  balance 1.250  grad 2.00  lr 1.00e-03\n"
                                 "finished\n");
    run_release(&run);
}

/* A run's process holds a lock on its directory; one that is killed holds it no more. */
static void test_stopped_run(void **state)
{
    if (access("/proc/locks", R_OK) != 0) {
        print_message("skipped: this system does not list locks\n");
        skip();
    }
    put(state, "state.json", begun);
    int folder = open(folder_of(state), O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(folder, LOCK_EX | LOCK_NB), 0);
    pid_t child = fork();
    if (child == 0) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        _exit(0);
    }
    close(folder); /* now the child alone holds it */
    glot_run run = run_glot(state, "watch", folder_of(state), "--interval", "0.05");
    int status;
    waitpid(child, &status, 0);
    assert_string_equal(run.out, "stopped: the process that worked on it is gone; the same command goes on from there\n");
    assert_int_equal(run.exit_code, 0);
    run_release(&run);
}

/* Starts `glot watch` on a terminal of 60 x 10, ends it with a signal, keeps what it wrote. */
static int watch_on_terminal(void **state, char *text, size_t size)
{
    struct winsize window = {.ws_row = 10, .ws_col = 60};
    int terminal, status = 0;
    size_t n = 0;
    ssize_t got;
    pid_t child = forkpty(&terminal, NULL, NULL, &window);
    if (child == 0) {
        execl(GLOT_PROGRAM, "glot", "watch", folder_of(state), "--interval", "0.05", (char *)NULL);
        _exit(127);
    }
    pause_a_little();
    pause_a_little();
    kill(child, SIGINT);
    while (n + 1 < size && (got = read(terminal, text + n, size - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(terminal);
    assert_true(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_terminal(void **state)
{
    static char text[1 << 20];
    put(state, "state.json", begun);
    put(state, "metrics.jsonl", before_line);
    append(state, step_line(1));
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("NO_COLOR");
    assert_int_equal(watch_on_terminal(state, text, sizeof text), 0); /* Ctrl-C: left, nothing failed */
    assert_non_null(strstr(text, "\033[1m"));
    assert_non_null(strstr(text, "━━━━━━━───")); /* a quarter of 30 */
    assert_non_null(strstr(text, "A\r\033[K"));  /* back to the first row and over it */
    assert_non_null(strstr(text, "train 1/4 (25%)"));
    assert_non_null(strstr(text, "  el               2.0000    2.0000     1.000"));
    assert_null(strstr(text, "lr 1.00e-03"));    /* beyond the 60th column */
    setenv("NO_COLOR", "1", 1);
    setenv("LC_ALL", "C", 1);
    assert_int_equal(watch_on_terminal(state, text, sizeof text), 0);
    assert_null(strstr(text, "\033[1m"));
    assert_null(strstr(text, "\033[32m"));
    assert_non_null(strstr(text, "#######---"));
    unsetenv("NO_COLOR");
    expect_content(in_folder(state, "state.json"), begun);
}

/* SIGTERM where nothing happens: it ends at once and well. */
static void test_signal(void **state)
{
    put(state, "state.json", begun);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execl(GLOT_PROGRAM, "glot", "watch", folder_of(state), "--interval", "3600", (char *)NULL);
        _exit(127);
    }
    pause_a_little();
    pause_a_little();
    kill(child, SIGTERM);
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_refusals),    IN_FOLDER(test_finished_run), IN_FOLDER(test_growing_run),
        IN_FOLDER(test_stopped_run), IN_FOLDER(test_terminal),     IN_FOLDER(test_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
