/* schedule.c: the learning rate of a step, and the defaults of both stages (INTERFACES, "The recipe" and
 * "Steps"). */
#include "train/train.h"

#include <math.h>

glot_train_settings glot_train_settings_default(glot_phase phase)
{
    bool is_review = phase == GLOT_PHASE_REVIEW;
    return (glot_train_settings){.phase = phase,
                                 .batch = 8,
                                 .micro_batch = 8,
                                 .length = 256,
                                 .schedule = GLOT_SCHEDULE_COSINE,
                                 .lr = is_review ? 1e-3 : 5e-4,
                                 .router_lr = is_review ? 1e-3 : 5e-4,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .eps = 1e-8,
                                 .clip = 1.0,
                                 .balance_coef = is_review ? 0.0 : 0.01,
                                 .lpr_coef = is_review ? 0.1 : 0.0,
                                 .lpr_form = GLOT_LPR_PAPER,
                                 .gate_coef = is_review ? 0.1 : 0.0};
}

double glot_learning_rate(const glot_train_settings *s, double lr, int64_t step)
{
    if (step < s->warmup_steps)
        return lr * (double)(step + 1) / (double)s->warmup_steps;
    double done = (double)step / (double)s->steps;
    switch (s->schedule) {
    case GLOT_SCHEDULE_CONSTANT:
        return lr;
    case GLOT_SCHEDULE_LINEAR:
        return s->min_lr + (lr - s->min_lr) * (1.0 - done);
    case GLOT_SCHEDULE_COSINE:
        break;
    }
    return s->min_lr + (lr - s->min_lr) * (1.0 + cos(3.141592653589793 * done)) / 2.0;
}
