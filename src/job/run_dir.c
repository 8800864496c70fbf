/* run_dir.c: whose a directory is, its state, and what --fresh may delete. Metrics and checkpoints are in
 * run_metrics.c and run_checkpoints.c. */
#include "job/run_dir.h"
#include "base/memory.h"
#include "base/str.h"
#include "job/run_files.h"
#include "model/model.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const FORMAT = "glot run";
enum { VERSION = 1 };

/* Every file that glot puts into a run directory beside the model's, as patterns of paths below it. Folders
 * are known by what may be in them. */
static const char *const our_files[] = {"recipe.yaml",
                                        "state.json",
                                        "metrics.jsonl",
                                        "events.out.tfevents.*",
                                        "results.json",
                                        "report.html",
                                        "tokens/*.tokens",
                                        "checkpoints/*/trained.safetensors",
                                        "checkpoints/*/moments.safetensors",
                                        "checkpoints/*/state.json",
                                        "checkpoints/*/manifest.json"};

/* ---- names ---- */

char *glot_run_dir_join(const glot_run_dir *d, const char *name)
{
    return glot_path_join(d->path, name);
}

/* "x.tmp-123": what an interrupted atomic write leaves. */
static bool is_leftover(const char *name)
{
    const char *mark = strstr(name, ".tmp-");
    return mark && mark != name && mark[5] && mark[5 + strspn(mark + 5, "0123456789")] == '\0';
}

static bool is_our_folder(const char *path)
{
    return strcmp(path, "tokens") == 0 || strcmp(path, "checkpoints") == 0 || strcmp(path, "model") == 0;
}

/* A checkpoint's folder: digits, or what is left of one being written. */
static bool is_checkpoint_folder(const char *path)
{
    static const char parent[] = "checkpoints/";
    if (strncmp(path, parent, sizeof parent - 1) != 0)
        return false;
    const char *name = path + sizeof parent - 1;
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && (name[digits] == '\0' || is_leftover(name)) && !strchr(name, '/');
}

static bool is_our_file(const char *path)
{
    char *name = glot_strdup(path);
    bool is_ours = false;
    if (!name)
        return false;
    char *mark = strrchr(name, '/');
    mark = strstr(mark ? mark : name, ".tmp-");
    if (mark && is_leftover(glot_path_base(path)))
        *mark = '\0'; /* what is left of a file is judged as that file */
    if (fnmatch("model*/*", name, FNM_PATHNAME) == 0)
        is_ours = glot_model_saves(glot_path_base(name));
    for (size_t i = 0; i < sizeof our_files / sizeof our_files[0] && !is_ours; i++)
        is_ours = fnmatch(our_files[i], name, FNM_PATHNAME) == 0;
    glot_free(name);
    return is_ours;
}

/* ---- walking through a run ---- */

typedef glot_status on_path(const char *root, const char *path, bool is_dir, void *user, glot_error *err);

/* Calls `visit` for everything below root/path, a folder after its contents. */
static glot_status walk(const char *root, const char *path, on_path *visit, void *user, glot_error *err)
{
    char *full = *path ? glot_path_join(root, path) : glot_strdup(root);
    char **names = NULL;
    size_t n = 0;
    if (!full)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_dir_list(&names, &n, full, err);
    glot_free(full);
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        struct stat info;
        char *below = *path ? glot_path_join(path, names[i]) : glot_strdup(names[i]);
        char *at = below ? glot_path_join(root, below) : NULL;
        bool is_dir = at && lstat(at, &info) == 0 && S_ISDIR(info.st_mode);
        if (!at)
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
        if (status == GLOT_OK && is_dir)
            status = walk(root, below, visit, user, err);
        if (status == GLOT_OK)
            status = visit(root, below, is_dir, user, err);
        glot_free(below);
        glot_free(at);
    }
    glot_dir_list_free(names, n);
    return status;
}

static glot_status check_ours(const char *root, const char *path, bool is_dir, void *user, glot_error *err)
{
    (void)user;
    bool is_known = is_dir ? is_our_folder(path) || is_checkpoint_folder(path) ||
                                 (strncmp(path, "model.tmp-", 10) == 0 && is_leftover(path))
                           : is_our_file(path);
    if (is_known)
        return GLOT_OK;
    return GLOT_FAIL(err, GLOT_EXISTS, "'%s/%s' was not written by glot, so that nothing in '%s' is deleted",
                     root, path, root);
}

static glot_status remove_one(const char *root, const char *path, bool is_dir, glot_error *err)
{
    char *full = glot_path_join(root, path);
    glot_status status = GLOT_OK;
    if (!full)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if ((is_dir ? rmdir(full) : unlink(full)) != 0)
        status = glot_fail_errno(err, errno, "remove", full);
    glot_free(full);
    return status;
}

/* All but state.json: as long as it is there the directory is known as a run. */
static glot_status remove_path(const char *root, const char *path, bool is_dir, void *user, glot_error *err)
{
    (void)user;
    return strcmp(path, "state.json") == 0 ? GLOT_OK : remove_one(root, path, is_dir, err);
}

static glot_status remove_leftover(const char *root, const char *path, bool is_dir, void *user,
                                   glot_error *err)
{
    (void)user;
    (void)is_dir;
    if (!is_leftover(glot_path_base(path)))
        return GLOT_OK;
    char *full = glot_path_join(root, path);
    glot_status status =
        full ? glot_dir_remove(full, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_free(full);
    return status;
}

/* *fd: the folder, held until it is closed. */
static glot_status lock(int *fd, const char *path, glot_error *err)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return glot_fail_errno(err, errno, "open the folder", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return GLOT_OK;
    if (errno == EWOULDBLOCK)
        return GLOT_FAIL(err, GLOT_EXISTS, "another process is working in '%s'", path);
    return glot_fail_errno(err, errno, "lock the folder", path);
}

glot_status glot_run_dir_clear(const char *path, glot_error *err)
{
    glot_run_kind kind;
    int fd = -1;
    GLOT_TRY(glot_run_dir_look(&kind, path, NULL, err));
    if (kind == GLOT_RUN_NONE)
        return GLOT_OK;
    glot_status status = lock(&fd, path, err);
    if (status == GLOT_OK)
        status = walk(path, "", check_ours, NULL, err);
    /* recipe.yaml is the first to go: without it nothing that is left is taken for a run to go on with. */
    if (status == GLOT_OK && glot_dir_has(path, "recipe.yaml"))
        status = remove_one(path, "recipe.yaml", false, err);
    if (status == GLOT_OK)
        status = walk(path, "", remove_path, NULL, err);
    if (status == GLOT_OK)
        status = remove_one(path, "state.json", false, err);
    if (fd >= 0)
        close(fd);
    return status;
}

/* ---- state.json ---- */

static glot_status check_state(const json_t *state, const char *path, const char *job, glot_error *err)
{
    const char *format, *found;
    int64_t version, n_lines;
    GLOT_TRY(glot_json_get_string(state, "format", &format, path, err));
    if (strcmp(format, FORMAT) != 0)
        return GLOT_FAIL(err, GLOT_EXISTS, "'%s': format is '%s', expected '%s'", path, format, FORMAT);
    GLOT_TRY(glot_json_get_int(state, "version", &version, path, err));
    if (version != VERSION)
        return GLOT_FAIL(err, GLOT_BAD_VERSION, "'%s': version is %" PRId64 ", this program reads %d", path,
                         version, VERSION);
    GLOT_TRY(glot_json_get_string(state, "job", &found, path, err));
    GLOT_TRY(glot_json_get_int(state, "metrics_lines", &n_lines, path, err));
    if (n_lines < 0 || !json_is_array(json_object_get(state, "done")))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': 'done' or 'metrics_lines' is no list or count", path);
    if (job && strcmp(found, job) != 0)
        return GLOT_FAIL(err, GLOT_EXISTS, "'%s' belongs to a run of `glot %s`, expected one of `glot %s`",
                         path, found, job);
    return GLOT_OK;
}

static glot_status load_state(json_t **out, const char *dir, const char *job, glot_error *err)
{
    char *path = glot_path_join(dir, "state.json");
    json_t *state = NULL;
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_json_load_file(&state, path, err);
    if (status == GLOT_OK)
        status = check_state(state, path, job, err);
    glot_free(path);
    if (status == GLOT_OK)
        *out = state;
    else
        json_decref(state);
    return status;
}

glot_status glot_run_dir_read_state(json_t **out, const char *dir, glot_error *err)
{
    if (!glot_path_exists(dir))
        return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s' does not exist, expected a run directory", dir);
    char *path = glot_path_join(dir, "state.json");
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    bool is_run = glot_path_exists(path);
    glot_free(path);
    if (!is_run)
        return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s' is no run of glot: it has no state.json", dir);
    return load_state(out, dir, NULL, err);
}

/* The first name in a directory that is not the leftover of a state.json never finished; NULL where there is
 * none. */
static const char *first_foreign(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], "state.json.tmp-", 15) != 0)
            return names[i];
    return NULL;
}

glot_status glot_run_dir_look(glot_run_kind *kind, const char *path, const char *job, glot_error *err)
{
    char **names = NULL;
    size_t n = 0;
    json_t *state = NULL;
    *kind = GLOT_RUN_NONE;
    if (!glot_path_exists(path))
        return GLOT_OK;
    if (!glot_path_is_dir(path))
        return GLOT_FAIL(err, GLOT_EXISTS, "'%s' is a file, expected a run directory or nothing", path);
    GLOT_TRY(glot_dir_list(&names, &n, path, err));
    const char *foreign = first_foreign(names, n);
    bool has_state = false;
    for (size_t i = 0; i < n; i++)
        has_state = has_state || strcmp(names[i], "state.json") == 0;
    glot_status status = GLOT_OK;
    if (foreign && !has_state)
        status =
            GLOT_FAIL(err, GLOT_EXISTS, "'%s' belongs to something else: it holds '%s' and is no run of glot",
                      path, foreign);
    glot_dir_list_free(names, n);
    if (status != GLOT_OK || !has_state)
        return status;
    status = load_state(&state, path, job, err);
    json_decref(state);
    if (status == GLOT_OK)
        *kind = GLOT_RUN_OURS;
    return status;
}

glot_status glot_run_dir_write(const glot_run_dir *d, const char *name, const char *text, size_t size,
                               glot_error *err)
{
    char *path = glot_run_dir_join(d, name);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_file_write(path, text, size, err);
    glot_free(path);
    return status;
}

glot_status glot_run_dir_write_json(const glot_run_dir *d, const char *name, const json_t *value,
                                    glot_error *err)
{
    glot_str text = {0};
    char *dump = glot_json_dump(value, 1);
    if (dump)
        glot_str_printf(&text, "%s\n", dump);
    free(dump);
    glot_status status = text.data && !text.failed ? glot_run_dir_write(d, name, text.data, text.length, err)
                                                   : GLOT_FAIL(err, GLOT_NOMEM, "no memory for '%s'", name);
    glot_str_release(&text);
    return status;
}

glot_status glot_run_dir_save(glot_run_dir *d, glot_error *err)
{
    return glot_run_dir_write_json(d, "state.json", d->state, err);
}

glot_status glot_run_dir_put(glot_run_dir *d, const char *key, json_t *value, glot_error *err)
{
    if (!value || json_object_set_new(d->state, key, value) != 0)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the state of the run");
    return GLOT_OK;
}

json_t *glot_run_dir_get(const glot_run_dir *d, const char *key)
{
    return json_object_get(d->state, key);
}

/* Place of a step among those done, or their number. */
static size_t find_done(const json_t *state, const char *step)
{
    const json_t *done = json_object_get(state, "done");
    size_t i = 0;
    while (i < json_array_size(done)) {
        const char *name = json_string_value(json_array_get(done, i));
        if (name && strcmp(name, step) == 0)
            break;
        i++;
    }
    return i;
}

bool glot_run_state_is_done(const json_t *state, const char *step)
{
    return find_done(state, step) < json_array_size(json_object_get(state, "done"));
}

bool glot_run_dir_is_done(const glot_run_dir *d, const char *step)
{
    return glot_run_state_is_done(d->state, step);
}

glot_status glot_run_dir_set_done(glot_run_dir *d, const char *step, glot_error *err)
{
    GLOT_TRY(glot_run_dir_sync_metrics(d, err));
    if (!glot_run_dir_is_done(d, step) &&
        json_array_append_new(json_object_get(d->state, "done"), json_string(step)) != 0)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the state of the run");
    if (d->metrics >= 0) /* else what state.json says still holds */
        GLOT_TRY(glot_run_dir_put(d, "metrics_lines", json_integer((json_int_t)d->n_lines), err));
    return glot_run_dir_save(d, err);
}

glot_status glot_run_dir_set_undone(glot_run_dir *d, const char *const *steps, size_t n, glot_error *err)
{
    for (size_t i = 0; i < n; i++)
        json_array_remove(json_object_get(d->state, "done"), find_done(d->state, steps[i]));
    return glot_run_dir_save(d, err);
}

/* ---- opening ---- */

static glot_status begin_state(glot_run_dir *d, const char *job, glot_error *err)
{
    d->state = json_pack("{s:s, s:i, s:s, s:s, s:[], s:i}", "format", FORMAT, "version", VERSION, "glot",
                         glot_version(), "job", job, "done", "metrics_lines", 0);
    if (!d->state)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the state of the run");
    return glot_run_dir_save(d, err);
}

static glot_status open_locked(glot_run_dir *d, const char *job, glot_error *err)
{
    glot_run_kind kind;
    GLOT_TRY(glot_run_dir_look(&kind, d->path, job, err));
    if (kind == GLOT_RUN_NONE)
        return begin_state(d, job, err);
    GLOT_TRY(walk(d->path, "", remove_leftover, NULL, err));
    GLOT_TRY(load_state(&d->state, d->path, job, err));
    d->n_lines = (uint64_t)json_integer_value(json_object_get(d->state, "metrics_lines"));
    return GLOT_OK;
}

glot_status glot_run_dir_open(glot_run_dir **out, const char *path, const char *job, glot_error *err)
{
    glot_run_dir *d = NULL;
    glot_run_kind kind;
    GLOT_TRY(glot_run_dir_look(&kind, path, job, err));
    GLOT_TRY(glot_dir_make(path, err));
    GLOT_TRY(glot_new(&d, 1, sizeof *d, "the run directory", err));
    *d = (glot_run_dir){.lock = -1, .metrics = -1, .events = -1, .path = glot_strdup(path)};
    glot_status status =
        d->path ? lock(&d->lock, path, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if (status == GLOT_OK)
        status = open_locked(d, job, err);
    if (status == GLOT_OK)
        *out = d;
    else
        glot_run_dir_close(d);
    return status;
}

void glot_run_dir_close(glot_run_dir *d)
{
    if (!d)
        return;
    glot_run_close_metrics(d);
    if (d->lock >= 0)
        close(d->lock);
    json_decref(d->state);
    glot_free(d->path);
    glot_free(d);
}
