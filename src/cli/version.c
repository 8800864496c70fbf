/* version.c: what this program is and runs on: version, commit, instruction sets, libraries. */
#include "cli/cli.h"
#include "glot_commit.h" /* GLOT_COMMIT, "" where the source had no .git */
#include "tensor/backend.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <openssl/crypto.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* "10.42" of "10.42 2022-12-11", "3.0.15" of "OpenSSL 3.0.15 3 Sep 2024". */
static void first_number(char *out, size_t size, const char *text)
{
    text += strcspn(text, "0123456789");
    snprintf(out, size, "%.*s", (int)strcspn(text, " "), text);
}

static json_t *libraries(void)
{
    char pcre2[64] = "", openssl[64] = "", long_text[128] = "";
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof long_text)
        pcre2_config(PCRE2_CONFIG_VERSION, long_text);
    first_number(pcre2, sizeof pcre2, long_text);
    first_number(openssl, sizeof openssl, OpenSSL_version(OPENSSL_VERSION));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "jansson", jansson_version_str(), "libyaml",
                     yaml_get_version_string(), "zlib", zlibVersion(), "zstd", ZSTD_versionString(), "pcre2",
                     pcre2, "openssl", openssl);
}

static json_t *instruction_sets(void)
{
    json_t *list = json_array();
    for (const char *const *isa = glot_cpu_isas(); list && *isa; isa++)
        json_array_append_new(list, json_string(*isa));
    return list;
}

static void put_text(glot_str *out, const json_t *isas, const json_t *libs)
{
    size_t i;
    const char *name, *separator = " ";
    json_t *value;
    glot_str_printf(out, "glot %s", glot_version());
    if (*GLOT_COMMIT)
        glot_str_printf(out, " (commit %s)", GLOT_COMMIT);
    glot_str_puts(out, "\ninstruction sets:");
    json_array_foreach(isas, i, value)
        glot_str_printf(out, " %s", json_string_value(value));
    glot_str_puts(out, "\nlibraries:");
    json_object_foreach((json_t *)(uintptr_t)libs, name, value) {
        glot_str_printf(out, "%s%s %s", separator, name, json_string_value(value));
        separator = ", ";
    }
    glot_str_printf(out, "\ncompiler: %s\n", COMPILER);
}

const char *cli_commit(void)
{
    return GLOT_COMMIT;
}

glot_status cli_version(bool is_json, glot_error *err)
{
    json_t *isas = instruction_sets(), *libs = libraries();
    glot_str text = {0};
    glot_status status = GLOT_OK;
    if (!isas || !libs) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the version");
    } else if (is_json) {
        status = cli_json(json_pack("{s:s, s:s, s:s?, s:O, s:O, s:s}", "name", "glot", "version",
                                    glot_version(), "commit", *GLOT_COMMIT ? GLOT_COMMIT : NULL,
                                    "instruction_sets", isas, "libraries", libs, "compiler", COMPILER),
                          err);
    } else {
        put_text(&text, isas, libs);
        status = glot_str_check(&text, "the version", err);
        if (status == GLOT_OK)
            status = cli_write(text.data, text.length, err);
    }
    glot_str_release(&text);
    json_decref(isas);
    json_decref(libs);
    return status;
}
