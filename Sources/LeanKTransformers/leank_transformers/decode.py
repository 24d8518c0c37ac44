"""Runs the decode kernel: what it has to know of a layer, and how a layer's work is cut into programs."""

import functools
import heapq
import math
import os
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .buffer import TokenBuffer
from .decode_kernel import CAN_OVERLAP, append_rows, decode_splits, merge_splits, triton
from .layer import PrunedLayer

# A plan holds until the middle has grown by this part of what it was made for.
GROWTH = 8


class Tuning(NamedTuple):
    """How the kernel is run: tokens of a step in the middle and near, warps, steps under way, programs that a
    multiprocessor holds at once, and the bytes that a program reads at least and about, where there are several rounds
    of them."""

    block: int = 64
    near_block: int = 64
    warps: int = 4
    stages: int = 3
    resident: int = 2
    least: int = 1 << 16
    about: int = 1 << 20


@dataclass
class Plan:
    """How the heads of a layer are split: `work` [splits, 3] (head, split of the head, splits of the head)."""

    work: Tensor
    starts: Tensor
    chunk: int  # splits that the merge takes at once
    near: int
    middle: int

    @property
    def splits(self) -> int:
        return self.work.shape[0]

    def holds(self, near: int, middle: int) -> bool:
        return abs(near + middle - self.near - self.middle) * GROWTH <= self.near + self.middle


@functools.cache
def interprets() -> bool:
    """Whether Triton interprets its kernels, on any processor, as tests ask it to."""
    return triton is not None and os.environ.get("TRITON_INTERPRET") == "1"


def kernel_runs(query: Tensor, layer: PrunedLayer) -> bool:
    """Whether the kernel takes these queries [batch, query_heads, tokens, head_dim]: one token a row, on CUDA.

    With LEANK_KERNEL=0 in the environment it takes none, and PyTorch alone computes.
    """
    if triton is None or query.shape[2] != 1 or os.environ.get("LEANK_KERNEL") == "0":
        return False
    if not interprets() and not (query.is_cuda and torch.version.cuda is not None and _is_new(query.device)):
        return False
    group, width = query.shape[1] // layer.mask.kv_heads, query.shape[3]
    is_same = query.dtype == layer.dtype and query.device == layer.device
    is_float = query.dtype in (torch.bfloat16, torch.float16, torch.float32)
    if torch.is_grad_enabled() and query.requires_grad:
        return False
    square = layer.recent[1].data.shape[3] == width
    return is_same and is_float and square and group <= 16 and 16 <= width <= 256 and width % 8 == 0


@functools.cache
def _is_new(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)


@functools.cache
def _overlaps(device: torch.device) -> bool:
    """Whether a kernel can be launched while the one before it still runs."""
    return CAN_OVERLAP and not interprets() and torch.cuda.get_device_capability(device) >= (9, 0)


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


class LayerKernel:
    """A layer as the kernel sees it: addresses, channels, and the plan of its splits."""

    def __init__(self, layer: PrunedLayer) -> None:
        keep = layer.mask.keep
        self.device = layer.device
        self.counts = keep.sum(1).tolist()
        absent = layer.without_middle is not None
        self.has_middle = [count > 0 or not absent for count in self.counts]
        order = torch.sort(keep.int(), dim=1, descending=True, stable=True).indices
        self.channels = order.to(self.device, torch.int32)
        self.unit = math.gcd(16, *self.counts)
        self._places: tuple[int, ...] = ()
        self.table = torch.empty(0)
        self.state: Tensor | None = None  # what the kernel reads while a graph is recorded, and when it runs
        self.plan: Plan | None = None

    def refresh(self, layer: PrunedLayer) -> None:
        """Brings the table up to date with where the layer's rows are: addresses, and strides in numbers."""
        near = [layer.sinks[0], layer.sinks[1], layer.recent[0].data, layer.recent[1].data]
        buffers = [rows for part in layer.middle for rows in (part.keys, part.values)]
        places = tuple(rows.data_ptr() for rows in near) + tuple(rows.data.data_ptr() for rows in buffers)
        if places == self._places:
            return
        self._places = places
        sinks, recent = near[0], near[2]
        table = [*places[:2], sinks.stride(0), sinks.stride(1), *places[2:4], recent.stride(0), recent.stride(1)]
        rows = [[0] * 8 for _ in self.counts]
        for part in layer.middle:
            for index, head in enumerate(part.heads):
                key, value = _place(part.keys, index), _place(part.values, index)
                rows[head] = [*key, *value, self.counts[head], 1, 0, 0]
        filled = on_device(table + [number for row in rows for number in row], torch.int64, self.device)
        # A graph knows the table by its address.
        self.table = self.table.copy_(filled) if self.table.shape == filled.shape else filled

    def planned(self, batch: int, near: int, middle: int, width: int, size: int, tuning: Tuning) -> Plan:
        """The plan for so many near and middle tokens of `width` channels of `size` bytes."""
        if self.plan is None or not self.plan.holds(near, middle):
            work = [
                size * (2 * width * near + (count + width) * middle * has)
                for count, has in zip(self.counts, self.has_middle, strict=True)
            ]
            splits = cut(work, batch, tuning.resident * _multiprocessors(self.device), tuning)
            listed = [(head, split, count) for head, count in enumerate(splits) for split in range(count)]
            starts = [sum(splits[:head]) for head in range(len(splits) + 1)]
            self.plan = Plan(
                on_device([number for row in listed for number in row], torch.int32, self.device).view(-1, 3),
                on_device(starts, torch.int32, self.device),
                min(64, triton.next_power_of_2(max(splits))), near, middle,
            )  # fmt: skip
        return self.plan


def layer_kernel(layer: PrunedLayer) -> LayerKernel:
    """What the kernel knows of the layer."""
    if layer.kernel is None:
        layer.kernel = LayerKernel(layer)
    return layer.kernel


def cut(work: list[int], batch: int, programs: int, tuning: Tuning) -> list[int]:
    """Into how many splits each head goes, so that all splits read about as many bytes, and all programs come in whole
    rounds of `programs`."""
    rounds = max(1, round(sum(work) * batch / (programs * tuning.about)))
    splits = [1] * len(work)
    shares = [(-bytes, head) for head, bytes in enumerate(work)]
    heapq.heapify(shares)
    for _ in range(programs * rounds // batch - len(work)):
        share, head = shares[0]
        if -share <= tuning.least:
            break
        splits[head] += 1
        heapq.heapreplace(shares, (-work[head] / splits[head], head))
    return splits


def decode_attention(
    layer: PrunedLayer,
    query: Tensor,
    attention_mask: Tensor | None,
    scale: float,
    softcap: float | None = None,
    sink_logits: Tensor | None = None,
    tuning: Tuning | None = None,
) -> Tensor:
    """Attention of one token a row, `query` [batch, query_heads, 1, head_dim] not scaled, over a layer's cache.

    `attention_mask` is transformers' own, bool [batch, 1, 1, slots]. Returns the shape of `query`.
    """
    batch, heads, _, width = query.shape
    kv_heads = layer.mask.kv_heads
    kernel = layer_kernel(layer)
    kernel.refresh(layer)
    dims, group = triton.next_power_of_2(width), heads // kv_heads
    if tuning is None:
        # Two programs of a multiprocessor hold two steps each, of keys and values of up to 32 KB together.
        block = max(16, min(64, 16384 // (dims * query.element_size())))
        tuning = Tuning(block, block)
    near = layer.sinks[0].shape[2] + len(layer.recent[0])
    plan = kernel.planned(batch, near, layer.middle_count, width, query.element_size(), tuning)
    if query.stride(3) != 1:
        query = query.contiguous()
    state = kernel.state
    if state is None:
        state = current_state(layer)
    else:
        attention_mask = None  # the layer knows its padding
    if attention_mask is not None and attention_mask.stride(3) != 1:
        attention_mask = attention_mask.contiguous()
    output = query.new_empty((batch, heads, 1, width))
    sums = torch.empty((batch, plan.splits, group, dims), dtype=torch.float32, device=query.device)
    stats = torch.empty((batch, plan.splits, group, 2), dtype=torch.float32, device=query.device)
    seen = state if attention_mask is None else attention_mask.view(torch.uint8)
    logits = sums if sink_logits is None else sink_logits
    overlaps = _overlaps(layer.device)
    extra = {"launch_pdl": True} if overlaps else {}
    with torch.cuda.device_of(query):
        decode_splits[(plan.splits, batch)](
            query, sums, stats, kernel.table, kernel.channels, plan.work, state,
            state if layer.padding is None else layer.padding, seen, scale, softcap or 1.0,
            query.stride(0), query.stride(1), 0 if attention_mask is None or seen.shape[0] == 1 else seen.stride(0),
            KV_HEADS=kv_heads, GROUP=group, DIM=width, DIMS=dims, SINK=layer.sink, WIDTHS=_widths(dims),
            BLOCK=tuning.block, NEAR_BLOCK=tuning.near_block, UNIT=kernel.unit, HAS_PADDING=layer.padding is not None,
            HAS_SEEN=attention_mask is not None, HAS_CAP=softcap is not None, STAGES=tuning.stages, OVERLAPS=overlaps,
            num_warps=tuning.warps, num_stages=tuning.stages,
        )  # fmt: skip
        merge_splits[(heads, batch)](
            output, sums, stats, logits, plan.starts, plan.splits, KV_HEADS=kv_heads, GROUP=group, DIM=width, DIMS=dims,
            CHUNK=plan.chunk, HAS_SINK_LOGITS=sink_logits is not None, OVERLAPS=overlaps, num_warps=4, **extra,
        )  # fmt: skip
    return output


def append_token(layer: PrunedLayer, keys: Tensor, values: Tensor) -> None:
    """Writes the keys and values [batch, kv_heads, 1, head_dim] of the token that `layer` has counted last."""
    kernel, width = layer_kernel(layer), keys.shape[3]
    keys, values = (rows if rows.stride(3) == 1 else rows.contiguous() for rows in (keys, values))
    with torch.cuda.device_of(keys):
        append_rows[(keys.shape[1], keys.shape[0])](
            keys, values, kernel.table, kernel.channels, kernel.state, keys.stride(0), keys.stride(1), values.stride(0),
            values.stride(1), DIM=width, DIMS=triton.next_power_of_2(width), IS_STATIC=layer.window is None,
            num_warps=1,
        )  # fmt: skip


def current_state(layer: PrunedLayer) -> Tensor:
    """`state_of` on the device; the layers of a model mostly agree in it."""
    values = state_of(layer)
    held = _states.get(layer.device)
    if held is None or held[0] != values:
        held = _states[layer.device] = (values, on_device(list(values), torch.int32, layer.device))
    return held[1]


def state_of(layer: PrunedLayer) -> tuple[int, ...]:
    """What changes from token to token, in the order in which the kernel reads it: sinks, first and number of the
    recent tokens in their buffer, the same of the middle, the slots of their first tokens, the first slot that is
    visible, and that of an attention mask's first column."""
    keys = layer.middle[0].keys if layer.middle else None
    window = layer.sliding_window
    low = 0 if window is None else max(0, layer.length - window)
    seen_from = 0 if window is None else max(0, layer.first_query - window + 1)
    return (
        layer.sinks[0].shape[2], layer.recent[0].start, len(layer.recent[0]),
        0 if keys is None else keys.start, layer.middle_count,
        layer.boundary + 1, layer.middle_start, low, seen_from,
    )  # fmt: skip


_states: dict[torch.device, tuple[tuple[int, ...], Tensor]] = {}


def on_device(numbers: list[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers in the memory of `device`, without waiting for what runs there."""
    if device.type != "cuda":
        return torch.tensor(numbers, dtype=dtype, device=device)
    return torch.tensor(numbers, dtype=dtype, pin_memory=True).to(device, non_blocking=True)


def _place(buffer: TokenBuffer, index: int) -> tuple[int, int]:
    rows = buffer.data[:, index]
    return rows.data_ptr(), rows.stride(0)


def _widths(dims: int) -> int:
    """The powers of two, as bits, that the kernel has loops for: those of all layers, so that it is compiled once."""
    return sum(1 << power for power in range(4, 9) if min(32, dims) <= 1 << power <= dims)
