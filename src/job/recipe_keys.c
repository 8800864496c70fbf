/* recipe_keys.c: the table of every recipe key. Defaults are written as a recipe would write them and go
 * through the same parser. */
#include "job/recipe.h"

#define AT(member) offsetof(glot_recipe, member)
#define OF_LANGUAGE(member) offsetof(glot_recipe_language, member)

/* Both stages have these. `STAGE` is the section, `m` the member of glot_recipe. */
/* clang-format off */
#define STAGE_KEYS(STAGE, m, tokens_default, tokens_min, lr_default, share_default)                         \
    {STAGE, "tokens", GLOT_KEY_COUNT, AT(m.tokens), tokens_default, tokens_min, GLOT_RECIPE_MOST_TOKENS,    \
     false, NULL, GLOT_CHANGE_GROWS,                                                                        \
     "input tokens of the stage; steps = ceil(tokens / (batch * length))"},                                 \
    {STAGE, "steps", GLOT_KEY_COUNT, AT(m.steps), NULL, 1, 1e12, false, NULL, GLOT_CHANGE_NEVER,            \
     "optimizer steps, instead of tokens"},                                                                 \
    {STAGE, "epochs", GLOT_KEY_REAL, AT(m.epochs), NULL, 0, 1e6, true, NULL, GLOT_CHANGE_NEVER,             \
     "times through the text, instead of tokens"},                                                          \
    {STAGE, "batch", GLOT_KEY_INT, AT(m.batch), "8", 1, 1 << 20, false, NULL, GLOT_CHANGE_NEVER,            \
     "sequences in one optimizer step"},                                                                    \
    {STAGE, "micro_batch", GLOT_KEY_INT, AT(m.micro_batch), NULL, 1, 1 << 20, false, NULL,                  \
     GLOT_CHANGE_NEVER, "sequences at once; less needs less memory (default: all of batch)"},               \
    {STAGE, "length", GLOT_KEY_INT, AT(m.length), "256", 2, 1 << 24, false, NULL, GLOT_CHANGE_NEVER,        \
     "tokens in a sequence, at most the context of the model"},                                             \
    {STAGE, "lr", GLOT_KEY_REAL, AT(m.lr), lr_default, 0, 100, false, NULL, GLOT_CHANGE_NEVER,              \
     "learning rate at the start"},                                                                         \
    {STAGE, "schedule", GLOT_KEY_CHOICE, AT(m.schedule), "cosine", 0, 0, false,                             \
     "cosine|constant|linear", GLOT_CHANGE_NEVER, "how the learning rate falls to min_lr"},                 \
    {STAGE, "min_lr", GLOT_KEY_REAL, AT(m.min_lr), "0", 0, 100, false, NULL, GLOT_CHANGE_NEVER,             \
     "learning rate at the end"},                                                                           \
    {STAGE, "warmup_steps", GLOT_KEY_INT, AT(m.warmup_steps), "0", 0, 1e12, false, NULL,                    \
     GLOT_CHANGE_NEVER, "steps in which the learning rate rises from nothing"},                             \
    {STAGE, "betas", GLOT_KEY_BETAS, AT(m.betas), "[0.9, 0.999]", 0, 1, false, NULL,                        \
     GLOT_CHANGE_NEVER, "AdamW's two decay rates, each below 1"},                                           \
    {STAGE, "eps", GLOT_KEY_REAL, AT(m.eps), "1e-8", 0, 1, true, NULL, GLOT_CHANGE_NEVER,                   \
     "AdamW's epsilon"},                                                                                    \
    {STAGE, "weight_decay", GLOT_KEY_REAL, AT(m.weight_decay), "0", 0, 100, false, NULL,                    \
     GLOT_CHANGE_NEVER, "AdamW's decoupled weight decay"},                                                  \
    {STAGE, "clip", GLOT_KEY_REAL, AT(m.clip), "1", 0, 1e9, false, NULL, GLOT_CHANGE_NEVER,                 \
     "largest L2 norm of the gradient; 0: no clipping"},                                                    \
    {STAGE, "router_lr", GLOT_KEY_REAL, AT(m.router_lr), NULL, 0, 100, false, NULL, GLOT_CHANGE_NEVER,      \
     "learning rate of routers and language gates (default: lr)"},                                          \
    {STAGE, "old_share", GLOT_KEY_REAL, AT(m.old_share), share_default, 0, 1, false, NULL,                  \
     GLOT_CHANGE_NEVER, "share of tokens taken from the text of the old languages"},                        \
    {STAGE, "order", GLOT_KEY_CHOICE, AT(m.order), "shuffled", 0, 0, false, "shuffled|file",                \
     GLOT_CHANGE_NEVER, "file: every document in the order of the files, nothing sampled"},                 \
    {STAGE, "cross_document_attention", GLOT_KEY_BOOL, AT(m.cross_document_attention), "false", 0, 0,       \
     false, NULL, GLOT_CHANGE_NEVER, "attention across the documents of one sequence"},                     \
    {STAGE, "checkpoint_every", GLOT_KEY_EVERY, AT(m.checkpoint_every), "10min", 0, 1e12, false, NULL,      \
     GLOT_CHANGE_FREE,                                                                                      \
     "a number is steps; s, min and h are time; 0: only at the end and when stopped"},                      \
    {STAGE, "keep", GLOT_KEY_INT, AT(m.keep), "2", 1, 1e6, false, NULL, GLOT_CHANGE_FREE,                   \
     "checkpoints that are kept"},                                                                          \
    {STAGE, "eval_every", GLOT_KEY_INT, AT(m.eval_every), "0", 0, 1e12, false, NULL, GLOT_CHANGE_FREE,      \
     "steps between evaluations on the way; 0: none"},                                                      \
    {STAGE, "recompute", GLOT_KEY_BOOL, AT(m.recompute), "false", 0, 0, false, NULL,                        \
     GLOT_CHANGE_NEVER, "keep less of the forward pass and compute it again"}
/* clang-format on */

const glot_recipe_key glot_recipe_keys[] = {
    {GLOT_SECTION_TOP, "base", GLOT_KEY_PATH, AT(base), NULL, 0, 0, false, NULL, GLOT_CHANGE_NEVER,
     "the base model: a Hugging Face directory, a GGUF file, or an expanded model to grow again (required)"},
    {GLOT_SECTION_TOP, "base_init", GLOT_KEY_CHOICE, AT(base_init), "weights", 0, 0, false, "weights|random",
     GLOT_CHANGE_NEVER,
     "random: only config.json and tokenizer.json of the base are used, and weights are drawn by the seed"},
    {GLOT_SECTION_TOP, "output", GLOT_KEY_PATH, AT(output), NULL, 0, 0, false, NULL, GLOT_CHANGE_NEVER,
     "the run directory (required)"},
    {GLOT_SECTION_TOP, "seed", GLOT_KEY_INT, AT(seed), "1", 0, 9.0e15, false, NULL, GLOT_CHANGE_NEVER,
     "everything random follows from it"},

    {GLOT_SECTION_LANGUAGE, "group", GLOT_KEY_CHOICE, OF_LANGUAGE(group), NULL, 0, 0, false, "old|new",
     GLOT_CHANGE_NEVER, "old: the base model knows it; new: it is to be learned (required)"},
    {GLOT_SECTION_LANGUAGE, "train", GLOT_KEY_PATHS, OF_LANGUAGE(train), NULL, 0, 0, false, NULL,
     GLOT_CHANGE_NEVER, "text to train on: a file, a pattern or a list of them"},
    {GLOT_SECTION_LANGUAGE, "valid", GLOT_KEY_PATHS, OF_LANGUAGE(valid), NULL, 0, 0, false, NULL,
     GLOT_CHANGE_NEVER, "text to score on"},
    {GLOT_SECTION_LANGUAGE, "weight", GLOT_KEY_REAL, OF_LANGUAGE(weight), "1", 0, 1e9, true, NULL,
     GLOT_CHANGE_NEVER, "share of sampled tokens relative to the other languages"},

    {GLOT_SECTION_EXPERTS, "allocation", GLOT_KEY_CHOICE, AT(experts.allocation), "uniform", 0, 0, false,
     "uniform|layerwise|list", GLOT_CHANGE_NEVER,
     "how many experts each layer gets: the same, by similarity, or as listed"},
    {GLOT_SECTION_EXPERTS, "per_layer", GLOT_KEY_INT, AT(experts.per_layer), "4", 1, GLOT_MAX_EXPERTS, false,
     NULL, GLOT_CHANGE_NEVER,
     "uniform: experts in every layer afterwards, the original included; growing again it must be given"},
    {GLOT_SECTION_EXPERTS, "new_total", GLOT_KEY_INT, AT(experts.new_total), NULL, 1, 1e6, false, NULL,
     GLOT_CHANGE_NEVER, "layerwise: at most so many new experts in all"},
    {GLOT_SECTION_EXPERTS, "delta", GLOT_KEY_REAL, AT(experts.delta), NULL, 0, 1e6, true, NULL,
     GLOT_CHANGE_NEVER, "layerwise: the paper's budget"},
    {GLOT_SECTION_EXPERTS, "new_bytes", GLOT_KEY_SIZE, AT(experts.new_bytes), NULL, 1, 1e18, false, NULL,
     GLOT_CHANGE_NEVER, "layerwise: at most so many bytes of new experts"},
    {GLOT_SECTION_EXPERTS, "similarity_tokens", GLOT_KEY_COUNT, AT(experts.similarity_tokens), "8192", 1,
     1e12, false, NULL, GLOT_CHANGE_NEVER,
     "train text of each language that similarity is measured on, whole documents until so many tokens"},
    {GLOT_SECTION_EXPERTS, "list", GLOT_KEY_INTS, AT(experts.list), NULL, 1, GLOT_MAX_EXPERTS, false, NULL,
     GLOT_CHANGE_NEVER, "list: experts of each layer afterwards, the original included"},
    {GLOT_SECTION_EXPERTS, "for", GLOT_KEY_TEXT, AT(experts.format), NULL, 0, 0, false, NULL,
     GLOT_CHANGE_NEVER, "only layouts that this export format can hold"},
    {GLOT_SECTION_EXPERTS, "top_k", GLOT_KEY_INT, AT(experts.top_k), "2", 1, GLOT_MAX_EXPERTS, false, NULL,
     GLOT_CHANGE_NEVER, "experts that a token goes through in each layer"},
    {GLOT_SECTION_EXPERTS, "init", GLOT_KEY_CHOICE, AT(experts.init), "copy", 0, 0, false, "copy|random|best",
     GLOT_CHANGE_NEVER,
     "how new experts begin: as the original, random, or (growing again) as the layer's expert with the "
     "highest mean router probability on the new languages' text"},

    {GLOT_SECTION_GATE, "layers", GLOT_KEY_LAYERS, AT(gate.layers), "0", 0, GLOT_MAX_LAYERS, false, NULL,
     GLOT_CHANGE_NEVER, "how many layers have a language gate, or a list of their numbers"},
    {GLOT_SECTION_GATE, "form", GLOT_KEY_CHOICE, AT(gate.form), "causal", 0, 0, false, "causal|sequence_sum",
     GLOT_CHANGE_NEVER, "what the gate looks at"},
    {GLOT_SECTION_GATE, "coef", GLOT_KEY_REAL, AT(gate.coef), "0.1", 0, 1e6, false, NULL, GLOT_CHANGE_NEVER,
     "weight of the gate's loss"},

    {GLOT_SECTION_EXACT, "mode", GLOT_KEY_CHOICE, AT(exact.mode), "none", 0, 0, false, "none|tokens",
     GLOT_CHANGE_NEVER, "tokens: texts in old languages are kept bit for bit"},
    {GLOT_SECTION_EXACT, "keep", GLOT_KEY_REAL, AT(exact.keep), "0.99", 0, 1, true, NULL, GLOT_CHANGE_NEVER,
     "share of old documents that must never leave the exact path"},

    {GLOT_SECTION_GROW, "router_init", GLOT_KEY_CHOICE, AT(grow.router_init), "keep", 0, 0, false,
     "keep|fresh", GLOT_CHANGE_NEVER, "growing again: whether the router's rows stay"},
    {GLOT_SECTION_GROW, "lpr_groups", GLOT_KEY_CHOICE, AT(grow.lpr_groups), "all", 0, 0, false,
     "all|original", GLOT_CHANGE_NEVER,
     "growing again: which groups the LPR loss protects; lpr_form: released goes with original only"},

    STAGE_KEYS(GLOT_SECTION_TRAIN, train, NULL, 1, "0.0005", NULL),
    {GLOT_SECTION_TRAIN, "balance_coef", GLOT_KEY_REAL, AT(train.balance_coef), "0.01", 0, 1e6, false, NULL,
     GLOT_CHANGE_NEVER, "weight of the load-balancing loss"},
    {GLOT_SECTION_TRAIN, "balance_form", GLOT_KEY_CHOICE, AT(train.balance_form), "paper", 0, 0, false,
     "paper|released", GLOT_CHANGE_NEVER,
     "the load-balancing loss of the paper (1 at balance) or of the released code (top_k)"},
    {GLOT_SECTION_TRAIN, "trainable", GLOT_KEY_TRAINABLE, AT(train.trainable), "new_experts", 0, 0, false,
     "new_experts|all_experts|all", GLOT_CHANGE_NEVER,
     "what trains; with per_layer: 1, all is full fine-tuning of the dense model, and {lora: {rank: 16, "
     "alpha: "
     "32}} trains adapters beside its linear layers, merged at the end"},

    STAGE_KEYS(GLOT_SECTION_REVIEW, review, "16000", 0, "0.001", "0.33"),
    {GLOT_SECTION_REVIEW, "lpr_coef", GLOT_KEY_REAL, AT(review.lpr_coef), "0.1", 0, 1e6, false, NULL,
     GLOT_CHANGE_NEVER, "weight of the loss that keeps old languages on the original expert"},
    {GLOT_SECTION_REVIEW, "lpr_form", GLOT_KEY_CHOICE, AT(review.lpr_form), "paper", 0, 0, false,
     "paper|released", GLOT_CHANGE_NEVER, "that loss as in the paper or as in the released code"},

    {GLOT_SECTION_EVAL, "bits_per_byte", GLOT_KEY_BOOL, AT(eval.bits_per_byte), "true", 0, 0, false, NULL,
     GLOT_CHANGE_FREE, "score the valid text before, between and after"},
    {GLOT_SECTION_EVAL, "max_tokens", GLOT_KEY_COUNT, AT(eval.max_tokens), "4096", 0, GLOT_RECIPE_MOST_TOKENS,
     false, NULL, GLOT_CHANGE_FREE,
     "for each language: whole documents from the start of the file until so many tokens are reached; 0: "
     "all"},
    {GLOT_SECTION_EVAL, "tasks", GLOT_KEY_TASKS, AT(eval.tasks), NULL, 0, 0, false, NULL, GLOT_CHANGE_FREE,
     "multiple choice to score beside the text: files, or maps with the keys below"},

    {GLOT_SECTION_TOP, "device", GLOT_KEY_CHOICE, AT(device), "auto", 0, 0, false, "auto|cpu|cuda",
     GLOT_CHANGE_NEVER, "where to compute"},
    {GLOT_SECTION_TOP, "dtype", GLOT_KEY_CHOICE, AT(dtype), "auto", 0, 0, false, "auto|float32|bf16",
     GLOT_CHANGE_NEVER,
     "type of the products of training; auto: bf16 where the processor has instructions for it"},
    {GLOT_SECTION_TOP, "save_dtype", GLOT_KEY_CHOICE, AT(save_dtype), "auto", 0, 0, false,
     "auto|float32|bf16", GLOT_CHANGE_NEVER, "auto: base tensors keep their type, trained ones are float32"},
    {GLOT_SECTION_TOP, "threads", GLOT_KEY_INT, AT(threads), "0", 0, 4096, false, NULL, GLOT_CHANGE_FREE,
     "0: every core that may be used"},
    {.name = NULL},
};

const char *glot_recipe_section_name(glot_key_section section)
{
    static const char *const names[GLOT_N_SECTIONS] = {"",     "languages", "experts", "gate", "exact",
                                                       "grow", "train",     "review",  "eval"};
    return names[section];
}
