/* report_parts.h: the sections of report.html. Private to src/job. Each appends nothing where its part of results.json is missing. */
#ifndef GLOT_JOB_REPORT_PARTS_H
#define GLOT_JOB_REPORT_PARTS_H

#include "base/json.h"
#include "base/str.h"

/* results.json's bits per byte of a language `when` (before, after_train, after_review); NaN where there is none. */
double glot_report_bits(const json_t *results, const char *when, const char *language);
/* Name of language i in the order of the recipe; NULL beyond the last. */
const char *glot_report_language(const json_t *results, size_t i);

/* <!doctype> to the first heading, with the style; and a section's heading. */
void glot_report_head(glot_str *out, const char *title);
void glot_report_section(glot_str *out, const char *title, const char *note);

void glot_report_scores(glot_str *out, const json_t *results);
/* `lines`: metrics.jsonl. */
glot_status glot_report_curves(glot_str *out, const json_t *results, const json_t *lines, glot_error *err);
void glot_report_experts(glot_str *out, const json_t *results);
void glot_report_routing(glot_str *out, const json_t *results);
void glot_report_gates(glot_str *out, const json_t *results);
void glot_report_samples(glot_str *out, const json_t *results);
void glot_report_facts(glot_str *out, const json_t *results, const char *recipe);
/* Multiple choice. */
void glot_report_tasks(glot_str *out, const json_t *results);

#endif
