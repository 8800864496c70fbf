/* test_chat.c: chat templates are told by their markers, whatever else they say; an unknown one is refused;
 * what is written for a turn is what the published templates write. */
#include "text_util.h"

#include "text/chat.h"

/* The heart of each template as it is published. */
static const char chatml[] = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                             "message['content'] + '<|im_end|>'}}{% endfor %}";
static const char llama3[] = "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
                             "message['content'] | trim + '<|eot_id|>' }}";
static const char llama2[] = "{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' %}{{ bos_token + "
                             "'[INST] ' + content + ' [/INST]' }}";
static const char mistral[] = "{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}";

static const struct {
    const char *jinja;
    glot_chat_template template;
    const char *turn, *end;
} rows[] = {
    {chatml, GLOT_CHAT_CHATML, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"},
    {llama3, GLOT_CHAT_LLAMA3,
     "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
     "\n\n",
     "<|eot_id|>"},
    {llama2, GLOT_CHAT_LLAMA2, "[INST] hi [/INST]", "</s>"},
    {mistral, GLOT_CHAT_MISTRAL, "[INST] hi [/INST]", "</s>"},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static void known_templates_and_their_turns(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        glot_error err = {0};
        glot_chat_template t;
        glot_str turn = {0};
        assert_int_equal(glot_chat_recognise(&t, rows[i].jinja, "x", &err), GLOT_OK);
        assert_int_equal(t, rows[i].template);
        glot_chat_render(&turn, t, "hi");
        assert_string_equal(turn.data, rows[i].turn);
        assert_string_equal(glot_chat_end(t), rows[i].end);
        glot_str_release(&turn);
    }
}

/* One of two markers is not enough. */
static void other_templates_are_refused(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "{{ messages }}",
                                         "<|im_start|>",
                                         "<|im_end|>",
                                         "[INST]",
                                         "<<SYS>> [/INST]",
                                         "<|start_header_id|>",
                                         "{{ '<start_of_turn>' + role }}",
                                         "### Instruction:"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        glot_error err = {0};
        glot_chat_template t;
        assert_int_equal(glot_chat_recognise(&t, others[i], "some/model", &err), GLOT_UNSUPPORTED);
        assert_string_equal(err.message,
                            "'some/model': the chat template is none of chatml, llama-3, llama-2, mistral");
    }
}

static void put(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void expect_refused(const char *model, glot_status status, const char *end)
{
    glot_error err = {0};
    glot_chat_template t;
    assert_int_equal(glot_chat_of_model(&t, model, &err), status);
    if (!strstr(err.message, end))
        fail_msg("'%s' does not say '%s'", err.message, end);
}

/* tokenizer_config.json of a directory; chat_template.jinja beside it comes first. */
static void of_a_directory(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_chat_template t;
    put("tokenizer_config.json", "{\"chat_template\": \"<|im_start|> <|im_end|>\"}");
    assert_int_equal(glot_chat_of_model(&t, test_dir, &err), GLOT_OK);
    assert_int_equal(t, GLOT_CHAT_CHATML);
    put("chat_template.jinja", "[INST] [/INST]");
    assert_int_equal(glot_chat_of_model(&t, test_dir, &err), GLOT_OK);
    assert_int_equal(t, GLOT_CHAT_MISTRAL);
    put("chat_template.jinja", "something else");
    expect_refused(test_dir, GLOT_UNSUPPORTED, "chat_template.jinja': the chat template is none of");
    assert_int_equal(remove(in_dir("chat_template.jinja")), 0);
    put("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    expect_refused(test_dir, GLOT_BAD_FORMAT, "tokenizer_config.json': key 'chat_template' is missing");
    put("tokenizer_config.json", "{\"chat_template\": [{\"name\": \"default\"}]}");
    expect_refused(test_dir, GLOT_BAD_FORMAT,
                   "tokenizer_config.json': key 'chat_template' is a list, expected a string");
    put("tokenizer_config.json", "{");
    expect_refused(test_dir, GLOT_BAD_FORMAT, "tokenizer_config.json' is not valid JSON");
    assert_int_equal(remove(in_dir("tokenizer_config.json")), 0);
    expect_refused(test_dir, GLOT_NOT_FOUND, "' has no chat template: neither chat_template.jinja nor tokenizer_config.json is there");
}

static void append_text(glot_str *out, const char *text)
{
    uint64_t n = strlen(text);
    glot_str_append(out, &n, sizeof n);
    glot_str_append(out, text, n);
}

/* A GGUF of one string and nothing else. */
static void put_gguf(const char *name, const char *key, const char *value)
{
    static const uint64_t counts[] = {0, 1};
    static const uint32_t version = 3, is_string = 8;
    glot_str file = {0};
    glot_str_puts(&file, "GGUF");
    glot_str_append(&file, &version, sizeof version);
    glot_str_append(&file, counts, sizeof counts);
    append_text(&file, key);
    glot_str_append(&file, &is_string, sizeof is_string);
    append_text(&file, value);
    write_bytes(name, file.data, file.length);
    glot_str_release(&file);
}

static void of_a_gguf(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_chat_template t;
    put_gguf("model.gguf", "tokenizer.chat_template", llama3);
    assert_int_equal(glot_chat_of_model(&t, in_dir("model.gguf"), &err), GLOT_OK);
    assert_int_equal(t, GLOT_CHAT_LLAMA3);
    put_gguf("model.gguf", "tokenizer.chat_template", "else");
    expect_refused(in_dir("model.gguf"), GLOT_UNSUPPORTED, "model.gguf': the chat template is none of");
    put_gguf("model.gguf", "general.name", llama3);
    expect_refused(in_dir("model.gguf"), GLOT_BAD_FORMAT,
                   "model.gguf': metadata key 'tokenizer.chat_template' is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_templates_and_their_turns),
        cmocka_unit_test(other_templates_are_refused),
        cmocka_unit_test(of_a_directory),
        cmocka_unit_test(of_a_gguf),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
