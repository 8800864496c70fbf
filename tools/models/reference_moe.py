#!/usr/bin/env python3
"""METHOD 1 to 3, 6 and 7 in plain PyTorch, float64, and the golden values of training made with it: tests/golden/training.

    pip install numpy==2.4.6 torch==2.15.0 transformers==5.23.0 safetensors==0.8.0
    tools/models/reference_moe.py

What is written
---------------
START/                 an expanded model directory as glot reads it (`dense` is a plain one): random weights of a transformers model, new experts
                       and routers moved away from their copies so that every token has a clear choice. bf16, so that the file is small and
                       the numbers are exact. Where there are language gates config.json's BOS is an id that the text has here and there.
text.safetensors       the blocks that every case reads, in order, from the first one:
                       ids, languages, is_start  I32 [N, length]; lengths I32 [N]: ids in each block (the rest is padding)
                       language 0 belongs to group 0, language l to group l
cases.json             a list of cases:
    name, start        the case; the folder it starts from
    phase              "train" or "review"
    trainable          "new_experts", "all_experts", "all", "routers" (and language gates) or "lora", with `rank` and `alpha`
    steps, batch, micro_batch, length, n_languages
    schedule, lr, min_lr, router_lr, warmup_steps, beta1, beta2, eps, weight_decay, clip
    balance_coef, balance_form, lpr_coef, lpr_form, lpr_groups, gate_coef, cross_document
    expected           one object a step: loss, ce, balance, lpr, gate, grad_norm (before clipping), lr;
                       a loss whose coefficient is 0 is not taken and is 0
    first_grad_norms   tensor name -> L2 norm of its gradient in the first step, before clipping
    kept               start of the names of the tensors in NAME.safetensors: all trained ones, or one layer's to keep it small
NAME.safetensors       trained tensors after the last step, rounded to float32; of LoRA A [rank, in] and B, transposed, [rank, out]
NAME.start.safetensors, NAME.merged.safetensors: LoRA's A at the start, and W + alpha / rank B A after the last step

Step s takes blocks s * batch .. (s + 1) * batch - 1; the text starts again when it runs out.

Numbers: everything in float64 but the tables of the rotary embedding, which are rounded to float32 as in transformers and in glot. While a case
runs, the script checks that no token is near a tie between the last expert it takes and the first it does not, or between the two classes of a
language gate, and that every gate sends some tokens either way.
"""
import argparse
import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/training"
VOCAB, LENGTH, BLOCKS = 61, 16, 24
GATED_BOS = 24  # comes up in the text, first in a document too: a tie
SIZES = dict(vocab_size=VOCAB, hidden_size=24, intermediate_size=20, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1)
SMALLEST_GAP = 3e-5  # of two router logits at the edge of the top k, or of a gate's two: float32 is off by less than a tenth of it


# ---- the model ----
# W: tensors by their names; C: the dictionary of config.json; experts: how many each layer has; k: experts a token.
# gated: the layers whose language gates are asked, and what a gate sees at each token as a product with x [T, h]: looks [T, T].


def rms_norm(x, weight, eps):
    return x * weight / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def rope_tables(head_dim, theta, n):
    """cos and sin [n, head_dim / 2]: frequency, angle and table each rounded to float32."""
    exponent = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequency = np.float32(1) / np.power(np.float64(np.float32(theta)), exponent.astype(np.float64)).astype(np.float32)
    angle = (np.arange(n, dtype=np.float32)[:, None] * frequency[None]).astype(np.float64)
    return (torch.from_numpy(f(angle).astype(np.float32).astype(np.float64)) for f in (np.cos, np.sin))


def rotate(x, positions, tables):
    """x [T, heads, d]: the pair (i, i + d/2) turned by its position's angle."""
    cos, sin = (t[positions][:, None, :] for t in tables)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def linear(W, name, x):
    """x W^T + bias, and LoRA beside W: alpha / rank (x A^T) B^T; lora_B is B^T."""
    y = x @ W[f"{name}.weight"].T
    if f"{name}.bias" in W:
        y = y + W[f"{name}.bias"]
    if f"{name}.lora_A" in W:
        y = y + W["lora_scale"] * (x @ W[f"{name}.lora_A"].T @ W[f"{name}.lora_B"])
    return y


def attention(W, C, prefix, x, positions, visible, tables):
    heads, kv_heads, d = C["num_attention_heads"], C["num_key_value_heads"], C["head_dim"]

    def project(which, n):
        y = linear(W, f"{prefix}{which}_proj", x).view(-1, n, d)
        if f"{prefix}{which}_norm.weight" in W:
            y = rms_norm(y, W[f"{prefix}{which}_norm.weight"], C["rms_norm_eps"])
        return y

    q = rotate(project("q", heads), positions, tables)
    k = rotate(project("k", kv_heads), positions, tables).repeat_interleave(heads // kv_heads, 1)
    v = project("v", kv_heads).repeat_interleave(heads // kv_heads, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(d)
    weights = scores.masked_fill(~visible, -math.inf).softmax(-1)
    return linear(W, f"{prefix}o_proj", torch.einsum("hqk,khd->qhd", weights, v).reshape(len(x), -1))


def ffn(W, prefix, x):
    return linear(W, f"{prefix}down_proj", F.silu(linear(W, f"{prefix}gate_proj", x)) * linear(W, f"{prefix}up_proj", x))


def takes_original(W, prefix, x, looks, gates):
    """METHOD 6: the tokens of class 0 [T]. `gates` collects logits [T, 2]. Where nothing was seen yet the tie is meant."""
    logits = looks @ x @ W[f"{prefix}language_gate.weight"].T
    lead = (logits[:, 0] - logits[:, 1]).detach()
    gap = lead[looks.any(-1)].abs().min().item()
    assert gap > SMALLEST_GAP, f"two classes are within {gap}: take another seed"
    gates.append(logits)
    return lead > 0


def moe(W, prefix, x, n_experts, k, routers):
    """METHOD 1, first form. `routers` collects (logits [T, E], chosen ids [T, K])."""
    k = min(k, n_experts)
    logits = x @ W[f"{prefix}router.weight"].T
    p = logits.softmax(-1)
    top, chosen = p.topk(k, -1)
    if k < n_experts:
        edge = logits.detach().sort(-1, descending=True).values
        gap = (edge[:, k - 1] - edge[:, k]).min().item()
        assert gap > SMALLEST_GAP, f"two experts are within {gap}: take another seed"
    routers.append((logits, chosen))
    weights = top / top.sum(-1, keepdim=True)
    every = torch.stack([ffn(W, f"{prefix}experts.{e}.", x) for e in range(n_experts)], 1)  # [T, E, h]
    return (weights[..., None] * every.gather(1, chosen[..., None].expand(-1, -1, x.shape[1]))).sum(1)


def forward(W, C, experts, k, ids, positions, visible, gated=(), looks=None):
    """Logits [T, vocab]; the routers' logits and choices, and the gates' logits, layer by layer."""
    routers, gates = [], []
    tables = list(rope_tables(C["head_dim"], C["rope_theta"], int(positions.max()) + 1))
    x = W["model.embed_tokens.weight"][ids]
    for layer in range(C["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        normed = rms_norm(x, W[prefix + "input_layernorm.weight"], C["rms_norm_eps"])
        x = x + attention(W, C, prefix + "self_attn.", normed, positions, visible, tables)
        normed = rms_norm(x, W[prefix + "post_attention_layernorm.weight"], C["rms_norm_eps"])
        if experts[layer] == 1:
            x = x + ffn(W, prefix + "mlp.", normed)
        else:
            y = moe(W, prefix + "mlp.", normed, experts[layer], k, routers)
            if layer in gated:
                is_original = takes_original(W, prefix + "mlp.", normed, looks, gates)
                y = torch.where(is_original[:, None], ffn(W, prefix + "mlp.experts.0.", normed), y)
            x = x + y
    x = rms_norm(x, W["model.norm.weight"], C["rms_norm_eps"])
    head = W["model.embed_tokens.weight"] if C["tie_word_embeddings"] else W["lm_head.weight"]
    return x @ head.T, routers, gates


# ---- the losses ----


def balance_loss(routers, form):
    """METHOD 2, mean over the layers with a router. Released: the first layer's E for all, and no 1/K."""
    losses = []
    for logits, chosen in routers:
        n_tokens, n_experts = logits.shape
        k = chosen.shape[1]
        share = torch.bincount(chosen.flatten(), minlength=n_experts).double() / (k * n_tokens)
        factor = n_experts if form == "paper" else routers[0][0].shape[1] * k
        losses.append(factor * (share * logits.softmax(-1).mean(0)).sum())
    return torch.stack(losses).mean()


def lpr_sum(routers, expert_groups, groups, newest, form, is_original_only):
    """METHOD 3 and 7: sum over layers with a router and over tokens of a group that is not the newest. groups [T]."""
    total = torch.zeros((), dtype=torch.float64)
    for (logits, _), of_expert in zip(routers, expert_groups):
        p = logits.softmax(-1)
        for g in range(1 if is_original_only else newest):
            rows = p[groups == g]
            if form == "paper":
                total = total - torch.log(rows[:, of_expert <= g].sum(-1)).sum()
            else:
                total = total + (torch.logsumexp(rows, -1) - rows[:, 0]).sum()
    return total


def gate_sum(gates, groups):
    """METHOD 6: cross-entropy of every token at every gated layer; class 0 is group 0, every other group is class 1."""
    classes = (groups > 0).long()
    return sum((F.cross_entropy(logits, classes, reduction="sum") for logits in gates), torch.zeros((), dtype=torch.float64))


# ---- one step ----


def gate_looks(blocks, form, bos):
    """METHOD 6: what a gate sees at each row, as weights of the rows [T, T]: its document's mean so far, or its block's sum; without BOS."""
    ids, block_of, document = [], [], []
    for b, block in enumerate(blocks):
        for i in range(block["n"]):
            ids.append(block["ids"][i])
            block_of.append(b)
            document.append(len(document) if i == 0 or block["is_start"][i] else document[-1])
    ids, block_of, document, order = (torch.tensor(v) for v in (ids, block_of, document, range(len(ids))))
    if form == "sequence_sum":
        return ((block_of[:, None] == block_of[None, :]) & (ids != bos)).double()
    seen = ((document[:, None] == document[None, :]) & (order[None, :] <= order[:, None]) & (ids != bos)).double()
    return seen / seen.sum(-1, keepdim=True).clamp(min=1)


def rows_of(blocks, is_cross_document):
    """Rows of blocks one behind the other: ids, positions, who sees whom, targets (-1: none), groups."""
    ids, positions, owner, targets, groups = [], [], [], [], []
    for block in blocks:
        n = block["n"]
        for i in range(n):
            if i == 0 or (block["is_start"][i] and not is_cross_document):
                start = i
                document = len(ids)
            ids.append(block["ids"][i])
            positions.append(i - start)
            owner.append(document)
            targets.append(block["ids"][i + 1] if i + 1 < n else -1)
            groups.append(block["languages"][i])  # language l belongs to group l
    owner = torch.tensor(owner)
    order = torch.arange(len(ids))
    visible = (owner[:, None] == owner[None, :]) & (order[:, None] >= order[None, :])
    return torch.tensor(ids), torch.tensor(positions), visible, torch.tensor(targets), torch.tensor(groups)


def micro_batches(blocks, size):
    return [part for part in (blocks[i:i + size] for i in range(0, len(blocks), size)) if sum(b["n"] for b in part)]


def losses_of_step(W, model, case, blocks, decisions):
    """Sums up the step's loss over its micro-batches; the gradient is in the graph of `loss`. `decisions` collects the gates' logits."""
    newest = len(model["groups"]) - 1
    home = range(1 if case["lpr_groups"] == "original" else newest)
    n_tokens = sum(b["n"] for b in blocks)
    n_targets = sum(max(b["n"] - 1, 0) for b in blocks)
    n_routers = sum(e > 1 for e in model["experts"])
    pairs = n_routers * sum(language in home for b in blocks for language in b["languages"][:b["n"]])
    gated = model["gate"]["layers"] if case["phase"] == "review" else []  # METHOD 2: no gate in stage 1
    ce = balance = lpr = gate = torch.zeros((), dtype=torch.float64)
    for part in micro_batches(blocks, case["micro_batch"]):
        ids, positions, visible, targets, groups = rows_of(part, case["cross_document"])
        looks = gate_looks(part, model["gate"].get("form"), model["config"]["bos_token_id"])
        logits, routers, gates = forward(W, model["config"], model["experts"], model["top_k"], ids, positions, visible, gated, looks)
        ce = ce + F.cross_entropy(logits[targets >= 0], targets[targets >= 0], reduction="sum") / n_targets
        if routers and case["balance_coef"]:
            balance = balance + balance_loss(routers, case["balance_form"]) * len(ids) / n_tokens
        if pairs and case["lpr_coef"]:
            lpr = lpr + lpr_sum(routers, model["expert_groups"], groups, newest, case["lpr_form"],
                                case["lpr_groups"] == "original") / pairs
        decisions.append(gates)
        if gated and case["gate_coef"]:
            gate = gate + gate_sum(gates, groups) / (n_tokens * len(gated))
    loss = ce + case["balance_coef"] * balance + case["lpr_coef"] * lpr + case["gate_coef"] * gate
    return dict(loss=loss, ce=ce, balance=balance, lpr=lpr, gate=gate)


def learning_rate(case, lr, step):
    if step < case["warmup_steps"]:
        return lr * (step + 1) / case["warmup_steps"]
    if case["schedule"] == "constant":
        return lr
    low, done = case["min_lr"], step / case["steps"]
    return low + (lr - low) * (1 - done if case["schedule"] == "linear" else (1 + math.cos(math.pi * done)) / 2)


def is_trained(name, model, trainable):
    if "lora" in name or trainable == "lora":
        return name.endswith(("lora_A", "lora_B"))
    if "language_gate" in name:
        return trainable == "routers"
    if trainable == "all":
        return True
    if name.endswith("router.weight"):
        return True
    if ".experts." not in name or trainable == "routers":
        return False
    layer, expert = int(name.split(".")[2]), int(name.split(".experts.")[1].split(".")[0])
    return trainable == "all_experts" or model["all_groups"][layer][expert] == len(model["groups"]) - 1


def check_both_ways(decisions):
    for of_layer in zip(*decisions):
        is_original = torch.cat([logits[:, 0] > logits[:, 1] for logits in of_layer])
        assert 0.05 < is_original.double().mean() < 0.95, "a gate sends nearly every token one way: take another seed"


def lora_start(model, case):
    """PEFT's start beside every projection: A Kaiming-uniform, that is within 1 / sqrt(in) of 0, and B zero."""
    generator = torch.Generator().manual_seed(81)
    out = {"lora_scale": torch.tensor(case["alpha"] / case["rank"], dtype=torch.float64)}
    for name, W in model["weights"].items():
        if name.endswith("_proj.weight"):
            a = (2 * torch.rand(case["rank"], W.shape[1], generator=generator) - 1) / math.sqrt(W.shape[1])
            out[name.replace("weight", "lora_A")] = a.bfloat16().double()
            out[name.replace("weight", "lora_B")] = torch.zeros(case["rank"], W.shape[0], dtype=torch.float64)
    return out


def merged(model, case, final):
    """W + alpha / rank B A."""
    stems = [name.removesuffix("lora_A") for name in final if name.endswith("lora_A")]
    return {f"{stem}weight": model["weights"][f"{stem}weight"] + case["alpha"] / case["rank"] * final[f"{stem}lora_B"].T @ final[f"{stem}lora_A"]
            for stem in stems}


def train(model, case, text, start):
    """Expected values of every step, the first step's gradient norms, and the trained tensors at the end."""
    W = {name: t.clone() for name, t in (model["weights"] | start).items()}
    trained = {name: t.requires_grad_() for name, t in W.items() if is_trained(name, model, case["trainable"])}
    deciding = ("router.weight", "language_gate.weight")
    routers = [t for name, t in trained.items() if name.endswith(deciding)]
    others = [t for name, t in trained.items() if not name.endswith(deciding)]
    optimizer = torch.optim.AdamW([dict(params=p) for p in (others, routers) if p], betas=(case["beta1"], case["beta2"]),
                                  eps=case["eps"], weight_decay=case["weight_decay"])
    expected, first_grad_norms, decisions = [], None, []
    for step in range(case["steps"]):
        blocks = [text[(step * case["batch"] + i) % len(text)] for i in range(case["batch"])]
        lr, router_lr = (learning_rate(case, case[key], step) for key in ("lr", "router_lr"))
        for group in optimizer.param_groups:
            group["lr"] = router_lr if routers and group["params"][0] is routers[0] else lr
        optimizer.zero_grad()
        losses = losses_of_step(W, model, case, blocks, decisions)
        losses["loss"].backward()
        for t in trained.values():
            t.grad = torch.zeros_like(t) if t.grad is None else t.grad
        if first_grad_norms is None:
            first_grad_norms = {name: t.grad.norm().item() for name, t in trained.items()}
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), case["clip"] if case["clip"] else math.inf)
        optimizer.step()
        expected.append({key: value.item() for key, value in losses.items()} | {"grad_norm": norm.item(), "lr": lr})
    check_both_ways(decisions)
    return expected, first_grad_norms, {name: t.detach() for name, t in trained.items()}


# ---- starting models ----


def base_model(model_type, is_tied, seed, **more):
    """A transformers model with bf16 numbers, and its configuration in the older spelling."""
    config = AutoConfig.for_model(model_type, **SIZES, tie_word_embeddings=is_tied, **more)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = 0.25 * torch.randn(p.shape, generator=generator)
            p.copy_((1 + noise if "norm" in name else noise).bfloat16().float())
    C = dict(architectures=[type(model).__name__], model_type=model_type, hidden_act="silu", rope_theta=10000.0, rope_scaling=None,
             **SIZES, tie_word_embeddings=is_tied, torch_dtype="bfloat16")
    C["head_dim"] = getattr(config, "head_dim", None) or SIZES["hidden_size"] // SIZES["num_attention_heads"]
    return model, C


def check_forward(model, W, C):
    ids = torch.arange(11) * 5 % VOCAB
    visible = torch.ones(11, 11, dtype=torch.bool).tril()
    got, _, _ = forward(W, C, [1] * C["num_hidden_layers"], 1, ids, torch.arange(11), visible)
    with torch.no_grad():
        expected = model(input_ids=ids[None]).logits[0]
    assert (got - expected).abs().max() < 2e-5, "the reference is not the transformers model"


def expand(W, groups_of_layers, generator):
    """Upcycling; then every new expert moves away from its copy and routers get weights of some size."""
    out = {name: t for name, t in W.items() if ".mlp." not in name}
    hidden = SIZES["hidden_size"]
    for layer, groups in enumerate(groups_of_layers):
        prefix = f"model.layers.{layer}.mlp."
        for which in ("gate", "up", "down"):
            original = W[f"{prefix}{which}_proj.weight"]
            if len(groups) == 1:
                out[f"{prefix}{which}_proj.weight"] = original
            for e in range(len(groups) if len(groups) > 1 else 0):
                noise = 0.1 * torch.randn(original.shape, generator=generator, dtype=torch.float64)
                out[f"{prefix}experts.{e}.{which}_proj.weight"] = (original + (noise if e else 0)).bfloat16().double()
        if len(groups) > 1:
            out[f"{prefix}router.weight"] = (0.5 * torch.randn(len(groups), hidden, generator=generator)).bfloat16().double()
    return out


def add_gates(W, layers, generator):
    for layer in layers:
        gate = 0.5 * torch.randn(2, SIZES["hidden_size"], generator=generator)
        W[f"model.layers.{layer}.mlp.language_gate.weight"] = gate.bfloat16().double()


def make_start(name, model_type, is_tied, groups_of_layers, n_groups, seed, gate={}, **more):
    base, C = base_model(model_type, is_tied, seed, **more)
    W = {key: t.double() for key, t in base.state_dict().items() if not (is_tied and key == "lm_head.weight")}
    check_forward(base, W, C)
    model = dict(config=C, top_k=2, groups=[[]] * n_groups, experts=[len(g) for g in groups_of_layers],
                 all_groups=groups_of_layers, gate=dict(layers=[]) | gate,
                 expert_groups=[torch.tensor(g) for g in groups_of_layers if len(g) > 1])
    model["weights"] = expand(W, groups_of_layers, torch.Generator().manual_seed(seed + 1))
    add_gates(model["weights"], model["gate"]["layers"], torch.Generator().manual_seed(seed + 2))
    if gate:
        C["bos_token_id"] = GATED_BOS
    saved = dict(C)
    if n_groups > 1:
        saved |= dict(architectures=["GlotForCausalLM"], model_type="glot")
        saved["glot"] = dict(version=1, num_experts_per_layer=model["experts"], num_experts_per_tok=2,
                             groups=[[f"l{g}"] for g in range(n_groups)], expert_group=groups_of_layers,
                             base_architecture=C["architectures"][0], base_model_type=model_type)
        if gate:
            saved["glot"]["gate"] = gate
    (GOLDEN / name).mkdir(parents=True, exist_ok=True)
    (GOLDEN / name / "config.json").write_text(json.dumps(saved, indent=1) + "\n")
    save_file({key: t.bfloat16().contiguous() for key, t in model["weights"].items()}, GOLDEN / name / "model.safetensors",
              metadata={"format": "pt"})
    return model


# ---- text and cases ----


def make_text(seed):
    """Blocks of documents of three languages; language l uses a third of the vocabulary more than the others."""
    rng = np.random.default_rng(seed)
    blocks = []
    for b in range(BLOCKS):
        block = dict(ids=[], languages=[], is_start=[], n=11 if b == 5 else LENGTH)
        while len(block["ids"]) < LENGTH:
            language, n = int(rng.integers(0, 3)), int(rng.integers(3, 12))
            first = 2 + 20 * language
            for i in range(n):
                wide = rng.random() < 0.3
                block["ids"].append(int(rng.integers(2, VOCAB) if wide else rng.integers(first, min(first + 20, VOCAB))) if i < n - 1 else 1)
                block["languages"].append(language)
                block["is_start"].append(int(i == 0 or not block["is_start"]))
        for key in ("ids", "languages", "is_start"):
            block[key] = block[key][:LENGTH]
        blocks.append(block)
    return blocks


def of_languages(text, n):
    """The same text with languages 0 .. n - 1 only."""
    return [dict(block, languages=[language % n for language in block["languages"]]) for block in text]


DEFAULTS = dict(phase="train", trainable="new_experts", steps=10, batch=3, micro_batch=3, length=LENGTH, n_languages=2,
                schedule="cosine", lr=2e-3, min_lr=0.0, router_lr=2e-3, warmup_steps=0, beta1=0.9, beta2=0.999, eps=1e-8,
                weight_decay=0.0, clip=1.0, balance_coef=0.01, balance_form="paper", lpr_coef=0.0, lpr_form="paper",
                lpr_groups="all", gate_coef=0.0, cross_document=False, kept="")
LAST = "model.layers.2."
REVIEW = dict(phase="review", trainable="routers", balance_coef=0.0, lpr_coef=0.1, lr=1e-2, router_lr=1e-2)
GATED = {**REVIEW, "steps": 5, "gate_coef": 0.1}

CASES = [
    dict(name="train", start="uniform"),
    dict(name="train_micro_batches", start="uniform", kept=LAST, steps=3, micro_batch=1),
    dict(name="train_uneven_micro_batches", start="uniform", kept=LAST, steps=3, micro_batch=2),
    dict(name="train_balance_released", start="uniform", kept=LAST, steps=3, balance_form="released", balance_coef=0.1),
    dict(name="train_all_experts", start="layerwise", trainable="all_experts", schedule="linear", warmup_steps=3, min_lr=1e-4,
         weight_decay=0.05, router_lr=5e-3),
    dict(name="train_all", start="layerwise", trainable="all", steps=5, schedule="constant", clip=0.0),
    dict(name="train_dense", start="dense", trainable="all", steps=5, beta1=0.8, beta2=0.95),
    dict(name="train_lora", start="dense", trainable="lora", rank=4, alpha=8.0, clip=0.0, lr=1e-2),
    dict(name="train_lora_once", start="dense", trainable="lora", rank=3, alpha=1.5, steps=1, micro_batch=2, kept=LAST),
    dict(name="train_cross_document", start="uniform", kept=LAST, steps=2, cross_document=True),
    dict(name="train_grown", start="grown", steps=3, n_languages=3, balance_form="released", balance_coef=0.1),
    dict(name="review", start="uniform", **REVIEW),
    dict(name="review_released", start="uniform", **{**REVIEW, "steps": 5}, lpr_form="released"),
    dict(name="review_layerwise", start="layerwise", **{**REVIEW, "steps": 5}, micro_batch=1),
    dict(name="review_grown", start="grown", **{**REVIEW, "steps": 3}, n_languages=3),
    dict(name="review_grown_original", start="grown", **{**REVIEW, "steps": 3}, n_languages=3, lpr_groups="original",
         lpr_form="released"),
    dict(name="train_gated", start="gated_grown", kept=LAST, steps=1, n_languages=3, gate_coef=0.1),
    dict(name="review_gated", start="gated", **GATED, micro_batch=2),
    dict(name="review_gated_cross_document", start="gated", **{**GATED, "steps": 1, "gate_coef": 1.0}, cross_document=True),
    dict(name="review_gated_sum", start="gated_sum", **GATED, micro_batch=2),
    dict(name="review_gated_grown", start="gated_grown", **{**GATED, "router_lr": 5e-3}, n_languages=3),
]


def write_text(text):
    tensors = {key: torch.tensor([block[key] for block in text], dtype=torch.int32) for key in ("ids", "languages", "is_start")}
    save_file(tensors | {"lengths": torch.tensor([block["n"] for block in text], dtype=torch.int32)}, GOLDEN / "text.safetensors")


def write_tensors(case, which, tensors):
    kept = {name: t.float().contiguous() for name, t in tensors.items() if name.startswith(case["kept"])}
    save_file(kept, GOLDEN / f"{case['name']}{which}.safetensors")


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help writes nothing
    torch.set_num_threads(1)
    uniform, grown = [[0, 1, 1, 1]] * 3, [[0, 1, 1, 2, 2], [0, 1, 2], [0, 1]]
    models = {
        "uniform": make_start("uniform", "llama", True, uniform, 2, 11),
        "layerwise": make_start("layerwise", "qwen2", False, [[0], [0, 1, 1], [0, 1]], 2, 21),
        "grown": make_start("grown", "mistral", True, grown, 3, 31, sliding_window=None),
        "dense": make_start("dense", "qwen3", True, [[0]] * 3, 1, 41, head_dim=8),
        "gated": make_start("gated", "qwen2", False, [[0], [0, 1, 1], [0, 1]], 2, 51, gate=dict(layers=[1, 2], form="causal")),
        "gated_sum": make_start("gated_sum", "llama", True, [[0, 1], [0], [0, 1, 1]], 2, 61,
                                gate=dict(layers=[0, 2], form="sequence_sum")),
        "gated_grown": make_start("gated_grown", "mistral", True, grown, 3, 71, gate=dict(layers=[0, 2], form="causal"),
                                  sliding_window=None),
    }
    text = make_text(10)
    write_text(text)
    written = []
    for settings in CASES:
        case = {**DEFAULTS, **settings}
        model = models[case["start"]]
        start = lora_start(model, case) if case["trainable"] == "lora" else {}
        expected, first_grad_norms, final = train(model, case, of_languages(text, case["n_languages"]), start)
        written.append(case | dict(expected=expected, first_grad_norms=first_grad_norms))
        write_tensors(case, "", final)
        if start:
            write_tensors(case | dict(kept=""), ".start", {name: t for name, t in start.items() if name.endswith("lora_A")})
            write_tensors(case, ".merged", merged(model, case, final))
        print(case["name"], "loss", expected[0]["loss"], "->", expected[-1]["loss"], file=sys.stderr)
    (GOLDEN / "cases.json").write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
