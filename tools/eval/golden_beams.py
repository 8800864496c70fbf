#!/usr/bin/env python3
"""Makes tests/golden/eval/beams.json: what transformers' generate(num_beams=...) writes with the tiny model of tests/golden/eval/tasks.

    pip install torch transformers; tools/eval/golden_beams.py
"""
import argparse
import json
import pathlib

import torch
from transformers import LlamaForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENGTH = 12


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help writes nothing
    model = LlamaForCausalLM.from_pretrained(ROOT / "tests/golden/eval/tasks", dtype=torch.float32)
    model.generation_config.eos_token_id = None
    rng = torch.Generator().manual_seed(3)
    entries = []
    for case in range(8):
        prompt = torch.randint(0, 1000, (1, 3 + 5 * case), generator=rng)
        free = model.generate(prompt, attention_mask=torch.ones_like(prompt), num_beams=3, do_sample=False, max_new_tokens=LENGTH, pad_token_id=0)
        for beams, penalty in ((1, 1.0), (2, 1.0), (4, 1.0), (4, 0.0), (5, 2.0)):
            stop = int(free[0, prompt.shape[1] + 2 + case % 6])  # a token that really comes
            out = model.generate(prompt, attention_mask=torch.ones_like(prompt), num_beams=beams, do_sample=False, max_new_tokens=LENGTH, eos_token_id=stop,
                                 pad_token_id=0, length_penalty=penalty, early_stopping=False, return_dict_in_generate=True, output_scores=True)
            ids = out.sequences[0, prompt.shape[1]:].tolist()
            if stop in ids:
                ids = ids[:ids.index(stop) + 1]
            score = float(out.sequences_scores[0]) if beams > 1 else None
            entries.append({"prompt": prompt[0].tolist(), "beams": beams, "length_penalty": penalty, "stop": stop, "ids": ids, "score": score})
    text = ",\n".join(json.dumps(e) for e in entries)
    (ROOT / "tests/golden/eval/beams.json").write_text(f"[{text}]\n")
    print(len(entries), "continuations,", sum(e["stop"] in e["ids"] for e in entries), "of them stopped")


main()
