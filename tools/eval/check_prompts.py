#!/usr/bin/env python3
"""Compares the prompts that glot's templates make of benchmark items with those of lm-evaluation-harness's own tasks (its YAML files and functions as
installed), item by item, without examples and with two. No model runs and nothing is fetched: the harness gets the same items, as its data sets name
their parts.

    pip install lm-eval; tools/eval/check_prompts.py --glot build/release/glot ../shared/data/eval
    tools/eval/check_prompts.py --golden                 makes tests/golden/eval/prompts.json of the few items below

The folder holds SET/LANGUAGE.jsonl. Two parts of items are put together again: HellaSwag's sentence that only begins (the harness has it apart) is what
stands in small letters behind the last full stop, and winogrande's sentence is the two contexts' common beginning, a gap and the end.
"""
import argparse
import json
import logging
import os
import pathlib
import re
import subprocess

import datasets
from lm_eval.api.samplers import FirstNSampler
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

ROOT = pathlib.Path(__file__).resolve().parents[2]
LETTERS = "ABCDE"
SHOTS = 2


def lettered(item, question):
    texts = item["choices"]
    return {"question": question, "choices": {"text": texts, "label": list(LETTERS[:len(texts)])}, "answerKey": LETTERS[item["gold"]]}


def options(item):
    padded = item["choices"] + [""] * (5 - len(item["choices"]))
    return {"id": str(item["id"]), "instruction": item["question"], "answer": LETTERS[item["gold"]],
            **{f"option_{letter.lower()}": text for letter, text in zip(LETTERS, padded)}}


def boolq(item):
    passage, question = item["query"].removeprefix("Passage: ").rsplit("\nQuestion: ", 1)
    return {"passage": passage, "question": question.removesuffix("?"), "label": item["gold"]}


def copa(item):
    first, second = item["choices"]
    return {"premise": item["premise"], "choice1": first, "choice2": second, "question": item["question"], "label": item["gold"]}


def hellaswag(item):
    begun = re.fullmatch(r'(.*[.!?]"?) ([a-z][^.!?]*)', item["context"], re.S)
    a, b = begun.groups() if begun else (item["context"], "")
    return {"activity_label": item["activity"], "ctx_a": a, "ctx_b": b, "endings": item["choices"], "label": str(item["gold"])}


def truthfulqa(item):
    texts = item["choices"]
    right_first = [texts[item["gold"]]] + texts[:item["gold"]] + texts[item["gold"] + 1:]
    return {"question": item["question"], "mc1_targets_choices": right_first, "mc2_targets_choices": right_first,
            "mc2_targets_labels": [1] + [0] * (len(texts) - 1)}


def winogrande(item):
    before = os.path.commonprefix(item["context_options"])
    first, second = (text[len(before):] for text in item["context_options"])
    return {"sentence": f"{before}_ {item['continuation']}", "option1": first, "option2": second, "answer": str(item["gold"] + 1)}


XNLI_LABELS = ("entailment", "neutral", "contradiction")

# Of a set, by language: template, the harness's task, and an item as the harness's data set has it.
SETS = {
    "arc_challenge": lambda l: ("arc_challenge", "arc_challenge" if l == "en" else f"arc_{l}",
                                (lambda i: lettered(i, i["question"])) if l == "en" else options),
    "arc_easy": lambda l: ("arc_easy", "arc_easy", lambda i: lettered(i, i["query"])),
    "boolq": lambda l: ("boolq", "boolq", boolq),
    "copa": lambda l: (f"copa_{l}", "copa" if l == "en" else f"xcopa_{l}", copa),
    "hellaswag": lambda l: ("hellaswag", "hellaswag", hellaswag),
    "lambada": lambda l: ("lambada", "lambada_openai", lambda i: {"text": f"{i['context']} {i['continuation']}"}),
    "mmlu_val": lambda l: ("mmlu_val", f"m_mmlu_{l}", options),
    "openbookqa": lambda l: ("openbookqa", "openbookqa", lambda i: {"question_stem": i["query"], **lettered(i, "")}),
    "piqa": lambda l: ("piqa", "piqa", lambda i: {"goal": i["query"], "sol1": i["choices"][0], "sol2": i["choices"][1], "label": i["gold"]}),
    "sib200": lambda l: ("sib200", "sib_eng_prompt_1", lambda i: {"text": i["text"], "category": i["category"]}),
    "truthfulqa_mc1": lambda l: ("truthfulqa_mc1", f"truthfulqa_{l}_mc1", truthfulqa),
    "turkish_mmlu": lambda l: ("turkish_mmlu", "turkishmmlu_biology",
                               lambda i: {"question": i["question"], "choices": i["choices"], "answer": LETTERS[i["gold"]]}),
    "winogrande": lambda l: ("winogrande", "winogrande", winogrande),
    "xnli_dev": lambda l: (f"xnli_{l}", f"xnli_{l}",
                           lambda i: {"premise": i["premise"], "hypothesis": i["hypothesis"], "label": XNLI_LABELS.index(i["label"])}),
}
# In examples the harness writes two spaces before the word that completes a text; glot, which has one text for the word, writes one.
ALONE = ("lambada",)
HAS_NO_TASK = {("copa", "hu"): "HuCoPA", ("exams", None): "EXAMS", ("xquad", None): "XQuAD as a choice (there it is an answer to write)"}


def shots_of(set_name):
    return (0,) if set_name in ALONE else (0, SHOTS)


class Splits(dict):
    """The same items, whichever split a task asks for."""

    def __missing__(self, key):
        return self["all"]


class Harness:
    """Tasks of the harness over items of our own."""

    def __init__(self):
        datasets.disable_progress_bars()
        logging.disable(logging.WARNING)
        self.manager = TaskManager()

    def task(self, name, docs):
        ConfigurableTask.download = lambda task, *_, **__: setattr(task, "dataset", Splits(all=datasets.Dataset.from_list(docs)))
        return self.manager.load([name])["tasks"][name]

    def prompts(self, name, docs, shots):
        """[(requests, the number of the right choice)] of each, the others among the first `shots` + 1 as examples."""
        task = self.task(name, docs)
        docs = list(task.eval_docs)
        for i, doc in enumerate(docs):
            task.sampler = FirstNSampler([d for k, d in enumerate(docs[:shots + 1]) if k != i])
            context = task.fewshot_context(doc, shots)
            requests = task.construct_requests(doc, context)
            requests = requests if isinstance(requests, list) else [requests]
            yield [split(*r.args[:2]) for r in requests]


def split(context, continuation):
    """As HFLM._encode_pair: white space at the end of a context goes with what follows."""
    n = len(context.rstrip())
    return [context[:n], context[n:] + continuation]


def harness_prompts(harness, set_name, language, items, shots):
    template, task, doc_of = SETS[set_name](language)
    for item, requests in zip(items, harness.prompts(task, [doc_of(i) for i in items], shots), strict=True):
        if set_name == "truthfulqa_mc1":  # the harness has the right one first
            requests.insert(item["gold"], requests.pop(0))
        yield requests


def glot_prompts(glot, path, template, shots):
    examples = ["--examples", path, "--shots", str(shots)] if shots else []
    run = subprocess.run([glot, "eval", "--tasks", path, "--template", template, "--prompts", *examples], check=True, capture_output=True)
    for line in run.stdout.decode().splitlines():
        yield json.loads(line)["requests"]


def compare(harness, glot, path, set_name, language, shots):
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    template, task, _ = SETS[set_name](language)
    ours = list(glot_prompts(glot, path, template, shots))
    theirs = list(harness_prompts(harness, set_name, language, items, shots))
    differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    print(f"{set_name} {language}, {shots} examples: {task}, {len(items)} items: " + (f"{len(differing)} DIFFER" if differing else "equal"))
    for a, b in differing[:2]:
        print(f"    glot    {a[0]!r}\n    harness {b[0]!r}")
    return not differing


def check(glot, folder):
    harness, results = Harness(), []
    for path in sorted(folder.glob("*/*.jsonl")):
        set_name, language = path.parent.name, path.stem
        missing = HAS_NO_TASK.get((set_name, None)) or HAS_NO_TASK.get((set_name, language))
        if missing:
            print(f"{set_name} {language}: the harness has no task for {missing}")
            continue
        results += [compare(harness, glot, path, set_name, language, shots) for shots in shots_of(set_name)]
        if set_name in ALONE:
            print(f"{set_name} {language}, with examples: differs by a space before the word that completes one")
    print(f"{sum(results)} of {len(results)} comparisons equal")
    raise SystemExit(0 if all(results) else 1)


QUESTIONS = [
    {"id": 1, "question": "Which of these [three] is  a metal?", "choices": ["iron", "salt", "ice", "sand"], "gold": 0},
    {"id": 2, "question": "Mi a [fém]?", "choices": ["a vas", "a só", "a jég", "a homok"], "gold": 3},
    {"id": 3, "question": "Ποιο είναι μέταλλο;", "choices": ["ο σίδηρος", "το αλάτι", "ο πάγος", "η άμμος"], "gold": 1},
]
QUERIES = [{"id": i["id"], "query": i["question"], "choices": i["choices"], "gold": i["gold"]} for i in QUESTIONS]
PAIRS = [{**i, "choices": i["choices"][:2], "gold": i["gold"] % 2} for i in QUERIES]
COPA = [
    {"id": 0, "question": "cause", "premise": "İki kuş öttü.", "choices": ["İlkbahar geldi.", "Irmak taştı."], "gold": 0},
    {"id": 1, "question": "effect", "premise": "下雨了。", "choices": ["地面湿了。", "Öl kam."], "gold": 1},
    {"id": 2, "question": "cause", "premise": "It rained!", "choices": ["Clouds came.", "1 cloud came."], "gold": 0},
]
XNLI = [{"id": i, "premise": p, "hypothesis": h, "label": XNLI_LABELS[i]} for i, (p, h) in
        enumerate((("It rains", "It is wet."), ("Βρέχει.", "Χιονίζει"), ("天在下雨", "天晴")))]
GOLDEN = {
    ("arc_challenge", "en"): QUESTIONS,
    ("arc_challenge", "hu"): [{**i, "question": i["question"].replace("[", "(").replace("]", ")").replace("  ", " ")} for i in QUESTIONS],
    ("arc_easy", "en"): QUERIES,
    ("boolq", "en"): [{"id": i, "query": f"Passage: {p}\nQuestion: {q}?", "choices": ["no", "yes"], "gold": i % 2} for i, (p, q) in
                      enumerate((("Iron is a metal.", "is iron a metal"), ("Passage: so it begins.", "is it one"), ("Ice melts.", "does ice melt")))],
    ("copa", "en"): COPA, ("copa", "tr"): COPA, ("copa", "zh"): COPA,
    ("hellaswag", "en"): [
        {"id": 0, "activity": "Shot put", "context": "A man turns and throws. He Looks. then He", "choices": ["sits.", ", at last, sleeps."], "gold": 1},
        {"id": 1, "activity": "Cooking", "context": "[header] How to cook [title] Take a pan. [step] Heat it [substeps] well.",
         "choices": ["[title] Salt it. [step]  Stir.", "Eat [not] it."], "gold": 0},
        {"id": 2, "activity": "Talk", "context": "\"Is it so?\" the other", "choices": ["nods", "[sings] a song"], "gold": 0}],
    ("lambada", "en"): [{"id": i, "context": c, "continuation": e} for i, (c, e) in
                        enumerate((("He said so.\n\n\"Did he", "\"?"), ("a  b", "c"), ("so it went on and", "on")))],
    ("mmlu_val", "es"): QUESTIONS,
    ("openbookqa", "en"): QUERIES,
    ("piqa", "en"): PAIRS,
    ("sib200", "en"): [{"id": i, "text": t, "category": c} for i, (t, c) in
                       enumerate((("A goal!", "sports"), ("Ένα φάρμακο 'νέο'.", "health"), ("{A} new star", "science/technology")))],
    ("truthfulqa_mc1", "hu"): [{**i, "question": "Igaz-e?", "id": i["id"]} for i in QUESTIONS],
    ("turkish_mmlu", "tr"): [{**i, "choices": i["choices"] + ["hiçbiri"]} for i in QUESTIONS],
    ("winogrande", "en"): [{"id": i, "context_options": o, "continuation": e, "gold": i % 2} for i, (o, e) in
                           enumerate(((["Ann saw Bea so Ann", "Ann saw Bea so Bea"], "waved."), (["The cup", "The can"], "'s lid is on."), (["I", "It"], "went.")))],
    **{("xnli_dev", language): XNLI for language in ("el", "en", "es", "hi", "tr", "zh")},
}


def make_golden():
    harness, cases = Harness(), []
    for (set_name, language), items in GOLDEN.items():
        template, task, _ = SETS[set_name](language)
        for shots in shots_of(set_name):
            cases.append({"template": template, "task": task, "shots": shots, "items": items,
                          "requests": list(harness_prompts(harness, set_name, language, items, shots))})
    out = ROOT / "tests/golden/eval/prompts.json"
    text = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    out.write_text(f"[{text}]\n", encoding="utf-8")
    print(f"{out}: {len(cases)} cases, {out.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    args = parser.parse_args()
    if args.golden:
        make_golden()
    elif args.folder:
        check(args.glot, args.folder)
    else:
        parser.error("expected a folder of data sets or --golden")


if __name__ == "__main__":
    main()
