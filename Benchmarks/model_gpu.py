#!/usr/bin/env python3
"""A whole model on a GPU, dense and pruned, in one run: peak memory, decode time, and the largest batch that fits.

    python model_gpu.py MASK [--batch 52] [--prompt 4096] [--decode 128] [--fit 32768]

Random bf16 weights of Llama-3.1-8B's shape; MASK as for attention_gpu.py, windowed mode, sink 128, recent 768, accumulate
128. Sides:

- dense, eager: transformers' model with its DynamicCache and SDPA, as `generate` runs it.
- pruned, eager: the same weights with leank's cache.
- pruned, graph: each decoded token one launch of a CUDA graph (`model.decode_graph`).
- dense, graph: the best that SDPA can do in one graph: keys and values of a fixed number of slots (prompt + decode / 2, the
  mean), no mask, the faster of flash and cuDNN. It computes nothing sensible, and its memory is not measured.

Peak memory is torch's, from before the prompt to the last token. With --fit, caches of that many tokens are filled with
random rows layer by layer, two tokens decoded, and the batch raised until memory is out; then the steps in a graph at the
largest batches. Decode times are those of all tokens but the first, which compiles or records, without waiting in between.
"""

import argparse
import gc
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")

import attention_gpu
import torch
import transformers
from leank_transformers import LayerMask
from leank_transformers.attention import ATTENTION
from leank_transformers.model import pruned_class
from leank_transformers.settings import Settings
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import CacheLayerMixin
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface

GIB = 1 << 30
# Steps that are timed where a cache is filled by hand.
STEPS = 32
# transformers makes a mask while a graph is recorded, and with a mask neither flash nor cuDNN would run.
UNMASKED = "sdpa_unmasked"
AttentionInterface.register(UNMASKED, sdpa_attention_forward)
AttentionMaskInterface.register(UNMASKED, lambda *args, **kwargs: None)


class FixedLayer(CacheLayerMixin):
    """Keys and values of a fixed number of slots, whose last the decoded token takes."""

    is_compileable = False
    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.is_initialized = True

    def lazy_initialization(self, *args: object) -> None:
        """All is there."""

    def update(self, keys: torch.Tensor, values: torch.Tensor, *args: object, **kwargs: object) -> tuple:
        self.keys[:, :, -1:] = keys
        self.values[:, :, -1:] = values
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.keys.shape[2] - 1

    def get_mask_sizes(self, query_length: object) -> tuple[int, int]:
        return self.keys.shape[2], 0

    def get_max_cache_shape(self) -> int:
        return -1

    get_max_length = get_max_cache_shape


def shape(layers: int) -> LlamaConfig:
    """Llama-3.1-8B's."""
    rope = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }  # fmt: skip
    base = {"rope_theta": 500000.0}
    said = {"rope_parameters": rope | base} if transformers.__version__ >= "5" else {"rope_scaling": rope} | base
    return LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=layers, num_attention_heads=32,
        num_key_value_heads=8, max_position_embeddings=131072, attn_implementation="sdpa", **said,
    )  # fmt: skip


def made(layers: int) -> LlamaForCausalLM:
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(shape(layers)).eval()
    torch.set_default_dtype(torch.float32)
    for name, parameter in model.named_parameters():
        parameter.data.fill_(1) if "norm" in name else parameter.data.normal_(0, 0.02)
    return model


def prune(model: LlamaForCausalLM, mask: torch.Tensor) -> None:
    """Makes the model a pruned one with the same weights."""
    model.__class__ = pruned_class(LlamaForCausalLM)
    model.config._attn_implementation = ATTENTION
    masks = [LayerMask(keep) for keep in mask]
    model._adopt(Settings("cache", attention_gpu.WINDOW, masks, []))


def prefilled(model: LlamaForCausalLM, cache: object, tokens: torch.Tensor) -> torch.Tensor:
    return model(input_ids=tokens, past_key_values=cache, logits_to_keep=1).logits


def clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def decoded(model: LlamaForCausalLM, cache: object, graph: object, token: torch.Tensor, steps: int) -> tuple:
    """The token behind so many greedy steps, and the seconds they took."""
    start = clock()
    for _ in range(steps):
        logits = model(input_ids=token, past_key_values=cache).logits if graph is None else graph(token)
        token = logits[:, -1:].argmax(-1)
    return token, clock() - start


def run(model: LlamaForCausalLM, options: argparse.Namespace, name: str, in_graph: bool) -> dict[str, float]:
    """Runs a prompt and decodes greedily; seconds, milliseconds a token, GiB."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    cache = model.new_cache() if hasattr(model, "leank") else DynamicCache(config=model.config)
    tokens = torch.randint(0, 128000, (options.batch, options.prompt), device="cuda")
    start = clock()
    token = prefilled(model, cache, tokens).argmax(-1)
    prompt = clock() - start
    peak = torch.cuda.max_memory_allocated() / GIB
    graph = model.decode_graph(cache) if in_graph else None
    # The first step compiles or records.
    token, first = decoded(model, cache, graph, token, 1)
    _, rest = decoded(model, cache, graph, token, options.decode - 1)
    found = {
        "prompt s": prompt, "peak in prompt GiB": peak, "peak GiB": torch.cuda.max_memory_allocated() / GIB,
        "first step ms": first * 1000, "decode ms a token": rest * 1000 / (options.decode - 1),
    }  # fmt: skip
    show(name, found)
    return found


def fixed(model: LlamaForCausalLM, batch: int, slots: int) -> float:
    """The dense step in a graph over so many slots, in milliseconds."""
    gc.collect()
    torch.cuda.empty_cache()
    size = (batch, 8, slots, 128)
    new = {"device": "cuda", "dtype": torch.bfloat16}
    cache = DynamicCache(config=model.config)
    cache.layers = [FixedLayer(torch.randn(size, **new), torch.randn(size, **new)) for _ in cache.layers]
    token = torch.zeros((batch, 1), dtype=torch.long, device="cuda")
    position = torch.full_like(token, slots - 1)
    found: dict[str, float] = {}
    model.config._attn_implementation = UNMASKED
    for name, backend in (("flash", SDPBackend.FLASH_ATTENTION), ("cuDNN", SDPBackend.CUDNN_ATTENTION)):
        def step() -> torch.Tensor:
            return model(input_ids=token, position_ids=position, past_key_values=cache).logits

        with sdpa_kernel(backend):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                step()
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                logits = step()
        graph.replay()
        start = clock()
        for _ in range(STEPS):
            token.copy_(logits[:, -1:].argmax(-1))
            graph.replay()
        found[name + " ms a token"] = (clock() - start) * 1000 / STEPS
        del graph, logits
    model.config._attn_implementation = "sdpa"
    show(f"dense, graph, batch {batch}, {slots} tokens", found)
    return min(found.values())


def filled(model: LlamaForCausalLM, batch: int, context: int) -> object:
    """A cache of random rows, filled layer by layer."""
    cache = model.new_cache() if hasattr(model, "leank") else DynamicCache(config=model.config)
    for layer in cache.layers:
        rows = [torch.randn(batch, 8, context, 128, device="cuda", dtype=torch.bfloat16) for _ in range(2)]
        layer.update(*rows)
        del rows
    return cache


def fits(model: LlamaForCausalLM, batch: int, context: int) -> bool:
    """Whether a cache of `context` tokens a row and two more decoded ones fit."""
    cache = None
    try:
        cache = filled(model, batch, context)
        token = torch.zeros((batch, 1), dtype=torch.long, device="cuda")
        decoded(model, cache, None, token, 2)
        return True
    except torch.cuda.OutOfMemoryError:
        return False
    finally:
        del cache
        gc.collect()
        torch.cuda.empty_cache()


def long_step(model: LlamaForCausalLM, batch: int, context: int) -> float:
    """The pruned step in a graph, in milliseconds."""
    cache = filled(model, batch, context)
    graph = model.decode_graph(cache)
    token, _ = decoded(model, cache, graph, torch.zeros((batch, 1), dtype=torch.long, device="cuda"), 2)
    _, seconds = decoded(model, cache, graph, token, STEPS)
    found = {"ms a token": seconds * 1000 / STEPS, "cache GiB": cache.nbytes() / GIB}
    del graph, cache
    gc.collect()
    torch.cuda.empty_cache()
    show(f"pruned, graph, batch {batch}, {context} tokens", found)
    return found["ms a token"]


def largest(model: LlamaForCausalLM, context: int, guess: int) -> int:
    """The largest batch that fits."""
    while not fits(model, guess, context):
        guess -= 1
    while fits(model, guess + 1, context):
        guess += 1
    return guess


def show(name: str, found: dict[str, float]) -> None:
    print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mask", type=Path)
    parser.add_argument("--batch", type=int, default=52)
    parser.add_argument("--prompt", type=int, default=4096)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--fit", type=int)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    mask = attention_gpu.read(options.mask)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {transformers.__version__}")
    model = made(len(mask))
    weights = torch.cuda.memory_allocated() / GIB
    show("weights", {"GiB": weights})
    free = torch.cuda.mem_get_info()[0] / GIB
    dense = run(model, options, "dense, eager", False)
    dense_step = fixed(model, options.batch, options.prompt + options.decode // 2)
    most_dense, long_dense = 0, 0.0
    if options.fit:
        row_bytes = len(mask) * 2 * 8 * 128 * 2 * options.fit
        most_dense = largest(model, options.fit, int(free * GIB / row_bytes) - 1)
        long_dense = fixed(model, most_dense, options.fit)
    prune(model, mask)
    pruned = run(model, options, "pruned, eager", False)
    graph = run(model, options, "pruned, graph", True)
    name = "decode ms a token"
    print(f"memory {max(pruned['peak GiB'], graph['peak GiB']) / dense['peak GiB']:.3f} of dense")
    print(f"decode {pruned[name] / dense[name]:.3f} eager, {graph[name] / dense_step:.3f} in a graph")
    if options.fit:
        print(f"decode at {options.fit} {long_step(model, most_dense, options.fit) / long_dense:.3f} in a graph")
        most = largest(model, options.fit, int(most_dense * 1.7))
        long_step(model, most, options.fit)
        print(f"largest batch at {options.fit}: dense {most_dense}, pruned {most}, {most / most_dense:.2f} times")


if __name__ == "__main__":
    main()
