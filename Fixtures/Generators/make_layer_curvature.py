#!/usr/bin/env python3
"""Curvature of the reference models' attention, one layer at a time, by torch's autograd in float64.

    python make_layer_curvature.py [--models Reference] [--out Gradients/layer_curvature.safetensors] [name ...]

A factor a stands on each channel of the keys that decoded tokens see as middle ones (make_reference.py's "deploy": a dense prompt,
then decoded tokens), 1 everywhere. With o_t what a layer's attention gives at decoded token t after its output projection, and x_t what
enters the layer there:

    NAME.scores [channels]  mean over DRAWS random directions z of (d sum over t of z_t . o_t / d a)^2, over the sum of ||x_t||^2: layers,
                            KV heads, channels one after another. The elements of z are 1 or -1; `signs` below has the rule.

For some models also what it costs when one KV head of one layer keeps only its best channels for middle keys, none of which is there where
it keeps none: with o' what its attention then gives,

    NAME.errors [layers * KV heads * head_dim / UNIT]   sum over t of ||o'_t - o_t||^2, over the sum of ||x_t||^2, for 0, UNIT, ... channels
"""
import argparse, os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
import transformers
from safetensors.numpy import load_file
from safetensors.torch import save_file
from make_gradients import Factors
from make_reference import PROMPT, auto, dims, reset_rotation


UNIT = 4
DRAWS, SEED = 3, 3
GOLDEN, WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1


def mixed(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & WORD
    return x ^ x >> 31


def signs(count, layer, sequence=0):
    """SplitMix64's bits from the lowest one on, 0 for 1 and 1 for -1; every sequence and layer has its own start."""
    state = SEED
    for part in (sequence, layer):
        state = mixed(state + GOLDEN & WORD) ^ mixed(part + 1)
    result = []
    while len(result) < count:
        state = state + GOLDEN & WORD
        word = mixed(state)
        result += [1 - 2 * (word >> bit & 1) for bit in range(64)]
    return torch.tensor(result[:count], dtype=torch.float64)
MEASURED = ["cohere", "gemma2", "gpt_oss", "llama_gqa", "mistral_swa", "qwen3"]


def attention(model, ids, values):
    """What enters each layer and what its attention gives, at decoded tokens, under factors on middle keys."""
    entered, left = {}, {}
    hooks = []
    for module in model.modules():
        children = [m for m in module.children() if hasattr(m, "layer_idx") and "Attention" in type(m).__name__]
        for child in children:
            index = child.layer_idx

            def entering(module, args, kwargs, index=index):
                entered[index] = (args[0] if args else kwargs["hidden_states"]).detach()[0, PROMPT:]

            def leaving(module, args, output, index=index):
                left[index] = output[0][0, PROMPT:]

            hooks.append(module.register_forward_pre_hook(entering, with_kwargs=True))
            hooks.append(child.register_forward_hook(leaving))
    reset_rotation(model)
    with Factors(model, values, "deploy"):
        model(input_ids=ids[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    return entered, left


def curvature(model, ids):
    layers, _, heads, width = dims(model.config.get_text_config())
    values = [torch.ones(heads, width, dtype=torch.float64).requires_grad_() for _ in range(layers)]
    entered, left = attention(model, ids, values)
    result = []
    for index in range(layers):
        flat = left[index].flatten()
        squares = torch.zeros(heads, width, dtype=torch.float64)
        for direction in signs(DRAWS * len(flat), index).split(len(flat)):
            (g,) = torch.autograd.grad(direction @ flat, values[index], retain_graph=True)
            squares += g.pow(2) / DRAWS
        result.append(squares.flatten() / entered[index].pow(2).sum())
    return torch.cat(result)


def errors(model, ids, scores):
    layers, _, heads, width = dims(model.config.get_text_config())
    scores = scores.view(layers, heads, width)
    whole = [torch.ones(heads, width, dtype=torch.float64) for _ in range(layers)]
    entered, dense = attention(model, ids, whole)
    result = []
    for layer in range(layers):
        for head in range(heads):
            order = scores[layer, head].argsort(descending=True, stable=True)
            for kept in range(0, width, UNIT):
                values = [x.clone() for x in whole]
                values[layer][head] = 0
                values[layer][head, order[:kept]] = 1
                _, left = attention(model, ids, values)
                result.append((left[layer] - dense[layer]).pow(2).sum() / entered[layer].pow(2).sum())
    return torch.stack(result)


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    ap = argparse.ArgumentParser()
    ap.add_argument("names", nargs="*")
    ap.add_argument("--models", default=os.path.join(here, "Reference"))
    ap.add_argument("--out", default=os.path.join(here, "Gradients", "layer_curvature.safetensors"))
    a = ap.parse_args()
    torch.set_num_threads(1)  # one thread: bit-reproducible sums
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    found = {}
    for name in a.names or sorted(os.listdir(a.models)):
        path = f"{a.models}/{name}"
        if not os.path.exists(f"{path}/reference.safetensors"):
            continue
        ids = torch.from_numpy(load_file(f"{path}/reference.safetensors")["input_ids"])
        attention = "sdpa" if name.startswith("falcon") else "eager"
        model = auto(name).from_pretrained(path, dtype=torch.float32, attn_implementation=attention, experts_implementation="eager").eval().double()
        model.requires_grad_(False)
        scores = curvature(model, ids)
        assert torch.isfinite(scores).all() and scores.max() > 0
        found[f"{name}.scores"] = scores.float().contiguous()
        if name in MEASURED:
            found[f"{name}.errors"] = errors(model, ids, scores.float()).float().contiguous()
        print(f"{name:22s} {len(scores):5d} channels, largest {scores.max():.3e}, least {scores.min():.3e}", flush=True)
    save_file(found, a.out)


if __name__ == "__main__":
    main()
