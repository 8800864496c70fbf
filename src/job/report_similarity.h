/* report_similarity.h: the report's part about the similarity of the languages and the experts that follow
 * it. Private to src/job. */
#ifndef GLOT_JOB_REPORT_SIMILARITY_H
#define GLOT_JOB_REPORT_SIMILARITY_H

#include "base/json.h"
#include "base/str.h"

/* One picture over the layers: similarity of every pair of languages as a heat map, S as a curve, and experts
 * as bars. Nothing where results.json has no "similarity"; what is missing or of another kind inside it is
 * left out of the picture. */
void glot_report_similarity(glot_str *out, const json_t *results);

#endif
