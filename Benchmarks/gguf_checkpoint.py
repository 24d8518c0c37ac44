"""A Llama checkpoint as GGUF, for llama.cpp: the same weights in the type they have, without a tokenizer. Needs gguf and numpy."""
import json
import os
import struct

import gguf
import numpy as np

NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def tensors(path):
    """(name, dtype, array of stored bytes as u16 or f32) of every tensor of a folder of safetensors."""
    for file in sorted(f for f in os.listdir(path) if f.endswith(".safetensors")):
        with open(f"{path}/{file}", "rb") as stream:
            size = struct.unpack("<Q", stream.read(8))[0]
            header = json.loads(stream.read(size))
        for name, info in header.items():
            if name == "__metadata__":
                continue
            first, last = info["data_offsets"]
            stored = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}[info["dtype"]]
            array = np.fromfile(f"{path}/{file}", stored, (last - first) // np.dtype(stored).itemsize, offset=8 + size + first)
            yield name, info["dtype"], array.reshape(info["shape"])


def interleaved(array, heads):
    """Rows of Q or K with the two channels of a pair side by side, as llama.cpp rotates them."""
    rows = array.shape[0]
    return array.reshape(heads, 2, rows // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def rope_factors(scaling, base, width):
    """What llama.cpp divides each pair's frequency by, for the scaling of Llama 3."""
    old, low, high = (scaling[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    lengths = 2 * np.pi * base ** (np.arange(0, width, 2) / width)
    smooth = (old / lengths - low) / (high - low)
    between = 1 / ((1 - smooth) / scaling["factor"] + smooth)
    return np.where(lengths < old / high, 1, np.where(lengths > old / low, scaling["factor"], between)).astype(np.float32)


def write(path, out):
    """Writes the checkpoint in folder `path` to file `out`."""
    with open(f"{path}/config.json") as file:
        c = json.load(file)
    if c["model_type"] != "llama":
        raise SystemExit(f"{path}: GGUF is written for model type llama only, found {c['model_type']}")
    rope = c.get("rope_parameters") or dict(c.get("rope_scaling") or {}, rope_theta=c.get("rope_theta", 10000.0))
    heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
    width = c.get("head_dim") or c["hidden_size"] // heads
    w = gguf.GGUFWriter(out, "llama")
    w.add_vocab_size(c["vocab_size"])
    w.add_tokenizer_model("none")
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_key_length(width)
    w.add_value_length(width)
    w.add_rope_dimension_count(width)
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    scaling = rope.get("rope_type", "default")
    if scaling == "llama3":
        w.add_tensor("rope_freqs.weight", rope_factors(rope, rope["rope_theta"], width))
    elif scaling != "default":
        raise SystemExit(f"{path}: GGUF is not written for rope type {scaling}")
    for name, dtype, array in tensors(path):
        kind = name.removesuffix(".weight")
        if name in WHOLE:
            to = WHOLE[name]
        else:
            layer, kind = kind.removeprefix("model.layers.").split(".", 1)
            to = f"blk.{layer}.{NAMES[kind]}.weight"
        if kind in ("self_attn.q_proj", "self_attn.k_proj"):
            array = interleaved(array, heads if kind == "self_attn.q_proj" else kv_heads)
        if array.ndim == 1:
            # Norms are f32 in every GGUF.
            values = (array.astype("<u4") << 16).view("<f4") if dtype == "BF16" else array.astype("<f4")
            w.add_tensor(to, values)
        elif dtype == "BF16":
            w.add_tensor(to, np.ascontiguousarray(array).view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            w.add_tensor(to, np.ascontiguousarray(array))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
