/* report.h: a finished run as a page, or several beside one another: one file, no network, no script. */
#ifndef GLOT_JOB_REPORT_H
#define GLOT_JOB_REPORT_H

#include "base/error.h"

/* Refuses what is no run of glot, and a run that is not finished. */
glot_status glot_report_check(const char *dir, glot_error *err);
/* Reads DIR/results.json, metrics.jsonl and recipe.yaml, writes `out` (NULL: DIR/report.html) atomically. */
glot_status glot_report_write(const char *dir, const char *out, glot_error *err);
/* The same files of n runs side by side. */
glot_status glot_report_compare(const char *const *dirs, size_t n, const char *out, glot_error *err);

#endif
