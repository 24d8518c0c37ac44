#!/usr/bin/env python3
"""Rotary tables of every scaling kind, as transformers computes them: Rotary/tables.json.

    pip install torch==2.15.0 transformers==5.23.0
    python Generators/make_rotary.py [--out Rotary/tables.json]

Each case: the description's numbers, `length` (tokens of the run), inverse frequencies, and cosine and sine (attention factor
included) at `positions`, [positions, pairs].
"""
import argparse, json, os
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

POSITIONS = [0, 1, 47, 2000]
SHORT = [1.0, 1.02, 1.05, 1.1, 1.2, 1.35, 1.5, 1.7]
LONG = [1.0, 1.3, 1.8, 2.6, 3.7, 5.1, 7.0, 9.0]
# name: (head_dim, max_position_embeddings, length, rope parameters)
CASES = {
    "default": (128, 8192, 4096, dict(rope_type="default", rope_theta=500000.0)),
    "linear": (16, 2048, 4096, dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "dynamic_within": (32, 512, 500, dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0)),
    "dynamic_beyond": (32, 512, 2001, dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0)),
    "llama3": (128, 131072, 4096, dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                                       high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "yarn": (128, 131072, 4096, dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0,
                                     original_max_position_embeddings=32768)),
    "yarn_untruncated": (64, 131072, 4096, dict(rope_type="yarn", rope_theta=150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
                                                truncate=False, original_max_position_embeddings=4096)),
    "longrope_short": (16, 4096, 60, dict(rope_type="longrope", rope_theta=10000.0, short_factor=SHORT, long_factor=LONG,
                                          original_max_position_embeddings=2048)),
    "longrope_long": (16, 4096, 3000, dict(rope_type="longrope", rope_theta=10000.0, short_factor=SHORT, long_factor=LONG,
                                           original_max_position_embeddings=2048)),
}


def main():
    ap = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    ap.add_argument("--out", default=os.path.join(here, "..", "Rotary", "tables.json"))
    cases = []
    for name, (width, limit, length, parameters) in CASES.items():
        config = LlamaConfig(head_dim=width, num_attention_heads=2, hidden_size=2 * width, max_position_embeddings=limit,
                             rope_parameters=dict(parameters))
        rotary = LlamaRotaryEmbedding(config)
        rotary(torch.zeros(1), torch.tensor([[length - 1]]))  # a run of this length chooses the frequencies
        frequencies = rotary.inv_freq.clone()
        angles = torch.tensor(POSITIONS, dtype=torch.float32)[:, None] * frequencies
        factor = rotary.attention_scaling
        cases.append(dict(
            name=name, width=width, length=length, maximum=limit, parameters=parameters, attention_factor=float(factor),
            inverse=[float(x) for x in frequencies], positions=POSITIONS,
            cosine=[[float(x) for x in row] for row in angles.cos() * factor],
            sine=[[float(x) for x in row] for row in angles.sin() * factor]))
    with open(ap.parse_args().out, "w") as file:
        json.dump(cases, file, indent=None, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
