#!/usr/bin/env python3
"""Writes ../Masks/lookalike.pth: a file in the form of LeanK's published masks, with channels of our own choice.

usage: python3 make_lookalike_mask.py       (torch 2.15.0, numpy)
A bare float32 tensor [layers, kv_heads, head_dim] of 0 and 1 saved by torch.save. As in the published masks heads keep 0, 32, 64 or 96 of
128 channels and the kept channels are not closed under RoPE's pairs. lookalike.json says which channels are kept.
"""
import json, os
import numpy as np, torch

here = os.path.dirname(os.path.abspath(__file__)) + "/../Masks/"
rng = np.random.default_rng(20251123)
layers, heads, width = 8, 4, 128
mask = np.zeros((layers, heads, width), np.float32)
counts = rng.permutation(np.repeat([0, 32, 64, 96], [7, 12, 9, 4])).reshape(layers, heads)
for l in range(layers):
    for h in range(heads):
        # slow channels of RoPE first, as learned masks prefer them, but each half on its own
        weight = np.tile(np.linspace(0.2, 1, width // 2), 2) * rng.random(width)
        mask[l, h, np.argsort(-weight, kind="stable")[:counts[l, h]]] = 1
torch.save(torch.from_numpy(mask), here + "lookalike.pth")
with open(here + "lookalike.json", "w", encoding="utf-8", newline="\n") as f:
    json.dump([[np.flatnonzero(mask[l, h]).tolist() for h in range(heads)] for l in range(layers)], f, separators=(",", ":"))
    f.write("\n")
