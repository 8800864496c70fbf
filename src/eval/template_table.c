/* template_table.c: the templates known by name. Where lm-evaluation-harness has the data set, its prompt;
 * docs/evaluation.md says where ours differs. */
#include "eval/template.h"

#include <string.h>

#define QUESTION "Question: {question}\nAnswer:"
#define LETTERED "{question}\n{choices:lettered}\nAnswer:"

/* What most data sets have: choices and the number of the right one. */
#define CHOICES .choices = {"{choices}"}, .gold = "{gold}"
#define LETTERS .choices = {"{choices:letters}"}, .gold = "{gold}"

#define COPA(because, therefore)                                                                             \
    .query = "{premise:open} {question:cause=" because ",effect=" therefore "}",                             \
    .choices = {"{choices:lower}"}, .gold = "{gold}"

#define XNLI(right, yes, also, no)                                                                           \
    .query = "", .gold = "{label}", .labels = {"entailment", "neutral", "contradiction"},                    \
    .choices = {"{premise}, " right "? " yes ", {hypothesis}", "{premise}, " right "? " also ", {hypothesis}", \
                "{premise}, " right "? " no ", {hypothesis}"}

const glot_template glot_template_plain = {.name = "plain", .query = "{query}", CHOICES};

const glot_template glot_templates[] = {
    {.name = "arc_challenge", .query = QUESTION, CHOICES},
    {.name = "arc_easy", .query = "Question: {query}\nAnswer:", CHOICES},
    {.name = "boolq", .query = "{query}\nAnswer:", CHOICES},
    {.name = "copa_en", COPA("because", "therefore")},
    {.name = "copa_hu", COPA("mert", "ezért")},
    {.name = "copa_tr", COPA("çünkü", "bu yüzden")},
    {.name = "copa_zh", COPA("因为", "所以")},
    {.name = "exams", .query = LETTERED, LETTERS},
    {.name = "hellaswag", .query = "{activity}: {context}", CHOICES},
    {.name = "lambada", .query = "{context}", .choices = {"{continuation}"}},
    {.name = "mmlu_val", .query = LETTERED, LETTERS},
    {.name = "openbookqa", .query = "{query}", CHOICES},
    {.name = "piqa", .query = "Question: {query}\nAnswer:", CHOICES},
    {.name = "sib200",
     .query = "{text}\nThe topic of this text is",
     .choices = {"science/technology", "travel", "politics", "sports", "health", "entertainment", "geography"},
     .gold = "{category}"},
    {.name = "truthfulqa_mc1", .query = "Q: {question}\nA:", CHOICES},
    {.name = "turkish_mmlu", .query = "Soru: {question}\n{choices:lettered}\nCevap:", LETTERS},
    {.name = "winogrande", .query = "{context_options}", .choices = {"{continuation}"}, .gold = "{gold}"},
    {.name = "xnli_el", XNLI("σωστός", "Ναί", "Έτσι", "όχι")},
    {.name = "xnli_en", XNLI("right", "Yes", "Also", "No")},
    {.name = "xnli_es", XNLI("correcto", "Sí", "Asi que", "No")},
    {.name = "xnli_hi", XNLI("सही", "हाँ", "इसलिए", "नहीं")},
    {.name = "xnli_tr", XNLI("doğru", "Evet", "Böylece", "Hayır")},
    {.name = "xnli_zh", XNLI("正确", "是的", "所以", "不是的")},
    {.name = "xquad",
     .each = "qas",
     .query = "{context}\nQuestion: {question}\nAnswer:",
     .choices = {"{qas.answers}"},
     .gold = "{answers}"},
    {0},
};

glot_status glot_template_find(const glot_template **out, const char *name, glot_error *err)
{
    glot_str known = {0};
    for (const glot_template *t = glot_templates; t->name; t++) {
        if (strcmp(t->name, name) == 0) {
            *out = t;
            glot_str_release(&known);
            return GLOT_OK;
        }
        glot_str_printf(&known, "%s%s", t == glot_templates ? "" : ", ", t->name);
    }
    glot_status status = GLOT_FAIL(err, GLOT_BAD_VALUE, "template '%s' is not known, expected one of %s", name,
                                   known.data ? known.data : "");
    glot_str_release(&known);
    return status;
}
