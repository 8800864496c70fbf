/* checkpoint.c: everything a run needs to go on with the same bits: trained weights, moments, the step, and
 * the place in the text. The learning rate follows from the step; frozen weights are the base's and are only
 * hashed.
 *
 * Crash safety: the folder is written under another name, every file fsynced, then renamed. A reader sees the
 * old folder, the new one, or (between putting the old aside as DIR.old-PID and renaming the new of the same
 * name) neither, never a half. Runs give each step a folder of its own, so nothing is replaced.
 */
#include "train/train.h"
#include "base/memory.h"
#include "base/str.h"
#include "model/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const FORMAT = "glot checkpoint";
enum { VERSION = 1 };
static const char *const files[] = {"trained.safetensors", "moments.safetensors", "state.json"};
enum { N_FILES = 3 };

/* ---- saving ---- */

/* glot_save_fill: piece by piece from the backend. */
typedef struct tensor_source {
    const glot_model *model;
    const glot_tensor *tensors;
} tensor_source;

static glot_status fill_from_backend(void *user, size_t index, size_t offset, size_t n, void *out,
                                     glot_error *err)
{
    (void)err;
    const tensor_source *source = user;
    size_t element = glot_dtype_block_bytes(source->model->be->real);
    glot_param_read(out, source->model, &source->tensors[index], (int64_t)(offset / element),
                    (int64_t)(n / element));
    return GLOT_OK;
}

/* One file of `n` tensors; names are the caller's. */
static glot_status save_tensors(const char *path, const glot_trainer *t, const glot_tensor *tensors,
                                char *const *names, size_t n, char sha256[65], uint64_t *bytes,
                                glot_error *err)
{
    glot_save_tensor *list = NULL;
    tensor_source source = {t->model, tensors};
    GLOT_TRY(glot_new(&list, n, sizeof *list, "a checkpoint", err));
    for (size_t i = 0; i < n; i++) {
        list[i] = (glot_save_tensor){.name = names[i], .tensor = tensors[i]};
        list[i].tensor.addr = NULL;
    }
    glot_status status =
        glot_safetensors_save(path, list, n, NULL, fill_from_backend, &source, sha256, bytes, err);
    glot_free(list);
    return status;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++)
        glot_free(names[i]);
    glot_free(names);
}

/* Tensors and names of one file: the weights, or both moments of each. The caller frees both arrays. */
static glot_status list_tensors(const glot_trainer *t, bool is_moments, glot_tensor **tensors, char ***names,
                                size_t *n, glot_error *err)
{
    size_t each = is_moments ? 2 : 1;
    *n = each * t->n_trained;
    GLOT_TRY(glot_new(tensors, *n, sizeof **tensors, "a checkpoint", err));
    GLOT_TRY(glot_new(names, *n, sizeof **names, "a checkpoint", err));
    for (size_t i = 0; i < *n; i++) {
        glot_str name = {0};
        const glot_param *p = t->trained[i / each];
        (*tensors)[i] = !is_moments ? p->weight : i % 2 ? t->moment2[i / 2] : t->moment1[i / 2];
        glot_str_printf(&name, "%s%s", p->name, !is_moments ? "" : i % 2 ? ".v" : ".m");
        GLOT_TRY(glot_str_check(&name, "a checkpoint", err));
        (*names)[i] = name.data;
    }
    return GLOT_OK;
}

static glot_status save_file(const char *path, const glot_trainer *t, bool is_moments, char sha256[65],
                             uint64_t *bytes, glot_error *err)
{
    glot_tensor *tensors = NULL;
    char **names = NULL;
    size_t n = 0;
    glot_status status = list_tensors(t, is_moments, &tensors, &names, &n, err);
    if (status == GLOT_OK)
        status = save_tensors(path, t, tensors, names, n, sha256, bytes, err);
    free_names(names, n);
    glot_free(tensors);
    return status;
}

static json_t *mix_to_json(const glot_mix_state *s, size_t n_languages)
{
    json_t *tokens = json_array(), *epoch = json_array(), *next = json_array();
    for (size_t i = 0; i < n_languages; i++) {
        json_array_append_new(tokens, json_integer((json_int_t)s->tokens[i]));
        json_array_append_new(epoch, json_integer((json_int_t)s->epoch[i]));
        json_array_append_new(next, json_integer((json_int_t)s->next[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "tokens", tokens, "epoch", epoch, "next", next,
                     "language", (json_int_t)s->language, "document", (json_int_t)s->document, "offset",
                     (json_int_t)s->offset);
}

static const char *phase_name(glot_phase phase)
{
    return phase == GLOT_PHASE_TRAIN ? "train" : "review";
}

static glot_status save_json(const char *path, json_t *value, char sha256[65], uint64_t *bytes,
                             glot_error *err)
{
    char *text = value ? glot_json_dump(value, 2) : NULL;
    json_decref(value);
    if (!text)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for '%s'", path);
    glot_writer *w = NULL;
    glot_status status = glot_writer_open(&w, path, err);
    if (status == GLOT_OK)
        status = glot_writer_write(w, text, strlen(text), err);
    if (status == GLOT_OK) {
        glot_writer_sha256(w, sha256);
        *bytes = glot_writer_bytes(w);
        status = glot_writer_commit(w, err);
    } else {
        glot_writer_abandon(w);
    }
    free(text);
    return status;
}

static glot_status save_state(const char *path, const glot_trainer *t, const char *frozen_sha256,
                              const json_t *extra, char sha256[65], uint64_t *bytes, glot_error *err)
{
    json_t *state =
        json_pack("{s:s, s:i, s:s, s:I, s:I, s:o, s:s, s:O*}", "format", FORMAT, "version", VERSION, "phase",
                  phase_name(t->settings.phase), "step", (json_int_t)t->step, "tokens", (json_int_t)t->tokens,
                  "mix", mix_to_json(glot_mix_get_state(t->mix), t->n_languages), "frozen_sha256",
                  frozen_sha256, "extra", extra);
    return save_json(path, state, sha256, bytes, err);
}

static glot_status save_one(int file, const char *path, const glot_trainer *t, const char *frozen_sha256,
                            const json_t *extra, char sha256[65], uint64_t *bytes, glot_error *err)
{
    if (file == 2)
        return save_state(path, t, frozen_sha256, extra, sha256, bytes, err);
    return save_file(path, t, file == 1, sha256, bytes, err);
}

/* Writes every file into `dir`, the manifest last. */
static glot_status save_files(const char *dir, const glot_trainer *t, const char *frozen_sha256,
                              const json_t *extra, glot_error *err)
{
    glot_status status = GLOT_OK;
    json_t *manifest = json_object();
    char sha256[65];
    uint64_t bytes = 0;
    for (int i = 0; i < N_FILES && status == GLOT_OK; i++) {
        char *path = glot_path_join(dir, files[i]);
        status = path ? save_one(i, path, t, frozen_sha256, extra, sha256, &bytes, err)
                      : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
        glot_free(path);
        if (status == GLOT_OK)
            json_object_set_new(manifest, files[i],
                                json_pack("{s:I, s:s}", "bytes", (json_int_t)bytes, "sha256", sha256));
    }
    char *path = glot_path_join(dir, "manifest.json");
    if (status == GLOT_OK)
        status = save_json(path, json_incref(manifest), sha256, &bytes, err);
    glot_free(path);
    json_decref(manifest);
    return status;
}

static glot_status sync_parent(const char *dir, glot_error *err)
{
    char *parent = glot_path_dir(dir);
    if (!parent)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_dir_sync(parent, err);
    glot_free(parent);
    return status;
}

/* Puts the finished folder in place of DIR. An older DIR waits under the name `aside` and comes back where
 * anything fails. */
static glot_status move_into_place(const char *temporary, const char *dir, const char *aside, glot_error *err)
{
    GLOT_TRY(glot_dir_sync(temporary, err));
    bool had_older = glot_path_exists(dir);
    if (had_older)
        GLOT_TRY(glot_path_rename(dir, aside, err));
    glot_status status = glot_path_rename(temporary, dir, err);
    bool is_moved = status == GLOT_OK;
    if (is_moved)
        status = sync_parent(dir, err);
    if (status != GLOT_OK && is_moved)
        glot_dir_remove(dir, NULL);
    if (status != GLOT_OK && had_older)
        glot_path_rename(aside, dir, NULL);
    return status != GLOT_OK || !had_older ? status : glot_dir_remove(aside, err);
}

glot_status glot_checkpoint_save(const char *dir, const glot_trainer *t, const char *frozen_sha256,
                                 const json_t *extra, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_str temporary = {0}, aside = {0};
    glot_str_printf(&temporary, "%s.tmp-%ld", dir, (long)getpid());
    glot_str_printf(&aside, "%s.old-%ld", dir, (long)getpid());
    GLOT_TRY_OUT(glot_str_check(&temporary, "a path", err));
    GLOT_TRY_OUT(glot_str_check(&aside, "a path", err));
    GLOT_TRY_OUT(glot_dir_remove(temporary.data, err));
    GLOT_TRY_OUT(glot_dir_make(temporary.data, err));
    GLOT_TRY_OUT(save_files(temporary.data, t, frozen_sha256, extra, err));
    GLOT_TRY_OUT(move_into_place(temporary.data, dir, aside.data, err));
out:
    if (status != GLOT_OK && temporary.data)
        glot_dir_remove(temporary.data, NULL);
    glot_str_release(&temporary);
    glot_str_release(&aside);
    return status;
}

/* ---- verifying ---- */

static glot_status verify_file(const char *dir, const char *name, const json_t *entry, const char *manifest,
                               glot_error *err)
{
    const char *wanted;
    int64_t bytes;
    char sha256[65];
    if (!json_is_object(entry))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': no entry for '%s'", manifest, name);
    GLOT_TRY(glot_json_get_string(entry, "sha256", &wanted, manifest, err));
    GLOT_TRY(glot_json_get_int(entry, "bytes", &bytes, manifest, err));
    char *path = glot_path_join(dir, name);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_map map = {0};
    glot_status status = glot_map_open(&map, path, err);
    size_t size = map.size;
    glot_map_close(&map);
    if (status == GLOT_OK && size != (uint64_t)bytes)
        status =
            GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is damaged: it has %zu bytes, its manifest says %" PRId64,
                      path, size, bytes);
    if (status == GLOT_OK)
        status = glot_sha256_file(sha256, path, err);
    if (status == GLOT_OK && strcmp(sha256, wanted) != 0)
        status = GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is damaged: its SHA-256 is %s, its manifest says %s",
                           path, sha256, wanted);
    glot_free(path);
    return status;
}

static glot_status check_state_header(const json_t *state, const char *path, glot_error *err)
{
    const char *format;
    int64_t version;
    GLOT_TRY(glot_json_get_string(state, "format", &format, path, err));
    GLOT_TRY(glot_json_get_int(state, "version", &version, path, err));
    if (strcmp(format, FORMAT) != 0)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': format is '%s', expected '%s'", path, format, FORMAT);
    if (version != VERSION)
        return GLOT_FAIL(err, GLOT_BAD_VERSION, "'%s': version is %" PRId64 ", this program reads %d", path,
                         version, VERSION);
    return GLOT_OK;
}

static glot_status load_json(json_t **out, const char *dir, const char *name, char **path, glot_error *err)
{
    *path = glot_path_join(dir, name);
    if (!*path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    return glot_json_load_file(out, *path, err);
}

glot_status glot_checkpoint_verify(const char *dir, json_t **state, glot_error *err)
{
    glot_status status = GLOT_OK;
    json_t *manifest = NULL, *found = NULL;
    char *manifest_path = NULL, *state_path = NULL;
    GLOT_TRY_OUT(load_json(&manifest, dir, "manifest.json", &manifest_path, err));
    for (int i = 0; i < N_FILES; i++)
        GLOT_TRY_OUT(verify_file(dir, files[i], json_object_get(manifest, files[i]), manifest_path, err));
    GLOT_TRY_OUT(load_json(&found, dir, "state.json", &state_path, err));
    GLOT_TRY_OUT(check_state_header(found, state_path, err));
    if (state)
        *state = json_incref(found);
out:
    json_decref(manifest);
    json_decref(found);
    glot_free(manifest_path);
    glot_free(state_path);
    return status;
}

/* ---- loading ---- */

static glot_status load_tensor(const glot_safetensors *s, const char *name, const glot_backend *be,
                               const glot_tensor *to, const char *path, glot_error *err)
{
    char wanted[96], got[96];
    const glot_stored_tensor *found = glot_safetensors_find(s, name);
    if (!found)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' is missing", path, name);
    if (found->tensor.dtype != to->dtype || !glot_tensor_same_shape(&found->tensor, to))
        return GLOT_FAIL(err, GLOT_SHAPE_MISMATCH, "'%s': tensor '%s' is %s %s, expected %s %s", path, name,
                         glot_dtype_name(found->tensor.dtype), glot_tensor_shape_text(&found->tensor, got),
                         glot_dtype_name(to->dtype), glot_tensor_shape_text(to, wanted));
    be->upload((glot_backend *)be, to, found->tensor.addr);
    return GLOT_OK;
}

static glot_status load_file(const char *dir, glot_trainer *t, bool is_moments, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_tensor *tensors = NULL;
    char **names = NULL;
    size_t n = 0;
    glot_safetensors *s = NULL;
    char *path = glot_path_join(dir, files[is_moments ? 1 : 0]);
    GLOT_TRY_OUT(list_tensors(t, is_moments, &tensors, &names, &n, err));
    GLOT_TRY_OUT(glot_safetensors_open(&s, path, err));
    if (glot_safetensors_count(s) != n) {
        status = GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' has %zu tensors, this run trains %zu", path,
                           glot_safetensors_count(s), n);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        GLOT_TRY_OUT(load_tensor(s, names[i], t->model->be, &tensors[i], path, err));
out:
    glot_safetensors_close(s);
    free_names(names, n);
    glot_free(tensors);
    glot_free(path);
    return status;
}

/* `values` [n] from an array of n whole numbers. */
static glot_status load_counts(const json_t *mix, const char *key, uint64_t *values, size_t n,
                               const char *path, glot_error *err)
{
    const json_t *array = json_object_get(mix, key);
    if (!json_is_array(array) || json_array_size(array) != n)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': mix.%s must be a list of %zu numbers, one for each language", path, key, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': mix.%s[%zu] is no count", path, key, i);
        values[i] = (uint64_t)json_integer_value(value);
    }
    return GLOT_OK;
}

static glot_status load_mix(const json_t *state, glot_trainer *t, const char *path, glot_error *err)
{
    const json_t *mix = json_object_get(state, "mix");
    glot_mix_state s = {0};
    glot_status status;
    int64_t document, offset;
    GLOT_TRY(load_counts(mix, "tokens", s.tokens, t->n_languages, path, err));
    GLOT_TRY(load_counts(mix, "epoch", s.epoch, t->n_languages, path, err));
    GLOT_TRY(load_counts(mix, "next", s.next, t->n_languages, path, err));
    GLOT_TRY(glot_json_get_int(mix, "language", &s.language, path, err));
    GLOT_TRY(glot_json_get_int(mix, "document", &document, path, err));
    GLOT_TRY(glot_json_get_int(mix, "offset", &offset, path, err));
    if (document < 0 || offset < 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': mix.%s is %" PRId64 ", expected a count", path,
                         document < 0 ? "document" : "offset", document < 0 ? document : offset);
    s.document = (uint64_t)document;
    s.offset = (uint64_t)offset;
    status = glot_mix_set_state(t->mix, &s, err);
    return status != GLOT_OK && err ? glot_error_prefix(err, "'%s'", path) : status;
}

static glot_status load_state(const json_t *state, glot_trainer *t, const char *frozen_sha256,
                              const char *path, glot_error *err)
{
    const char *phase, *frozen;
    int64_t step, tokens;
    GLOT_TRY(check_state_header(state, path, err));
    GLOT_TRY(glot_json_get_string(state, "phase", &phase, path, err));
    GLOT_TRY(glot_json_get_string(state, "frozen_sha256", &frozen, path, err));
    GLOT_TRY(glot_json_get_int(state, "step", &step, path, err));
    GLOT_TRY(glot_json_get_int(state, "tokens", &tokens, path, err));
    if (strcmp(phase, phase_name(t->settings.phase)) != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': phase is '%s', expected '%s'", path, phase,
                         phase_name(t->settings.phase));
    if (strcmp(frozen, frozen_sha256) != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': it was made over frozen weights with SHA-256 %s, the model's have %s", path,
                         frozen, frozen_sha256);
    if (tokens < 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': tokens is %" PRId64 ", expected a count", path, tokens);
    if (step < 0 || step > t->settings.steps)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': step %" PRId64 " is outside 0 to %" PRId64, path, step,
                         t->settings.steps);
    GLOT_TRY(load_mix(state, t, path, err));
    t->step = step;
    t->tokens = (uint64_t)tokens;
    return GLOT_OK;
}

glot_status glot_checkpoint_load(const char *dir, glot_trainer *t, const char *frozen_sha256, glot_error *err)
{
    json_t *state = NULL;
    char *path = NULL;
    glot_status status = load_json(&state, dir, "state.json", &path, err);
    if (status == GLOT_OK)
        status = load_state(state, t, frozen_sha256, path, err);
    json_decref(state);
    glot_free(path);
    GLOT_TRY(status);
    GLOT_TRY(load_file(dir, t, false, err));
    return load_file(dir, t, true, err);
}
