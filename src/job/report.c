/* report.c: report.html: what a run gained and lost, how it went, and what is needed to repeat it, section by
 * section. */
#include "job/report.h"
#include "base/file.h"
#include "base/memory.h"
#include "job/report_parts.h"

#include <string.h>

/* The last n parts of a path that the recipe has; NULL where it has none. */
static const char *last_parts(const json_t *recipe, const char *key, int n)
{
    const char *path = json_string_value(json_object_get(recipe, key)),
               *at = path ? path + strlen(path) : NULL;
    for (; at && at > path; at--)
        if (at[-1] == '/' && n-- == 1)
            break;
    return at;
}

/* Which run this is: its directory and its base, by name. */
static glot_status put_head(glot_str *out, const glot_report_run *run, glot_error *err)
{
    json_t *recipe = NULL;
    glot_str title = {0};
    GLOT_TRY(glot_report_flat_recipe(&recipe, run, err));
    const char *output = last_parts(recipe, "output", 1), *base = last_parts(recipe, "base", 2);
    glot_str_puts(&title, output ? output : "Report of a run");
    if (base)
        glot_str_printf(&title, ", from %s", base);
    glot_status status = glot_str_check(&title, "the report", err);
    if (status == GLOT_OK)
        glot_report_head(out, title.data);
    glot_str_release(&title);
    json_decref(recipe);
    return status;
}

static glot_status render(glot_str *out, const glot_report_run *run, glot_error *err)
{
    const json_t *results = run->results;
    GLOT_TRY(put_head(out, run, err));
    GLOT_TRY(glot_report_scores(out, results, err));
    GLOT_TRY(glot_report_curves(out, results, run->lines, err));
    GLOT_TRY(glot_report_similarity(out, results, err));
    glot_report_experts(out, results);
    GLOT_TRY(glot_report_routing(out, results, err));
    glot_report_gates(out, results);
    glot_report_exact(out, results);
    GLOT_TRY(glot_report_tasks(out, results, err));
    glot_report_samples(out, results);
    glot_report_facts(out, results, run->recipe);
    return glot_report_end(out, err);
}

glot_status glot_report_write(const char *dir, const char *out, glot_error *err)
{
    glot_report_run run;
    glot_str html = {0};
    GLOT_TRY(glot_report_load(&run, dir, err));
    char *path = out ? glot_strdup(out) : glot_path_join(dir, "report.html");
    glot_status status = path ? render(&html, &run, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if (status == GLOT_OK)
        status = glot_file_write(path, html.data, html.length, err);
    glot_free(path);
    glot_str_release(&html);
    glot_report_release(&run);
    return status;
}
