#!/usr/bin/env python3
"""Trains the byte-level BPE of examples/paper for its nine languages: examples/paper/base/tokenizer.json.

    pip install tokenizers==0.23.3
    tools/tokenizers/paper_bpe.py [--check]

8,000 pieces: 256 bytes, <|endoftext|> (id 0) and merges, with Qwen2's split. Every language gives the same number of characters,
not of bytes: a Bengali letter is three bytes, and its words deserve no more merges for that. The text is the example's own, from the
start of each train file. --check compares with the file that is there.
"""
import argparse
import gzip
import json
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "examples/paper/base/tokenizer.json"
TEXT = {lang: ROOT / folder / f"{lang}.train.jsonl.gz"
        for folder, langs in (("examples/paper/data", "en es zh"), ("examples/data", "el hu tr bn hi ne")) for lang in langs.split()}
CHARACTERS = 250_000
PIECES = 8_000
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")


def documents(path):
    left = CHARACTERS
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            text = json.loads(line)["text"]
            yield text
            left -= len(text)
            if left <= 0:
                return


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=PIECES, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator((text for path in TEXT.values() for text in documents(path)), trainer)
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file that is there")
    args = parser.parse_args()
    text = train().to_str(pretty=False) + "\n"
    if not args.check:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(text, encoding="utf-8")
    elif OUT.read_text(encoding="utf-8") != text:
        sys.exit(f"{OUT} is another tokenizer")


main()
