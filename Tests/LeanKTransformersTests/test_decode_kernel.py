"""The decode kernel against float64 attention over whole keys: on CUDA, or with TRITON_INTERPRET=1 on any processor."""

import os
from pathlib import Path
from types import SimpleNamespace

import masked_attention
import pytest
import torch
from leank_transformers import LayerMask, PrunedLayer, Window, decode
from safetensors.torch import load_file

from checkpoints import CACHE, FAMILIES, REFERENCE, called, made, mask_of, opened, reference_model, tolerance

INTERPRETS = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETS else "cuda"
pytestmark = pytest.mark.skipif(
    not INTERPRETS and not torch.cuda.is_available(), reason="there is no GPU, and TRITON_INTERPRET is not 1"
)
# How far the norm of the difference may be from that of the output: float64 on the same rounded inputs against f32 sums
# with weights rounded to the type. The interpreter cannot multiply bfloat16.
LIMITS = {torch.float32: 1e-6, torch.float16: 5e-4} | ({} if INTERPRETS else {torch.bfloat16: 4e-3})
# Many small splits, so that they begin and end anywhere.
SMALL = decode.Tuning(block=16, near_block=16, least=1 << 12, about=1 << 13)


def rows(generator: torch.Generator, *shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, generator=generator).to(DEVICE, dtype)


def ragged(generator: torch.Generator, kv_heads: int, width: int, unit: int) -> torch.Tensor:
    """A mask with a random number of channels a head, a multiple of `unit`: the first empty, the second full."""
    keep = torch.zeros((kv_heads, width), dtype=torch.bool)
    for head in range(kv_heads):
        count = unit * int(torch.randint(0, width // unit + 1, (), generator=generator))
        count = {0: 0, 1: width}.get(head, count)
        keep[head, torch.randperm(width, generator=generator)[:count]] = True
    return keep


def compare(
    seed: int, width: int, group: int, dtype: torch.dtype, prompt: int, decoded: int = 1, batch: int = 2,
    kv_heads: int = 3, window: tuple[int, int, int] | None = (5, 20, 4), unit: int = 16, zero: bool = False,
    padding: list[int] | None = None, sliding: int | None = None, softcap: float | None = None, sinks: bool = False,
    tuning: decode.Tuning | None = SMALL,
) -> int:  # fmt: skip
    """Compares the last of `decoded` tokens; returns into how many splits the work was cut."""
    generator = torch.Generator().manual_seed(seed)
    keep = ragged(generator, kv_heads, width, unit)
    total = prompt + decoded
    keys, values = (rows(generator, batch, kv_heads, total, width, dtype=dtype) for _ in range(2))
    query = rows(generator, batch, kv_heads * group, 1, width, dtype=dtype)
    logits = rows(generator, kv_heads * group, dtype=dtype) if sinks else None
    said = None if window is None else Window(*window, "zero" if zero else "absent")
    layer = PrunedLayer(LayerMask(keep), said, sliding)
    if padding is not None and window is not None:
        layer.set_padding(torch.tensor(padding))
    for start, stop in [(0, prompt), *((slot, slot + 1) for slot in range(prompt, total))]:
        layer.update(keys[:, :, start:stop], values[:, :, start:stop])
    pads = torch.tensor(padding or [0] * batch)
    slots = torch.arange(total)
    seen = (slots >= pads[:, None]) & (slots >= (0 if sliding is None else total - sliding))
    # transformers' mask of a layer with a sliding window begins at its first slot.
    first = 0 if sliding is None else max(0, total - sliding)
    given = seen[:, None, None, first:].to(DEVICE) if padding is not None else None
    assert decode.kernel_runs(query, layer)
    scale = width**-0.5
    found = decode.decode_attention(layer, query, given, scale, softcap, logits, tuning)
    masked_attention.current = masked_attention.Rule([keep.numpy()], window, [(0, prompt)], padding, zero)
    expected, _ = masked_attention.attention(
        SimpleNamespace(layer_idx=0), query.cpu().double(), keys.cpu().double(), values.cpu().double(),
        seen[:, None, None], scale, softcap, None if logits is None else logits.cpu(),
    )  # fmt: skip
    difference = found.cpu().double() - expected.transpose(1, 2)
    assert difference.norm() <= LIMITS[dtype] * expected.norm()
    return layer.kernel.plan.splits


@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize(("width", "group"), [(64, 1), (96, 3), (128, 4), (128, 8), (256, 2)])
def test_shapes(width: int, group: int, dtype: torch.dtype) -> None:
    splits = [compare(seed, width, group, dtype, prompt=70 + 61 * seed) for seed in range(2)]
    assert all(count > 3 for count in splits)


@pytest.mark.parametrize("prompt", [1, 4, 5, 23, 24, 25, 26, 27, 39, 40, 41, 42, 56, 57, 58, 89, 153])
def test_lengths(prompt: int) -> None:
    # Sinks and recent tokens are 25: around that, and around whole cuts and steps of 16 middle tokens.
    compare(prompt, 64, 2, torch.float16, prompt, decoded=1 + prompt % 5)


@pytest.mark.parametrize("window", [(0, 1, 1), (16, 16, 16), (3, 40, 7), (90, 2, 3)])
def test_windows(window: tuple[int, int, int]) -> None:
    compare(1, 64, 4, torch.float16, 100, decoded=9, window=window)
    compare(1, 64, 4, torch.float16, 100, decoded=9, window=window, zero=True)


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_batches_and_many_splits(batch: int) -> None:
    fine = decode.Tuning(block=16, near_block=32, resident=40, least=1)
    programs = 40 * decode._multiprocessors(torch.device(DEVICE))
    assert compare(batch, 64, 2, torch.float16, 150, batch=batch, tuning=fine) == programs // batch
    compare(batch, 128, 4, torch.float16, 150, batch=batch, tuning=None)


@pytest.mark.parametrize("unit", [1, 4, 8, 24])
def test_units_that_are_not_16(unit: int) -> None:
    compare(2, 96, 2, torch.float16, 100, unit=unit, kv_heads=5)


@pytest.mark.parametrize("window", [(5, 20, 4), None])
@pytest.mark.parametrize("sliding", [None, 30, 70])
def test_padding_and_sliding_windows(window: tuple[int, int, int] | None, sliding: int | None) -> None:
    for padding in (None, [0, 7, 64]):
        decoded = 1 if padding is None else 6
        compare(3, 64, 2, torch.float16, 90, decoded, 3, window=window, padding=padding, sliding=sliding)


@pytest.mark.parametrize("window", [(5, 20, 4), None])
def test_softcap_and_sink_logits(window: tuple[int, int, int] | None) -> None:
    for softcap, sinks in ((0.5, False), (None, True), (20.0, True)):
        compare(4, 64, 4, torch.float16, 90, window=window, softcap=softcap, sinks=sinks)


def test_splits_share_the_bytes() -> None:
    work = [1000, 0, 250, 750]
    splits = decode.cut(work, 2, 80, decode.Tuning(least=1, about=1 << 20))
    assert sum(splits) == 40
    shares = [size / count for size, count in zip(work, splits, strict=True)]
    assert max(shares) <= 1.06 * sum(work) / 39
    assert decode.cut(work, 2, 80, decode.Tuning(least=500)) == [2, 1, 1, 2]
    assert decode.cut([1], 100, 80, decode.Tuning(least=1)) == [1]


@pytest.mark.parametrize("mode", ["windowed", "static"])
@pytest.mark.parametrize("name", ["llama_gqa", "gemma2", "gpt_oss"])
def test_models(name: str, mode: str, tmp_path: Path) -> None:
    """The kernel behind the model's own doors, token by token, then as a graph's steps."""
    if name not in FAMILIES:
        pytest.skip("not a family of this transformers")
    if name == "gpt_oss" and not INTERPRETS:
        pytest.skip("transformers' mixture of experts cannot be recorded")
    folder = made(name, tmp_path / "checkpoint", mode)
    tokens = load_file(REFERENCE / name / "reference.safetensors")["input_ids"][None]
    window = (4, 8, 4) if mode == "windowed" else None
    rule = masked_attention.Rule(mask_of(name), window, [(0, 24)])
    expected = masked_attention.run(reference_model(folder), rule, tokens)
    model, limit = opened(folder).to(DEVICE), tolerance(name)
    tokens = tokens.to(DEVICE)
    cache = model.new_cache()
    found = called(model, tokens[:, :27], [24, 25, 26, 27], cache)
    graph = model.decode_graph(cache)
    steps = [graph(tokens[:, slot : slot + 1]).clone() for slot in range(27, 34)]
    # The cache goes on without the graph.
    rest = called(model, tokens[:, 34:36], [1, 2], cache)
    assert (torch.cat([found, *steps, rest], 1).cpu() - expected[:, :36]).abs().max().item() <= limit
    assert all(layer.kernel is not None for layer in cache.pruned_layers)


def test_graph_with_padding_and_changed_rows(tmp_path: Path) -> None:
    model = opened(made("llama_gqa", tmp_path / "checkpoint", "windowed")).to(DEVICE)
    tokens = load_file(REFERENCE / "llama_gqa" / "reference.safetensors")["input_ids"]
    batch, mask = torch.zeros((2, 29), dtype=torch.long), torch.ones((2, 29), dtype=torch.long)
    batch[0], batch[1, 6:] = tokens[:29], tokens[:23]
    mask[1, :6] = 0
    batch, mask = batch.to(DEVICE), mask.to(DEVICE)
    positions = (mask.cumsum(1) - 1).clamp(0)
    cache = model.new_cache()
    model(input_ids=batch[:, :20], attention_mask=mask[:, :20], position_ids=positions[:, :20], **{CACHE: cache})
    graph = model.decode_graph(cache)
    steps = [graph(batch[:, slot : slot + 1]).clone() for slot in range(20, 25)]
    cache.reorder_cache(torch.tensor([1, 0]))
    steps += [graph(batch[:, slot : slot + 1].flip(0)).flip(0).clone() for slot in range(25, 29)]
    for row, pad in ((0, 0), (1, 6)):
        alone = called(model, batch[row : row + 1, pad:], [20 - pad, *range(21 - pad, 30 - pad)])
        difference = torch.cat(steps, 1)[row] - alone[0, 20 - pad :]
        assert difference.abs().max().item() <= tolerance("llama_gqa")


def test_what_a_graph_refuses(tmp_path: Path) -> None:
    model = opened(made("llama_gqa", tmp_path / "checkpoint", "windowed")).to(DEVICE)
    cache = model.new_cache()
    with pytest.raises(ValueError, match="a graph decodes behind a prompt"):
        model.decode_graph(cache)
    tokens = torch.ones((1, 9), dtype=torch.long, device=DEVICE)
    called(model, tokens, [9], cache)
    graph = model.decode_graph(cache)
    with pytest.raises(ValueError, match=r"the graph decodes 1 rows, one token each; found tokens \[1, 9\]"):
        graph(tokens)
    cache.begin_prompt()
    with pytest.raises(ValueError, match="run a prompt with the model itself"):
        graph(tokens[:, :1])


def test_when_pytorch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = PrunedLayer(LayerMask(torch.ones((2, 64), dtype=torch.bool)), Window(5, 20, 4))
    keys = torch.ones((1, 2, 9, 64), device=DEVICE)
    layer.update(keys, keys)
    query = torch.ones((1, 4, 1, 64), device=DEVICE)
    assert decode.kernel_runs(query, layer)
    assert not decode.kernel_runs(query.half(), layer)
    assert not decode.kernel_runs(query.expand(-1, -1, 2, -1), layer)
    with torch.enable_grad():
        assert not decode.kernel_runs(query.clone().requires_grad_(), layer)
    monkeypatch.setenv("LEANK_KERNEL", "0")
    assert not decode.kernel_runs(query, layer)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU or none")
@pytest.mark.parametrize("mode", ["windowed", "static"])
def test_layers_on_two_devices(mode: str, tmp_path: Path) -> None:
    folder = made("llama_gqa", tmp_path / "checkpoint", mode)
    tokens = load_file(REFERENCE / "llama_gqa" / "reference.safetensors")["input_ids"][None]
    rule = masked_attention.Rule(mask_of("llama_gqa"), (4, 8, 4) if mode == "windowed" else None, [(0, 24)])
    expected = masked_attention.run(reference_model(folder), rule, tokens)
    places = {"embed_tokens": 0, "rotary_emb": 0, "layers.0": 0, "layers.1": 1, "layers.2": 1, "norm": 1}
    device_map = {f"model.{name}": place for name, place in places.items()} | {"lm_head": 0}
    model = opened(folder, device_map=device_map)
    cache = model.new_cache()
    found = called(model, tokens.to(0), [24, *range(25, tokens.shape[1] + 1)], cache)
    assert {layer.kernel.device.index for layer in cache.pruned_layers} == {0, 1}
    assert (found.cpu() - expected).abs().max().item() <= tolerance("llama_gqa")
    with pytest.raises(ValueError, match="layers on several devices"):
        model.decode_graph(cache)
