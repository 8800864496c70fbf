/* template_filters.h: what {key:filter} of a template makes of a text. Each appends to `out`; texts are valid
 * UTF-8. */
#ifndef GLOT_EVAL_TEMPLATE_FILTERS_H
#define GLOT_EVAL_TEMPLATE_FILTERS_H

#include "base/str.h"

/* The first letter made small (Latin letters). */
void glot_filter_lower(glot_str *out, const char *text);
/* All but the last character. */
void glot_filter_open(glot_str *out, const char *text);
/* What stands behind the first place of the n bytes of `mark`; everything where it does not occur. */
void glot_filter_after(glot_str *out, const char *text, const char *mark, size_t n);
/* Without the marks in brackets that WikiHow's articles have, as lm-evaluation-harness drops them: white
 * space at the ends, " [title]" (a full stop instead), every "[...]" within a line, and one of two spaces. */
void glot_filter_unmarked(glot_str *out, const char *text);
/* The same of a text whose last sentence may be a beginning in small letters ("He sat. then he"): that gets
 * its capital, and small letters behind it. No space in front. */
void glot_filter_unfinished(glot_str *out, const char *text);

#endif
