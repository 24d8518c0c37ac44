#!/usr/bin/env python3
"""Does `leank verify` pass what is honest? Conversions of a real model in every layout, under masks of many sizes.

    python3 Benchmarks/honest.py MODEL TOKENS.npy [--runs 24] [--long 4] [--long-tokens 8000] [--leank PATH] [--scratch DIR]

Each run makes a mask that keeps its own share of the channels, 25 to 80 % pruned in blocks of 16 (whole heads included), converts with one
of the layouts rows, cache static and cache windowed, and verifies on 1,200 to 2,400 tokens of text; --long runs take --long-tokens. Prints a
table of the largest differences beside the noise of each run; exit 1 when one fails. Needs numpy.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

WINDOW = ["--mode", "windowed", "--sink", "16", "--recent", "256", "--accumulate", "64"]
LAYOUTS = [("rows", "rows", []), ("cache static", "cache", ["--mode", "static"]), ("cache windowed", "cache", WINDOW)]


def mask(config, pruned, rng):
    """[layers, kv_heads, head_dim] of 0 and 1: blocks of 16 channels of random heads, about 1 - pruned of all."""
    layers, heads = config["num_hidden_layers"], config.get("num_key_value_heads", config["num_attention_heads"])
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    blocks = width // 16
    kept = np.zeros((layers, heads, width), "<f4")
    order = [(layer, head) for layer in range(layers) for head in range(heads)] * blocks
    rng.shuffle(order)
    for layer, head in order[: round((1 - pruned) * len(order))]:
        free = np.flatnonzero(kept[layer, head] == 0)
        kept[layer, head, rng.sample(list(free), 16)] = 1
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("tokens")
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--long", type=int, default=4)
    parser.add_argument("--long-tokens", type=int, default=8000)
    parser.add_argument("--leank", default=".build/release/leank")
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    a = parser.parse_args()
    with open(f"{a.model}/config.json") as file:
        config = json.load(file)
    text = np.load(a.tokens)
    rng = random.Random(0)
    failed = 0
    print("| run | layout | pruned | tokens | exact | independent | noise | ratio | time |\n|---|---|---|---|---|---|---|---|---|")
    for run in range(a.runs + a.long):
        is_long = run >= a.runs
        name, layout, options = LAYOUTS[run % 3]
        pruned = round(0.25 + 0.55 * rng.random(), 2)
        count = a.long_tokens if is_long else rng.randrange(1200, 2401)
        first = rng.randrange(len(text) - count)
        scratch = tempfile.mkdtemp(dir=a.scratch)
        try:
            np.save(f"{scratch}/mask.npy", mask(config, pruned, rng))
            np.save(f"{scratch}/tokens.npy", text[first : first + count].astype("<i8"))
            convert = [a.leank, "convert", "--model", a.model, "--mask", f"{scratch}/mask.npy", "--output", f"{scratch}/out",
                       "--layout", layout, "--quiet", *options]
            subprocess.run(convert, check=True)
            verify = [a.leank, "verify", a.model, f"{scratch}/out", "--tokens", f"{scratch}/tokens.npy", "--prompt-length",
                      str(count - 100), "--json"]
            start = time.monotonic()
            result = subprocess.run(verify, capture_output=True, text=True)
            seconds = time.monotonic() - start
            failed += result.returncode != 0
            report = json.loads(result.stdout)
            exact, other = report["exact"]["max_abs_diff"], report["independent"]
            print(f"| {run + 1} | {name} | {pruned:.2f} | {count} | {exact} | {other['max_abs_diff']:.2g} | {other['noise']:.2g} | "
                  f"{other['max_abs_diff'] / other['noise']:.2f} | {seconds:.0f} s |{'' if result.returncode == 0 else ' FAILED'}",
                  flush=True)
        finally:
            shutil.rmtree(scratch)
    print(f"\n{a.runs + a.long - failed} of {a.runs + a.long} honest runs pass")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
