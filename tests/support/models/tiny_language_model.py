"""Tiny language model in a GGUF file: the first tokens of another model, a few weights, and one word to say.

It loads in a moment. With a grammar it says what the grammar dictates, otherwise "Hello" again and again. It stands in
for a real model where only the text around its words matters: templates, grammars and filters.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WORD = "Hello"
ARCHITECTURE = "qwen2"
MERGES = 10_000
"""Merges of two tokens into one that the model knows. Most of the time of a real model's start goes to reading all."""
BYTE_TOKENS = 256
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WIDTH = 32
"""Numbers of an embedding, and of the only attention head."""
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9
"""Kinds of metadata."""
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3
TENSOR_KINDS = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}
ALIGNMENT_BYTES = 32


def write_tiny_language_model(path: Path, source: Path) -> None:
    """Write the model with tokens of the GGUF file `source`, in whose order each merge adds one token."""
    with source.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tokens = [*read_texts(data, "tokenizer.ggml.tokens", BYTE_TOKENS + MERGES), *CONTROL_TOKENS]
        merges = read_texts(data, "tokenizer.ggml.merges", MERGES)
    metadata, tensors = _metadata(tokens, merges), _tensors(tokens)
    head, offset = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)) + b"".join(metadata), 0
    for name, values in tensors.items():
        shape = values.shape[::-1]  # GGUF names the innermost dimension first
        about = len(shape), *shape, TENSOR_KINDS[values.dtype], offset
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", *about)
        offset += len(_aligned(values.tobytes()))
    path.write_bytes(_aligned(head) + b"".join(_aligned(values.tobytes()) for values in tensors.values()))


def read_texts(data: mmap.mmap, key: str, count: int) -> list[str]:
    """Return the first texts of an array in the metadata."""
    at = data.find(_text(key)) + len(_text(key))
    kind, each, _ = struct.unpack_from("<IIQ", data, at)
    assert (kind, each) == (ARRAY, STRING)
    at += struct.calcsize("<IIQ")
    texts = []
    for _ in range(count):
        (size,) = struct.unpack_from("<Q", data, at)
        at += struct.calcsize("<Q") + size
        texts.append(data[at - size : at].decode())
    return texts


def _metadata(tokens: list[str], merges: list[str]) -> list[bytes]:
    sizes = {"context_length": 4096, "embedding_length": WIDTH, "block_count": 1, "feed_forward_length": WIDTH}
    heads = {"attention.head_count": 1, "attention.head_count_kv": 1}
    ends = {"eos_token_id": "<|im_end|>", "padding_token_id": "<|endoftext|>", "bos_token_id": "<|endoftext|>"}
    numbers = {
        **{f"{ARCHITECTURE}.{name}": value for name, value in {**sizes, **heads}.items()},
        **{f"tokenizer.ggml.{name}": tokens.index(token) for name, token in ends.items()},
    }
    names = {"general.architecture": ARCHITECTURE, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2"}
    kinds = [CONTROL_TOKEN if token in CONTROL_TOKENS else NORMAL_TOKEN for token in tokens]
    return [
        *(_text(key) + struct.pack("<I", STRING) + _text(value) for key, value in names.items()),
        *(_text(key) + struct.pack("<II", UINT32, value) for key, value in numbers.items()),
        _text(f"{ARCHITECTURE}.attention.layer_norm_rms_epsilon") + struct.pack("<If", FLOAT32, 1e-6),
        _array("tokenizer.ggml.tokens", STRING, [_text(token) for token in tokens]),
        _array("tokenizer.ggml.merges", STRING, [_text(merge) for merge in merges]),
        _array("tokenizer.ggml.token_type", INT32, [struct.pack("<i", kind) for kind in kinds]),
    ]


def _tensors(tokens: list[str]) -> dict[str, NDArray[np.float32] | NDArray[np.float16]]:
    """Return weights with which the word follows every token. A grammar gets the longest token that it allows."""
    square, row = np.zeros((WIDTH, WIDTH), np.float16), np.zeros(WIDTH, np.float32)
    output = np.repeat(np.array([[len(token) / 10] for token in tokens], np.float16), WIDTH, axis=1)
    output[tokens.index(WORD)] = 2 * output.max()
    attention = {f"blk.0.attn_{name}.weight": square for name in ("q", "k", "v", "output")}
    biases = {f"blk.0.attn_{name}.bias": row for name in ("q", "k", "v")}
    feed_forward = {f"blk.0.ffn_{name}.weight": square for name in ("gate", "up", "down")}
    norms = {f"{name}.weight": row + 1 for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")}
    embeddings = {"token_embd.weight": np.ones_like(output), "output.weight": output}
    return {**embeddings, **attention, **biases, **feed_forward, **norms}


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _array(key: str, kind: int, values: list[bytes]) -> bytes:
    return _text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + b"".join(values)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT_BYTES)
