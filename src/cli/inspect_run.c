/* inspect_run.c: `glot inspect` of what training leaves: a run directory, a checkpoint. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/inspect.h"
#include "job/expand.h"
#include "job/run_dir.h"
#include "train/train.h"

void inspect_put(inspection *in, const char *key, json_t *value)
{
    json_object_set_new(in->document, key, value);
}

void inspect_put_int(inspection *in, const char *key, int64_t value)
{
    inspect_put(in, key, json_integer(value));
}

void inspect_put_text(inspection *in, const char *key, const char *value)
{
    inspect_put(in, key, json_string(value));
}

/* Copies keys of a state that say something to a person, as they stand there; the whole of it is for
 * programs. */
static void put_state(inspection *in, const json_t *state, const char *const *keys)
{
    for (; *keys; keys++)
        if (json_object_get(state, *keys))
            inspect_put(in, *keys, json_incref(json_object_get(state, *keys)));
    if (in->cli->is_json)
        inspect_put(in, "state", json_incref((json_t *)(uintptr_t)state));
}

glot_status inspect_checkpoint(inspection *in, glot_error *err)
{
    static const char *const keys[] = {"phase", "step", "tokens", "frozen_sha256", NULL};
    json_t *state = NULL;
    GLOT_TRY(glot_checkpoint_verify(in->path, &state, err));
    put_state(in, state, keys);
    json_decref(state);
    return GLOT_OK;
}

/* {"el": {"before": 1.97, "after_train": 1.93, ...}, ...} */
static json_t *scores_json(const json_t *state)
{
    const char *language;
    json_t *score, *all = json_object();
    for (size_t i = 0; i < GLOT_N_WHENS; i++)
        json_object_foreach(json_object_get(state, glot_job_whens[i]), language, score)
        {
            if (!json_object_get(all, language))
                json_object_set_new(all, language, json_object());
            json_object_set(json_object_get(all, language), glot_job_whens[i],
                            json_object_get(score, "bits_per_byte"));
        }
    return all;
}

static glot_status put_checkpoints(inspection *in, const char *dir, char **names, size_t n, glot_error *err)
{
    json_t *list = json_array();
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        char *path = glot_path_join(dir, names[i]);
        if (!path)
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path of a checkpoint");
        else if (glot_dir_has(path, "manifest.json"))
            status = glot_checkpoint_verify(path, NULL, err);
        json_array_append_new(list, json_string(names[i]));
        glot_free(path);
    }
    inspect_put(in, "checkpoints", list);
    return status;
}

static glot_status look_at_checkpoints(inspection *in, glot_error *err)
{
    char **names = NULL, *dir = glot_path_join(in->path, "checkpoints");
    size_t n = 0;
    glot_status status =
        dir ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path of the checkpoints");
    if (status == GLOT_OK && glot_path_is_dir(dir)) {
        status = glot_dir_list(&names, &n, dir, err);
        if (status == GLOT_OK)
            status = put_checkpoints(in, dir, names, n, err);
    }
    glot_dir_list_free(names, n);
    glot_free(dir);
    return status;
}

/* Whether there is a result, and if so that it is whole: its hash. */
static glot_status look_at_result(inspection *in, glot_error *err)
{
    bool has_result = glot_dir_has(in->path, "model/config.json");
    inspect_put(in, "has_result", json_boolean(has_result));
    if (!has_result)
        return GLOT_OK;
    char *path = glot_path_join(in->path, "model");
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path of the model");
    inspection model = {.cli = in->cli, .path = path, .document = json_object()};
    glot_status status = inspect_model_dir(&model, err);
    if (status == GLOT_OK)
        inspect_put(in, "model_sha256", json_incref(json_object_get(model.document, "sha256")));
    json_decref(model.document);
    glot_free(path);
    return status;
}

glot_status inspect_run(inspection *in, glot_error *err)
{
    static const char *const keys[] = {"glot", "job", "done", "train_steps", "review_steps", "seconds", NULL};
    json_t *state = NULL;
    GLOT_TRY(glot_run_dir_read_state(&state, in->path, err));
    put_state(in, state, keys);
    inspect_put(in, "bits_per_byte", scores_json(state));
    inspect_put(in, "finished", json_boolean(glot_run_state_is_done(state, "model")));
    json_decref(state);
    GLOT_TRY(look_at_checkpoints(in, err));
    return look_at_result(in, err);
}
