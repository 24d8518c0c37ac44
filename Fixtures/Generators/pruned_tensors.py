#!/usr/bin/env python3
"""What `rows` and `zeroed` have to make of the reference checkpoints, by numpy.

    python3 Fixtures/Generators/pruned_tensors.py > Fixtures/Reference/pruned.json

For each model: {layout: {tensor: [shape, CRC-32 of its bytes]}}, only the tensors that differ from
the dense ones; null for layouts that are refused. Beside them `source_digest`, the SHA-256 of
config.json and of each shard's header, length word included. Written apart from leank: rows are picked with
boolean indices per head from each family's fused or separate layout.
"""
import glob, hashlib, json, os, struct, sys, zlib

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Reference")
NORMED = {"qwen3", "qwen3_moe", "gemma3", "gemma3_text", "olmo2", "exaone4"}
WIDTH = {"BF16": 2, "F16": 2, "F32": 4, "BOOL": 1}


def tensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    for name, e in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            a, b = e["data_offsets"]
            data = np.frombuffer(raw[8 + n + a:8 + n + b], np.uint8)
            yield name, e["dtype"], data.reshape(e["shape"][0], -1), e["shape"]


def block(kind, head, t, heads, kv, new):
    """Position of a head, counted in heads, inside its projection tensor."""
    group = heads // kv
    if t == "phi3":
        return {"q": head, "k": heads + head}[kind]
    if t == "gpt_neox":
        return 3 * head + "qk".index(kind)
    if t == "falcon" and not new and kv == 1:  # multi-query: [Q heads, k, v]
        return {"q": head, "k": heads}[kind]
    if t == "falcon":
        return head // group * (group + 2) + head % group if kind == "q" else head * (group + 2) + group
    return head


def model(folder):
    c = json.load(open(folder + "/config.json"))
    c = {**c, **c.get("text_config", {})}
    t, layers, heads = c["model_type"], c["num_hidden_layers"], c["num_attention_heads"]
    kv = c.get("num_key_value_heads") or heads
    if t == "falcon":
        kv = c["num_kv_heads"] if c["new_decoder_architecture"] else 1 if c["multi_query"] else heads
    dim = c.get("head_dim") or c["hidden_size"] // heads
    rope = c["rope_parameters"]
    width = int(dim * (rope.get("full_attention") or rope).get("partial_rotary_factor", 1.0))
    mask = np.stack([m.reshape(kv, dim).astype(bool) for _, _, m, _ in sorted(tensors(folder + "/mask.safetensors"))])
    closure = mask.copy()
    for i in range(layers):
        if t == "smollm3" and not c["no_rope_layers"][i] or t == "cohere2" and c["layer_types"][i] != "sliding_attention":
            continue
        for ch in range(width):
            partner = ch ^ 1 if t in ("glm4", "cohere", "cohere2") else (ch + width // 2) % width
            closure[i, :, ch] |= mask[i, :, partner]
    result = {"rows": {}, "zeroed": {}}
    for path in sorted(glob.glob(folder + "/model*.safetensors")):
        for name, dtype, data, shape in tensors(path):
            parts = name.split(".")
            projection = parts[-2]
            kinds = {"q_proj": "q", "k_proj": "k", "qkv_proj": "qk", "query_key_value": "qk"}.get(projection)
            if not kinds:
                continue
            if "visual" in parts or "vision_tower" in parts:
                continue
            layer = int(parts[parts.index("layers" if "layers" in parts else "h") + 1])
            keep, zero = np.ones(shape[0], bool), np.zeros(shape[0], bool)
            for kind in kinds:
                for head in range(heads if kind == "q" else kv):
                    own = closure[layer, head // (heads // kv) if kind == "q" else head]
                    first = block(kind, head, t, heads, kv, c.get("new_decoder_architecture")) * dim
                    keep[first:first + dim] = own
                    if kind == "k":
                        zero[first:first + dim] = ~own
            zeroed = data.copy()
            zeroed[zero] = 0
            for layout, array in (("rows", data[keep]), ("zeroed", zeroed)):
                if array.shape != data.shape or (array != data).any():
                    result[layout][name] = [[len(array)] + shape[1:], zlib.crc32(array.tobytes())]
    digest = hashlib.sha256(open(folder + "/config.json", "rb").read())
    for path in sorted(glob.glob(folder + "/model*.safetensors")):
        raw = open(path, "rb").read()
        digest.update(raw[:8 + struct.unpack("<Q", raw[:8])[0]])
    normed = t in NORMED or c.get("use_qk_norm") or c.get("qk_layernorm")
    entry = {layout: None if normed else found for layout, found in result.items()}
    return {**entry, "source_digest": digest.hexdigest()}


names = sorted(d for d in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, d)))
json.dump({n: model(os.path.join(ROOT, n)) for n in names}, sys.stdout, indent=1, sort_keys=True)
print()
