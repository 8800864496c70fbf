/* template_table.c: the templates known by name. Where lm-evaluation-harness has the data set, its prompt; docs/evaluation.md says where ours differs. */
#include "eval/template.h"

#include <string.h>

#define QUESTION "Question: {question}\nAnswer:"
#define LETTERED "{question}\n{choices:lettered}\nAnswer:"
#define XNLI(language, right, yes, also, no)                                                                                                                    \
    {.name = "xnli_" language, .query = "", .gold = "{label}", .labels = {"entailment", "neutral", "contradiction"},                                              \
     .choices = {"{premise}, " right "? " yes ", {hypothesis}", "{premise}, " right "? " also ", {hypothesis}", "{premise}, " right "? " no ", {hypothesis}"}}
#define COPA(language, because, therefore)                                                                                                                      \
    {.name = "copa_" language, .query = "{premise:open} {question:cause=" because ",effect=" therefore "}", .choices = {"{choices:lower}"}, .gold = "{gold}"}

const glot_template glot_template_plain = {.name = "plain", .query = "{query}", .choices = {"{choices}"}, .gold = "{gold}"};

const glot_template glot_templates[] = {
    {.name = "arc_challenge", .query = QUESTION, .choices = {"{choices}"}, .gold = "{gold}"},
    {.name = "arc_easy", .query = "Question: {query}\nAnswer:", .choices = {"{choices}"}, .gold = "{gold}"},
    {.name = "boolq", .query = "{query}\nAnswer:", .choices = {"{choices}"}, .gold = "{gold}"},
    COPA("en", "because", "therefore"),
    COPA("hu", "mert", "ezért"),
    COPA("tr", "çünkü", "bu yüzden"),
    COPA("zh", "因为", "所以"),
    {.name = "exams", .query = LETTERED, .choices = {"{choices:letters}"}, .gold = "{gold}"},
    {.name = "hellaswag", .query = "{activity}: {context}", .choices = {"{choices}"}, .gold = "{gold}"},
    {.name = "lambada", .query = "{context}", .choices = {"{continuation}"}},
    {.name = "mmlu_val", .query = LETTERED, .choices = {"{choices:letters}"}, .gold = "{gold}"},
    {.name = "openbookqa", .query = "{query}", .choices = {"{choices}"}, .gold = "{gold}"},
    {.name = "piqa", .query = "Question: {query}\nAnswer:", .choices = {"{choices}"}, .gold = "{gold}"},
    {.name = "sib200", .query = "{text}\nThe topic of this text is", .gold = "{category}",
     .choices = {"science/technology", "travel", "politics", "sports", "health", "entertainment", "geography"}},
    {.name = "truthfulqa_mc1", .query = "Q: {question}\nA:", .choices = {"{choices}"}, .gold = "{gold}"},
    {.name = "turkish_mmlu", .query = "Soru: {question}\n{choices:lettered}\nCevap:", .choices = {"{choices:letters}"}, .gold = "{gold}"},
    {.name = "winogrande", .query = "{context_options}", .choices = {"{continuation}"}, .gold = "{gold}"},
    XNLI("el", "σωστός", "Ναί", "Έτσι", "όχι"),
    XNLI("en", "right", "Yes", "Also", "No"),
    XNLI("es", "correcto", "Sí", "Asi que", "No"),
    XNLI("hi", "सही", "हाँ", "इसलिए", "नहीं"),
    XNLI("tr", "doğru", "Evet", "Böylece", "Hayır"),
    XNLI("zh", "正确", "是的", "所以", "不是的"),
    {.name = "xquad", .each = "qas", .query = "{context}\nQuestion: {question}\nAnswer:", .choices = {"{qas.answers}"}, .gold = "{answers}"},
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
    glot_status status = GLOT_FAIL(err, GLOT_BAD_VALUE, "template '%s' is not known, expected one of %s", name, known.data ? known.data : "");
    glot_str_release(&known);
    return status;
}
