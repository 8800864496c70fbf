#!/usr/bin/env python3
"""Makes tests/golden/models: tiny random models and what transformers computes with them.

    pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 gguf==0.19.0
    tools/models/golden_models.py

Every folder NAME holds a Hugging Face model (config.json, model.safetensors) and expected.safetensors:

    ids        I32 [T]         tokens of several documents, one behind the other
    documents  I32 [D]         their lengths; positions start again with each, attention does not reach across
    log_probs  F32 [T, vocab]  log p of the next token after every position, float32, eager attention

Sizes are small and odd: hidden 48, 6 query and 2 key/value heads, FFN 40, vocabulary 97. The architectures differ in what the
table below says. Some config.json are written in the spelling of transformers 4 by hand, the rest as transformers 5 saves them.

A file NAME.gguf beside a folder holds the same model as llama.cpp's converter would write it. `quantised` is a model whose GGUF
is the source: its blocks are widened by the gguf package and given to transformers, and model.safetensors is left out.
"""
import argparse
import copy
import json
import pathlib

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/models"
VOCAB = 97
DOCUMENTS = [23, 1, 13, 2]

SMALL = dict(vocab_size=VOCAB, hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
             tie_word_embeddings=False)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 1024}

# name: (model_type, settings beyond SMALL, dtype of the file)
MODELS = {
    "llama": ("llama", {"num_hidden_layers": 3}, torch.float16),
    "llama_linear_tied": ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "rope_theta": 100.0,
                                    "tie_word_embeddings": True}, torch.bfloat16),
    "llama3": ("llama", {"rope_scaling": LLAMA3, "rope_theta": 10000.0}, torch.float16),
    "mistral": ("mistral", {"sliding_window": None}, torch.float32),
    "mistral_tied": ("mistral", {"sliding_window": 32, "tie_word_embeddings": True, "rope_theta": 1000000.0}, torch.bfloat16),
    "qwen2": ("qwen2", {"rope_theta": 1000000.0}, torch.float16),
    "qwen2_tied": ("qwen2", {"tie_word_embeddings": True}, torch.bfloat16),
    "qwen3": ("qwen3", {"head_dim": 10, "rope_theta": 1000000.0}, torch.float16),
    "qwen3_tied": ("qwen3", {"head_dim": 8, "tie_word_embeddings": True}, torch.bfloat16),
}
OLD_SPELLING = {"llama_linear_tied", "llama3", "qwen2_tied"}
AS_GGUF = {"llama3": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


def make_model(model_type, settings, dtype, seed):
    config = AutoConfig.for_model(model_type, **{**SMALL, **settings})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            value = 1 + 0.2 * noise if "norm" in name else 0.2 * noise
            p.copy_(value.to(dtype).float())  # the numbers that the file will hold
    return model


def random_ids(seed):
    return torch.randint(0, VOCAB, (sum(DOCUMENTS),), generator=torch.Generator().manual_seed(seed))


def log_probs(model, ids, documents):
    """All documents as one row, seeing only themselves."""
    owner = torch.repeat_interleave(torch.arange(len(documents)), torch.tensor(documents))
    positions = torch.cat([torch.arange(n) for n in documents])
    n = len(ids)
    visible = (owner[:, None] == owner[None, :]) & (torch.arange(n)[:, None] >= torch.arange(n)[None, :])
    mask = torch.zeros(n, n).masked_fill(~visible, torch.finfo(torch.float32).min)[None, None]
    with torch.no_grad():
        logits = model(input_ids=ids[None], position_ids=positions[None], attention_mask=mask, use_cache=False).logits[0]
    return torch.log_softmax(logits, -1)


def check_against_single_documents(model, ids, documents, expected):
    first = 0
    for n in documents:
        with torch.no_grad():
            alone = torch.log_softmax(model(input_ids=ids[None, first:first + n]).logits[0], -1)
        assert (alone - expected[first:first + n]).abs().max() < 1e-4
        first += n


def write_expected(path, model, ids, documents):
    expected = log_probs(model, ids, documents)
    check_against_single_documents(model, ids, documents, expected)
    save_file({"ids": ids.to(torch.int32), "documents": torch.tensor(documents, dtype=torch.int32),
               "log_probs": expected.contiguous()}, path)


def old_spelling(config, settings):
    """config.json as transformers 4 wrote it."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope["rope_theta"]
    config["rope_scaling"] = settings.get("rope_scaling")
    config["torch_dtype"] = config.pop("dtype")
    if config["rope_scaling"] and config["rope_scaling"]["rope_type"] == "linear":
        config["rope_scaling"] = {"type": "linear", "factor": config["rope_scaling"]["factor"]}
    return config


def write_folder(name, model, settings, dtype):
    folder = GOLDEN / name
    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(model).to(dtype).save_pretrained(folder)  # a copy: the rotary frequencies would be rounded too
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    if name in OLD_SPELLING:
        config = old_spelling(config, settings)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return folder


# ---- GGUF ----

GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
              "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
              "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def gguf_name(name):
    if name.startswith("model.layers."):
        layer, rest = name[len("model.layers."):].split(".", 1)
        module, kind = rest.rsplit(".", 1)
        return f"blk.{layer}.{GGUF_NAMES[module]}.{kind}"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}[name]


def interleaved(rows, n_heads):
    """Rows of Q or K in llama.cpp's order for architecture llama: the two halves of each head turn about."""
    heads = rows.reshape(n_heads, 2, rows.shape[0] // n_heads // 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)


def llama3_divisors(config):
    rope, d = config.rope_parameters, config.head_dim
    wavelengths = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, d, 2) / d)
    original, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = (original / wavelengths - low) / (high - low)
    divisors = 1 / ((1 - smooth) / rope["factor"] + smooth)
    divisors = np.where(wavelengths < original / high, 1, np.where(wavelengths > original / low, rope["factor"], divisors))
    return divisors.astype(np.float32)


def gguf_settings(writer, arch, config):
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    if arch == "qwen3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_rope_scaling_orig_ctx_len(config.rope_parameters["original_max_position_embeddings"])
        writer.add_tensor("rope_freqs.weight", llama3_divisors(config))


def write_gguf(path, arch, model, numpy_dtype):
    writer = gguf.GGUFWriter(path, arch)
    gguf_settings(writer, arch, model.config)
    for name, p in model.state_dict().items():
        rows = p.numpy()
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            rows = interleaved(rows, model.config.num_attention_heads if "q_proj" in name else model.config.num_key_value_heads)
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(rows, dtype=numpy_dtype if rows.ndim > 1 else np.float32))
    close(writer)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# Every block type that 64 columns can hold (the K types need 256), and a plain one.
QUANTISED = {"attn_q": "Q8_0", "attn_k": "Q4_1", "attn_v": "Q5_0", "attn_output": "Q5_1", "ffn_gate": "Q4_0", "ffn_up": "Q4_1",
             "ffn_down": "Q8_0", "token_embd": "Q8_0"}


def write_quantised(path):
    """A tied llama whose GGUF tensors are blocks; the model that comes back holds their values."""
    settings = dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96, tie_word_embeddings=True)
    model = make_model("llama", settings, torch.float32, 90)
    writer = gguf.GGUFWriter(path, "llama")
    gguf_settings(writer, "llama", model.config)
    writer.add_rope_dimension_count(16)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{i}" for i in range(VOCAB)])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages[0]['content'] }}")
    state = model.state_dict()
    for name, p in state.items():
        if name == "lm_head.weight":
            continue
        rows, heads, kind = p.numpy(), None, QUANTISED.get(gguf_name(name).split(".")[-2], "F32")
        if "q_proj" in name or "k_proj" in name:
            heads = model.config.num_attention_heads if "q_proj" in name else model.config.num_key_value_heads
        if heads:
            rows = interleaved(rows, heads)
        kind = gguf.GGMLQuantizationType[kind]
        blocks = gguf.quantize(np.ascontiguousarray(rows), kind)
        writer.add_tensor(gguf_name(name), blocks, raw_dtype=kind)
        values = gguf.dequantize(blocks, kind).reshape(rows.shape)
        if heads:  # back to the order of transformers
            values = values.reshape(heads, -1, 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        p.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    close(writer)
    return model


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help writes nothing
    torch.set_num_threads(1)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for i, (name, (model_type, settings, dtype)) in enumerate(MODELS.items()):
        model = make_model(model_type, settings, dtype, 10 + i)
        folder = write_folder(name, model, settings, dtype)
        write_expected(folder / "expected.safetensors", model, random_ids(50 + i), DOCUMENTS)
        if name in AS_GGUF:
            write_gguf(GOLDEN / f"{name}.gguf", AS_GGUF[name], model, np.float16)
    (GOLDEN / "quantised").mkdir(exist_ok=True)
    model = write_quantised(GOLDEN / "quantised" / "model.gguf")
    write_expected(GOLDEN / "quantised" / "expected.safetensors", model, random_ids(89), DOCUMENTS)


if __name__ == "__main__":
    main()
