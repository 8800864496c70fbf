#!/usr/bin/env python3
"""Everything glot is compared with, by one command: eager PyTorch (training, review), llama.cpp (forward, generation) and Hugging Face tokenizers,
each by turns with glot on the same work. Prints the tables of compare_pytorch.py, compare_llama.py and compare_tokenizers.py and then one of all ratios.

    pip install numpy torch llama-cpp-python gguf tokenizers        (llama-cpp-python builds itself: a C++ compiler and CMake)
    python3 bench/compare.py [--model GGUF] [--tokenizers DIR --texts DIR] [--glot build/release/glot] [--pairs 3]

--model: a dense GGUF file, widened to float32 and bf16 in a temporary folder; --tokenizers and --texts as compare_tokenizers.py takes them. What
has no file or no package here is left out, and said. Takes some 10 minutes; run it with nothing else on the machine.
"""
import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(script, *arguments):
    """Runs a script beside this one, shows what it prints, returns its last words; None where it failed."""
    lines = []
    with subprocess.Popen([sys.executable, str(HERE / script), *map(str, arguments)], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            print(line, end="", flush=True)
            lines.append(line.strip())
    print()
    return "; ".join(line for line in lines if line.startswith(("median ratio", "least ratio"))) if child.returncode == 0 else None


def has(package, what):
    if importlib.util.find_spec(package):
        return True
    print(f"left out: {what}: the package {package} is not installed\n")
    return False


def compare_pytorch(a):
    for work, dtype in (("train", "float32"), ("train", "bf16"), ("review", "float32")):
        yield f"{work}, {dtype}, PyTorch", run("compare_pytorch.py", "--glot", a.glot, "--pairs", a.pairs, "--work", work, "--dtype", dtype)


def compare_llama(a, folder):
    for work, dtype in (("forward", "float32"), ("decode", "bf16")):
        widened = Path(folder) / f"{dtype}.gguf"
        subprocess.run([sys.executable, str(HERE / "widen_gguf.py"), a.model, str(widened), "--dtype", dtype], check=True)
        yield f"{work}, {dtype}, llama.cpp", run("compare_llama.py", widened, "--glot", a.glot, "--pairs", a.pairs, "--work", work, "--dtype", dtype)


def compare_all(a):
    if has("torch", "training and review"):
        yield from compare_pytorch(a)
    if not a.model:
        print("left out: forward and generation: no --model\n")
    elif has("llama_cpp", "forward and generation") and has("gguf", "forward and generation"):
        with tempfile.TemporaryDirectory() as folder:
            yield from compare_llama(a, folder)
    if not (a.tokenizers and a.texts):
        print("left out: tokenizing: no --tokenizers and --texts\n")
    elif has("tokenizers", "tokenizing"):
        yield "tokenizing, first and second time, Hugging Face tokenizers", run(
            "compare_tokenizers.py", "--glot", a.glot, "--pairs", a.pairs, "--tokenizers", a.tokenizers, "--texts", a.texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--model", help="a dense GGUF file")
    parser.add_argument("--tokenizers", help="a folder of NAME/tokenizer.json")
    parser.add_argument("--texts", help="a folder of LANG.train.jsonl")
    parser.add_argument("--pairs", type=int, default=3)
    a = parser.parse_args()
    for path in (a.glot, a.model, a.tokenizers, a.texts):
        if path and not Path(path).exists():
            sys.exit(f"bench/compare.py: '{path}' does not exist" + (": build glot first (make)" if path == a.glot else ""))
    rows = list(compare_all(a))
    print("| work, beside | result |\n| --- | --- |")
    for work, result in rows:
        print(f"| {work} | {result or 'failed'} |")
    return 0 if rows and all(result for _, result in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
