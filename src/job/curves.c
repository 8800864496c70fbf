/* curves.c: see curves.h. */
#include "job/curves.h"
#include "base/memory.h"

#include <string.h>

static glot_status make(glot_curve *c, size_t n, glot_error *err)
{
    *c = (glot_curve){0};
    GLOT_TRY(glot_new(&c->x, n, sizeof *c->x, "a chart", err));
    return glot_new(&c->y, n, sizeof *c->y, "a chart", err);
}

void glot_curve_release(glot_curve *c)
{
    glot_free(c->x);
    glot_free(c->y);
    *c = (glot_curve){0};
}

static bool has_phase(const json_t *line, const char *phase)
{
    return strcmp(glot_json_text(line, "phase"), phase) == 0;
}

static void add_point(glot_curve *c, const json_t *line, const json_t *value)
{
    if (!json_is_number(value))
        return;
    c->x[c->n] = json_number_value(json_object_get(line, "step"));
    c->y[c->n++] = json_number_value(value);
}

static double mean(const double *values, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* Points [i n / most, (i + 1) n / most) become point i. */
static void thin(glot_curve *c)
{
    size_t n = c->n, most = GLOT_CURVE_POINTS;
    if (n <= most)
        return;
    for (size_t i = 0; i < most; i++) {
        size_t first = i * n / most, last = (i + 1) * n / most;
        c->x[i] = mean(c->x + first, last - first);
        c->y[i] = mean(c->y + first, last - first);
    }
    c->n = most;
}

glot_status glot_curve_read(glot_curve *c, const json_t *lines, const char *phase, const char *key,
                            glot_error *err)
{
    size_t i;
    const json_t *line;
    GLOT_TRY(make(c, json_array_size(lines), err));
    json_array_foreach(lines, i, line)
    {
        if (has_phase(line, phase))
            add_point(c, line, json_object_get(line, key));
    }
    thin(c);
    return GLOT_OK;
}

glot_status glot_curve_read_scores(glot_curve *c, const json_t *lines, const char *language, glot_error *err)
{
    size_t i;
    const json_t *line;
    GLOT_TRY(make(c, json_array_size(lines), err));
    json_array_foreach(lines, i, line)
    {
        const json_t *score = json_object_get(json_object_get(line, "text"), language);
        if (has_phase(line, "eval") && json_object_get(line, "step"))
            add_point(c, line, json_object_get(score, "bits_per_byte"));
    }
    thin(c);
    return GLOT_OK;
}

glot_status glot_curve_smooth(glot_curve *out, const glot_curve *c, glot_error *err)
{
    static const size_t FEW = 20;
    size_t half = c->n / 20;
    GLOT_TRY(make(out, c->n, err));
    for (size_t i = 0; i < c->n && c->n >= FEW; i++) {
        size_t first = i > half ? i - half : 0, last = i + half < c->n ? i + half : c->n - 1;
        out->x[i] = c->x[i];
        out->y[i] = mean(c->y + first, last - first + 1);
        out->n++;
    }
    return GLOT_OK;
}
