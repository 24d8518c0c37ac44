#!/usr/bin/env python3
"""Decode attention on a GPU: the pruned cache's kernel beside the dense ones of PyTorch, all in one run.

    python attention_gpu.py MASK [--contexts 8192 32768 131072] [--batches 1 4 16] [--query-heads 32] [--without-flex]

MASK is a .leank file, or an array [layers, kv_heads, head_dim] in .npy or .pth, whose layers are run one after the other as
a model does: one CUDA graph of all of them, each with keys and values of its own (dense ones take turns in four), bf16,
windowed mode, sink 128, recent 768. Where a shape is too large for the memory, layers are left out evenly. Microseconds a
layer, medians of 5; needs torch, triton and transformers.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Sources" / "LeanKTransformers"))

import torch
import torch.nn.functional as F
import transformers
import triton
from leank_transformers import LayerMask, PrunedLayer, Window, read_mask
from leank_transformers.decode import decode_attention
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

WINDOW = Window(128, 768, 128)
ROOM = 36 << 30  # bytes for pruned layers
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION,
}  # fmt: skip


def read(path: Path) -> torch.Tensor:
    """The mask, bool [layers, kv_heads, head_dim]."""
    if path.suffix == ".leank":
        return torch.stack(read_mask(path.read_bytes(), path.name).masks)
    if path.suffix == ".npy":
        import numpy as np

        return torch.from_numpy(np.load(path)).bool()
    return torch.load(path, weights_only=False).bool()


def filled(keep: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> PrunedLayer:
    """A layer's cache after a prompt of all tokens but one, and that one decoded."""
    layer = PrunedLayer(LayerMask(keep), WINDOW)
    layer.update(keys[:, :, :-1], values[:, :, :-1])
    layer.update(keys[:, :, -1:], values[:, :, -1:])
    return layer


def time(calls: list, rounds: int = 5) -> float:
    """Microseconds a call, of all calls in one graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for call in calls:
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    graph.replay()
    times = []
    for _ in range(rounds):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        stop.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(stop) * 1000 / len(calls))
    return statistics.median(times)


def error(layer: PrunedLayer, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> float:
    """How far the kernel is from float64 attention over whole keys, as a share of its norm; the first row of the batch."""
    group = query.shape[1] // keys.shape[1]
    slots = torch.arange(keys.shape[2], device=keys.device)
    middle = (slots >= WINDOW.sink) & (slots <= layer.boundary)
    outputs = []
    for head, keep in enumerate(layer.mask.keep.to(keys.device)):
        seen = torch.where(middle[:, None], keys[0, head] * keep, keys[0, head]).double()
        scores = query[0, head * group : (head + 1) * group, 0].double() @ seen.T * query.shape[3] ** -0.5
        if not keep.any():
            scores[:, middle] = -torch.inf
        outputs.append(scores.softmax(-1) @ values[0, head].double())
    expected = torch.cat(outputs)
    found = decode_attention(layer, query, None, query.shape[3] ** -0.5)[0, :, 0].double()
    return float((found - expected).norm() / expected.norm())


def measure(mask: torch.Tensor, batch: int, context: int, query_heads: int, flex: object) -> dict[str, float]:
    """Times of all sides, and what the dense and the pruned one read, in bytes a layer."""
    kv_heads, width = mask.shape[1:]
    group, scale = query_heads // kv_heads, width**-0.5
    new = {"device": "cuda", "dtype": torch.bfloat16}
    query = torch.randn(batch, query_heads, 1, width, **new)
    grouped = query.view(batch, kv_heads, group, width)
    dense_bytes = 2 * 2 * batch * kv_heads * context * width
    pairs = [
        tuple(torch.randn(batch, kv_heads, context, width, **new) for _ in range(2))
        for _ in range(4 if dense_bytes < 4 << 30 else 2)
    ]
    found: dict[str, float] = {"dense bytes": dense_bytes}
    for name, backend in BACKENDS.items():
        calls = [lambda k=k, v=v: F.scaled_dot_product_attention(query, k, v, enable_gqa=True) for k, v in pairs]
        if name == "efficient":  # it knows no groups, but a group can be its queries
            calls = [lambda k=k, v=v: F.scaled_dot_product_attention(grouped, k, v) for k, v in pairs]
        try:
            with sdpa_kernel(backend):
                found[name] = time(calls * (8 // len(pairs)))
        except RuntimeError as refusal:
            print(f"{name}: {str(refusal)[:90]}", flush=True)
    if flex is not None:
        blocks = create_block_mask(lambda b, h, q, k: k >= 0, None, None, 1, context)
        calls = [lambda k=k, v=v: flex(query, k, v, block_mask=blocks, enable_gqa=True) for k, v in pairs]
        try:
            found["Flex"] = time(calls * (8 // len(pairs)))
        except Exception as refusal:
            print(f"Flex: {type(refusal).__name__}: {str(refusal)[:90]!r}", flush=True)
    count = min(len(mask), ROOM // int(dense_bytes * 0.62))
    chosen = [len(mask) * index // count for index in range(count)]
    layers = [filled(mask[number], *pairs[index % len(pairs)]) for index, number in enumerate(chosen)]
    found["pruned bytes"] = sum(layer.nbytes() for layer in layers) / count
    found["pruned"] = time([lambda layer=layer: decode_attention(layer, query, None, scale) for layer in layers])
    found["layers"] = count
    found["error"] = error(layers[-1], query, *pairs[(count - 1) % len(pairs)])
    del layers
    torch.cuda.empty_cache()
    whole = [filled(torch.ones_like(mask[0]), *pair) for pair in pairs[:2]]
    found["own dense"] = time([lambda layer=layer: decode_attention(layer, query, None, scale) for layer in whole] * 4)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mask", type=Path)
    parser.add_argument("--contexts", type=int, nargs="+", default=[8192, 32768, 131072])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--query-heads", type=int, default=32)
    parser.add_argument("--without-flex", action="store_true")
    options = parser.parse_args()
    mask = read(options.mask)
    torch.manual_seed(0)
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}, "
        f"transformers {transformers.__version__}; {list(mask.shape)}, kept {float(mask.float().mean()):.4f}"
    )
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    print(f"a copy moves {2 * (1 << 30) / time([lambda: target.copy_(source)] * 4) / 1e6:.2f} TB/s, read and written")
    del source, target
    names = ["flash", "cuDNN", "efficient", "Flex", "own dense", "pruned"]
    print("| batch, context | " + " | ".join(names) + " | x own dense | x fastest dense | bytes | TB/s | share | error |")
    print("|---" * (len(names) + 7) + "|")
    for context in options.contexts:
        for batch in options.batches:
            # Flex is compiled anew for each shape.
            torch._dynamo.reset()
            flex = None if options.without_flex else torch.compile(flex_attention, dynamic=False)
            found = measure(mask, batch, context, options.query_heads, flex)
            fastest = min(found[name] for name in names[:-1] if name in found)
            dense_rate = found["dense bytes"] / fastest / 1e6
            rate = found["pruned bytes"] / found["pruned"] / 1e6
            cells = [f"{found[name]:.1f}" if name in found else "" for name in names]
            print(
                f"| {batch}, {context} | " + " | ".join(cells) + f" | {found['own dense'] / found['pruned']:.2f} "
                f"| {fastest / found['pruned']:.2f} | {found['pruned bytes'] / found['dense bytes']:.3f} "
                f"| {rate:.2f} of {dense_rate:.2f} | {rate / dense_rate:.2f} | {found['error']:.1e} |",
                flush=True,
            )
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
