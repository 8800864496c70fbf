#!/usr/bin/env python3
"""Makes tests/golden/eval/translation.json: small corpora with the BLEU, chrF and chrF++ that sacreBLEU gives them.

    pip install sacrebleu; tools/eval/golden_translation.py
"""
import argparse
import json
import pathlib
import random

import sacrebleu

SENTENCES = [
    "The cat sat on the mat, and the dog (a very old one) slept.",
    "Prices rose by 3.5% in 2024-25, from $1,200 to $1,242.",
    "\"Well,\" she said, \"it isn't 10-20 people; it's 1.000.000!\"",
    "Η γάτα κάθισε στο χαλί· ο σκύλος, όμως, κοιμόταν.",
    "A macska a szőnyegen ült, a kutya pedig aludt – mélyen.",
    "Kedi halının üstünde oturdu; köpek ise uyuyordu...",
    "猫坐在垫子上,狗睡着了。",
    "বিড়ালটি মাদুরের উপর বসেছিল।",
    "कुत्ता सो रहा था, और बिल्ली बैठी थी।",
    "AT&amp;T &lt;b&gt; &quot;x&quot; &amp;lt; end",
    "a.b,c .d ,e 1.2 3,4 5. ,6 7- -8 9-10 <skipped> it",
    "tabs\there  and\u00a0no-break\u2003em\u3000ideographic spaces\u001cseparators",
    "...", "a", "", "(hi) [there] {you} !x x! !! \u00bfqu\u00e9?", "naïve café — déjà-vu… 😀😀",
]


def worsened(words, rng):
    """Words dropped, doubled, swapped or replaced here and there."""
    out = []
    for w in words:
        r = rng.random()
        if r < 0.1:
            continue
        out += [w, w] if r > 0.95 else [w[::-1]] if r > 0.9 else [w]
    if len(out) > 2 and rng.random() < 0.5:
        i = rng.randrange(len(out) - 1)
        out[i], out[i + 1] = out[i + 1], out[i]
    return out


def corpora():
    rng = random.Random(7)
    yield "same", SENTENCES, SENTENCES
    yield "worsened", [" ".join(worsened(s.split(" "), rng)) for s in SENTENCES], SENTENCES
    yield "shorter", [s[: len(s) // 2] for s in SENTENCES], SENTENCES
    yield "shuffled", SENTENCES[1:] + SENTENCES[:1], SENTENCES
    yield "nothing_common", ["xyzzy plugh foo bar baz"], ["the quick brown fox jumps"]
    yield "one_word", ["cat"], ["cat"]
    yield "some_orders_miss", ["the cat here sits on a mat"], ["the cat sat upon the mat"]
    yield "empty_hypothesis", ["", "a b c d e"], ["a b c d", "a b c d f"]
    yield "empty", [""], [""]
    for s in SENTENCES:
        yield f"alone {s[:12]}", [" ".join(worsened(s.split(" "), rng))], [s]


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()  # --help writes nothing
    cases = []
    for name, hypotheses, references in corpora():
        cases.append({
            "name": name, "hypotheses": hypotheses, "references": references,
            "bleu": sacrebleu.corpus_bleu(hypotheses, [references], force=True).score,
            "chrf": sacrebleu.corpus_chrf(hypotheses, [references]).score,
            "chrf++": sacrebleu.corpus_chrf(hypotheses, [references], word_order=2).score,
        })
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/eval/translation.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"sacrebleu": sacrebleu.__version__, "cases": cases}, ensure_ascii=False, indent=1) + "\n")
    print(f"{out}: {len(cases)} corpora")


main()
