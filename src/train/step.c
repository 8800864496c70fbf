/* step.c
 *
 * The story of one optimizer step:
 *
 *     draw     the step's blocks of text; count what the losses are divided by (target tokens, old tokens)
 *     each micro-batch:  load rows, forward, backward: the first sets the gradients, the others add to them
 *     norm     the L2 norm over all trained tensors; not finite: the step is refused, weights untouched
 *     update   clip and AdamW, every trained tensor
 *
 * Everything a step needs exists before it begins: no heap call happens here (test_step counts them).
 */
#include "train/train.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/str.h"
#include "train/step_data.h"

#include <math.h>

/* Sums over the step's micro-batches. */
typedef struct step_losses {
    double ce;      /* nll of all targets */
    double balance; /* mean over layers and, weighted by their tokens, micro-batches */
    double lpr;     /* over (layer, old token) pairs */
    double gate;    /* over (gated layer, token) pairs */
} step_losses;

static int64_t count_routers(const glot_model *m)
{
    int64_t n = 0;
    for (int64_t l = 0; l < m->config.n_layers; l++)
        n += m->config.n_experts[l] > 1;
    return n;
}

/* Which languages of the mix have an LPR loss: those of every group but the newest (of G0 alone for the
 * released groups). */
static void mark_home(bool *is_home, const glot_trainer *t)
{
    int newest = t->model->config.n_groups - 1;
    for (size_t i = 0; i < t->n_languages; i++) {
        int32_t group = t->language_group[i];
        is_home[i] = group < newest && (group == 0 || !t->settings.is_lpr_original_only);
    }
}

/* (gated layer, token) pairs of the step: what the gates' loss is a mean over. */
static int64_t n_gated_pairs(const glot_trainer *t)
{
    return t->data->n_tokens * t->model->config.gate.n_layers;
}

static glot_loss_settings loss_settings(const glot_trainer *t, int64_t n_tokens)
{
    const glot_train_settings *s = &t->settings;
    const glot_step_data *d = t->data;
    int64_t n_routers = count_routers(t->model), m = d->n_home * n_routers;
    glot_loss_settings out = {.is_balance_released = s->is_balance_released, .lpr_form = s->lpr_form,
                              .is_lpr_original_only = s->is_lpr_original_only};
    out.ce_scale = d->n_targets ? 1.0 / (double)d->n_targets : 0.0;
    if (n_routers && d->n_tokens)
        out.balance_scale = s->balance_coef / (double)n_routers * (double)n_tokens / (double)d->n_tokens;
    if (m) /* M = 0: loss 0, gradient 0 */
        out.lpr_scale = s->lpr_coef / (double)m;
    if (s->phase == GLOT_PHASE_REVIEW && n_gated_pairs(t))
        out.gate_scale = s->gate_coef / (double)n_gated_pairs(t);
    return out;
}

/* " in text of el, tr": the languages whose own rows of blocks [first, first + n) have no finite loss; ""
 * where no row is to blame. */
static void name_bad_text(glot_str *out, const glot_trainer *t, int64_t first, int64_t n, const float *nll)
{
    bool is_bad[GLOT_MAX_LANGUAGES] = {false};
    for (int64_t b = first; b < first + n; b++)
        for (int64_t i = 0; i < t->data->blocks[b].n; i++)
            if (!isfinite(*nll++))
                is_bad[t->data->blocks[b].languages[i]] = true;
    const char *before = " in text of ";
    for (size_t l = 0; l < t->n_languages; l++) {
        if (!is_bad[l])
            continue;
        if (t->mix)
            glot_str_printf(out, "%s%s", before, glot_mix_language_name(t->mix, l));
        else
            glot_str_printf(out, "%slanguage %zu", before, l);
        before = ", ";
    }
}

/* The step that cannot be taken: which, and on what. The batch is still loaded. */
static glot_status refuse_loss(const glot_trainer *t, int64_t first, int64_t n, glot_error *err)
{
    glot_str where = {0};
    float *nll = NULL;
    GLOT_TRY(glot_new(&nll, (size_t)t->ws->n_tokens, sizeof *nll, "losses", err));
    glot_model_nll(t->model, t->ws, 0, nll);
    name_bad_text(&where, t, first, n, nll);
    glot_status status = GLOT_FAIL(
        err, GLOT_NUMERIC,
        "step %" PRId64
        ": the loss%s is not finite (lower the learning rate, or check the weights with `glot inspect`)",
        t->step + 1, where.data ? where.data : "");
    glot_free(nll);
    glot_str_release(&where);
    return status;
}

/* Adds to the gradients where *is_added, else sets them; an empty one leaves them alone. */
static glot_status run_micro_batch(glot_trainer *t, int64_t first, int64_t n, step_losses *sums,
                                   bool *is_added, glot_error *err)
{
    glot_batch batch;
    double losses[GLOT_N_LOSSES];
    glot_step_data_batch(t->data, &batch, first, n, t->language_group, t->settings.is_cross_document);
    if (batch.n_tokens == 0)
        return GLOT_OK;
    batch.is_ungated = t->settings.phase == GLOT_PHASE_TRAIN;
    glot_loss_settings settings = loss_settings(t, batch.n_tokens);
    GLOT_TRY(glot_workspace_load(t->ws, &batch, err));
    glot_model_forward(t->model, t->ws, NULL);
    glot_model_backward(t->model, t->ws, &settings, *is_added);
    *is_added = true;
    t->ws->be->download(t->ws->be, losses, &t->ws->losses);
    GLOT_TRY(t->ws->be->check(t->ws->be, err));
    for (int i = 0; i < GLOT_N_LOSSES; i++)
        if (!isfinite(losses[i]))
            return refuse_loss(t, first, n, err);
    int64_t n_routers = count_routers(t->model);
    sums->ce += losses[GLOT_LOSS_CE];
    sums->lpr += losses[GLOT_LOSS_LPR];
    sums->gate += losses[GLOT_LOSS_GATE];
    if (n_routers)
        sums->balance += losses[GLOT_LOSS_BALANCE] / (double)n_routers * (double)batch.n_tokens /
                         (double)t->data->n_tokens;
    return GLOT_OK;
}

static glot_status accumulate(glot_trainer *t, step_losses *sums, glot_error *err)
{
    const glot_train_settings *s = &t->settings;
    bool is_added = false;
    for (int64_t first = 0; first < s->batch; first += s->micro_batch) {
        int64_t n = s->batch - first < s->micro_batch ? s->batch - first : s->micro_batch;
        GLOT_TRY(run_micro_batch(t, first, n, sums, &is_added, err));
    }
    if (!is_added)
        glot_model_zero_grads(t->model);
    return GLOT_OK;
}

static double squared_norm(glot_trainer *t, const glot_tensor *grad)
{
    glot_backend *be = t->model->be;
    double sum;
    be->zero(be, &t->norm);
    glot_op_sum(be, &t->norm, grad, true);
    be->download(be, &sum, &t->norm);
    return sum;
}

/* The gradient's norm; GLOT_NUMERIC names the first tensor whose gradient is not finite. */
static glot_status gradient_norm(glot_trainer *t, double *norm, glot_error *err)
{
    double sum = 0.0;
    for (size_t i = 0; i < t->n_trained; i++) {
        double part = squared_norm(t, &t->trained[i]->grad);
        if (!isfinite(part))
            return GLOT_FAIL(err, GLOT_NUMERIC,
                             "step %" PRId64 ": the gradient of '%s' is not finite (lower the learning rate, "
                                             "or check the weights with `glot inspect`)",
                             t->step + 1, t->trained[i]->name);
        sum += part;
    }
    *norm = sqrt(sum);
    return GLOT_OK;
}

static void update(glot_trainer *t, double norm, double lr, double router_lr)
{
    const glot_train_settings *s = &t->settings;
    glot_adamw a = {.beta1 = s->beta1,
                    .beta2 = s->beta2,
                    .eps = s->eps,
                    .weight_decay = s->weight_decay,
                    .step = t->step + 1};
    /* torch.nn.utils.clip_grad_norm_: max_norm / (norm + 1e-6), never more than 1 */
    double clip = s->clip > 0.0 ? s->clip / (norm + 1e-6) : 1.0;
    a.grad_scale = clip < 1.0 ? clip : 1.0;
    for (size_t i = 0; i < t->n_trained; i++) {
        glot_param *p = t->trained[i];
        a.lr = p->role == GLOT_ROLE_ROUTER || p->role == GLOT_ROLE_LANGUAGE_GATE ? router_lr : lr;
        glot_op_adamw(t->model->be, &p->weight, &p->grad, &t->moment1[i], &t->moment2[i], &a);
    }
}

static void fill_report(glot_step_report *r, const glot_trainer *t, const step_losses *sums)
{
    const glot_train_settings *s = &t->settings;
    const glot_step_data *d = t->data;
    int64_t m = d->n_home * count_routers(t->model);
    *r = (glot_step_report){.phase = s->phase, .step = t->step + 1, .steps = s->steps};
    r->ce = d->n_targets ? sums->ce / (double)d->n_targets : 0.0;
    r->balance = sums->balance;
    r->lpr = m ? sums->lpr / (double)m : 0.0;
    r->gate = n_gated_pairs(t) ? sums->gate / (double)n_gated_pairs(t) : 0.0;
    r->loss = r->ce + s->balance_coef * r->balance + s->lpr_coef * r->lpr + s->gate_coef * r->gate;
}

glot_status glot_trainer_step(glot_trainer *t, glot_step_report *report, glot_error *err)
{
    const glot_train_settings *s = &t->settings;
    double began = glot_seconds(), norm = 0.0;
    step_losses sums = {0};
    bool is_home[GLOT_MAX_LANGUAGES];

    mark_home(is_home, t);
    glot_step_data_draw(t->data, t->next_block, t->next_block_user, is_home);
    GLOT_TRY(accumulate(t, &sums, err));
    fill_report(report, t, &sums);
    GLOT_TRY(gradient_norm(t, &norm, err));
    report->lr = glot_learning_rate(s, s->lr, t->step);
    update(t, norm, report->lr, glot_learning_rate(s, s->router_lr, t->step));
    GLOT_TRY(t->model->be->check(t->model->be, err));

    t->step++;
    t->tokens += (uint64_t)t->data->n_tokens;
    report->tokens = t->tokens;
    report->grad_norm = norm;
    report->seconds = glot_seconds() - began;
    return GLOT_OK;
}

glot_status glot_trainer_run(glot_trainer *t, glot_on_step *on_step, void *user, const glot_cancel *cancel,
                             glot_error *err)
{
    while (t->step < t->settings.steps) {
        glot_step_report report;
        if (glot_cancelled(cancel))
            return GLOT_FAIL(err, GLOT_CANCELLED, "stopped after step %" PRId64 " of %" PRId64, t->step,
                             t->settings.steps);
        GLOT_TRY(glot_trainer_step(t, &report, err));
        if (on_step)
            GLOT_TRY(on_step(user, t, &report, err));
    }
    return GLOT_OK;
}
