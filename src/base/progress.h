/* progress.h
 *
 * How fast work goes and when it will be done: arithmetic and one formatted line, no printing and no clock of
 * its own (the caller brings the seconds). Speed is that of the last half minute or so, so that it follows a
 * machine that becomes busy.
 *
 *     glot_progress p = glot_progress_begin("train", "tok/s", 0, 40, now);
 *     glot_progress_add(&p, 1, 2048, now);
 *     glot_progress_line(&p, "loss 2.314", &line);     "train 1/40 (2%)  eta 5:12  tok/s 152  loss 2.314"
 */
#ifndef GLOT_BASE_PROGRESS_H
#define GLOT_BASE_PROGRESS_H

#include "base/str.h"

typedef struct glot_progress {
    const char *name;     /* of the work, borrowed */
    const char *unit;     /* of the rate, borrowed; NULL: none is shown */
    uint64_t done, total; /* steps, earlier runs included; total 0: not known */
    double last;          /* seconds, when steps were last added */
    double recent_seconds, recent_steps, recent_units; /* sums that fade with time */
} glot_progress;

/* `done` steps of `total` were done before (a resumed run); they do not count for the speed. */
glot_progress glot_progress_begin(const char *name, const char *unit, uint64_t done, uint64_t total,
                                  double now);
/* `steps` more are done, which were `units` of the rate's unit (tokens, bytes). */
void glot_progress_add(glot_progress *p, uint64_t steps, double units, double now);
/* Units in a second; 0 as long as nothing is known. */
double glot_progress_rate(const glot_progress *p);
/* Seconds until done; negative: not known. */
double glot_progress_eta(const glot_progress *p);
/* The line, without a newline, appended: fields that two spaces part, what matters most first, so that a
 * narrow terminal can leave out the last ones. `rest` (NULL: nothing) holds further fields. */
void glot_progress_line(const glot_progress *p, const char *rest, glot_str *out);

/* Seconds as "0:07", "5:12", "1:02:03", "2d 03:04"; negative or not finite: "?". */
void glot_duration_text(double seconds, char text[32]);
/* "512 B", "4.6 KiB", "93.8 MiB", "2.9 GiB". */
void glot_bytes_text(uint64_t bytes, char text[32]);

#endif
