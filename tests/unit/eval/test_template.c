/* test_template.c: lines of data sets to items by every template known by name, placeholders and their
 * filters, and what is refused. Where ../shared has the data sets, every line of every one. */
#include "eval/prompt.h"
#include "base/file.h"
#include "unit/tiny_model.h"

#define SHARED GLOT_SOURCE_DIR "/../shared/data/eval/"

static glot_error err;

static void read_line(glot_items *items, const glot_template *t, const char *line)
{
    *items = (glot_items){0};
    OK(glot_items_add(items, line, strlen(line), "t.jsonl", 3, t, &err));
}

typedef struct expectation {
    const char *template, *line;
    size_t gold;
    const char *query;       /* of the right choice */
    const char *choices[16]; /* what stands for each choice */
} expectation;

static void check(const expectation *e)
{
    glot_items items;
    const glot_template *t;
    size_t n = 0;
    OK(glot_template_find(&t, e->template, &err));
    OK(glot_template_check(t, &err));
    read_line(&items, t, e->line);
    assert_int_equal(items.n, 1);
    const glot_item *item = &items.items[0];
    for (; e->choices[n]; n++) {
        assert_true(n < glot_item_n_choices(item));
        assert_string_equal(glot_item_choice(item, n), e->choices[n]);
    }
    assert_int_equal(glot_item_n_choices(item), n);
    assert_int_equal(item->gold, e->gold);
    assert_string_equal(glot_item_query(item, item->gold), e->query);
    glot_items_release(&items);
}

#define QCG(question)                                                                                        \
    "{\"id\": 1, \"" question "\": \"Why?\", \"choices\": [\"This.\", \"That.\"], \"gold\": 1}"

static void test_of_choices(void **state)
{
    (void)state;
    static const expectation cases[] = {
        {"arc_challenge", QCG("question"), 1, "Question: Why?\nAnswer:", {"This.", "That."}},
        {"arc_easy", QCG("query"), 1, "Question: Why?\nAnswer:", {"This.", "That."}},
        {"piqa", QCG("query"), 1, "Question: Why?\nAnswer:", {"This.", "That."}},
        {"openbookqa", QCG("query"), 1, "Why?", {"This.", "That."}},
        {"boolq", QCG("query"), 1, "Why?\nAnswer:", {"This.", "That."}},
        {"mmlu_val", QCG("question"), 1, "Why?\nA. This.\nB. That.\nAnswer:", {"A", "B"}},
        {"exams", QCG("question"), 1, "Why?\nA. This.\nB. That.\nAnswer:", {"A", "B"}},
        {"turkish_mmlu", QCG("question"), 1, "Soru: Why?\nA. This.\nB. That.\nCevap:", {"A", "B"}},
        {"hellaswag",
         "{\"activity\": \"Pole vault\", \"context\": \"A few run\", \"choices\": [\"away.\", \"down.\"], "
         "\"gold\": 0}",
         0,
         "Pole vault: A few run",
         {"away.", "down."}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i]);
}

#define COPA(question)                                                                                       \
    "{\"question\": \"" question                                                                             \
    "\", \"premise\": \"Eső esett.\", \"choices\": [\"Árvíz jött.\", \"{x}\"], \"gold\": 0}"
#define XNLI "{\"premise\": \"It rains\", \"hypothesis\": \"it is wet\", \"label\": \"neutral\"}"

static void test_of_other_forms(void **state)
{
    (void)state;
    static const expectation cases[] = {
        {"copa_hu", COPA("cause"), 0, "Eső esett mert", {"árvíz jött.", "{x}"}},
        {"copa_tr", COPA("effect"), 0, "Eső esett bu yüzden", {"árvíz jött.", "{x}"}},
        {"copa_en", COPA("effect"), 0, "Eső esett therefore", {" árvíz jött.", " {x}"}},
        {"copa_zh", COPA("cause"), 0, "Eső esett 因为", {"árvíz jött.", "{x}"}},
        {"winogrande",
         "{\"context_options\": [\"He saw\", \"She saw\"], \"continuation\": \"it.\", \"gold\": 1}",
         1,
         "She saw",
         {"it.", "it."}},
        {"xnli_en",
         XNLI,
         1,
         "",
         {"It rains, right? Yes, it is wet", "It rains, right? Also, it is wet",
          "It rains, right? No, it is wet"}},
        {"xnli_el",
         XNLI,
         1,
         "",
         {"It rains, σωστός? Ναί, it is wet", "It rains, σωστός? Έτσι, it is wet",
          "It rains, σωστός? όχι, it is wet"}},
        {"lambada",
         "{\"id\": 0, \"context\": \"no such\", \"continuation\": \"thing\"}",
         0,
         "no such",
         {"thing"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(&cases[i]);
}

/* An item of each question, its choices the answers of all; a text with one question gives none. */
static void test_of_a_list_of_questions(void **state)
{
    (void)state;
    const glot_template *t;
    glot_items items;
    OK(glot_template_find(&t, "xquad", &err));
    read_line(&items, t,
              "{\"id\": 5, \"context\": \"C\", \"qas\": [{\"id\": \"a\", \"question\": \"q1\", \"answers\": "
              "[\"x\"]}, "
              "{\"id\": \"b\", \"question\": \"q2\", \"answers\": [\"y\", \"z\"]}, {\"question\": \"q3\", "
              "\"answers\": [\"x\"]}]}");
    assert_int_equal(items.n, 3);
    static const size_t gold[] = {0, 1, 0};
    for (size_t i = 0; i < 3; i++) {
        char query[64];
        snprintf(query, sizeof query, "C\nQuestion: q%zu\nAnswer:", i + 1);
        assert_int_equal(glot_item_n_choices(&items.items[i]), 2);
        assert_int_equal(items.items[i].gold, gold[i]);
        assert_string_equal(glot_item_query(&items.items[i], 0), query);
    }
    assert_string_equal(json_string_value(items.items[1].id), "b");
    assert_int_equal(json_integer_value(items.items[2].id), 5);
    glot_items_release(&items);
    read_line(&items, t, "{\"context\": \"C\", \"qas\": [{\"question\": \"q1\", \"answers\": [\"x\"]}]}");
    assert_int_equal(items.n, 0);
    glot_items_release(&items);
}

static void test_placeholders(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rendered;
    } cases[] = {
        {"", ""},
        {"{{{n}}} {s}", "{7} Ab!"},
        {"{s:open}", "Ab"},
        {"{e:open}", ""},
        {"{s:lower}", "ab!"},
        {"{e:lower}", ""},
        {"{o:lower}", "ö"},
        {"{s:Ab!=yes,c=no}", "yes"},
        {"{i:lower}", "i\xCC\x87"},
        {"{s:after A}", "b!"},
        {"{s:after x}", "Ab!"},
        {"{t:unmarked}", " How to. Cut [it. \n] Then  go"},
        {"{u:unfinished}", "\"Who?\" She i\xCC\x87s"},
        {"{t:unfinished}", "How to. Cut [it. \n] Then  go"},
        {"{s:unfinished}", "Ab!"},
        {"{n:7=seven}", "seven"},
        {"{l:lettered}", "A. x\nB. y"},
        {"{z:lower}", "ž"},
        {"{k:lower}", "ı"},
        {"{y:open}", "Żó"},
        {"{n:open}{n}", "7"},
    };
    json_t *line = NULL;
    const char *text = "{\"n\": 7, \"s\": \"Ab!\", \"e\": \"\", \"o\": \"Ö\", \"i\": \"İ\", \"z\": \"Ž\", "
                       "\"k\": \"ı\", \"y\": \"Żół\", \"l\": [\"x\", \"y\"], \"u\": \"\\\"Who?\\\" she İs\", "
                       "\"t\": \" [header]  How to [title] Cut [it. \\n] Then [a][b]   go \"}";
    OK(glot_json_load(&line, text, strlen(text), "t", &err));
    glot_template_source source = {.line = line, .where = "t line 1"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_texts out = {0};
        OK(glot_template_render(&out, cases[i].text, &source, &err));
        assert_int_equal(out.n, 1);
        assert_string_equal(out.items[0], cases[i].rendered);
        glot_texts_release(&out);
    }
    json_decref(line);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query, *gold, *sentence;
    } cases[] = {
        {"a { b", "{gold}", "'{ b' is no placeholder, expected {key} or {key:filter} ({{ for a brace)"},
        {"a }", "{gold}", "'}' begins with a brace that closes nothing (}} for a brace)"},
        {"{}", "{gold}", "'{}' is no placeholder, expected {key} or {key:filter} ({{ for a brace)"},
        {"{a:upper}", "{gold}",
         "filter 'upper' is not known, expected open, lower, lettered, letters, unmarked, unfinished, "
         "after TEXT or a=x,b=y"},
        {"{a}", "gold", "the right answer is 'gold', expected one {key}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_template t = {.query = cases[i].query, .choices = {"{choices}"}, .gold = cases[i].gold};
        assert_int_equal(glot_template_check(&t, &err), GLOT_BAD_VALUE);
        assert_string_equal(err.message, cases[i].sentence);
    }
    const glot_template *t;
    assert_int_equal(glot_template_find(&t, "mmlu", &err), GLOT_BAD_VALUE);
    const char *begin = "template 'mmlu' is not known, expected one of arc_challenge, arc_easy, ";
    assert_memory_equal(err.message, begin, strlen(begin));
}

static void test_lines_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *template, *line, *sentence;
    } cases[] = {
        {"copa_en", COPA("place"),
         "'t.jsonl line 3': key 'question' is 'place', expected one of cause=because,effect=therefore"},
        {"xnli_en", "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": \"maybe\"}",
         "'t.jsonl line 3': the right answer 'maybe' is none of the 3 there are"},
        {"xquad", "{\"context\": \"C\"}", "'t.jsonl line 3': key 'qas' is missing or no list"},
        {"xquad", "{\"context\": \"C\", \"qas\": [{\"question\": \"q\"}]}",
         "'t.jsonl line 3': key 'qas.answers' is missing or no text"},
        {"winogrande", "{\"context_options\": [\"a\"], \"continuation\": \"b\", \"gold\": 0}",
         "'t.jsonl line 3': an item has 1 choice, expected at least 2"},
        {"lambada", "{\"context\": \"a\", \"continuation\": [\"b\", \"c\"]}",
         "'t.jsonl line 3': a text to complete has 2 endings, expected 1"},
        {"mmlu_val", "{\"question\": \"a\", \"choices\": \"b\", \"gold\": 0}",
         "'t.jsonl line 3': key 'choices' is missing or no list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const glot_template *t;
        glot_items items = {0};
        OK(glot_template_find(&t, cases[i].template, &err));
        assert_int_equal(glot_items_add(&items, cases[i].line, strlen(cases[i].line), "t.jsonl", 3, t, &err),
                         GLOT_BAD_FORMAT);
        assert_string_equal(err.message, cases[i].sentence);
        assert_int_equal(items.n, 0);
        glot_items_release(&items);
    }
}

/* A text around a list is one text for each element; two lists in one text are refused. */
static void test_a_list_in_a_text(void **state)
{
    (void)state;
    json_t *line = NULL;
    glot_texts out = {0};
    const char *text = "{\"n\": 7, \"l\": [\"X\", \"Y\"], \"m\": [\"a\"]}";
    OK(glot_json_load(&line, text, strlen(text), "t", &err));
    glot_template_source source = {.line = line, .where = "t line 1"};
    OK(glot_template_render(&out, " {n}{l:lower}.", &source, &err));
    assert_int_equal(out.n, 2);
    assert_string_equal(out.items[0], " 7x.");
    assert_string_equal(out.items[1], " 7y.");
    glot_texts_release(&out);
    assert_int_equal(glot_template_render(&out, "{l}{m}", &source, &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'t line 1': key 'm' is missing or no text");
    glot_texts_release(&out);
    json_decref(line);
}

/* ---- what a model is asked ---- */

static void read_items(glot_items *items, const json_t *lines, const glot_template *t)
{
    *items = (glot_items){0};
    for (size_t i = 0; i < json_array_size(lines); i++) {
        char *line = glot_json_dump(json_array_get(lines, i), 0);
        OK(glot_items_add(items, line, strlen(line), "golden", i + 1, t, &err));
        free(line);
    }
}

static void check_requests(const json_t *expected, const glot_items *items, size_t shots, const char *task)
{
    assert_int_equal(json_array_size(expected), items->n);
    for (size_t i = 0; i < items->n; i++) {
        json_t *prompts = glot_prompts_json(items, shots, &items->items[i]);
        const json_t *ours = json_object_get(prompts, "requests"), *theirs = json_array_get(expected, i);
        if (!json_equal(ours, theirs))
            fail_msg("%s, %zu examples, item %zu: %s, expected %s", task, shots, i, glot_json_dump(ours, 0),
                     glot_json_dump(theirs, 0));
        assert_int_equal(json_integer_value(json_object_get(prompts, "gold")), items->items[i].gold);
        json_decref(prompts);
    }
}

/* Context and continuation of every choice are lm-evaluation-harness's (tools/eval/check_prompts.py
 * --golden), without examples and with two. */
static void test_prompts(void **state)
{
    (void)state;
    json_t *cases = NULL;
    OK(glot_json_load_file(&cases, GLOT_SOURCE_DIR "/tests/golden/eval/prompts.json", &err));
    assert_true(json_array_size(cases) >= 43);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        const glot_template *t;
        glot_items items;
        OK(glot_template_find(&t, glot_json_text(c, "template"), &err));
        read_items(&items, json_object_get(c, "items"), t);
        check_requests(json_object_get(c, "requests"), &items, (size_t)glot_json_number(c, "shots"),
                       glot_json_text(c, "task"));
        glot_items_release(&items);
    }
    json_decref(cases);
}

/* The set of a template: its name, or what stands before the language in it (copa_hu reads copa/hu.jsonl). */
static size_t read_set(const glot_template *t, const char *set, const char *language)
{
    char path[512];
    glot_items items;
    snprintf(path, sizeof path, SHARED "%s/%s.jsonl", set, language);
    OK(glot_items_read(&items, path, t, 0, &err));
    size_t n = items.n;
    glot_items_release(&items);
    return n;
}

static void test_shared_sets(void **state)
{
    (void)state;
    size_t n_files = 0;
    if (!glot_path_is_dir(SHARED)) {
        print_message("skipped: there is no ../shared with data sets\n");
        skip();
    }
    for (const glot_template *t = glot_templates; t->name; t++) {
        char folder[512], set[64];
        char **names = NULL;
        size_t n = 0;
        bool has_language = strncmp(t->name, "copa_", 5) == 0 || strncmp(t->name, "xnli_", 5) == 0;
        snprintf(set, sizeof set, "%s",
                 strncmp(t->name, "xnli_", 5) == 0 ? "xnli_dev"
                 : has_language                    ? "copa"
                                                   : t->name);
        snprintf(folder, sizeof folder, SHARED "%s", set);
        OK(glot_dir_list(&names, &n, folder, &err));
        for (size_t i = 0; i < n; i++) {
            names[i][strcspn(names[i], ".")] = '\0';
            if (has_language && strcmp(names[i], t->name + 5) != 0)
                continue;
            assert_true(read_set(t, set, names[i]) >= 100);
            n_files++;
        }
        glot_dir_list_free(names, n);
    }
    assert_true(n_files >= 55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_choices),
        cmocka_unit_test(test_of_other_forms),
        cmocka_unit_test(test_of_a_list_of_questions),
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_a_list_in_a_text),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_lines_that_do_not_fit),
        cmocka_unit_test(test_shared_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
