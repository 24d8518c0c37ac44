#!/usr/bin/env python3
"""Writes ../Selection/leank_rule.json: what numpy makes of 1,000 arrays of random scores by LeanK's official rule.

usage: python3 make_selection.py            (numpy 2)
The scores are not kept: case i draws them from SplitMix64 seeded with i, as the test does. Each case is kept as the FNV-1a hash of
the mask's packed bits and the number of kept channels. Ties go to the lower channel (stable sort of the negated scores).
"""
import json, os
import numpy as np

M64 = 2**64 - 1

class SplitMix64:
    def __init__(self, seed): self.state = seed
    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & M64
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M64
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M64
        return z ^ z >> 31

def scores(rng, kind, count):
    out = []
    for _ in range(count):
        r = rng.next()
        if kind == 0: out.append((r >> 40) * 2.0**-24)                             # all different
        elif kind == 1: out.append((r % 9) / 8)                                    # many ties
        elif kind == 2: out.append(0.0 if r % 10 < 7 else (r >> 40) * 2.0**-24)    # heavy zeros
        else: out.append((r % 33 - 16.0) / 16)                                     # negative, ties
    return np.array(out, dtype=np.float32)

def leank_rule(s, ratio, unit):
    s = s.astype(np.float64)
    keep = s >= np.quantile(s, ratio)
    mask = np.zeros(s.shape, bool)
    for l in range(s.shape[0]):
        for h in range(s.shape[1]):
            n = min(int(np.floor(keep[l, h].sum() / unit + 0.5)) * unit, s.shape[2])
            mask[l, h, np.argsort(-s[l, h], kind="stable")[:n]] = True
    return mask

def fnv1a(data):
    h = 0xCBF29CE484222325
    for b in data: h = ((h ^ b) * 0x100000001B3) & M64
    return h

cases = []
for seed in range(1000):
    rng = SplitMix64(seed)
    layers, heads = 1 + rng.next() % 4, 1 + rng.next() % 4
    dim, unit = [8, 16, 20, 64][rng.next() % 4], [1, 4, 8, 16, 3][rng.next() % 5]
    ratio, kind = (rng.next() % 101) / 100, rng.next() % 4
    s = scores(rng, kind, layers * heads * dim).reshape(layers, heads, dim)
    mask = leank_rule(s, ratio, unit)
    cases.append("%016x %d" % (fnv1a(np.packbits(mask.ravel(), bitorder="little").tobytes()), mask.sum()))
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Selection", "leank_rule.json")
with open(path, "w", encoding="utf-8", newline="\n") as f:
    json.dump({"numpy": np.__version__, "cases": cases}, f, indent=0)
    f.write("\n")
