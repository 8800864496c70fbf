#!/usr/bin/env python3
"""Times one training step (stage 1 or review) of glot and of eager PyTorch alternately, on the same shape in the same run, and prints the ratio.

The PyTorch side is a small model of its own with the same arithmetic: a Llama-shaped decoder whose FFNs are mixtures of experts (a loop over the
experts that are hit, as people write it), expert 0 and everything else frozen, load-balancing loss, clipping, AdamW; for a review the routers
alone train. Float32, or bf16 as torch.autocast does it; all cores. Beside it stand glot's FLOP/s, counted from shapes, as a share of what the best product
of PyTorch's own libraries (torch.nn.functional.linear, or oneDNN on its blocked operands) reaches in the same minute on 1024 x 1536 x 576.

    python3 bench/compare_pytorch.py --glot build/release/glot [--work train] [--dtype float32] [--pairs 3] [--steps 3]

Needs PyTorch; nothing of it is needed to build, run or test glot.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

SHAPE = dict(layers=30, hidden=576, ffn=1536, heads=9, kv_heads=3, head_dim=64, vocab=49152, experts=4, top_k=2)


class RMSNorm(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(n))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


def linear(n_in, n_out):
    return torch.nn.Linear(n_in, n_out, bias=False)


class Expert(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.gate, self.up = linear(s["hidden"], s["ffn"]), linear(s["hidden"], s["ffn"])
        self.down = linear(s["ffn"], s["hidden"])

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class MoE(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.top_k = s["top_k"]
        self.router = linear(s["hidden"], s["experts"])
        self.experts = torch.nn.ModuleList(Expert(s) for _ in range(s["experts"]))

    def forward(self, x):
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        probs = self.router(x).softmax(-1)
        top, ids = probs.topk(self.top_k, -1)
        weights = top / top.sum(-1, keepdim=True)
        y = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            token, slot = (ids == e).nonzero(as_tuple=True)
            if len(token):
                y = y.index_add(0, token, (expert(x[token]) * weights[token, slot, None]).to(y.dtype))
        n = len(self.experts)
        share = F.one_hot(ids, n).sum(1).float().mean(0) / self.top_k
        return y.reshape(shape), n * (share * probs.mean(0)).sum()


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


class Layer(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        width, kv = s["heads"] * s["head_dim"], s["kv_heads"] * s["head_dim"]
        self.q, self.k, self.v = linear(s["hidden"], width), linear(s["hidden"], kv), linear(s["hidden"], kv)
        self.o = linear(width, s["hidden"])
        self.norm1, self.norm2, self.moe = RMSNorm(s["hidden"]), RMSNorm(s["hidden"]), MoE(s)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        n = self.norm1(x)
        heads = lambda t: t.view(batch, length, -1, self.s["head_dim"]).transpose(1, 2)
        q, k, v = rotate(heads(self.q(n)), cos, sin), rotate(heads(self.k(n)), cos, sin), heads(self.v(n))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(a.transpose(1, 2).reshape(batch, length, -1))
        y, balance = self.moe(self.norm2(x))
        return x + y, balance


class Model(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.embedding = torch.nn.Embedding(s["vocab"], s["hidden"])
        self.layers = torch.nn.ModuleList(Layer(s) for _ in range(s["layers"]))
        self.norm = RMSNorm(s["hidden"])

    def loss(self, ids):
        x, balances = self.embedding(ids), []
        angle = torch.outer(torch.arange(ids.shape[1]).float(), 1e5 ** (-torch.arange(0, 64, 2) / 64))
        cos, sin = torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()
        for layer in self.layers:
            x, balance = layer(x, cos, sin)
            balances.append(balance)
        logits = self.norm(x[:, :-1]) @ self.embedding.weight.T
        ce = F.cross_entropy(logits.reshape(-1, self.s["vocab"]), ids[:, 1:].reshape(-1))
        return ce + 0.01 * torch.stack(balances).mean()


def pytorch_trainer(work):
    torch.manual_seed(1)
    model = Model(SHAPE)
    for name, p in model.named_parameters():
        torch.nn.init.normal_(p, std=0.02) if p.ndim > 1 else None
        new_expert = ".experts." in name and ".experts.0." not in name
        p.requires_grad_("router" in name or (work == "train" and new_expert))
    trained = [p for p in model.parameters() if p.requires_grad]
    return model, trained, torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.0)


def time_pytorch(state, ids, steps, dtype):
    model, trained, optimizer = state
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            loss = model.loss(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return ids.numel() / statistics.median(seconds)


def library_product(dtype):
    """FLOP/s of the fastest library product of 1024 x 1536 x 576 there is here, the best of many."""
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    x, w = torch.randn(1024, 576).to(kind), torch.randn(1536, 576).to(kind)
    blocked_x, blocked_w = x.to_mkldnn(), w.to_mkldnn()
    best = 1e9
    for product in (lambda: F.linear(x, w), lambda: torch.ops.aten.mkldnn_linear(blocked_x, blocked_w, None)):
        for _ in range(100):
            began = time.perf_counter()
            product()
            best = min(best, time.perf_counter() - began)
    return 2 * 1024 * 1536 * 576 / best


def time_glot(program, work, dtype, steps):
    command = [program, "bench", work, "--shape", "smollm2-135m", "--dtype", dtype, "--steps", str(steps), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--work", choices=("train", "review"), default="train")
    parser.add_argument("--dtype", choices=("float32", "bf16"), default="float32")
    a = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    state, ids = pytorch_trainer(a.work), torch.randint(0, SHAPE["vocab"], (4, 256))
    time_pytorch(state, ids, 1, a.dtype)
    ratios, shares = [], []
    print(f"{processor()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}, {a.work}, 4 x 256 tokens, {a.dtype}")
    print("| pair | glot tokens/s | PyTorch tokens/s | ratio | glot GFLOP/s | of the best library product |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for pair in range(a.pairs):
        before, ours = library_product(a.dtype), time_glot(a.glot, a.work, a.dtype, a.steps)
        product = max(before, library_product(a.dtype))
        theirs = time_pytorch(state, ids, a.steps, a.dtype)
        ratios.append(ours["tokens_per_s"] / theirs)
        shares.append(ours["flops_per_s"] / product)
        print(f"| {pair + 1} | {ours['tokens_per_s']:.1f} | {theirs:.1f} | {ratios[-1]:.2f} | {ours['flops_per_s'] / 1e9:.0f} | "
              f"{100 * shares[-1]:.0f} % of {product / 1e9:.0f} |", flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.2f}, of the library product {100 * statistics.median(shares):.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
