/* report_parts.h: the sections of report.html. Private to src/job. Each appends nothing where its part of
 * results.json is missing. */
#ifndef GLOT_JOB_REPORT_PARTS_H
#define GLOT_JOB_REPORT_PARTS_H

#include "base/json.h"
#include "base/str.h"
#include "job/expand.h"
#include "job/svg.h"

/* A run's files. */
typedef struct glot_report_run {
    const char *dir;  /* borrowed */
    json_t *results;  /* results.json */
    json_t *lines;    /* metrics.jsonl */
    char *recipe;     /* recipe.yaml, as resolved */
    size_t recipe_bytes;
} glot_report_run;
glot_status glot_report_load(glot_report_run *run, const char *dir, glot_error *err);
void glot_report_release(glot_report_run *run);
/* The recipe as {"train.lr": "0.001", ...}, absolute paths as seen from the run directory; new reference. */
glot_status glot_report_flat_recipe(json_t **out, const glot_report_run *run, glot_error *err);

/* glot_job_whens as a person calls them. */
extern const char *const glot_report_when_names[GLOT_N_WHENS];
/* results.json's bits per byte of a language `when` (of glot_job_whens) with its interval; NaN where there is
 * none. */
glot_svg_range glot_report_score(const json_t *results, const char *when, const char *language);
double glot_report_bits(const json_t *results, const char *when, const char *language);
/* The last of those that the run has. */
const char *glot_report_last_stage(const json_t *results);
/* What a narrow screen leaves out: the scores between the first and the last. */
bool glot_report_is_between(const json_t *results, const char *when);
/* A table's heading of the scores glot_job_whens[when]. */
const char *glot_report_when_heading(const json_t *results, size_t when);
/* Name and group of language i in the order of the recipe; NULL beyond the last. */
const char *glot_report_language(const json_t *results, size_t i);
const char *glot_report_group(const json_t *results, size_t i);
size_t glot_report_n_languages(const json_t *results);
/* Sum of a list of counts. */
long long glot_report_total(const json_t *counts);
/* Whether the layer's router leaves experts out. Where it chooses all, shares and balance say nothing. */
bool glot_report_has_choice(const json_t *results, size_t layer);
bool glot_report_has_any_choice(const json_t *results);
/* Class of a change: good below 0, bad above, soft where it is nothing at the `step` that it is written
 * to. */
const char *glot_report_tone(double change, double step);
/* "+0.6 %", "−1.9 %"; a change that rounds to nothing is "0.0 %". */
void glot_report_put_change(glot_str *out, double percent);
/* "106,889" */
void glot_report_put_count(glot_str *out, long long n);

/* <!doctype> to the first heading, with the style; what ends the page; and a section's heading. */
void glot_report_head(glot_str *out, const char *title);
glot_status glot_report_end(glot_str *out, glot_error *err);
void glot_report_section(glot_str *out, const char *title, const char *note);
/* A table's beginning and end. Headings that begin with ~ are for wide screens only, as are their cells
 * (class wide). */
void glot_report_begin_table(glot_str *out, const char *kind, const char *const *headings, size_t n);
void glot_report_end_table(glot_str *out);
/* <tr> and the first cell: the language's key, its name and, where the screen is narrow, its group under
 * it. */
void glot_report_begin_row(glot_str *out, const json_t *results, size_t language);

glot_status glot_report_scores(glot_str *out, const json_t *results, glot_error *err);
/* The curves that are drawn, ended by one without a phase. */
typedef struct glot_report_curve {
    const char *phase, *key;
    glot_svg_head head;
} glot_report_curve;
extern const glot_report_curve glot_report_curve_list[];
/* `lines`: metrics.jsonl. */
glot_status glot_report_curves(glot_str *out, const json_t *results, const json_t *lines, glot_error *err);
glot_status glot_report_similarity(glot_str *out, const json_t *results, glot_error *err);
void glot_report_experts(glot_str *out, const json_t *results);
glot_status glot_report_routing(glot_str *out, const json_t *results, glot_error *err);
void glot_report_gates(glot_str *out, const json_t *results);
/* What the exact path (METHOD 8) keeps of the old languages, and what it costs the new ones. */
void glot_report_exact(glot_str *out, const json_t *results);
void glot_report_samples(glot_str *out, const json_t *results);
void glot_report_facts(glot_str *out, const json_t *results, const char *recipe);
/* Multiple choice: per cent of right answers of a task `when`, one standard error to each side; NaN where
 * there is none. */
glot_svg_range glot_report_task(const json_t *results, const char *when, const char *name);
size_t glot_report_n_tasks(const json_t *results);
/* Appends the names of tasks (borrowed) that are not among the n there are; returns how many there are
 * then. */
size_t glot_report_add_tasks(const char **names, size_t n, const json_t *results);
glot_status glot_report_tasks(glot_str *out, const json_t *results, glot_error *err);

#endif
