#!/usr/bin/env python3
"""Makes tests/golden/formats from the reference implementations of the formats.

    pip install numpy==2.4.6 safetensors==0.8.0 gguf==0.19.0
    tools/formats/make_golden.py                      blocks.bin, python.safetensors, python.gguf, first inputs of the
                                                      fuzz targets; checks glot.safetensors
    tools/formats/make_golden.py --gguf BASE.gguf     also smollm2.txt, the tensors of the demo's base model

blocks.bin: for each block type the ggml type number (u32), the number of blocks (u32), the blocks (random bytes with
finite scales), and their float32 values by the gguf package. glot.safetensors is written by test_safetensors_save.c
(GLOT_UPDATE_GOLDEN=1) and read here by the safetensors package. smollm2.txt: name, type, shape and the start of the
SHA-256 over the float32 values of every tensor.
"""
import argparse
import hashlib
import json
import pathlib
import struct

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T, GGUFReader, GGUFWriter, dequantize
from safetensors import safe_open
from safetensors.numpy import save

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests"
GOLDEN = TESTS / "golden/formats"
CORPUS = TESTS / "fuzz/corpus"

# Where the halves are in a block of each type: they must be finite, everything else may be any bytes.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2],
          T.Q6_K: [208], T.F16: [0], T.BF16: [0]}


def random_blocks(rng, kind, n):
    blocks = rng.integers(0, 256, (n, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    exponent_of_high_byte = 0x7f if kind == T.BF16 else 0x7c
    for at in HALVES[kind]:
        while True:
            is_infinite = (blocks[:, at + 1] & exponent_of_high_byte) == exponent_of_high_byte
            if not is_infinite.any():
                break
            blocks[is_infinite, at + 1] = rng.integers(0, 256, is_infinite.sum(), dtype=np.uint8)
    return blocks


def values_of(blocks, kind):
    return np.ascontiguousarray(dequantize(blocks, kind), dtype=np.float32)


def make_blocks():
    rng = np.random.default_rng(1)
    with open(GOLDEN / "blocks.bin", "wb") as out:
        for kind in HALVES:
            elements = GGML_QUANT_SIZES[kind][0]
            blocks = random_blocks(rng, kind, {1: 128, 32: 8, 256: 4}[elements])
            out.write(struct.pack("<II", kind, len(blocks)) + blocks.tobytes() + values_of(blocks, kind).tobytes())


def make_safetensors():
    tensors = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "half": np.array([1.5, -2.0, 65504.0], dtype=np.float16),
        "wide": np.array([[1e300, -0.5]], dtype=np.float64),
        "ids": np.array([-1, 2**40], dtype=np.int64),
        "small ids": np.array([-7, 7, 2**31 - 1], dtype=np.int32),
        "bytes": np.array([0, 1, 255], dtype=np.uint8),
        "scalar": np.array(3.25, dtype=np.float32),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "ελληνικά/\"quoted\"": np.array([42.0], dtype=np.float32),
    }
    (GOLDEN / "python.safetensors").write_bytes(save(tensors, {"format": "pt", "made by": "safetensors"}))


def check_safetensors():
    path = GOLDEN / "glot.safetensors"
    if not path.exists():
        print(f"{path} is not there yet: GLOT_UPDATE_GOLDEN=1 test_safetensors_save writes it")
        return
    with safe_open(path, framework="np") as f:
        assert f.metadata() == {"format": "pt", "key \"two\"": "ünï"}, f.metadata()
        expected = {
            "bytes": np.array([1, 2, 3], dtype=np.uint8),
            "matrix": (np.arange(6, dtype=np.float32) * 0.5).reshape(2, 3),
            "scalar": np.array(2.5, dtype=np.float64),
            "empty": np.zeros((3, 0), dtype=np.float32),
            "half": np.array([1.0, -2.0, 0.5], dtype=np.float16),
            "línea \"1\"\n": np.array([-5, 2**33], dtype=np.int64),
            "int": np.array([7, -7], dtype=np.int32),
        }
        assert set(f.keys()) == set(expected), set(f.keys()) ^ set(expected)
        for name, value in expected.items():
            got = f.get_tensor(name)
            assert got.dtype == value.dtype and got.shape == value.shape and (got == value).all(), name
    header = json.loads(path.read_bytes()[8:8 + struct.unpack("<Q", path.read_bytes()[:8])[0]])
    assert list(header)[0] == "__metadata__"
    print(f"{path.name}: the safetensors package reads it, {len(expected)} tensors are equal")


def make_gguf(path, kinds, alignment=None):
    rng = np.random.default_rng(2)
    w = GGUFWriter(path, "llama")
    if alignment:
        w.add_custom_alignment(alignment)
    w.add_uint32("llama.block_count", 2)
    w.add_float32("llama.rope.freq_base", 10000.0)
    w.add_uint64("test.large", 2**40)
    w.add_int8("test.small", -3)
    w.add_bool("tokenizer.ggml.add_bos_token", True)
    w.add_string("general.name", "tiny ñandú")
    w.add_array("tokenizer.ggml.tokens", ["<s>", "▁a", "é"])
    w.add_array("tokenizer.ggml.scores", [0.0, -1.5, -2.25])
    w.add_array("tokenizer.ggml.token_type", [3, 1, 1])
    for kind in kinds:
        elements = GGML_QUANT_SIZES[kind][0]
        name = f"blk.0.{kind.name.lower()}.weight"
        if kind == T.F32:
            w.add_tensor(name, np.arange(6, dtype=np.float32).reshape(2, 3))
        else:
            n = max(1, 4 // elements)
            w.add_tensor(name, random_blocks(rng, kind, 3 * n).reshape(3, -1), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make_seeds():
    for name in ("gguf", "safetensors"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    make_gguf(CORPUS / "gguf/metadata", [])
    make_gguf(CORPUS / "gguf/floats", [T.F32, T.F16, T.BF16], alignment=8)
    make_gguf(CORPUS / "gguf/blocks", [T.Q4_0, T.Q8_0, T.Q6_K])
    (CORPUS / "safetensors/empty").write_bytes(save({}))
    (CORPUS / "safetensors/python").write_bytes((GOLDEN / "python.safetensors").read_bytes())
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[],"data_offsets":[1,5]}} '
    (CORPUS / "safetensors/odd").write_bytes(struct.pack("<Q", len(header)) + header + b"12345")


def make_base_list(gguf):
    lines = []
    for t in GGUFReader(gguf).tensors:
        digest = hashlib.sha256(values_of(t.data, t.tensor_type).tobytes()).hexdigest()[:16]
        shape = "x".join(str(n) for n in reversed(t.shape.tolist()))
        lines.append(f"{t.name} {t.tensor_type.name} {shape} {digest}\n")
    (GOLDEN / "smollm2.txt").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", help="SmolLM2-135M-Instruct.Q4_1.gguf")
    arguments = parser.parse_args()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    make_blocks()
    make_safetensors()
    make_gguf(GOLDEN / "python.gguf", [T.F32, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K, T.BF16, T.F16])
    make_seeds()
    check_safetensors()
    if arguments.gguf:
        make_base_list(arguments.gguf)


if __name__ == "__main__":
    main()
