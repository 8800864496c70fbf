#!/usr/bin/env python3
"""Writes a GGUF file again with every tensor widened: matrices as float32, or bf16, vectors as float32. llama.cpp and glot then run the same file.

    python3 bench/widen_gguf.py models/SmolLM2-135M-Instruct.Q4_1.gguf smollm2-bf16.gguf --dtype bf16

Needs the package `gguf`.
"""
import argparse

import gguf
import numpy

MADE_BY_THE_WRITER = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type",
                      "general.quantization_version")


def widened(tensor, is_bf16):
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
    if is_bf16 and values.ndim > 1:
        return gguf.quants.quantize(values, gguf.GGMLQuantizationType.BF16), gguf.GGMLQuantizationType.BF16
    return values, gguf.GGMLQuantizationType.F32


def copy_metadata(writer, reader):
    for name, field in reader.fields.items():
        if name in MADE_BY_THE_WRITER:
            continue
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=element)


def widen(source, target, is_bf16):
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    copy_metadata(writer, reader)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if is_bf16 else gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        values, kind = widened(tensor, is_bf16)
        writer.add_tensor(tensor.name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--dtype", choices=("float32", "bf16"), default="float32")
    a = parser.parse_args()
    widen(a.source, a.target, a.dtype == "bf16")


if __name__ == "__main__":
    main()
