/* path.c: names of files and folders, and folders themselves. */
#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { OPEN_FOLDERS = 32 }; /* that removing a tree keeps open at once */

char *glot_path_join(const char *dir, const char *name)
{
    if (name[0] == '/' || dir[0] == '\0')
        return glot_strdup(name);
    size_t dir_length = strlen(dir);
    const char *slash = dir[dir_length - 1] == '/' ? "" : "/";
    size_t room = dir_length + strlen(name) + 2;
    char *joined = glot_calloc(room, 1);
    if (joined)
        snprintf(joined, room, "%s%s%s", dir, slash, name);
    return joined;
}

/* Length of `path` without the slashes at its end, the root's own excepted. */
static size_t trimmed_length(const char *path, size_t length)
{
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

/* Offset of the last component. */
static size_t base_offset(const char *path)
{
    size_t i = trimmed_length(path, strlen(path));
    while (i > 0 && path[i - 1] != '/')
        i--;
    return i;
}

char *glot_path_dir(const char *path)
{
    size_t length = trimmed_length(path, base_offset(path));
    return length ? glot_strndup(path, length) : glot_strdup(".");
}

const char *glot_path_base(const char *path)
{
    return path + base_offset(path);
}

/* Whether the last component of tidy[0, length) may go together with a ".." behind it. */
static bool can_go_back(char *tidy, size_t length)
{
    struct stat info;
    size_t last = length;
    while (last > 0 && tidy[last - 1] != '/')
        last--;
    if (last == length || strcmp(tidy + last, "..") == 0)
        return false;
    return lstat(tidy, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Adds one component to the `length` characters there are; gives the new length. */
static size_t add_component(char *tidy, size_t length, const char *name, size_t n)
{
    if (n == 0 || (n == 1 && name[0] == '.'))
        return length;
    if (n == 2 && name[0] == '.' && name[1] == '.' && can_go_back(tidy, length)) {
        while (length > 0 && tidy[length - 1] != '/')
            length--;
        length = trimmed_length(tidy, length);
    } else {
        if (length && tidy[length - 1] != '/')
            tidy[length++] = '/';
        memcpy(tidy + length, name, n);
        length += n;
    }
    tidy[length] = '\0';
    return length;
}

char *glot_path_tidy(const char *path)
{
    char *tidy = glot_calloc(strlen(path) + 2, 1);
    size_t length = 0;
    if (!tidy)
        return NULL;
    if (path[0] == '/')
        tidy[length++] = '/';
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        length = add_component(tidy, length, p, n);
        p += n + (p[n] == '/');
    }
    if (length == 0)
        tidy[0] = '.';
    return tidy;
}

bool glot_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool glot_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool glot_dir_has(const char *dir, const char *name)
{
    char *path = glot_path_join(dir, name);
    bool has = path && glot_path_exists(path);
    glot_free(path);
    return has;
}

static glot_status make_one(const char *path, glot_error *err)
{
    if (mkdir(path, 0777) == 0)
        return GLOT_OK;
    int error = errno; /* looking at the path sets another one */
    if (glot_path_is_dir(path))
        return GLOT_OK;
    if (error == EEXIST || error == ENOTDIR)
        return GLOT_FAIL(err, GLOT_EXISTS, "cannot make the folder '%s': a file is in the way", path);
    return glot_fail_errno(err, error, "make the folder", path);
}

glot_status glot_dir_make(const char *path, glot_error *err)
{
    char *partial = glot_strdup(path);
    if (!partial)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path '%s'", path);
    glot_status status = GLOT_OK;
    for (char *p = partial + 1; *partial && *p && status == GLOT_OK; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        status = make_one(partial, err);
        *p = '/';
    }
    if (status == GLOT_OK)
        status = make_one(path, err);
    glot_free(partial);
    return status;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

glot_status glot_dir_remove(const char *path, glot_error *err)
{
    /* Contents before their folder; symbolic links are removed, not followed. */
    if (nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return GLOT_OK;
    return glot_fail_errno(err, errno, "remove", path);
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

static glot_status read_names(char ***names, size_t *n, DIR *dir, const char *path, glot_error *err)
{
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return errno ? glot_fail_errno(err, errno, "list", path) : GLOT_OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        GLOT_TRY(glot_grow(names, &capacity, *n + 1, sizeof **names, "a list of files", err));
        char *copy = glot_strdup(entry->d_name);
        if (!copy)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for listing '%s'", path);
        (*names)[(*n)++] = copy;
    }
}

glot_status glot_dir_list(char ***names, size_t *n, const char *path, glot_error *err)
{
    char **list = NULL;
    size_t count = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return glot_fail_errno(err, errno, "list", path);
    glot_status status = read_names(&list, &count, dir, path, err);
    closedir(dir);
    if (status != GLOT_OK) {
        glot_dir_list_free(list, count);
        return status;
    }
    if (count)
        qsort(list, count, sizeof *list, compare_names);
    *names = list;
    *n = count;
    return GLOT_OK;
}

void glot_dir_list_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        glot_free(names[i]);
    glot_free(names);
}

glot_status glot_disk_free(uint64_t *bytes, const char *path, glot_error *err)
{
    struct statvfs info;
    char *at = glot_strdup(path);
    glot_status status = at ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path '%s'", path);
    while (status == GLOT_OK && statvfs(at, &info) != 0) {
        int error = errno;
        bool is_end = strcmp(at, "/") == 0 || strcmp(at, ".") == 0;
        if ((error != ENOENT && error != ENOTDIR) || is_end) {
            status = glot_fail_errno(err, error, "ask for the free space of", path);
            break;
        }
        char *parent = glot_path_dir(at);
        if (!parent)
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path '%s'", path);
        glot_free(at);
        at = parent;
    }
    glot_free(at);
    if (status == GLOT_OK)
        *bytes = (uint64_t)info.f_bavail * info.f_frsize;
    return status;
}
