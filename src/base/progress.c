/* progress.c: speed as a ratio of two sums that both fade with age, so that it is defined from the first step
 * on. */
#include "base/progress.h"

#include <math.h>
#include <stdio.h>

/* Arbitrary: long enough to smooth steps of unlike length, short enough to follow a change while one
 * watches. */
static const double FADE_SECONDS = 30.0;

glot_progress glot_progress_begin(const char *name, const char *unit, uint64_t done, uint64_t total,
                                  double now)
{
    return (glot_progress){.name = name, .unit = unit, .done = done, .total = total, .last = now};
}

void glot_progress_add(glot_progress *p, uint64_t steps, double units, double now)
{
    double seconds = now > p->last ? now - p->last : 0.0;
    double keep = exp(-seconds / FADE_SECONDS);
    p->recent_seconds = p->recent_seconds * keep + seconds;
    p->recent_steps = p->recent_steps * keep + (double)steps;
    p->recent_units = p->recent_units * keep + units;
    p->done += steps;
    p->last = now;
}

double glot_progress_rate(const glot_progress *p)
{
    return p->recent_seconds > 0 ? p->recent_units / p->recent_seconds : 0.0;
}

double glot_progress_eta(const glot_progress *p)
{
    if (!p->total || !(p->recent_steps > 0))
        return -1.0;
    uint64_t left = p->done < p->total ? p->total - p->done : 0;
    return (double)left * p->recent_seconds / p->recent_steps;
}

void glot_progress_line(const glot_progress *p, const char *rest, glot_str *out)
{
    glot_str_printf(out, "%s %" PRIu64, p->name, p->done);
    if (p->total) {
        char eta[32];
        glot_duration_text(glot_progress_eta(p), eta);
        glot_str_printf(out, "/%" PRIu64 " (%.0f%%)", p->total,
                        floor(100.0 * (double)p->done / (double)p->total));
        glot_str_printf(out, "  eta %s", eta);
    }
    if (p->unit && p->recent_seconds > 0) {
        double rate = glot_progress_rate(p);
        glot_str_printf(out, "  %s %.*f", p->unit, rate < 10 ? 1 : 0, rate);
    }
    if (rest)
        glot_str_printf(out, "  %s", rest);
}

void glot_duration_text(double seconds, char text[32])
{
    if (!(seconds >= 0) || seconds > 1e9) {
        snprintf(text, 32, "?");
        return;
    }
    unsigned long long whole = (unsigned long long)llround(seconds);
    unsigned long long minutes = whole / 60, hours = minutes / 60;
    if (hours >= 24)
        snprintf(text, 32, "%llud %02llu:%02llu", hours / 24, hours % 24, minutes % 60);
    else if (hours)
        snprintf(text, 32, "%llu:%02llu:%02llu", hours, minutes % 60, whole % 60);
    else
        snprintf(text, 32, "%llu:%02llu", minutes, whole % 60);
}

void glot_bytes_text(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(text, 32, "%" PRIu64 " B", bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t i = 0;
    while (value >= 1023.95 && i + 1 < sizeof units / sizeof units[0]) { /* what would be printed as 1024.0 */
        value /= 1024;
        i++;
    }
    snprintf(text, 32, "%.1f %s", value, units[i]);
}
