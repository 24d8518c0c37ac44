#!/usr/bin/env python3
"""Gradients of the reference models' last hidden states by torch's autograd, in float64.

    python make_gradients.py [--models Reference] [--out Gradients/reference.safetensors] [name ...]

A factor stands on each channel of the keys that are seen through a mask: of all keys in static mode, of the middle ones in
windowed mode (make_reference.py's "deploy": a dense prompt, then decoded tokens). What is differentiated is
`sum of weight * hidden` over the hidden states after the final norm, of all tokens in static mode, of the decoded ones in windowed mode.
Factors and weights follow a rule (below), so that both sides can make them exactly. For each model and mode:

    NAME.MODE.loss [1]                      the sum
    NAME.MODE.inputs [rows, hidden]         its gradient with respect to what enters the first layer, every STEP-th token
    NAME.MODE.factors [channels]            its gradient with respect to the factors: layers, KV heads, channels one after another

For some models also how far the hidden states of decoded tokens move with each factor, all of which are 1:

    NAME.curvature [channels]               mean over the tokens of ||d hidden / d factor||^2, over the mean of ||hidden||^2
"""
import argparse, os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from safetensors.torch import save_file
from make_reference import ACCUMULATE, PROMPT, RECENT, SINK, Patch, auto, dims, reset_rotation

STEP = 3

# What no reference model has: name -> (model, attributes of its modules that are changed).
VARIANTS = {
    "qwen3_moe_shares": ("qwen3_moe", dict(norm_topk_prob=False)),
    "gpt_oss_capped": ("gpt_oss", dict(limit=0.4)),
    "llama_linear_relu": ("llama_linear", dict(act_fn=torch.nn.ReLU())),
    "llama_linear_gelu": ("llama_linear", dict(act_fn=torch.nn.GELU())),
}


def weights(tokens, hidden):
    return torch.tensor([[((7 * t + 13 * c) % 11 - 5) / 4 for c in range(hidden)] for t in range(tokens)], dtype=torch.float64)


def factors(layers, heads, width):
    """One tensor a layer, since each is differentiated by itself."""
    return [
        torch.tensor([[(1 + (5 * l + 3 * h + 7 * c) % 8) / 8 for c in range(width)] for h in range(heads)], dtype=torch.float64).requires_grad_()
        for l in range(layers)
    ]


class Factors(Patch):
    """The patch of the references with factors in the place of a mask; falcon's own attention in windowed mode too."""

    def __init__(self, model, values, mode):
        super().__init__(model, None, mode)
        self.mask = values
        self.outer = torch.nn.functional.scaled_dot_product_attention

    def __enter__(self):
        super().__enter__()
        if self.attr == "apply_rotary_pos_emb":  # falcon
            setattr(self.mod, self.attr, self.orig)
            torch.nn.functional.scaled_dot_product_attention = self.falcon
        return self

    def __exit__(self, *exc):
        torch.nn.functional.scaled_dot_product_attention = self.outer
        super().__exit__(*exc)

    def falcon(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False):
        m = self.mask[self.cur.layer_idx]
        self.calls += 1
        scaled = key * m.repeat_interleave(key.shape[1] // m.shape[0], 0)[None, :, None, :]
        q, k = torch.arange(query.shape[2])[:, None], torch.arange(key.shape[2])[None]
        whole, through = (query @ x.transpose(2, 3) / query.shape[3] ** 0.5 for x in (key, scaled))
        if self.mode == "deploy":
            near = (q < PROMPT) | (k < SINK) | (k > q - RECENT - (q - PROMPT + 1) % ACCUMULATE)
            through = torch.where(near, whole, through)
        return through.masked_fill(k > q, -torch.inf).softmax(-1) @ value


CURVED = ["gemma2", "gpt_oss", "llama_gqa", "qwen3_moe"]


def curvature(model, ids):
    text = model.config.get_text_config()
    layers, _, heads, width = dims(text)
    values = [torch.ones(heads, width, dtype=torch.float64).requires_grad_() for _ in range(layers)]
    hidden = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda module, args: hidden.append(args[0][0, PROMPT:]))
    with Factors(model, values, "deploy"):
        model(input_ids=ids[None], use_cache=False)
    hook.remove()
    flat = hidden[0].flatten()
    squares = torch.zeros(layers * heads * width, dtype=torch.float64)
    for element in flat:
        squares += torch.cat([g.flatten() for g in torch.autograd.grad(element, values, retain_graph=True)]) ** 2
    return squares / flat.detach().pow(2).sum()


def gradients(model, ids, mode):
    text = model.config.get_text_config()
    layers, _, heads, width = dims(text)
    values = factors(layers, heads, width)
    first = 0 if mode == "static" else PROMPT
    stream, hidden = [], []

    def entering(module, args, kwargs):
        given = args[0] if args else kwargs["hidden_states"]
        stream.append(given.detach().requires_grad_())
        return ((stream[0],) + args[1:], kwargs) if args else (args, kwargs | {"hidden_states": stream[0]})

    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == layers]
    layer = next(m[0] for m in lists if any(hasattr(x, "layer_idx") for x in m[0].modules()))
    hooks = [
        layer.register_forward_pre_hook(entering, with_kwargs=True),
        model.get_output_embeddings().register_forward_pre_hook(lambda module, args: hidden.append(args[0])),
    ]
    reset_rotation(model)
    with Factors(model, values, "sliced" if mode == "static" else "deploy"):
        model(input_ids=ids[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    (stream,), (hidden,) = stream, hidden
    assert hidden.shape[1:] == (len(ids), text.hidden_size)
    loss = (weights(len(ids), text.hidden_size) * hidden[0])[first:].sum()
    loss.backward()
    return {
        "loss": loss.detach()[None],
        "inputs": stream.grad[0, first::STEP],
        "factors": torch.cat([v.grad.flatten() for v in values]),
    }


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    ap = argparse.ArgumentParser()
    ap.add_argument("names", nargs="*")
    ap.add_argument("--models", default=os.path.join(here, "Reference"))
    ap.add_argument("--out", default=os.path.join(here, "Gradients", "reference.safetensors"))
    a = ap.parse_args()
    torch.set_num_threads(1)  # one thread: bit-reproducible sums
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    found = {}
    for name in a.names or sorted(os.listdir(a.models)) + list(VARIANTS):
        source, changes = VARIANTS.get(name, (name, {}))
        path = f"{a.models}/{source}"
        if not os.path.exists(f"{path}/reference.safetensors"):
            continue
        ids = torch.from_numpy(load_file(f"{path}/reference.safetensors")["input_ids"])
        attention = "sdpa" if name.startswith("falcon") else "eager"
        model = auto(source).from_pretrained(path, dtype=torch.float32, attn_implementation=attention, experts_implementation="eager").eval().double()
        model.requires_grad_(False)
        for key, value in changes.items():
            changed = [m for m in model.modules() if hasattr(m, key)]
            assert changed
            for module in changed:
                setattr(module, key, value)
        for mode in ("static", "windowed"):
            for key, value in gradients(model, ids, mode).items():
                assert torch.isfinite(value).all()
                found[f"{name}.{mode}.{key}"] = value.float().contiguous()
        if name in CURVED:
            found[f"{name}.curvature"] = curvature(model, ids).float()
        g = found[f"{name}.windowed.factors"]
        print(f"{name:22s} loss {found[f'{name}.windowed.loss'].item():10.3f} |inputs| {found[f'{name}.windowed.inputs'].abs().max():.3f} |factors| {g.abs().max():.3f}", flush=True)
    save_file(found, a.out)


if __name__ == "__main__":
    main()
