/* gate.c: the language gate in front of a router (METHOD 6), forward and backward side by side:
 *
 *     u_t = mean of x over the document so far (or the sum over the whole sequence)
 *     c_t = argmax(W_c u_t)        class 0: the original expert alone; class 1: the router
 *
 * The decision has no gradient: W_c learns from its own cross-entropy.
 */
#include "moe/moe.h"

/* [T, h], in the scratch. Made again for the backward pass rather than kept for every layer. */
static glot_tensor gate_input(glot_backend *be, const glot_tensor *x, glot_moe_scratch *scratch,
                              const glot_moe_paths *paths)
{
    glot_tensor input = glot_tensor_prefix_2d(&scratch->gate_input, glot_tensor_rows(x), glot_tensor_cols(x));
    glot_op_gate_input(be, &input, paths->gate_sums, x, paths->ids, paths->documents, paths->skip_id,
                       paths->is_sequence_sum);
    return input;
}

void glot_gate_forward(glot_backend *be, const glot_tensor *is_original, const glot_tensor *x,
                       const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                       const glot_moe_paths *paths)
{
    glot_tensor input = gate_input(be, x, scratch, paths);
    glot_tensor logits = glot_tensor_prefix_2d(&acts->language_logits, glot_tensor_rows(x), 2);
    glot_op_linear(be, &logits, &input, w->language_gate, NULL);
    glot_op_gate_decide(be, is_original, &logits, paths->is_exact);
}

void glot_gate_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *x,
                        const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                        const glot_moe_paths *paths, const glot_router_losses *losses)
{
    int64_t n_tokens = glot_tensor_rows(x);
    glot_tensor logits = glot_tensor_prefix_2d(&acts->language_logits, n_tokens, 2);
    glot_tensor d_logits = glot_tensor_prefix_2d(&scratch->d_language_logits, n_tokens, 2);
    glot_op_gate_loss(be, losses->gate_loss, &d_logits, &logits, losses->token_group, losses->gate_scale);
    if (w->d_language_gate) {
        glot_tensor input = gate_input(be, x, scratch, paths);
        glot_op_linear_backward_weight(be, w->d_language_gate, &d_logits, &input);
    }
    if (dx) {
        glot_tensor d_input = glot_tensor_prefix_2d(&scratch->gate_input, n_tokens, glot_tensor_cols(x));
        glot_op_linear_backward_input(be, &d_input, &d_logits, w->language_gate, false);
        glot_op_gate_input_backward(be, dx, &d_input, paths->ids, paths->documents, paths->skip_id,
                                    paths->is_sequence_sum);
    }
}
