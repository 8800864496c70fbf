#!/usr/bin/env python3
"""Times one thread of glot's tokenizer and of Hugging Face `tokenizers` alternately, on the same documents in the same run, and prints the
ratios of a table: a row for each tokenizer, a column for each language.

    python3 bench/compare_tokenizers.py --tokenizers DIR --texts DIR [--glot build/release/glot] [--pairs 2] [--bytes 1000000]

DIR/NAME/tokenizer.json(.gz) are the tokenizers, DIR/LANG.train.jsonl the texts. Both sides encode the first so many bytes of each text,
document by document, without special tokens; of Hugging Face's encode and encode_batch the faster one counts. Both have seen the documents
before in their best pass. Times are processor time. Needs `tokenizers`; nothing of it is needed to build, run or test glot.
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


def load_tokenizer(path):
    data = path.read_bytes()
    return tokenizers.Tokenizer.from_str((gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode())


def load_documents(path, limit):
    texts, size = [], 0
    for line in path.open(encoding="utf-8"):
        if size >= limit:
            break
        texts.append(json.loads(line)["text"])
        size += len(texts[-1].encode())
    return texts


def processor_time(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def time_theirs(tokenizer, texts):
    one = processor_time(lambda: [tokenizer.encode(text, add_special_tokens=False) for text in texts])
    return min(one, processor_time(lambda: tokenizer.encode_batch(texts, add_special_tokens=False)))


def time_ours(program, path, language, text, limit):
    """Bytes of the documents, and the seconds of the best pass."""
    command = [program, "bench", "tokenize", "--model", str(path), "--text", f"{language}={text}", "--max-bytes", str(limit), "--steps", "3", "--json"]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["languages"][language]
    return answer["bytes"], answer["bytes"] / answer["bytes_per_s"]


def compare(options, path, language, text):
    tokenizer, texts = load_tokenizer(path), load_documents(text, options.bytes)
    size, ours, theirs = sum(len(t.encode()) for t in texts), float("inf"), float("inf")
    for _ in range(options.pairs):
        n_bytes, seconds = time_ours(options.glot, path, language, text, options.bytes)
        if n_bytes != size:
            sys.exit(f"{text}: glot read {n_bytes} bytes, expected {size}")
        ours, theirs = min(ours, seconds), min(theirs, time_theirs(tokenizer, texts))
    return size / ours / 1e6, size / theirs / 1e6


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown processor"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--bytes", type=int, default=1000000, help="of each text")
    options = parser.parse_args()
    paths = sorted(options.tokenizers.glob("*/tokenizer.json*"))
    texts = {p.name.split(".")[0]: p for p in sorted(options.texts.glob("*.train.jsonl"))}
    print(f"{processor()}, one thread, tokenizers {tokenizers.__version__}, {options.bytes} bytes of each text; ratio (MB/s of glot)")
    print("| tokenizer | " + " | ".join(texts) + " |\n| --- |" + " ---: |" * len(texts))
    least = float("inf")
    for path in paths:
        cells = []
        for language, text in texts.items():
            ours, theirs = compare(options, path, language, text)
            least = min(least, ours / theirs)
            cells.append(f"{ours / theirs:.1f} ({ours:.0f})")
        print(f"| {path.parent.name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nleast ratio {least:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
