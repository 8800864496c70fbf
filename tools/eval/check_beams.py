#!/usr/bin/env python3
"""Compares `glot eval --translate` with transformers' generate(num_beams=...) on the same model and prompts: the ids of every translation, and beam
search's score.

    pip install torch transformers
    tools/eval/check_beams.py --glot build/release/glot --model models/SmolLM2-135M-Instruct.Q4_1.gguf --beams 4 English=eng.dev Spanish=spa.dev

A GGUF model is written as a Hugging Face directory first, so that both read the same float32 weights. Two continuations whose scores differ by less than float32
rounding may change places.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from dense import dense_directory


def stop_ids(model, tokenizer):
    ids = [i for i in range(min(len(tokenizer), model.config.vocab_size)) if "\n" in tokenizer.decode([i])]
    eos = model.config.eos_token_id
    return sorted(set(ids) | set(eos if isinstance(eos, list) else [eos]))


def compare(model, sample, beams, max_new, stops):
    prompt = torch.tensor([sample["prompt_ids"]])
    with torch.no_grad():
        out = model.generate(prompt, attention_mask=torch.ones_like(prompt), num_beams=beams, do_sample=False, max_new_tokens=max_new, eos_token_id=stops,
                             pad_token_id=stops[0], early_stopping=False, length_penalty=1.0, return_dict_in_generate=True, output_scores=True)
    ids = out.sequences[0, prompt.shape[1]:].tolist()
    end = next((i + 1 for i, t in enumerate(ids) if t in stops), len(ids))
    score = float(out.sequences_scores[0]) if beams > 1 else None
    return ids[:end] == sample["ids"], abs(score - sample["score"]) if score is not None else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--model", required=True)
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--shots", type=int, default=2)
    parser.add_argument("--limit", type=int, default=5)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("files", nargs=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        directory = dense_directory(args.glot, args.model, folder)
        samples = folder / "samples.jsonl"
        subprocess.run([args.glot, "eval", args.model, "--translate", *args.files, "--shots", str(args.shots), "--limit", str(args.limit), "--beams",
                        str(args.beams), "--max-new-tokens", str(args.max_new_tokens), "--samples", samples, "--json"], check=True)
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        stops = stop_ids(model, AutoTokenizer.from_pretrained(directory))
        results = [compare(model, json.loads(line), args.beams, args.max_new_tokens, stops) for line in samples.read_text().splitlines()]
    same = sum(r[0] for r in results)
    print(f"{args.beams} beams, {len(results)} sentences: {same} with the same ids, greatest difference of a score {max(r[1] for r in results):.2g}")
    raise SystemExit(0 if same == len(results) else 1)


if __name__ == "__main__":
    main()
