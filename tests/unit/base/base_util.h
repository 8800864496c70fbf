/* base_util.h: what the tests of src/base share: the cmocka headers and a folder of their own. */
#ifndef GLOT_TESTS_BASE_UTIL_H
#define GLOT_TESTS_BASE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A new empty folder for each test, in *state; its path is short enough for snprintf into 512 bytes. */
static inline int make_folder(void **state)
{
    const char *root = getenv("TMPDIR");
    char *folder = malloc(256);
    if (!folder)
        return -1;
    snprintf(folder, 256, "%s/glot-test-XXXXXX", root && strlen(root) < 200 ? root : "/tmp");
    *state = mkdtemp(folder);
    return *state ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    int status = glot_dir_remove(*state, NULL) == GLOT_OK ? 0 : -1;
    free(*state);
    return status;
}

/* A path in the test's folder; holds for the next 31 calls. */
static inline const char *in_folder(void **state, const char *name)
{
    static char paths[32][512];
    static int next;
    char *path = paths[next++ % 32];
    snprintf(path, 512, "%s/%s", (const char *)*state, name);
    return path;
}

static inline void expect_content(const char *path, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    glot_error err = {0};
    if (glot_file_read(&data, &size, path, 1 << 20, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    glot_free(data);
}

static inline size_t n_files(const char *folder)
{
    char **names = NULL;
    size_t n = 0;
    assert_int_equal(glot_dir_list(&names, &n, folder, NULL), GLOT_OK);
    glot_dir_list_free(names, n);
    return n;
}

#endif
