#!/usr/bin/env python3
"""Trains small tokenizers of each kind with Hugging Face tokenizers and writes them with the ids of some 300 texts.

    pip install tokenizers==0.23.3
    tools/tokenizers/make_golden.py           # writes tests/golden/tokenizer/*
    tools/tokenizers/make_golden.py --shared  # writes only shared.txt, which needs ../shared

    NAME.json.gz   a tokenizer: gpt2, llama3, qwen2, sentencepiece
    texts.json     the texts
    NAME.json      {"ids": [one list per text], "decoded": {index: what decode gives, where it is not the text}}
    variants.json.gz  other settings of these tokenizers: {"base", "patch": keys that replace the tokenizer's, "texts": [..], "ids"}
    nfc.json       [text, its NFC] by tokenizers
    shared.txt     for each file below ../shared/data: its path and, per tokenizer of ../shared/tokenizers, the first 16 digits of
                   the SHA-256 of the ids of every 20th line (int32, after each line's ids -1)

The sentences the tokenizers are trained on were written for this file.
"""
import argparse
import gzip
import hashlib
import json
import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "tests" / "golden" / "tokenizer"
SHARED = ROOT.parent / "shared"
SHARED_NAMES = ["qwen1.5", "llama3.2", "gpt2", "llama2", "smollm2"]

SENTENCES = """
The river runs slowly past the old mill, and children throw small stones from the bridge into the water.
We didn't expect that they'd arrive so early; it's only seven o'clock and the bread isn't baked yet.
A good measure of a tool is how little you think about it while your hands are busy with the work.
In 1987 the station had 14 platforms, 3 of them closed; by 2019 there were 22, and the roof had been rebuilt twice.
El río baja despacio junto al molino viejo y los niños lanzan piedras pequeñas desde el puente.
No esperábamos que llegaran tan pronto: todavía son las siete y el pan no está en el horno.
¿Quién sabe cuántas estaciones habrá cuando termine el año? Mañana preguntaremos en la oficina.
Το ποτάμι κυλά αργά δίπλα στον παλιό μύλο και τα παιδιά ρίχνουν μικρές πέτρες από τη γέφυρα.
Δεν περιμέναμε να έρθουν τόσο νωρίς· είναι μόλις επτά η ώρα και το ψωμί δεν έχει ψηθεί ακόμη.
Ένα καλό εργαλείο είναι εκείνο που το ξεχνάς όσο δουλεύεις, γιατί τα χέρια σου ξέρουν τι να κάνουν.
A folyó lassan folyik a régi malom mellett, és a gyerekek kis köveket dobálnak a hídról a vízbe.
Nem vártuk, hogy ilyen korán megérkeznek; még csak hét óra van, és a kenyér sem sült meg.
A jó szerszámot az ember el is felejti munka közben, mert a keze magától tudja, mit kell tennie.
Nehir eski değirmenin yanından yavaşça akıyor, çocuklar köprüden suya küçük taşlar atıyor.
Bu kadar erken gelmelerini beklemiyorduk; saat daha yedi ve ekmek henüz pişmedi.
İyi bir alet, çalışırken üzerinde düşünmediğin alettir; ellerin ne yapacağını kendiliğinden bilir.
河水慢慢流过旧磨坊，孩子们从桥上把小石头扔进水里。我们没想到他们来得这么早，现在才七点，面包还没有烤好。
好的工具让人在工作的时候忘记它，因为双手自己知道该做什么。明天我们再去车站问一问，看看今年有多少趟车。
नदी पुरानी चक्की के पास से धीरे धीरे बहती है और बच्चे पुल से पानी में छोटे पत्थर फेंकते हैं।
हमें उम्मीद नहीं थी कि वे इतनी जल्दी आ जाएँगे; अभी सात ही बजे हैं और रोटी पकी नहीं है।
নদীটি পুরোনো কলের পাশ দিয়ে ধীরে বয়ে যায়, আর শিশুরা সেতু থেকে জলে ছোট পাথর ছুড়ে মারে।
আমরা ভাবিনি তারা এত তাড়াতাড়ি আসবে; এখন মাত্র সাতটা বাজে, রুটি এখনও তৈরি হয়নি।
नदी पुरानो घट्टको छेउबाट बिस्तारै बग्छ र केटाकेटीहरू पुलबाट पानीमा साना ढुङ्गा फाल्छन्।
हामीले उनीहरू यति चाँडै आउँछन् भनेर सोचेका थिएनौँ; भर्खर सात बजेको छ र रोटी पाकेको छैन।
"""

GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
                r"|\s+(?!\S)|\s+")
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


def lines():
    return [line for line in SENTENCES.split("\n") if line] * 2


# --- the tokenizers ---


def byte_level(split, normalizer, special, size, **model):
    t = Tokenizer(models.BPE(**model))
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    t.pre_tokenizer = byte if split is None else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), byte])
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(lines(), trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False,
                                                       special_tokens=special))
    return t


def gpt2():
    return byte_level(None, None, ["<|endoftext|>"], 1100)


def llama3():
    """With tokens that no merge makes: only ignore_merges finds them."""
    t = byte_level(LLAMA3_SPLIT, None, ["<|begin_of_text|>", "<|end_of_text|>"], 900)
    state = json.loads(t.to_str())
    vocabulary = state["model"]["vocab"]
    for word in ("Ġchildren", "Ġplatforms", "Î³ÎµÏĨÏħÏģÎ±Ïģ", "'re", "123", "ĠÎ´ÎµÎ½"):
        vocabulary.setdefault(word, max(vocabulary.values()) + 1)
    state["model"]["ignore_merges"] = True
    t = Tokenizer.from_str(json.dumps(state))
    t.add_special_tokens(["<|reserved_%d|>" % i for i in range(3)])
    t.post_processor = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[
        ("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])
    return t


def qwen2():
    t = byte_level(QWEN2_SPLIT, normalizers.NFC(), [], 1000)
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return t


def sentencepiece():
    """As transformers makes one from a SentencePiece model: every way to put a token together is a merge, by falling score."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    t.train_from_iterator(lines(), trainers.BpeTrainer(vocab_size=1300, show_progress=False, limit_alphabet=150,
                                                       special_tokens=special + ["<0x%02X>" % i for i in range(256)]))
    vocabulary = json.loads(t.to_str())["model"]["vocab"]
    merges = []
    for token, i in sorted(vocabulary.items(), key=lambda item: item[1]):
        ways = [(token[:k], token[k:]) for k in range(1, len(token))]
        ways = [(left, right) for left, right in ways if left in vocabulary and right in vocabulary]
        merges += sorted(ways, key=lambda way: (vocabulary[way[0]], vocabulary[way[1]]))
    t = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    t.add_special_tokens(special)
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


# --- the texts ---

POOLS = [range(0x21, 0x7F), range(0xA1, 0x250), range(0x300, 0x340), range(0x370, 0x400), range(0x900, 0x980),
         range(0x980, 0xA00), range(0xAC00, 0xD7A4), range(0x1100, 0x1200), range(0x4E00, 0x5000), range(0x1F300, 0x1F650),
         [0x9, 0xA, 0xB, 0xC, 0xD, 0x20, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F, 0x3000, 0x200B, 0x180E],
         [0x30, 0x39, 0x660, 0x966, 0x9E7, 0xB2, 0xBD, 0x2167, 0x3007, 0x1D7D8, 0x11DE0, 0x16FF4, 0x104A0],
         [0x41, 0x65, 0x300, 0x301, 0x316, 0x334, 0x345, 0x93C, 0x94D, 0x5BF, 0xE9, 0x1EA5, 0x212B, 0x9C7, 0x9BE, 0x1DF6]]


def hand_made():
    yield from ["", " ", "  ", "   ", "\n", "\r\n", "\n\n\n", "\t", " \n ", "a", " a", "a ", "a  b", "a   ", "\u3000x", "\xa0\xa0y",
                "\u200b", "\u180e z", "x\u0085y", "it's", "IT'S", "it'\u017f", "don't we'll they're I've I'm he'd", "DON'T WE'LL",
                "'s", "''s", " 's", "'ll'LL'lL", "'x", "rock'n'roll", "1", "12", "123", "1234", "12345678", "3.14159", "1,000,000",
                "a1b2c3", "\u0661\u0662\u0663", "\u0967\u0968\u0969", "\u00bd\u00b2", "\u2167", "\U0001d7d8\U0001d7d9",
                " \U00011de0x", "x \U00016ff4", "\u3007", "e\u0301", "\u00e9", "A\u030a", "\u212b", "q\u0307\u0323", "q\u0323\u0307",
                "\u1100\u1161\u11a8", "\uac01", "\u0915\u093c", "\u0958", "\u09c7\u09be", "\u0344", "a\u1df6\u0316", "\U00011935\U00011930",
                "\ufb01", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1ec\U0001f1f7", "\u2764\ufe0f",
                "\U0010ffff", "\ue000", "\ufffd", "\ufeff", "\x00", "\x01\x02", "\x7f", "\ufdd0", "!!!", "!?!\n\n", "...\r\n x",
                "--- a", "(x)[y]{z}", "a_b-c", "#include <stdio.h>\n\nint main(void)\n{\n    return 0;\n}\n", "http://a.b/c?d=e&f=1",
                "<|endoftext|>", "<|endoftext|><|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext|", "<|endoftext|>'s",
                "<|im_start|>user\nhi<|im_end|>\n", "<|begin_of_text|>x", "<|reserved_1|><|reserved_2|>", "<|reserved_", "<s>", "</s>",
                "<s> a", "a <s>b</s> c", "<unk>", "<0x41>", "\u2581", "\u2581\u2581a", "a\u2581b", "<s>\u2581", "</s></s> ", "a" * 300,
                " " * 100 + "x", "ab" * 200, "\u0301" * 40, "a" + "\u0316\u0301" * 30, "\u4e2d" * 120, "xyz " * 60]


def some_texts():
    rng = random.Random(3)
    found = list(hand_made())
    found += [line for line in SENTENCES.split("\n") if line]
    while len(found) < 300:
        pool = rng.choice(POOLS)
        pools = POOLS if rng.random() < 0.5 else [pool, POOLS[10]]
        found.append("".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randrange(1, 25))))
    return found


# --- variants ---


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def byte(add_prefix_space=False, use_regex=True):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def metaspace(scheme, whether):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": whether}


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def pre(*parts):
    return {"pre_tokenizer": sequence("pretokenizers", *parts) if len(parts) > 1 else parts[0]}


def added(*tokens):
    """Added tokens (content, flags) behind those of the tokenizer."""
    return [dict({"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}, content=c, **f)
            for c, f in tokens]


def variants():
    """(base, patch, added tokens)"""
    digits = {"type": "Digits", "individual_digits": True}
    yield "gpt2", pre(digits, byte()), []
    yield "gpt2", pre({"type": "Digits", "individual_digits": False}, byte()), []
    yield "gpt2", pre(byte(add_prefix_space=True)), []
    yield "gpt2", pre(byte(add_prefix_space=True, use_regex=False)), []
    yield "gpt2", pre(split({"Regex": GPT2_SPLIT}), byte(use_regex=False)), []
    yield "gpt2", pre(split({"Regex": GPT2_SPLIT}, "Removed", True), byte(use_regex=False)), []
    yield "gpt2", pre(split({"Regex": LLAMA3_SPLIT}), digits, byte(add_prefix_space=True)), []
    for behavior in ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
        for invert in (False, True):
            yield "gpt2", pre(split({"String": "ab"}, behavior, invert), byte(use_regex=False)), []
            yield "gpt2", pre(split({"Regex": "[aeiou ]|\\d+"}, behavior, invert), byte(use_regex=False)), []
    yield "gpt2", pre(split({"Regex": "x*"}), byte()), []
    yield "gpt2", pre(split({"Regex": "(?=[A-Z])"}), byte()), []
    yield "gpt2", {"decoder": None}, []
    yield "qwen2", {"normalizer": sequence("normalizers", {"type": "Replace", "pattern": {"String": "an"}, "content": "o\u0302\u0301"},
                                           {"type": "NFC"}, {"type": "Prepend", "prepend": "e\u0301"})}, []
    for scheme in ("first", "always", "never"):
        for whether in (True, False):
            yield "sentencepiece", dict(pre(metaspace(scheme, whether)), normalizer=None, decoder=metaspace(scheme, whether)), []
    for model in ({"byte_fallback": False}, {"byte_fallback": False, "fuse_unk": False}, {"byte_fallback": False, "unk_token": None},
                  {"ignore_merges": True}):
        yield "sentencepiece", {"model": model}, []
    flags = [("<l>", {"lstrip": True}), ("<r>", {"rstrip": True}), ("<b>", {"lstrip": True, "rstrip": True}),
             ("<w>", {"single_word": True}), ("<n>", {"normalized": True}), ("<nw>", {"normalized": True, "single_word": True}),
             ("<sp>", {"special": True, "normalized": True}), ("the", {"single_word": True}), ("children", {}), ("child", {}), ("<l>x", {})]
    yield "gpt2", {}, flags
    yield "qwen2", {}, flags + [("e\u0301", {"normalized": True}), ("\u212b", {})]
    yield "sentencepiece", {}, flags
    yield "sentencepiece", dict(pre(metaspace("first", True)), normalizer=None), flags
    yield "gpt2", {}, [(" ", {"rstrip": True}), ("\n", {"lstrip": True}), ("ab", {}), ("abc", {}), ("b", {"single_word": True})]


def texts_for(variant):
    """Some texts of texts.json, and some with the added tokens in them."""
    rng = random.Random(str(variant))
    pool = some_texts()
    found = rng.sample(pool[:160], 25) + rng.sample(pool[160:], 10)
    contents = [c for c, _ in variant[2]]
    for _ in range(40 if contents else 0):
        parts = [rng.choice(contents + [" ", "  ", "x", "\n", "the ", "-", "\u0301", "\u3000", "1"]) for _ in range(rng.randrange(1, 9))]
        found.append("".join(parts))
    return found


def patched(state, patch, tokens):
    """The tokenizer.json with the patch applied: keys replaced, `model` merged, added tokens appended."""
    state = json.loads(json.dumps(state))
    for key, value in patch.items():
        if key == "model":
            state["model"].update(value)
        else:
            state[key] = value
    next_id = max([t["id"] for t in state["added_tokens"]] + list(state["model"]["vocab"].values())) + 1
    for token in added(*tokens):
        token["id"] = state["model"]["vocab"].get(token["content"], next_id)
        next_id += token["id"] == next_id
        state["added_tokens"].append(token)
    return state


# --- writing ---


def survives(t, text):
    """tokenizers panics where the space that one token took holds another that takes space."""
    try:
        t.encode(text)
        return True
    except BaseException as problem:
        if type(problem).__name__ != "PanicException":
            raise
        return False


def results(t, texts):
    ids = [e.ids for e in t.encode_batch(texts, add_special_tokens=False)]
    decoded = {str(i): t.decode(x, skip_special_tokens=False) for i, x in enumerate(ids)}
    return {"ids": ids, "decoded": {i: d for i, d in decoded.items() if d != texts[int(i)]}}


def write_json(name, value):
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("],[", "],\n[") + "\n"
    data = text.encode()
    (OUT / name).write_bytes(gzip.compress(data, 9, mtime=0) if name.endswith(".gz") else data)


def write_tokenizers(texts):
    states = {}
    for make in (gpt2, llama3, qwen2, sentencepiece):
        name, state = make.__name__, make().to_str()
        states[name] = json.loads(state)
        (OUT / (name + ".json.gz")).write_bytes(gzip.compress(state.encode(), 9, mtime=0))
        write_json(name + ".json", results(Tokenizer.from_str(state), texts))
    return states


def write_variants(states):
    found = []
    for variant in variants():
        base, patch, tokens = variant
        state = patched(states[base], patch, tokens)
        t = Tokenizer.from_str(json.dumps(state))
        texts = [text for text in texts_for(variant) if survives(t, text)]
        entry = {"base": base, "patch": patch, "texts": texts}
        entry["added_tokens"] = state["added_tokens"][len(states[base]["added_tokens"]):]
        found.append(dict(entry, **results(t, texts)))
    write_json("variants.json.gz", found)


def write_nfc():
    rng, nfc = random.Random(4), normalizers.NFC()
    marks = POOLS[2], POOLS[12], range(0x5B0, 0x5C0), range(0x1DF0, 0x1DFB), range(0x1100, 0x1200), range(0xAC00, 0xAC60)
    texts = ["".join(chr(rng.choice(rng.choice(marks))) for _ in range(rng.randrange(1, 12))) for _ in range(200)]
    bases, accents = "aeouyAEIO", "\u0300\u0301\u0302\u0303\u0304\u0308\u030d\u0316\u031b\u0323\u0327\u0331\u0345"
    texts += [rng.choice(bases) + "".join(rng.choices(accents, k=rng.randrange(1, 6))) for _ in range(200)]
    texts += [text for text in some_texts() if nfc.normalize_str(text) != text]
    write_json("nfc.json", [[text, nfc.normalize_str(text)] for text in texts])


def ids_hash(t, data):
    """What shared.txt holds for a file's bytes."""
    found = hashlib.sha256()
    for line in data.decode().split("\n")[::20]:
        for i in t.encode(line, add_special_tokens=False).ids + [-1]:
            found.update(i.to_bytes(4, "little", signed=True))
    return found.hexdigest()[:16]


def write_shared():
    load = [Tokenizer.from_str(gzip.decompress((SHARED / "tokenizers" / n / "tokenizer.json.gz").read_bytes()).decode())
            for n in SHARED_NAMES]
    rows = [" ".join(["file"] + SHARED_NAMES)]
    for path in sorted(p for p in (SHARED / "data").rglob("*") if p.is_file()):
        data = path.read_bytes()
        rows.append(" ".join([str(path.relative_to(SHARED / "data"))] + [ids_hash(t, data) for t in load]))
    (OUT / "shared.txt").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", action="store_true", help="only the hashes of what ../shared holds")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    if args.shared:
        write_shared()
    else:
        TEXTS = some_texts()
        write_json("texts.json", TEXTS)
        write_variants(write_tokenizers(TEXTS))
        write_nfc()
