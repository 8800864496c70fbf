#!/usr/bin/env python3
"""Compares `glot eval --tasks` with lm-evaluation-harness on the same model and items: acc, acc_norm, standard error, and the log likelihood of
every choice, item by item. The items are JSON lines of {"id", "query", "choices", "gold"}.

    pip install torch transformers accelerate lm-eval
    tools/eval/check_tasks.py --glot build/release/glot --model models/SmolLM2-135M-Instruct.Q4_1.gguf --limit 100 TASK.jsonl...

A GGUF model is written as a Hugging Face directory first, so that both read the same float32 weights.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM

from dense import dense_directory


def harness(lm, name, path, folder):
    task = {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder)},
            "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{query}}", "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{gold}}",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True},
                            {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True}]}
    return lm_eval.simple_evaluate(model=lm, tasks=[task], log_samples=True, verbosity="ERROR")


def compare(glot, model, lm, path, limit, folder):
    name = path.name.removesuffix(".jsonl")
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:limit]
    cut = folder / path.name
    keys = ("id", "query", "choices", "gold")
    cut.write_text("".join(json.dumps({k: item[k] for k in keys if k in item}) + "\n" for item in items))
    samples = folder / "samples.jsonl"
    run = subprocess.run([glot, "eval", model, "--tasks", cut, "--samples", samples, "--json"], check=True, capture_output=True)
    got = json.loads(run.stdout)["tasks"][name]
    result = harness(lm, name, cut, folder)
    theirs = result["results"][name]
    worst = 0.0
    for sample, line in zip(result["samples"][name], samples.read_text().splitlines()):
        expected = [r[0] for r in sample["filtered_resps"]]
        for a, b in zip(json.loads(line)["loglikelihoods"], expected, strict=True):
            worst = max(worst, abs(a - float(b)))
    pairs = [("acc", "acc,none"), ("acc_norm", "acc_norm,none"), ("acc_stderr", "acc_stderr,none"), ("acc_norm_stderr", "acc_norm_stderr,none")]
    same = all(abs(got[a] - theirs[b]) < 1e-12 for a, b in pairs if isinstance(theirs.get(b), float))
    print(f"{name}: {len(items)} items, acc {got['acc']:.4f} ({theirs['acc,none']:.4f}), acc_norm {got['acc_norm']:.4f} "
          f"({theirs['acc_norm,none']:.4f}), stderr {got['acc_stderr']:.6f} ({theirs.get('acc_stderr,none')}), "
          f"greatest difference of a log likelihood {worst:.2g}: {'equal' if same else 'DIFFERENT'}")
    return same and worst < 1e-2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--model", required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("tasks", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = dense_directory(args.glot, args.model, folder)
        lm = HFLM(pretrained=model, dtype=torch.float32, device="cpu", batch_size=1)
        results = [compare(args.glot, model, lm, path, args.limit, folder) for path in args.tasks]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
