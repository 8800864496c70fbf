/* fuzz_manifest.c: any bytes as the manifest of a small checkpoint, then as its state under a manifest that is true.
 *
 * links: train
 */
#include "base/memory.h"
#include "base/str.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/glot-fuzz-manifest-XXXXXX";
static const char STATE[] = "{\"format\": \"glot checkpoint\", \"version\": 1}";

static void remove_dir(void)
{
    glot_dir_remove(dir, NULL);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    char *path = glot_path_join(dir, name);
    GLOT_ASSERT(path != NULL);
    FILE *file = fopen(path, "wb");
    GLOT_ASSERT(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
    glot_free(path);
}

/* The manifest that belongs to a state: every hash is right, so that the state is looked at. */
static void write_true_manifest(const void *state, size_t n)
{
    static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    glot_sha256 *hash = NULL;
    glot_str text = {0};
    char hex[65];
    GLOT_ASSERT(glot_sha256_create(&hash, NULL) == GLOT_OK);
    glot_sha256_update(hash, state, n);
    glot_sha256_finish(hash, hex);
    glot_sha256_free(hash);
    glot_str_printf(&text, "{\"trained.safetensors\": {\"bytes\": 0, \"sha256\": \"%s\"}, ", EMPTY);
    glot_str_printf(&text, "\"moments.safetensors\": {\"bytes\": 0, \"sha256\": \"%s\"}, ", EMPTY);
    glot_str_printf(&text, "\"state.json\": {\"bytes\": %zu, \"sha256\": \"%s\"}}", n, hex);
    write_file("manifest.json", text.data, text.length);
    glot_str_release(&text);
}

static void verify(void)
{
    json_t *state = NULL;
    glot_error err = {0};
    if (glot_checkpoint_verify(dir, &state, &err) != GLOT_OK)
        GLOT_ASSERT(err.message[0] != '\0' && !state);
    else
        GLOT_ASSERT(json_is_string(json_object_get(state, "format")));
    json_decref(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_made;
    if (!is_made) {
        GLOT_ASSERT(mkdtemp(dir) != NULL);
        atexit(remove_dir);
        write_file("trained.safetensors", "", 0);
        write_file("moments.safetensors", "", 0);
        is_made = true;
    }
    write_file("state.json", STATE, strlen(STATE));
    write_file("manifest.json", data, size);
    verify();
    write_file("state.json", data, size);
    write_true_manifest(data, size);
    verify();
    return 0;
}
