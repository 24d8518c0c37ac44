#!/usr/bin/env python3
"""tiny.pt of train_tiny.py -> a Hugging Face llama checkpoint (bf16, tied embeddings).

python export_tiny.py tiny.pt OUTDIR
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file

NAMES = {
    "n1": "input_layernorm",
    "n2": "post_attention_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "g": "mlp.gate_proj",
    "u": "mlp.up_proj",
    "dn": "mlp.down_proj",
}
CONFIG = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=128,
    intermediate_size=352, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
    head_dim=64, rms_norm_eps=1e-05, rope_theta=10000.0, rope_scaling=None,
    max_position_embeddings=1024, vocab_size=640, tie_word_embeddings=True, hidden_act="silu",
    attention_bias=False, mlp_bias=False, bos_token_id=0, eos_token_id=0, torch_dtype="bfloat16",
    use_cache=True,
)  # fmt: skip


def name(key):
    if key == "emb.weight":
        return "model.embed_tokens.weight"
    if key == "nf.weight":
        return "model.norm.weight"
    _, layer, part, leaf = key.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{leaf}"


def export(state, out):
    os.makedirs(out, exist_ok=True)
    tensors = {name(key): value.to(torch.bfloat16).contiguous() for key, value in state.items()}
    save_file(tensors, f"{out}/model.safetensors", {"format": "pt"})
    with open(f"{out}/config.json", "w") as file:
        json.dump(CONFIG, file, indent=2)


if __name__ == "__main__":
    export(torch.load(sys.argv[1]), sys.argv[2])
