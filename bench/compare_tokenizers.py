#!/usr/bin/env python3
"""Times one thread of glot's tokenizer and of Hugging Face `tokenizers` alternately, on the same documents in the same run, and prints the
ratios of two tables: a row for each tokenizer, a column for each language. The first is of text that is met for the first time, the second of
the same text once more.

    python3 bench/compare_tokenizers.py --tokenizers DIR --texts DIR [--glot build/release/glot] [--pairs 2] [--bytes 1000000] [NAME...]

DIR/NAME/tokenizer.json(.gz) are the tokenizers, DIR/LANG.train.jsonl the texts. Both sides encode the first documents of each text, so many
bytes, one by one, without special tokens: glot in a process of its own, Hugging Face with a tokenizer opened anew, so that neither has seen any
text. Of `encode`, `encode_batch` and `encode_batch_fast` the fastest counts, of several pairs each side's best; the numbers of tokens must be
equal. Times are processor time. Needs `tokenizers`; nothing of it is needed to build, run or test glot.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402


def read_source(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()


def load_documents(path, limit):
    texts, size = [], 0
    for line in path.open(encoding="utf-8"):
        if size >= limit:
            break
        texts.append(json.loads(line)["text"])
        size += len(texts[-1].encode())
    return texts, size


def encode_each(tokenizer, texts):
    return [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


def encode_batch(tokenizer, texts):
    return tokenizer.encode_batch(texts, add_special_tokens=False)


def encode_batch_fast(tokenizer, texts):
    return tokenizer.encode_batch_fast(texts, add_special_tokens=False)


def time_theirs(source, texts):
    """Seconds of the first and of the second pass, and the tokens of one."""
    best, n_tokens = [float("inf")] * 2, 0
    for encode in (encode_each, encode_batch, encode_batch_fast):
        tokenizer = tokenizers.Tokenizer.from_str(source)
        for i in range(2):
            began = time.process_time()
            answer = encode(tokenizer, texts)
            best[i] = min(best[i], time.process_time() - began)
            n_tokens = sum(a if isinstance(a, int) else len(a) for a in answer)
    return best, n_tokens


def time_ours(program, path, language, text, limit):
    command = [program, "bench", "tokenize", "--model", str(path), "--text", f"{language}={text}", "--max-bytes", str(limit), "--steps", "1", "--json"]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["languages"][language]
    return [answer["bytes"] / answer[key] for key in ("first_bytes_per_s", "bytes_per_s")], answer["tokens"], answer["bytes"]


def compare(options, path, language, text):
    """[bytes/s of glot, ratio] of the first and of the second pass."""
    source, (texts, size) = read_source(path), load_documents(text, options.bytes)
    ours, theirs = [float("inf")] * 2, [float("inf")] * 2
    for _ in range(options.pairs):
        seconds, n_ours, n_bytes = time_ours(options.glot, path, language, text, options.bytes)
        ours = list(map(min, ours, seconds))
        seconds, n_theirs = time_theirs(source, texts)
        theirs = list(map(min, theirs, seconds))
        if (n_bytes, n_ours) != (size, n_theirs):
            sys.exit(f"{path.parent.name}, {text}: {n_ours} tokens of {n_bytes} bytes, expected {n_theirs} of {size}")
    return [(size / a, b / a) for a, b in zip(ours, theirs)]


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"


def print_table(title, languages, rows):
    print(f"\n{title}\n\n| tokenizer | " + " | ".join(languages) + " |\n| --- |" + " ---: |" * len(languages))
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(f"{ratio:.1f} ({speed / 1e6:.0f})" for speed, ratio in cells) + " |")
    print(f"\nleast ratio {min(ratio for cells in rows.values() for _, ratio in cells):.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--bytes", type=int, default=1000000, help="of each text")
    parser.add_argument("names", nargs="*", help="some of the tokenizers")
    options = parser.parse_args()
    paths = [p for p in sorted(options.tokenizers.glob("*/tokenizer.json*")) if not options.names or p.parent.name in options.names]
    texts = {p.name.split(".")[0]: p for p in sorted(options.texts.glob("*.train.jsonl"))}
    print(f"{processor()}, one thread, tokenizers {tokenizers.__version__}, {options.bytes} bytes of each text; ratio (MB/s of glot)")
    rows = {p.parent.name: [compare(options, p, language, text) for language, text in texts.items()] for p in paths}
    print_table("First pass", texts, {name: [cell[0] for cell in cells] for name, cells in rows.items()})
    print_table("Second pass", texts, {name: [cell[1] for cell in cells] for name, cells in rows.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
