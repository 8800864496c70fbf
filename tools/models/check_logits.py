#!/usr/bin/env python3
"""Compares log p of glot with transformers on real text: at least 2,000 positions for every architecture, tied and untied.

    pip install torch==2.15.0 transformers==5.23.0 tokenizers==0.23 gguf==0.19.0
    tools/models/check_logits.py --glot build/release/glot --text FILE.txt [--tokenizers DIR] [--gguf SmolLM2-135M-Instruct.Q4_1.gguf]
                                 [--only NAME...]

SmolLM2 as GGUF: its blocks are widened by the gguf package, the rows of Q and K put back, and the model run by transformers in float32.
The other models have random weights (each projection normal with std 1 / sqrt(columns), so that every layer matters) in the sizes of
published models; the two of 7 billion parameters keep their widths and have two layers. They are written in bf16 to a temporary
folder; both programs compute in float32.

For every window of 256 tokens the 2,000 most likely next tokens of each position are compared (`glot logits --top`); of SmolLM2's first window
the whole vocabulary too. DIR holds NAME/tokenizer.json.gz for llama2, llama3.2, qwen1.5 and smollm2. Exit code 1 where a difference is above 1e-3.
"""
import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

LENGTH, WINDOWS, TOP, TOLERANCE = 256, 8, 2000, 1e-3

LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
WIDE = dict(hidden_size=4096, num_hidden_layers=2, num_attention_heads=32, num_key_value_heads=8, vocab_size=32000)
QWEN = dict(vocab_size=151936, max_position_embeddings=32768, rope_theta=1000000.0)

# name: (model_type, tokenizer, settings)
MODELS = {
    "llama-160m": ("llama", "llama2", dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                                           vocab_size=32000, max_position_embeddings=2048, tie_word_embeddings=False)),
    "llama-3.2-1b, 4 layers, tied": ("llama", "llama3.2", dict(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=4, num_attention_heads=32, num_key_value_heads=8, head_dim=64,
        vocab_size=128256, max_position_embeddings=131072, rope_theta=500000.0, rope_scaling=LLAMA3, rms_norm_eps=1e-5,
        tie_word_embeddings=True)),
    "mistral-7b, 2 layers": ("mistral", "llama2", dict(**WIDE, intermediate_size=14336, sliding_window=4096, rms_norm_eps=1e-5,
                                                       tie_word_embeddings=False)),
    "mistral-7b, 2 layers, tied": ("mistral", "llama2", dict(**WIDE, intermediate_size=14336, sliding_window=None,
                                                             rope_theta=1000000.0, tie_word_embeddings=True)),
    "qwen2-0.5b, tied": ("qwen2", "qwen1.5", dict(**QWEN, hidden_size=896, intermediate_size=4864, num_hidden_layers=24,
                                                  num_attention_heads=14, num_key_value_heads=2, tie_word_embeddings=True)),
    "qwen1.5-0.5b": ("qwen2", "qwen1.5", dict(**QWEN, hidden_size=1024, intermediate_size=2816, num_hidden_layers=24,
                                              num_attention_heads=16, num_key_value_heads=16, tie_word_embeddings=False)),
    "qwen3-0.6b, tied": ("qwen3", "qwen1.5", dict(**QWEN, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                                                  num_attention_heads=16, num_key_value_heads=8, head_dim=128,
                                                  tie_word_embeddings=True)),
    "qwen3-0.6b": ("qwen3", "qwen1.5", dict(**QWEN, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                                            num_attention_heads=16, num_key_value_heads=8, head_dim=128,
                                            tie_word_embeddings=False)),
}


def windows_of(text, tokenizer_file, vocab):
    tokenizer = Tokenizer.from_buffer(gzip.decompress(tokenizer_file.read_bytes()))
    ids = tokenizer.encode(text, add_special_tokens=False).ids[:LENGTH * WINDOWS]
    if len(ids) < 2000 or max(ids) >= vocab:
        sys.exit(f"{len(ids)} tokens up to id {max(ids)}: the text is too short or the tokenizer is not the model's")
    return [ids[i:i + LENGTH] for i in range(0, len(ids), LENGTH)]


def glot_log_probs(glot, model, ids, *options):
    command = [glot, "logits", model, "--ids", " ".join(map(str, ids)), "--json", "--quiet", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def transformers_log_probs(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)


def compare(glot, path, model, windows, is_all):
    """Greatest difference and positions compared."""
    greatest, n = 0.0, 0
    for i, ids in enumerate(windows):
        expected = transformers_log_probs(model, ids)
        answer = glot_log_probs(glot, path, ids, "--top", str(TOP))
        at = torch.tensor(answer["top_ids"])
        got = torch.tensor(answer["top_logp"], dtype=torch.float64)
        assert at.shape == (len(ids), TOP)
        greatest = max(greatest, (got - expected.gather(1, at)).abs().max().item())
        if is_all and i == 0:
            got = torch.tensor(glot_log_probs(glot, path, ids, "--all")["logp"], dtype=torch.float64)
            greatest = max(greatest, (got - expected).abs().max().item())
        n += len(ids)
    return greatest, n


# ---- models ----


def make_random(model_type, settings, seed):
    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **settings)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.1 * torch.randn_like(p))
            elif p.ndim == 1:
                p.copy_(0.1 * torch.randn_like(p))
            else:
                p.normal_(0, (2 if "embed" in name or "lm_head" in name else 1) / p.shape[1] ** 0.5)
            p.copy_(p.bfloat16().float())
    return model


def save_bf16(model, folder):
    """State and configuration by hand: model.to(bf16) would also round the table of rotary frequencies that stays in use."""
    from safetensors.torch import save_file
    tied = model.config.tie_word_embeddings
    save_file({name: t.bfloat16().contiguous() for name, t in model.state_dict().items() if not (tied and name == "lm_head.weight")},
              folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)


def from_gguf(path):
    """SmolLM2's tensors as a transformers model."""
    reader = gguf.GGUFReader(path)

    def value(key):
        return reader.fields[key].contents()

    heads, kv_heads, layers = (value(f"llama.{k}") for k in ("attention.head_count", "attention.head_count_kv", "block_count"))
    config = AutoConfig.for_model(
        "llama", hidden_size=value("llama.embedding_length"), intermediate_size=value("llama.feed_forward_length"),
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads, vocab_size=value("llama.vocab_size"),
        max_position_embeddings=value("llama.context_length"), rms_norm_eps=1e-5, rope_theta=value("llama.rope.freq_base"),
        tie_word_embeddings=True)
    tensors = {t.name: torch.tensor(np.array(gguf.dequantize(t.data, t.tensor_type))) for t in reader.tensors}

    def put_back(rows, n_heads):
        return rows.reshape(n_heads, -1, 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)

    state = {"model.embed_tokens.weight": tensors["token_embd.weight"], "lm_head.weight": tensors["token_embd.weight"],
             "model.norm.weight": tensors["output_norm.weight"]}
    names = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
             "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    for layer in range(layers):
        for short, long in names.items():
            rows = tensors[f"blk.{layer}.{short}.weight"]
            n_heads = {"attn_q": heads, "attn_k": kv_heads}.get(short)
            state[f"model.layers.{layer}.{long}.weight"] = put_back(rows, n_heads) if n_heads else rows
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    model.load_state_dict(state)
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--glot", required=True)
    parser.add_argument("--text", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizers", type=pathlib.Path, default=pathlib.Path("../shared/tokenizers"))
    parser.add_argument("--gguf")
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    text = args.text.read_text()
    failed = False

    def report(name, greatest, n):
        nonlocal failed
        is_good = greatest <= TOLERANCE
        failed |= not is_good
        print(f"{name:32} {n} positions  greatest difference of log p {greatest:.2e}  {'ok' if is_good else 'TOO LARGE'}", flush=True)

    if args.gguf:
        model = from_gguf(args.gguf)
        windows = windows_of(text, args.tokenizers / "smollm2/tokenizer.json.gz", model.config.vocab_size)
        report("smollm2-135m (GGUF)", *compare(args.glot, args.gguf, model, windows, True))
    for seed, (name, (model_type, tokenizer, settings)) in enumerate(MODELS.items()):
        if args.only and name not in args.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            model = make_random(model_type, settings, seed)
            save_bf16(model, pathlib.Path(folder))
            windows = windows_of(text, args.tokenizers / tokenizer / "tokenizer.json.gz", settings["vocab_size"])
            report(name, *compare(args.glot, folder, model, windows, False))
    sys.exit(failed)


if __name__ == "__main__":
    main()
