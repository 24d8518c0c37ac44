#!/usr/bin/env python3
"""A checkpoint with FP8 weights and scales of every form that is sliced, and what it computes.

    python3 Fixtures/Generators/make_quantised.py

`Reference/llama_gqa` with its projections quantised by torch: layer 0 with a scale for each row (compressed-tensors), layer 1
with one for each tensor (F8_E5M2), layer 2 with one for each block of 16 x 16 (DeepSeek's form, `weight_scale_inv`). Logits are
those of transformers over the dequantised weights in float32; activations are not quantised. In layer 2 the mask keeps heads
whole or not at all, so that blocks survive. Bit-identical on rerun.
"""
import json, os, shutil, tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import make_reference as reference

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SOURCE, TARGET = f"{ROOT}/Reference/llama_gqa", f"{ROOT}/Quantised/llama_fp8"
BLOCK = 16


def quantise(name, w):
    """-> (tensors to store, the weight they mean)"""
    layer, base, w = int(name.split(".")[2]), name.removesuffix("weight"), w.float()
    dtype = torch.float8_e5m2 if layer == 1 else torch.float8_e4m3fn
    top = torch.finfo(dtype).max
    if layer == 0:
        scale = (w.abs().amax(1, keepdim=True) / top).float()
        full, stored = scale, {"weight_scale": scale, "input_scale": torch.ones(1)}
    elif layer == 1:
        scale = (w.abs().max() / top).bfloat16().reshape(1)
        full, stored = scale.float(), {"weight_scale": scale}
    else:
        rows, columns = w.shape[0] // BLOCK, w.shape[1] // BLOCK
        scale = w.reshape(rows, BLOCK, columns, BLOCK).abs().amax((1, 3)) / top
        full = scale.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        stored = {"weight_scale_inv": scale}
    q = (w / full).clamp(-top, top).to(dtype)
    return {base + k: v.contiguous() for k, v in stored.items()} | {name: q}, q.float() * full


def main():
    torch.set_num_threads(1)
    shutil.rmtree(TARGET, ignore_errors=True)
    os.makedirs(TARGET)
    weights = load_file(f"{SOURCE}/model.safetensors")
    stored, meant = {}, {}
    for name, w in weights.items():
        if name.endswith("_proj.weight"):
            tensors, meant[name] = quantise(name, w)
            stored |= tensors
        else:
            stored[name], meant[name] = w, w.float()
    save_file(stored, f"{TARGET}/model.safetensors", metadata={"format": "pt"})
    config = json.load(open(f"{SOURCE}/config.json"))
    with tempfile.TemporaryDirectory() as d:
        save_file(meant, f"{d}/model.safetensors", metadata={"format": "pt"})
        json.dump(config | {"dtype": "float32"}, open(f"{d}/config.json", "w"))
        model = reference.load("llama_gqa", d)
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}
    json.dump(config, open(f"{TARGET}/config.json", "w"), indent=2)
    mask = np.load(f"{SOURCE}/mask.npy") > 0.5
    mask[2] = [[False], [True]]
    np.save(f"{TARGET}/mask.npy", mask.astype(np.float32))
    ids = load_file(f"{SOURCE}/reference.safetensors")["input_ids"]
    save_file({"input_ids": ids, "logits_dense": reference.logits(model, ids), "logits_masked": reference.logits(model, ids, mask),
               "greedy_dense": reference.greedy(model, ids)[0], "greedy_masked": reference.greedy(model, ids, mask)[0]},
              f"{TARGET}/reference.safetensors")
    codes = {str(t).removeprefix("torch."): torch.arange(256, dtype=torch.uint8).view(t).float().tolist()
             for t in (torch.float8_e4m3fn, torch.float8_e5m2)}
    json.dump({k: [None if v != v else "inf" if v == np.inf else "-inf" if v == -np.inf else v for v in c] for k, c in codes.items()},
              open(f"{ROOT}/Quantised/float8.json", "w"))


if __name__ == "__main__":
    main()
