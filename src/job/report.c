/* report.c: report.html: what a run gained and lost, how it went, and what is needed to repeat it, section by section. */
#include "job/report.h"
#include "base/file.h"
#include "base/memory.h"
#include "job/report_parts.h"
#include "job/run_dir.h"

static glot_status render(glot_str *out, const json_t *results, const json_t *lines, const char *recipe, glot_error *err)
{
    glot_report_head(out, "Report of a run");
    GLOT_TRY(glot_report_scores(out, results, err));
    GLOT_TRY(glot_report_curves(out, results, lines, err));
    GLOT_TRY(glot_report_similarity(out, results, err));
    glot_report_experts(out, results);
    GLOT_TRY(glot_report_routing(out, results, err));
    glot_report_gates(out, results);
    glot_report_exact(out, results);
    glot_report_tasks(out, results);
    glot_report_samples(out, results);
    glot_report_facts(out, results, recipe);
    glot_str_puts(out, "</main></body></html>\n");
    return glot_str_check(out, "the report", err);
}

glot_status glot_report_write(const char *dir, glot_error *err)
{
    json_t *results = NULL, *lines = NULL;
    char *recipe = NULL;
    size_t size;
    glot_str html = {0};
    glot_status status = GLOT_OK;
    char *results_path = glot_path_join(dir, "results.json"), *recipe_path = glot_path_join(dir, "recipe.yaml");
    char *report_path = glot_path_join(dir, "report.html");
    if (!results_path || !recipe_path || !report_path) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
        goto out;
    }
    GLOT_TRY_OUT(glot_json_load_file(&results, results_path, err));
    GLOT_TRY_OUT(glot_run_dir_read_metrics(&lines, dir, err));
    GLOT_TRY_OUT(glot_file_read(&recipe, &size, recipe_path, 1 << 24, err));
    GLOT_TRY_OUT(render(&html, results, lines, recipe, err));
    status = glot_file_write(report_path, html.data, html.length, err);
out:
    glot_str_release(&html);
    json_decref(results);
    json_decref(lines);
    glot_free(recipe);
    glot_free(results_path);
    glot_free(recipe_path);
    glot_free(report_path);
    return status;
}
