/* report.h: report.html of a run directory: one file, no network. */
#ifndef GLOT_JOB_REPORT_H
#define GLOT_JOB_REPORT_H

#include "base/error.h"

/* Reads DIR/results.json, metrics.jsonl and recipe.yaml, writes DIR/report.html atomically. */
glot_status glot_report_write(const char *dir, glot_error *err);

#endif
