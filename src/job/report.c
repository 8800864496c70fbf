/* report.c: report.html: what a run gained and lost, how it went, and what is needed to repeat it, section by section. */
#include "job/report.h"
#include "base/file.h"
#include "base/memory.h"
#include "job/report_parts.h"

static glot_status render(glot_str *out, const glot_report_run *run, glot_error *err)
{
    const json_t *results = run->results;
    glot_report_head(out, "Report of a run");
    GLOT_TRY(glot_report_scores(out, results, err));
    GLOT_TRY(glot_report_curves(out, results, run->lines, err));
    GLOT_TRY(glot_report_similarity(out, results, err));
    glot_report_experts(out, results);
    GLOT_TRY(glot_report_routing(out, results, err));
    glot_report_gates(out, results);
    glot_report_exact(out, results);
    glot_report_tasks(out, results);
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
