/* test_file.c: reading, the atomic writer under every fault, SHA-256, paths and folders. */
#include "base_util.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char OLD[] = "the old file", NEW[] = "the new file, which is longer";

/* Reading. */

static void test_read(void **state)
{
    const char *path = in_folder(state, "a");
    char *data = NULL;
    size_t size = 99;
    assert_int_equal(glot_file_write(path, "x\0y", 3, NULL), GLOT_OK);
    assert_int_equal(glot_file_read(&data, &size, path, 3, NULL), GLOT_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "x\0y", 4);
    glot_free(data);
    assert_int_equal(glot_file_write(path, NULL, 0, NULL), GLOT_OK);
    assert_int_equal(glot_file_read(&data, &size, path, 0, NULL), GLOT_OK);
    assert_int_equal(size, 0);
    assert_int_equal(data[0], 0);
    glot_free(data);
}

static void test_read_refuses(void **state)
{
    const char *path = in_folder(state, "a");
    char *data = NULL, expected[600];
    size_t size = 0;
    glot_error err = {0};
    assert_int_equal(glot_file_read(&data, &size, path, 10, &err), GLOT_NOT_FOUND);
    snprintf(expected, sizeof expected, "cannot open '%s': no such file or directory", path);
    assert_string_equal(err.message, expected);
    assert_int_equal(glot_file_write(path, "12345", 5, NULL), GLOT_OK);
    assert_int_equal(glot_file_read(&data, &size, path, 4, &err), GLOT_BAD_FORMAT);
    snprintf(expected, sizeof expected, "'%s' has 5 bytes, at most 4 are read here", path);
    assert_string_equal(err.message, expected);
    assert_int_equal(glot_file_read(&data, &size, *state, 4, &err), GLOT_BAD_FORMAT);
    snprintf(expected, sizeof expected, "'%s' is a folder, expected a file", (char *)*state);
    assert_string_equal(err.message, expected);
    assert_null(data);
}

/* A pipe has no size: it is read to its end, and the limit holds all the same. */
static void test_read_a_pipe(void **state)
{
    const char *path = in_folder(state, "pipe");
    enum { BYTES = 300000 };
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int round = 0; round < 2; round++) {
        pid_t child = fork();
        if (child == 0) {
            FILE *f = fopen(path, "w");
            for (int i = 0; f && i < BYTES; i++)
                fputc('a' + i / 7 % 26, f);
            if (f)
                fclose(f);
            _exit(0);
        }
        char *data = NULL;
        size_t size = 0;
        glot_status status = glot_file_read(&data, &size, path, round ? 1000 : BYTES, NULL);
        assert_int_equal(status, round ? GLOT_BAD_FORMAT : GLOT_OK);
        assert_int_equal(size, round ? 0 : BYTES);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(data[i], 'a' + i / 7 % 26);
        glot_free(data);
        waitpid(child, NULL, 0);
    }
}

static void test_map(void **state)
{
    const char *path = in_folder(state, "a");
    glot_map map = {0};
    glot_error err = {0};
    assert_int_equal(glot_map_open(&map, path, &err), GLOT_NOT_FOUND);
    assert_int_equal(glot_file_write(path, NEW, strlen(NEW), NULL), GLOT_OK);
    assert_int_equal(glot_map_open(&map, path, &err), GLOT_OK);
    assert_int_equal(map.size, strlen(NEW));
    assert_memory_equal(map.data, NEW, map.size);
    glot_map_close(&map);
    assert_null(map.data);
    assert_int_equal(glot_file_write(path, NULL, 0, NULL), GLOT_OK);
    assert_int_equal(glot_map_open(&map, path, &err), GLOT_OK);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    glot_map_close(&map);
    assert_int_equal(glot_map_open(&map, *state, &err), GLOT_BAD_FORMAT);
    assert_int_equal(glot_map_open(&map, "/dev/null", &err), GLOT_BAD_FORMAT);
}

/* Writing. */

static void test_write_and_replace(void **state)
{
    const char *path = in_folder(state, "a");
    assert_int_equal(glot_file_write(path, OLD, strlen(OLD), NULL), GLOT_OK);
    expect_content(path, OLD);
    assert_int_equal(glot_file_write(path, NEW, strlen(NEW), NULL), GLOT_OK);
    expect_content(path, NEW);
    assert_int_equal(n_files(*state), 1);
}

/* Pieces smaller and larger than the buffer, in an order that crosses its end; the hash and count run along. */
static void test_pieces(void **state)
{
    static const size_t pieces[] = {1, 1000, (1 << 20) - 1001, 1, 3 << 20, 0, (1 << 20) - 1, 2, 17};
    const char *path = in_folder(state, "a");
    glot_writer *w = NULL;
    char *bytes = malloc(8 << 20), *data = NULL, hex[65], again[65];
    size_t total = 0, size = 0;
    for (size_t i = 0; i < 8 << 20; i++)
        bytes[i] = (char)(i * 31 >> 3);
    assert_int_equal(glot_writer_open(&w, path, NULL), GLOT_OK);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        uint64_t calls = glot_heap_calls();
        assert_int_equal(glot_writer_write(w, bytes + total, pieces[i], NULL), GLOT_OK);
        assert_int_equal(glot_heap_calls(), calls);
        total += pieces[i];
        assert_int_equal(glot_writer_bytes(w), total);
    }
    glot_writer_sha256(w, hex);
    assert_int_equal(glot_writer_commit(w, NULL), GLOT_OK);
    assert_int_equal(glot_sha256_file(again, path, NULL), GLOT_OK);
    assert_string_equal(hex, again);
    assert_int_equal(glot_file_read(&data, &size, path, 8 << 20, NULL), GLOT_OK);
    assert_int_equal(size, total);
    assert_memory_equal(data, bytes, total);
    glot_free(data);
    free(bytes);
}

static void test_abandon(void **state)
{
    const char *path = in_folder(state, "a");
    glot_writer *w = NULL;
    assert_int_equal(glot_file_write(path, OLD, strlen(OLD), NULL), GLOT_OK);
    assert_int_equal(glot_writer_open(&w, path, NULL), GLOT_OK);
    assert_int_equal(glot_writer_write(w, NEW, strlen(NEW), NULL), GLOT_OK);
    assert_int_equal(n_files(*state), 2);
    glot_writer_abandon(w);
    glot_writer_abandon(NULL);
    expect_content(path, OLD);
    assert_int_equal(n_files(*state), 1);
}

static void test_open_refuses(void **state)
{
    char expected[600];
    glot_writer *w = NULL;
    glot_error err = {0};
    assert_int_equal(glot_writer_open(&w, *state, &err), GLOT_EXISTS);
    snprintf(expected, sizeof expected, "cannot write '%s': a folder of that name is in the way", (char *)*state);
    assert_string_equal(err.message, expected);
    assert_int_equal(glot_writer_open(&w, "/dev/null", &err), GLOT_EXISTS);
    assert_string_equal(err.message, "cannot write '/dev/null': a device or pipe of that name is in the way");
    const char *path = in_folder(state, "no/folder");
    assert_int_equal(glot_writer_open(&w, path, &err), GLOT_IO);
    snprintf(expected, sizeof expected, "cannot create '%s': its folder does not exist", path);
    assert_string_equal(err.message, expected);
    assert_null(w);
    assert_int_equal(n_files(*state), 0);
}

/* A symbolic link stays a link; what it points to is replaced. */
static void test_links_are_followed(void **state)
{
    const char *target = in_folder(state, "target"), *link = in_folder(state, "link");
    struct stat info;
    assert_int_equal(glot_file_write(target, OLD, strlen(OLD), NULL), GLOT_OK);
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(glot_file_write(link, NEW, strlen(NEW), NULL), GLOT_OK);
    expect_content(target, NEW);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
}

/* The n-th system call of a write fails, for every n: the old file is whole or the new one is, no temporary file is left, and the
 * sentence names the path. */
static void fail_every_call(void **state, int error, glot_status expected)
{
    const char *path = in_folder(state, "a");
    for (uint64_t n = 1;; n++) {
        glot_error err = {0};
        assert_int_equal(glot_file_write(path, OLD, strlen(OLD), NULL), GLOT_OK);
        glot_file_fail_after(n, error);
        glot_status status = glot_file_write(path, NEW, strlen(NEW), &err);
        glot_file_fail_after(0, 0);
        assert_int_equal(n_files(*state), 1);
        if (status == GLOT_OK) {
            expect_content(path, NEW);
            assert_int_equal(n, 5); /* write, fsync, rename and the folder's fsync: four faults */
            return;
        }
        assert_int_equal(status, expected);
        expect_content(path, n <= 3 ? OLD : NEW);
        assert_non_null(strstr(err.message, n <= 3 ? path : (const char *)*state));
    }
}

static void test_failing_calls(void **state)
{
    fail_every_call(state, EIO, GLOT_IO);
    fail_every_call(state, ENOSPC, GLOT_NO_SPACE);
    fail_every_call(state, EDQUOT, GLOT_NO_SPACE);
}

static void expect_full_disk(void **state, int error, const char *reason)
{
    const char *path = in_folder(state, "a");
    char expected[600];
    glot_error err = {0};
    glot_file_fail_after(1, error);
    assert_int_equal(glot_file_write(path, "12345", 5, &err), GLOT_NO_SPACE);
    glot_file_fail_after(0, 0);
    snprintf(expected, sizeof expected, "cannot write '%s': %s, 5 more bytes wanted of the 5 given so far", path, reason);
    assert_string_equal(err.message, expected);
}

static void test_full_disk_sentence(void **state)
{
    expect_full_disk(state, ENOSPC, "no space left on the disk");
    expect_full_disk(state, EDQUOT, "the disk quota is used up");
}

/* The first failure is kept: later writes and the commit return it, whatever happens then. */
static void test_failure_is_kept(void **state)
{
    const char *path = in_folder(state, "a");
    static char large[2 << 20];
    glot_writer *w = NULL;
    glot_error first = {0}, second = {0}, last = {0};
    assert_int_equal(glot_writer_open(&w, path, NULL), GLOT_OK);
    glot_file_fail_after(1, ENOSPC);
    assert_int_equal(glot_writer_write(w, large, sizeof large, &first), GLOT_NO_SPACE);
    glot_file_fail_after(0, 0);
    assert_int_equal(glot_writer_write(w, "x", 1, &second), GLOT_NO_SPACE);
    assert_int_equal(glot_writer_commit(w, &last), GLOT_NO_SPACE);
    assert_string_equal(second.message, first.message);
    assert_string_equal(last.message, first.message);
    assert_int_equal(n_files(*state), 0);
}

/* A write that the system cuts short goes on with the rest. */
static void test_short_writes(void **state)
{
    const char *path = in_folder(state, "a");
    glot_file_fail_after(1, GLOT_FAULT_SHORT);
    assert_int_equal(glot_file_write(path, NEW, strlen(NEW), NULL), GLOT_OK);
    glot_file_fail_after(0, 0);
    expect_content(path, NEW);
}

/* The same where the rest meets an error of its own, here a limit on the file's size. */
static void test_limit_on_size(void **state)
{
    const char *path = in_folder(state, "a");
    static char large[2 << 20];
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {3000, 3000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        glot_error err = {0};
        glot_status status = glot_file_write(path, large, sizeof large, &err);
        _exit(status == GLOT_IO && strstr(err.message, "file too large") ? 0 : 1);
    }
    int result = -1;
    waitpid(child, &result, 0);
    assert_int_equal(result, 0);
    assert_int_equal(n_files(*state), 0);
}

/* Killed at each system call of a write: a reader finds the old file or the new one, whole. */
static void test_killed_at_any_call(void **state)
{
    const char *path = in_folder(state, "a");
    for (uint64_t n = 1; n <= 5; n++) {
        assert_int_equal(glot_file_write(path, OLD, strlen(OLD), NULL), GLOT_OK);
        pid_t child = fork();
        if (child == 0) {
            glot_file_fail_after(n, GLOT_FAULT_KILL);
            glot_file_write(path, NEW, strlen(NEW), NULL);
            _exit(0);
        }
        int result = 0;
        waitpid(child, &result, 0);
        if (n <= 4)
            assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
        else
            assert_int_equal(result, 0);
        expect_content(path, n <= 3 ? OLD : NEW);
    }
}

static void test_no_memory(void **state)
{
    const char *path = in_folder(state, "a");
    for (uint64_t n = 1;; n++) {
        glot_writer *w = NULL;
        glot_heap_fail_after(n);
        glot_status status = glot_writer_open(&w, path, NULL);
        glot_heap_fail_after(0);
        if (status == GLOT_OK) {
            glot_writer_abandon(w);
            assert_true(n > 4);
            break;
        }
        assert_int_equal(status, GLOT_NOMEM);
        assert_int_equal(n_files(*state), 0);
    }
}

static void test_copy(void **state)
{
    const char *from = in_folder(state, "from"), *to = in_folder(state, "to");
    char first[65], second[65];
    static char large[(5 << 20) + 7];
    glot_error err = {0};
    assert_int_equal(glot_file_copy(to, from, &err), GLOT_NOT_FOUND);
    assert_int_equal(glot_file_write(from, large, sizeof large, NULL), GLOT_OK);
    assert_int_equal(glot_file_copy(to, from, &err), GLOT_OK);
    assert_int_equal(glot_sha256_file(first, from, NULL), GLOT_OK);
    assert_int_equal(glot_sha256_file(second, to, NULL), GLOT_OK);
    assert_string_equal(first, second);
    glot_file_fail_after(3, ENOSPC);
    assert_int_equal(glot_file_copy(to, from, &err), GLOT_NO_SPACE);
    glot_file_fail_after(0, 0);
    assert_int_equal(n_files(*state), 2);
}

/* SHA-256: the examples of FIPS 180-2. */

static void expect_sha256(const char *text, size_t n, size_t times, const char *expected)
{
    char hex[65];
    glot_sha256 *h = NULL;
    assert_int_equal(glot_sha256_create(&h, NULL), GLOT_OK);
    for (size_t i = 0; i < times; i++)
        glot_sha256_update(h, text, n);
    glot_sha256_finish(h, hex);
    assert_string_equal(hex, expected);
    glot_sha256_finish(h, hex); /* once more: finishing changes nothing */
    assert_string_equal(hex, expected);
    glot_sha256_free(h);
}

static void test_sha256(void **state)
{
    (void)state;
    expect_sha256("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_sha256("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_sha256("aaaaaaaaaa", 10, 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_sha256_goes_on(void **state)
{
    const char *path = in_folder(state, "abc");
    char hex[65];
    glot_sha256 *h = NULL;
    assert_int_equal(glot_sha256_create(&h, NULL), GLOT_OK);
    glot_sha256_update(h, "a", 1);
    glot_sha256_finish(h, hex);
    glot_sha256_update(h, "bc", 2);
    glot_sha256_finish(h, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    glot_sha256_free(h);
    assert_int_equal(glot_file_write(path, "abc", 3, NULL), GLOT_OK);
    assert_int_equal(glot_sha256_file(hex, path, NULL), GLOT_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(glot_sha256_file(hex, *state, NULL), GLOT_IO);
}

/* Paths and folders. */

static void expect_join(const char *dir, const char *name, const char *expected)
{
    char *joined = glot_path_join(dir, name);
    assert_string_equal(joined, expected);
    glot_free(joined);
}

static void expect_parts(const char *path, const char *dir, const char *base)
{
    char *found = glot_path_dir(path);
    assert_string_equal(found, dir);
    assert_string_equal(glot_path_base(path), base);
    glot_free(found);
}

static void expect_tidy(const char *path, const char *expected)
{
    char *found = glot_path_tidy(path);
    assert_string_equal(found, expected);
    glot_free(found);
}

/* "/usr/lib" and "/proc" are folders of every Linux; "/proc/self" is a symbolic link, which ".." does not undo. */
static void test_tidy_paths(void **state)
{
    (void)state;
    expect_tidy("/usr/lib/../share", "/usr/share");
    expect_tidy("/usr/./lib//", "/usr/lib");
    expect_tidy("/usr/lib/../../proc", "/proc");
    expect_tidy("/usr/..", "/");
    expect_tidy("/proc/self/../x", "/proc/self/../x");
    expect_tidy("/no such folder/../x", "/no such folder/../x");
    expect_tidy("./a", "a");
    expect_tidy("../../a", "../../a");
    expect_tidy(".", ".");
    expect_tidy("-", "-");
    expect_tidy("", ".");
}

static void test_paths(void **state)
{
    (void)state;
    expect_join("a", "b", "a/b");
    expect_join("a/", "b/c", "a/b/c");
    expect_join("/", "b", "/b");
    expect_join("", "b", "b");
    expect_join("a", "/b", "/b");
    expect_parts("a/b", "a", "b");
    expect_parts("b", ".", "b");
    expect_parts("/b", "/", "b");
    expect_parts("a//b", "a", "b");
    expect_parts("a/b/", "a", "b/");
    expect_parts("/", "/", "");
    expect_parts("", ".", "");
}

static void test_folders(void **state)
{
    const char *deep = in_folder(state, "a/b/c"), *file = in_folder(state, "a/b/c/f");
    glot_error err = {0};
    assert_int_equal(glot_dir_make(deep, &err), GLOT_OK);
    assert_int_equal(glot_dir_make(deep, &err), GLOT_OK);
    assert_true(glot_path_is_dir(deep));
    assert_int_equal(glot_file_write(file, OLD, strlen(OLD), NULL), GLOT_OK);
    assert_true(glot_path_exists(file) && !glot_path_is_dir(file));
    assert_int_equal(glot_dir_make(file, &err), GLOT_EXISTS);
    const char *below_file = in_folder(state, "a/b/c/f/g");
    assert_int_equal(glot_dir_make(below_file, &err), GLOT_EXISTS);
    assert_int_equal(glot_dir_sync(deep, &err), GLOT_OK);
    const char *top = in_folder(state, "a");
    assert_int_equal(glot_dir_remove(top, &err), GLOT_OK);
    assert_false(glot_path_exists(top));
    assert_int_equal(glot_dir_remove(top, &err), GLOT_OK);
}

/* A folder that nothing may be put into: said so, of folders and files alike, by the name that was asked for. */
static void test_no_permission(void **state)
{
    const char *folder = in_folder(state, "d"), *file = in_folder(state, "e");
    char expected[700];
    glot_error made = {0}, written = {0};
    bool is_root = geteuid() == 0; /* root may everything: it steps back for a moment */
    assert_int_equal(chmod(*state, 0555), 0);
    assert_true(!is_root || seteuid(65534) == 0);
    glot_status of_folder = glot_dir_make(folder, &made), of_file = glot_file_write(file, OLD, strlen(OLD), &written);
    assert_true(!is_root || seteuid(0) == 0);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(of_folder, GLOT_IO);
    snprintf(expected, sizeof expected, "cannot make the folder '%s': permission denied", folder);
    assert_string_equal(made.message, expected);
    assert_int_equal(of_file, GLOT_IO);
    snprintf(expected, sizeof expected, "cannot create '%s': permission denied", file);
    assert_string_equal(written.message, expected);
}

/* Removing a folder must not follow a link out of it. */
static void test_remove_does_not_follow_links(void **state)
{
    const char *outside = in_folder(state, "outside"), *folder = in_folder(state, "d");
    assert_int_equal(glot_dir_make(outside, NULL), GLOT_OK);
    assert_int_equal(glot_file_write(in_folder(state, "outside/f"), OLD, strlen(OLD), NULL), GLOT_OK);
    assert_int_equal(glot_dir_make(folder, NULL), GLOT_OK);
    assert_int_equal(symlink("../outside", in_folder(state, "d/link")), 0);
    assert_int_equal(glot_dir_remove(folder, NULL), GLOT_OK);
    assert_int_equal(n_files(outside), 1);
}

static void test_list_is_sorted(void **state)
{
    static const char *const names[] = {"b", "a", "c10", "c9", ".hidden"};
    char **list = NULL;
    size_t n = 0;
    glot_error err = {0};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(glot_file_write(in_folder(state, names[i]), "", 0, NULL), GLOT_OK);
    assert_int_equal(glot_dir_list(&list, &n, *state, &err), GLOT_OK);
    assert_int_equal(n, 5);
    assert_string_equal(list[0], ".hidden");
    assert_string_equal(list[1], "a");
    assert_string_equal(list[3], "c10");
    glot_dir_list_free(list, n);
    const char *missing = in_folder(state, "missing");
    assert_int_equal(glot_dir_list(&list, &n, missing, &err), GLOT_NOT_FOUND);
}

static void test_disk_free(void **state)
{
    uint64_t here = 0, below = 0;
    glot_error err = {0};
    assert_int_equal(glot_disk_free(&here, *state, &err), GLOT_OK);
    assert_true(here > 0);
    assert_int_equal(glot_disk_free(&below, in_folder(state, "not/yet/there"), &err), GLOT_OK);
    assert_true(below > 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_read),
        IN_FOLDER(test_read_refuses),
        IN_FOLDER(test_read_a_pipe),
        IN_FOLDER(test_map),
        IN_FOLDER(test_write_and_replace),
        IN_FOLDER(test_pieces),
        IN_FOLDER(test_abandon),
        IN_FOLDER(test_open_refuses),
        IN_FOLDER(test_links_are_followed),
        IN_FOLDER(test_failing_calls),
        IN_FOLDER(test_full_disk_sentence),
        IN_FOLDER(test_failure_is_kept),
        IN_FOLDER(test_short_writes),
        IN_FOLDER(test_limit_on_size),
        IN_FOLDER(test_killed_at_any_call),
        IN_FOLDER(test_no_memory),
        IN_FOLDER(test_copy),
        cmocka_unit_test(test_sha256),
        IN_FOLDER(test_sha256_goes_on),
        cmocka_unit_test(test_tidy_paths), cmocka_unit_test(test_paths),
        IN_FOLDER(test_folders),
        IN_FOLDER(test_no_permission),
        IN_FOLDER(test_remove_does_not_follow_links),
        IN_FOLDER(test_list_is_sorted),
        IN_FOLDER(test_disk_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
