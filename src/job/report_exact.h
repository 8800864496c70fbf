/* report_exact.h: the report's part about the exact path. Private to src/job. */
#ifndef GLOT_JOB_REPORT_EXACT_H
#define GLOT_JOB_REPORT_EXACT_H

#include "base/json.h"
#include "base/str.h"

/* Nothing where results.json has no "exact". */
void glot_report_exact(glot_str *out, const json_t *results);

#endif
