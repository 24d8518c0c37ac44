#!/usr/bin/env python3
"""LeanK's two stages on reference models by torch: autograd, AdamW and the rules of selection, in float64.

    python make_training.py [--models Reference] [--out Gradients/training.safetensors]

Two sequences a step, the reference's tokens and the same reversed; the last of each is what comes after. The first is a
question whose answer has 5 tokens, the second plain text with 24 queries. Windowed: sink 4, recent 8. For each run

    RUN.stage1, RUN.stage2 [channels]     the factors after each stage, clamped; layers, KV heads, channels one after another
    RUN.differences [steps]               mean squared difference in each step of both stages

Stage 2 begins with factors that follow a rule (`begin`), far apart, so that no choice rests on rounding.
"""
import argparse, os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from safetensors.torch import save_file
import make_reference
from make_reference import dims, load
from make_gradients import Factors

STEPS, RATE, PENALTY, QUERIES, ANSWER = (6, 5), 0.02, 0.06, 24, 5
# name -> (model, mode, rule, pairs, ratio, unit)
RUNS = {
    "windowed": ("llama_gqa", "deploy", "budget", False, 0.5, 4),
    "pairs": ("glm4", "sliced", "leank", True, 0.4, 2),
}


def begin(count):
    return torch.tensor([((37 * i) % 101) / 101 for i in range(count)], dtype=torch.float64)


def partner(width, pairing, channel):
    if channel >= width:
        return channel
    return channel ^ 1 if pairing == "interleaved" else (channel + width // 2) % width


def tied(a, pairs):
    return a if pairs is None else (a + a[..., pairs]) / 2


def chosen(a, rule, ratio, unit, pairs):
    """a [layers, heads, width], numpy -> bool: each head's best channels, with pairs the best pairs."""
    a = tied(a, pairs)
    layers, heads, width = a.shape
    order = np.empty(a.shape, int)
    for l in range(layers):
        for h in range(heads):
            if pairs is None:
                items = [[c] for c in range(width)]
            else:
                items = [[c, int(pairs[c])] for c in range(width) if c < pairs[c]]
                single = sorted((c for c in range(width) if c == pairs[c]), key=lambda c: (-a[l, h, c], c))
                items += [single[i : i + 2] for i in range(0, len(single), 2)]
            items.sort(key=lambda item: (-sum(a[l, h, c] for c in item), item[0]))
            order[l, h] = [c for item in items for c in item]
    keep = np.zeros(a.shape, bool)
    if rule == "leank":
        count = ((a >= np.quantile(a, ratio)).sum(-1) + unit / 2) // unit * unit
    else:
        groups = np.take_along_axis(a, order, -1).reshape(layers, heads, -1, unit).sum(-1)
        best = np.argsort(-groups.flatten(), kind="stable")[: round((1 - ratio) * groups.size)]
        count = np.bincount(best // (width // unit), minlength=layers * heads).reshape(layers, heads) * unit
    for l in range(layers):
        for h in range(heads):
            keep[l, h, order[l, h, : int(count[l, h])]] = True
    return keep


def hidden(model, ids, values, mode):
    seen = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda module, args: seen.append(args[0][0]))
    with Factors(model, values, mode):
        model(input_ids=ids[None], use_cache=False)
    hook.remove()
    return seen[0]


def stage(model, tokens, run, start, steps, rate, penalty, masked):
    name, mode, rule, is_paired, ratio, unit = run
    text = model.config.get_text_config()
    layers, _, heads, width = dims(text)
    pairs = None
    if is_paired:
        rotary = int(width * text.rope_parameters.get("partial_rotary_factor", 1.0))
        pairs = np.array([partner(rotary, "interleaved" if text.model_type == "glm4" else "half", c) for c in range(width)])
    a = start.reshape(layers, heads, width).clone().requires_grad_()
    optimizer = torch.optim.AdamW([a], lr=rate, weight_decay=0)
    differences = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1, max((step + 1) / (steps / 5), 0.1), max((steps - step) / (steps / 5), 0.1))
        with torch.no_grad():
            a.clamp_(0, 1)
        factor = tied(a, pairs)
        if masked:
            keep = torch.from_numpy(chosen(a.detach().numpy(), rule, ratio, unit, pairs))
            factor = factor + (torch.where(keep, factor, 0) - factor).detach()
        parts = []
        for ids, count in zip((tokens, tokens.flip(0)), (ANSWER, QUERIES)):
            ids = ids[:-1]
            with torch.no_grad():
                dense = hidden(model, ids, [torch.ones(heads, width).double()] * layers, mode)
            parts.append((hidden(model, ids, list(factor), mode) - dense)[-count:])
        difference = torch.cat(parts).pow(2).mean()
        (difference + penalty * a.abs().mean()).backward()
        differences.append(difference.detach())
        optimizer.step()
        optimizer.zero_grad()
    return a.detach().clamp(0, 1).flatten(), differences


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    ap = argparse.ArgumentParser()
    ap.add_argument("--models", default=os.path.join(here, "Reference"))
    ap.add_argument("--out", default=os.path.join(here, "Gradients", "training.safetensors"))
    a = ap.parse_args()
    torch.set_num_threads(1)  # one thread: bit-reproducible sums
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    found = {}
    for name, run in RUNS.items():
        path = f"{a.models}/{run[0]}"
        tokens = torch.from_numpy(load_file(f"{path}/reference.safetensors")["input_ids"])
        make_reference.ACCUMULATE, make_reference.PROMPT = 1, len(tokens) - 1 - QUERIES
        model = load(run[0], path).double()
        model.requires_grad_(False)
        layers, _, heads, width = dims(model.config.get_text_config())
        count = layers * heads * width
        first, before = stage(model, tokens, run, torch.ones(count).double(), STEPS[0], RATE, PENALTY, False)
        second, after = stage(model, tokens, run, begin(count), STEPS[1], RATE / 2, 0, True)
        found |= {f"{name}.stage1": first, f"{name}.stage2": second, f"{name}.differences": torch.stack(before + after)}
        print(name, torch.stack(before + after))
    save_file({k: v.float().contiguous() for k, v in found.items()}, a.out)


if __name__ == "__main__":
    main()
