/* fuzz_json.c: any bytes through the JSON reader and its getters; what parses is dumped and must parse again to the same value.
 *
 * links: base
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void get_everything(const json_t *value, const char *key)
{
    int64_t integer = 0;
    double real = 0;
    bool flag = false;
    const char *text = NULL;
    glot_error err = {0};
    glot_json_get_int(value, key, &integer, "fuzz", &err);
    glot_json_get_real(value, key, &real, "fuzz", &err);
    glot_json_get_bool_opt(value, key, &flag, "fuzz", &err);
    glot_json_get_string(value, key, &text, "fuzz", &err);
}

static void round_trip(const json_t *value)
{
    json_t *again = NULL;
    glot_error err = {0};
    char *text = glot_json_dump(value, 0);
    GLOT_ASSERT(text != NULL);
    GLOT_ASSERT(glot_json_load(&again, text, strlen(text), "fuzz", &err) == GLOT_OK);
    GLOT_ASSERT(json_equal(value, again));
    json_decref(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value = NULL;
    glot_error err = {0};
    if (glot_json_load(&value, (const char *)data, size, "fuzz", &err) != GLOT_OK)
        return 0;
    const char *key;
    json_t *member;
    if (json_is_object(value))
        json_object_foreach(value, key, member)
            get_everything(value, key);
    get_everything(value, "missing");
    round_trip(value);
    json_decref(value);
    return 0;
}
