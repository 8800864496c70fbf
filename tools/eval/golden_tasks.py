#!/usr/bin/env python3
"""Makes tests/golden/eval/tasks/: a tiny random model with a tokenizer, items, and what lm-evaluation-harness says of them.

    pip install torch transformers accelerate lm-eval; tools/eval/golden_tasks.py
"""
import argparse
import gzip
import json
import pathlib
import shutil
import tempfile

import torch
from lm_eval.models.huggingface import HFLM
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from check_tasks import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/golden/eval/tasks"
ITEMS = [
    {"id": 0, "query": "The sun rises in the", "choices": ["east", "west", "middle of the night"], "gold": 0},
    {"id": "b", "query": "Question: What is 2 + 2?\nAnswer:", "choices": ["4", "22", "five"], "gold": 0},
    {"id": 2, "query": "Η γάτα κάθισε στο", "choices": ["χαλί.", "δέντρο.", "νερό;"], "gold": 1},
    {"id": 3, "query": "A kutya", "choices": ["alszik", "ugat és fut"], "gold": 1},
    {"id": 4, "query": "猫在", "choices": ["垫子上", "树上", "水里"], "gold": 2},
    {"id": 5, "query": "one", "choices": ["two", "two"], "gold": 0},
    {"id": 6, "query": "I am", "choices": ["I", "am here", "not", "x y z"], "gold": 3},
    {"id": 7, "query": "", "choices": ["Nothing stands before this", "or this"], "gold": 0},
    {"id": 8, "query": "wor", "choices": ["ld", "k and play"], "gold": 1},
]
# White space at the border of query and choice, a special token in a choice, and texts around the context of 256 tokens.
STONES = " ".join(["river stone"] * 70)
EDGES = [
    {"id": "line", "query": "The answer:\n", "choices": ["west", "east of it"], "gold": 1},
    {"id": "lines", "query": "One. two\n\n", "choices": ["west", "east"], "gold": 0},
    {"id": "tab", "query": "The answer:\t\u00a0", "choices": ["west", "\u4e1c"], "gold": 0},
    {"id": "wide", "query": "The answer:", "choices": [" west", "east ", "\n"], "gold": 2},
    {"id": "special", "query": "", "choices": ["west", "<|endoftext|>east"], "gold": 0},
    *({"id": n, "query": STONES[-n:], "choices": ["west", "not east but north", "water and fire"], "gold": 1} for n in (560, 580, 590, 600, 605, 610, 800)),
]


def write_expected(lm, name, items):
    """NAME.jsonl and what the harness says of it."""
    path = OUT / f"{name}.jsonl"
    path.write_text("".join(json.dumps(i, ensure_ascii=False) + "\n" for i in items), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        result = harness(lm, name, path, pathlib.Path(folder))
    scores = {k.split(",")[0]: v for k, v in result["results"][name].items() if isinstance(v, float)}
    samples = [[float(r[0]) for r in s["filtered_resps"]] for s in result["samples"][name]]
    (OUT / f"{name}.expected.json").write_text(json.dumps({"scores": scores, "loglikelihoods": samples}, indent=1) + "\n")
    print(name, scores)


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help writes nothing
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tokenizer_json = gzip.decompress((ROOT / "tests/golden/tokenizer/gpt2.json.gz").read_bytes())
    (OUT / "tokenizer.json").write_bytes(tokenizer_json)
    torch.manual_seed(5)
    config = LlamaConfig(vocab_size=1100, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                         num_key_value_heads=1, max_position_embeddings=256, tie_word_embeddings=True, initializer_range=0.4,
                         bos_token_id=json.loads(tokenizer_json)["added_tokens"][0]["id"],
                         eos_token_id=json.loads(tokenizer_json)["added_tokens"][0]["id"])
    model = LlamaForCausalLM(config).to(torch.bfloat16).to(torch.float32)
    model.to(torch.bfloat16).save_pretrained(OUT)
    (OUT / "generation_config.json").unlink(missing_ok=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(OUT / "tokenizer.json"), eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    lm = HFLM(pretrained=LlamaForCausalLM.from_pretrained(OUT, dtype=torch.float32), tokenizer=tokenizer, device="cpu", batch_size=1)
    for name, items in (("tiny", ITEMS), ("edges", EDGES)):
        write_expected(lm, name, items)


main()
