#!/usr/bin/env python3
"""Synthetic checkpoints of real shapes: finite random bf16 weights, several shards, and a mask beside them.

    python checkpoints.py SHAPE OUT [--layers N] [--shard-gb G]

SHAPE: llama-3.2-1b, llama-3.1-8b, qwen2.5-7b. Needs numpy. Writes OUT/ and OUT.mask.npy.
"""
import argparse
import json
import os
import struct

import numpy as np

SHAPES = {
    "llama-3.2-1b": dict(
        model_type="llama", hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
        num_key_value_heads=8, head_dim=64, vocab_size=128256, tie_word_embeddings=True, rope_theta=500000.0,
        rope_scaling=dict(rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=8192)),
    "llama-3.1-8b": dict(
        model_type="llama", hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, vocab_size=128256, tie_word_embeddings=False, rope_theta=500000.0,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=8192)),
    "qwen2.5-7b": dict(
        model_type="qwen2", hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
        num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False, rope_theta=1000000.0, use_sliding_window=False),
}


def tensors(c):
    """(name, shape) of every tensor, in the order of the file."""
    hidden, ff = c["hidden_size"], c["intermediate_size"]
    dim = c.get("head_dim") or hidden // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * dim, c["num_key_value_heads"] * dim
    bias = c["model_type"] == "qwen2"
    yield "model.embed_tokens.weight", (c["vocab_size"], hidden)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", (hidden,)
        yield p + "mlp.down_proj.weight", (hidden, ff)
        yield p + "mlp.gate_proj.weight", (ff, hidden)
        yield p + "mlp.up_proj.weight", (ff, hidden)
        yield p + "post_attention_layernorm.weight", (hidden,)
        for name, rows in (("k", kv), ("q", q), ("v", kv)):
            if bias:
                yield p + f"self_attn.{name}_proj.bias", (rows,)
            yield p + f"self_attn.{name}_proj.weight", (rows, hidden)
        yield p + "self_attn.o_proj.weight", (hidden, q)
    yield "model.norm.weight", (hidden,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], hidden)


def write(path, c, shard_bytes):
    """Writes the checkpoint; returns the number of bytes of weights."""
    os.makedirs(path, exist_ok=True)
    rng = np.random.default_rng(1)
    block = ((rng.standard_normal(1 << 22) * 0.02).astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    shards, size = [[]], 0
    for name, shape in tensors(c):
        count = 2 * int(np.prod(shape))
        if shards[-1] and size + count > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, count))
        size += count
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = "model.safetensors" if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name, shape, count in shard:
            header[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[offset, offset + count])
            weight_map[name] = file
            offset += count
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(f"{path}/{file}", "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            while offset:
                take = min(offset, len(block))
                out.write(block[:take])
                offset -= take
    total = sum(count for shard in shards for _, _, count in shard)
    if len(shards) > 1:
        with open(f"{path}/model.safetensors.index.json", "w") as out:
            json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, out)
    config = dict(c, hidden_act="silu", rms_norm_eps=1e-5, max_position_embeddings=131072, torch_dtype="bfloat16")
    with open(f"{path}/config.json", "w") as out:
        json.dump(config, out, indent=2)
    return total


def mask(c):
    """Like the published masks: 0 to 3 quarters of each head, 70 % pruned, not pair-closed."""
    rng = np.random.default_rng(2)
    dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    shape = (c["num_hidden_layers"], c["num_key_value_heads"])
    kept = np.zeros(shape + (dim,), "<f4")
    counts = rng.choice([0, 1, 2, 3], p=[0.2, 0.45, 0.25, 0.1], size=shape) * (dim // 4)
    for index in np.ndindex(shape):
        kept[index][rng.permutation(dim)[: counts[index]]] = 1
    return kept


def make(shape, path, layers=None, shard_gb=5.0):
    c = dict(SHAPES[shape])
    if layers:
        c["num_hidden_layers"] = layers
    total = write(path, c, shard_gb * 1e9)
    np.save(path + ".mask.npy", mask(c))
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--shard-gb", type=float, default=5.0)
    a = parser.parse_args()
    print(make(a.shape, a.out, a.layers, a.shard_gb), "bytes of weights")
