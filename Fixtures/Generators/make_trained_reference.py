#!/usr/bin/env python3
"""Logits of leank-tiny by Hugging Face transformers, dense and under its learned masks.

    pip install torch==2.15.0 transformers==5.23.0 safetensors numpy
    python make_trained_reference.py [--check]

Writes ../Reference/leank-tiny.safetensors; with --check compares with the one that is there.
"""
import argparse
import os
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import make_reference as reference

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "../Models/leank-tiny")
MASKS = os.path.join(HERE, "../Masks/leank-tiny")
OUT = os.path.join(HERE, "../Reference/leank-tiny.safetensors")
STATIC = ["static_mask_r0.5", "static_pairs_mask_r0.5", "windowed_mask_r0.7"]
DEPLOY = ["windowed_mask_r0.7"]
PROMPT, SINK, RECENT, ACCUMULATE = 210, 4, 16, 8
TEXT = (
    " The quiet river finds the golden lantern. The key of amber-bridge is 4821."
    " The brave tiger keeps the narrow canyon. The key of silver-falcon is 9037."
    + " The calm garden watches the rare pencil. The young candle hides the old quilt." * 5
    + "".join(
        f" Question: What is the key of {key}? Answer: The key of {key} is {value}."
        for key, value in (("amber-bridge", 4821), ("silver-falcon", 9037))
    )
)


def mask(name):
    return np.load(f"{MASKS}/{name}_align16.npy")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    torch.set_num_threads(1)
    reference.PROMPT, reference.SINK = PROMPT, SINK
    reference.RECENT, reference.ACCUMULATE = RECENT, ACCUMULATE

    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{MODEL}/tokenizer.json")
    ids = torch.tensor(tokenizer.encode(TEXT).ids)
    model = reference.load(MODEL)
    arrays = {"input_ids": ids, "logits_dense": reference.logits(model, ids)}
    for name in STATIC:
        arrays[f"logits_masked.{name}"] = reference.logits(model, ids, mask(name))
    for name in DEPLOY:
        arrays[f"logits_deploy.{name}"] = reference.logits(model, ids, mask(name), "deploy")
    if not check:
        metadata = dict(prompt_length=PROMPT, sink=SINK, recent=RECENT, accumulate=ACCUMULATE)
        metadata = {key: str(value) for key, value in metadata.items()}
        metadata.update(masks="Masks/leank-tiny/NAME_align16.npy", logits="all positions")
        save_file({k: v.contiguous() for k, v in arrays.items()}, OUT, metadata)
        return
    there = load_file(OUT)
    assert there.keys() == arrays.keys(), (there.keys(), arrays.keys())
    worst = {k: (arrays[k].float() - there[k].float()).abs().max().item() for k in arrays}
    print(worst)
    sys.exit(max(worst.values()) > 2e-4)


if __name__ == "__main__":
    main()
