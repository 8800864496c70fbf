#!/usr/bin/env python3
"""Makes tests/golden/ops: what PyTorch computes in float64.

    pip install torch==2.15.0
    tools/ops/golden_ops.py

adamw.txt: one block for each case. First a line with lr, beta1, beta2, eps, weight_decay, grad_scale, the number of
elements and of steps; then the starting weights; then for each step a line each with g, w, m, v (g before scaling).
"""
import argparse
import pathlib

import torch

CASES = [  # lr, beta1, beta2, eps, weight_decay, grad_scale
    (5e-5, 0.9, 0.999, 1e-8, 0.0, 1.0),
    (1e-2, 0.9, 0.95, 1e-8, 0.1, 0.25),
    (1e-3, 0.0, 0.5, 1e-3, 0.01, 3.0),
]
ELEMENTS, STEPS = 5, 6


def line(values):
    return " ".join(f"{v:.17g}" for v in values) + "\n"


def block(case, generator):
    lr, beta1, beta2, eps, weight_decay, grad_scale = case
    w = torch.nn.Parameter(torch.randn(ELEMENTS, dtype=torch.float64, generator=generator))
    optimizer = torch.optim.AdamW([w], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)
    text = line([*case, ELEMENTS, STEPS]) + line(w.tolist())
    for step in range(STEPS):
        g = torch.randn(ELEMENTS, dtype=torch.float64, generator=generator) * 10.0 ** (step % 3 - 2)
        g[0] = 0  # an element that never moves but by decay
        w.grad = g * grad_scale
        optimizer.step()
        state = optimizer.state[w]
        for values in (g, w.detach(), state["exp_avg"], state["exp_avg_sq"]):
            text += line(values.tolist())
    return text


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help writes nothing
    generator = torch.Generator().manual_seed(1)
    path = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/ops/adamw.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(block(case, generator) for case in CASES))


if __name__ == "__main__":
    main()
