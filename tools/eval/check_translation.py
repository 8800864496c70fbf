#!/usr/bin/env python3
"""Compares `glot eval --hypotheses --references` with sacreBLEU, all digits, on the sentences of a folder of parallel files (line n of every
file is the same sentence), worsened in several ways.

    pip install sacrebleu; tools/eval/check_translation.py --glot build/release/glot ../shared/data/flores101/dev
"""
import argparse
import json
import pathlib
import random
import subprocess
import tempfile

import sacrebleu


def worsened(line, rate, rng):
    out = []
    for w in line.split(" "):
        r = rng.random() / rate
        if r >= 0.3:
            out.append(w + w[-1:] if r < 0.4 else w)
        if r < 0.1:
            out.append(w[: len(w) // 2])
    return " ".join(out)


def glot_scores(glot, hypotheses, references, folder):
    paths = [folder / "hypotheses.txt", folder / "references.txt"]
    for path, lines in zip(paths, (hypotheses, references)):
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    command = [glot, "eval", "--hypotheses", paths[0], "--references", paths[1], "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    rng, worst, n = random.Random(1), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(args.folder.iterdir()):
            references = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
            for rate in (0.3, 1.0, 2.5):
                hypotheses = [worsened(line, rate, rng) for line in references]
                got = glot_scores(args.glot, hypotheses, references, pathlib.Path(folder))
                expected = {"bleu": sacrebleu.corpus_bleu(hypotheses, [references], force=True).score,
                            "chrf": sacrebleu.corpus_chrf(hypotheses, [references]).score,
                            "chrf++": sacrebleu.corpus_chrf(hypotheses, [references], word_order=2).score}
                for key, value in expected.items():
                    worst = max(worst, abs(got[key] - value))
                n += 1
                print(path.name, rate, " ".join(f"{k} {v:.4f}" for k, v in expected.items()), "equal" if all(
                    got[k] == v for k, v in expected.items()) else f"differs: {got}")
    print(f"{n} corpora, greatest difference {worst:.3g}")
    raise SystemExit(0 if worst <= 1e-12 else 1)


main()
