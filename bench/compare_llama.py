#!/usr/bin/env python3
"""Times llama.cpp and glot alternately on the same GGUF file: a forward pass over 512 tokens (--work forward; glot computes every token's logits and
their loss, llama.cpp the last token's logits) or generation token by token (--work decode), and prints the ratios.

    python3 bench/widen_gguf.py models/SmolLM2-135M-Instruct.Q4_1.gguf smollm2-bf16.gguf --dtype bf16
    python3 bench/compare_llama.py smollm2-bf16.gguf --work decode --dtype bf16 [--glot build/release/glot] [--pairs 3]

Needs the package `llama-cpp-python`; nothing of it is needed to build, run or test glot.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import llama_cpp

CONTEXT = 32   # tokens in the cache before the first that is timed
TOKENS = 64    # timed
PROMPT = 512


class Llama:
    def __init__(self, path, threads):
        self.silence = llama_cpp.llama_log_callback(lambda level, text, user: None)
        llama_cpp.llama_log_set(self.silence, None)
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        p = llama_cpp.llama_context_default_params()
        p.n_ctx = p.n_batch = p.n_ubatch = PROMPT
        p.n_threads = p.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, p)
        self.batch = llama_cpp.llama_batch_init(PROMPT, 0, 1)
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def start(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def feed(self, ids, position):
        """Seconds until the last token's logits are there."""
        b = self.batch
        b.n_tokens = len(ids)
        for i, token in enumerate(ids):
            b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0], b.logits[i] = token, position + i, 1, 0, i == len(ids) - 1
        began = time.perf_counter()
        if llama_cpp.llama_decode(self.context, b) != 0:
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_get_logits_ith(self.context, len(ids) - 1)
        return time.perf_counter() - began

    def time(self, work):
        """Tokens per second, the median and the fastest."""
        ids = [(7919 * i + 3) % self.vocab for i in range(PROMPT)]
        if work == "forward":
            seconds = []
            for _ in range(4):
                self.start()
                seconds.append(self.feed(ids, 0) / PROMPT)
            seconds = seconds[1:]
        else:
            self.start()
            seconds = [self.feed([ids[i]], i) for i in range(CONTEXT + TOKENS)][CONTEXT:]
        return 1 / statistics.median(seconds), 1 / min(seconds)


def time_glot(program, path, work, dtype):
    sizes = ["--length", str(CONTEXT), "--steps", str(TOKENS // 16)] if work == "decode" else ["--length", str(PROMPT), "--steps", "3", "--batch", "1"]
    command = [program, "bench", work, "--model", path, "--experts", "1", "--dtype", dtype, "--json"] + sizes
    r = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return r["tokens_per_s"], r["best_tokens_per_s"], r["best_tokens_per_s"] * r["bytes_per_token"] / r["peak_bytes_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--work", choices=("forward", "decode"), default="decode")
    parser.add_argument("--dtype", choices=("float32", "bf16"), default="float32", help="glot's products")
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--pairs", type=int, default=3)
    a = parser.parse_args()
    llama = Llama(a.model, len(os.sched_getaffinity(0)))
    llama.time(a.work)
    ratios = []
    print(f"llama-cpp-python {llama_cpp.__version__}, {os.path.basename(a.model)}, {a.work}, glot's products {a.dtype}; tokens/s, median (fastest)")
    print("| pair | glot | llama.cpp | ratio | fastest ratio | of the read bandwidth |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
    for pair in range(a.pairs):
        ours, our_best, share = time_glot(a.glot, a.model, a.work, a.dtype)
        theirs, their_best = llama.time(a.work)
        ratios.append(ours / theirs)
        share = f"{100 * share:.0f} %" if a.work == "decode" else ""
        print(f"| {pair + 1} | {ours:.1f} ({our_best:.1f}) | {theirs:.1f} ({their_best:.1f}) | {ratios[-1]:.2f} | {our_best / their_best:.2f} | {share} |",
              flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
