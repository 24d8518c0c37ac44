// Written by Sources/LeanKTransformers/bundle.py --write; do not edit.
// swift-format-ignore-file

extension LoaderFile {
  /// The text of `modeling_leank.py`.
  static let text = ##"""
# Copyright of the authors of leank. Licensed under the Apache License, Version 2.0.
"""Opens this checkpoint in transformers with leank's smaller K/V cache:

    AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

Written by `leank convert`; `leank verify` knows the file by its digest. It is leank's Python package
leank_transformers in one file.
"""

import functools
import hashlib
import heapq
import inspect
import json
import math
import os
import re
import shutil
import struct
import sys
import torch
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AttentionInterface, AutoConfig, DynamicCache, GenerationConfig, PreTrainedModel, __version__ as transformers_version
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import cached_file
from typing import Any, NamedTuple


class LeankError(ValueError):
    """Something that a pruned checkpoint, its mask or its cache cannot do; the message says what, and the way out."""


SIGNATURE = bytes.fromhex("8C4C4E4B0D0A1A0A")
DRAFT = bytes.fromhex("894C4E4B0D0A1A0A")
# Flags of the sections that the format knows, in their order in a file.
FLAGS = {b"GEOM": 1, b"MASK": 1, b"ALGN": 2, b"SCOR": 2, b"DEPL": 2, b"PROV": 2}
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LARGEST_FILE = 256 << 20
LARGEST_CONTENT = 64 << 20
LARGEST_WINDOW = 8 << 20
LARGEST_BLOCK = 128 << 10


@dataclass(frozen=True)
class LayerGeometry:
    """A record of GEOM; a layer without a K cache of heads has 0 KV heads."""

    kv_heads: int
    head_dim: int
    attention_known: bool
    pairing: int  # 0 no pairs, 1 half, 2 interleaved
    query_heads: int
    rotary_width: int

    def bit_order(self) -> list[int]:
        """The channel that each bit of a head stands for."""
        rotary = self.rotary_width if self.attention_known else self.head_dim - self.head_dim % 2
        if self.attention_known and self.pairing != 1:
            return list(range(self.head_dim))
        half = rotary // 2
        return [channel for j in range(half) for channel in (j, j + half)] + list(range(rotary, self.head_dim))


@dataclass(frozen=True)
class MaskFile:
    """What a mask file says: per layer its geometry and its mask, bool [kv_heads, head_dim], None without a K cache."""

    content_id: str
    geometry: list[LayerGeometry]
    masks: list[Tensor | None]


@dataclass(frozen=True)
class _Entry:
    tag: bytes
    flags: int
    codec: int
    instance: int
    offset: int
    stored_length: int
    raw_length: int
    section_crc32: int
    content_sha256: bytes


def read_mask(file: bytes, name: str = "mask") -> MaskFile:
    """The main mask of a file. Raises `LeankError` with `name` and the format's class of refusal."""

    def need(condition: object, refusal: str) -> None:
        if not condition:
            raise LeankError(f"{name}: {refusal}: not a sound .leank file of version 1")

    entries, content_id = _table(file, need)
    for entry in entries:
        stored = file[entry.offset : entry.offset + entry.stored_length]
        need(zlib.crc32(stored) == entry.section_crc32, "section_checksum")
    found = {entry.tag: entry for entry in reversed(entries)}
    geometry_entry, mask_entry = found[b"GEOM"], found[b"MASK"]
    need(geometry_entry.raw_length >= 24 and geometry_entry.raw_length % 24 == 0, "section_length")
    need(geometry_entry.raw_length <= 24 * 4096, "limit")
    geometry = _geometry(_content(file, geometry_entry, need), need)
    channels = sum(layer.kv_heads * layer.head_dim for layer in geometry)
    need(mask_entry.raw_length == (channels + 7) // 8, "section_length")
    return MaskFile(content_id, geometry, _masks(_content(file, mask_entry, need), geometry, need))


Need = Callable[[object, str], None]


def _table(file: bytes, need: Need) -> tuple[list[_Entry], str]:
    """Checks header and table; returns the entries and the content id."""
    need(not file.startswith(DRAFT), "major_version")
    need(file.startswith(SIGNATURE), "signature")
    need(len(file) >= 64, "truncated")
    major, _, header_size, file_length, count = struct.unpack_from("<HHIQI", file, 8)
    need(major == 1, "major_version")
    need(zlib.crc32(file[:60]) == struct.unpack_from("<I", file, 60)[0], "header_checksum")
    need(header_size == 64, "header_size")
    need(file_length <= LARGEST_FILE and count <= 64, "limit")
    need(file_length == len(file), "truncated" if file_length > len(file) else "trailing_bytes")
    end = 64 + 72 * count
    need(end + 8 <= len(file), "section_layout")
    checksum, reserved = struct.unpack_from("<II", file, end)
    need(zlib.crc32(file[64:end]) == checksum, "table_checksum")
    need(reserved == 0, "reserved")
    known, entries, position, identity = list(FLAGS), [], end + 8, b""
    previous: tuple[int, bytes, int] | None = None
    for at in range(64, end, 72):
        *fields, reserved, digest = struct.unpack_from("<4sBBHQQQII32s", file, at)
        entry = _Entry(*fields, digest)
        tag, score = entry.tag, entry.tag == b"SCOR"
        need(tag[0] in LETTERS and all(byte in LETTERS + b"0123456789" for byte in tag[1:]), "section_tag")
        need(entry.flags == FLAGS[tag] if tag in FLAGS else entry.flags <= 3, "section_flags")
        need(tag in FLAGS or not entry.flags & 1, "unknown_critical_section")
        need(entry.codec == 0 or (entry.codec == 1 and not score), "codec")
        need(reserved == 0, "reserved")
        order = (known.index(tag) if tag in FLAGS else len(known), tag, entry.instance)
        need(previous is None or previous < order, "section_order")
        previous = order
        need(sum(other.raw_length for other in entries) + entry.raw_length <= LARGEST_CONTENT, "limit")
        shorter = entry.stored_length < entry.raw_length
        need(shorter if entry.codec else entry.stored_length == entry.raw_length, "section_length")
        unit = 64 if score else 8
        need(entry.offset == -(-position // unit) * unit, "section_layout")
        need(entry.offset + entry.stored_length <= len(file), "section_layout")
        need(not any(file[position : entry.offset]), "padding")
        position = entry.offset + entry.stored_length
        identity += tag + struct.pack("<BBHQ", entry.flags, 0, entry.instance, entry.raw_length) + digest
        entries.append(entry)
    masks = [entry.instance for entry in entries if entry.tag == b"MASK"]
    need(masks and any(entry.tag == b"GEOM" for entry in entries), "missing_section")
    need(masks == list(range(len(masks))), "instance")
    need(all(entry.instance < (1 if entry.tag == b"GEOM" else len(masks)) for entry in entries), "instance")
    main = {entry.tag: entry.content_sha256 for entry in entries if entry.instance == 0}
    shared = [entry for entry in entries if entry.instance > 0 and entry.tag in (b"SCOR", b"PROV")]
    need(all(entry.content_sha256 != main.get(entry.tag) for entry in shared), "redundant_section")
    need(position == len(file), "trailing_bytes")
    need(hashlib.sha256(identity).digest() == file[28:60], "content_id")
    return entries, file[28:60].hex()


def _content(file: bytes, entry: _Entry, need: Need) -> bytes:
    stored = file[entry.offset : entry.offset + entry.stored_length]
    if entry.codec == 1:
        _check_frame(stored, entry.raw_length, need)
        stored = _decompress(stored, entry.raw_length, need)
    need(hashlib.sha256(stored).digest() == entry.content_sha256, "section_digest")
    return stored


def _check_frame(frame: bytes, raw_length: int, need: Need) -> None:
    """The kind of Zstandard frame that the format allows; nothing is allocated for another."""
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        need(position + count <= len(frame), "zstd_frame")
        position += count
        return frame[position - count : position]

    need(take(4) == bytes.fromhex("28B52FFD"), "zstd_frame")
    descriptor = take(1)[0]
    single, form = descriptor >> 5 & 1, descriptor >> 6
    need(descriptor & 0x0F == 0x04 and (form or single), "zstd_frame")
    exponent = 0 if single else take(1)[0]
    size = int.from_bytes(take(1 << form), "little") + (256 if form == 1 else 0)
    window = size if single else (8 + (exponent & 7)) << (7 + (exponent >> 3))
    need(window <= LARGEST_WINDOW, "limit")
    need(size == raw_length, "zstd_frame")
    block_maximum, reachable, last = min(window, LARGEST_BLOCK), 0, 0
    while not last:
        head = int.from_bytes(take(3), "little")
        last, kind, length = head & 1, head >> 1 & 3, head >> 3
        need(kind != 3 and length <= block_maximum, "zstd_frame")
        take(1 if kind == 1 else length)
        reachable += block_maximum if kind == 2 else length
    take(4)
    need(position == len(frame) and reachable >= size, "zstd_frame")


def _decompress(frame: bytes, raw_length: int, need: Need) -> bytes:
    try:
        from compression import zstd

        decompress, failure = zstd.decompress, zstd.ZstdError
    except ImportError:
        try:
            import zstandard
        except ImportError:
            raise LeankError("a mask needs Python 3.14 or the package zstandard: pip install zstandard") from None
        decompress, failure = zstandard.ZstdDecompressor().decompress, zstandard.ZstdError
    try:
        raw = decompress(frame)
    except failure:
        raw = b""
    need(len(raw) == raw_length, "zstd_frame")
    return raw


def _geometry(raw: bytes, need: Need) -> list[LayerGeometry]:
    layers, heads, channels = [], 0, 0
    for fields in struct.iter_unpack("<BBHIIIII", raw):
        known, pairing, reserved, kv_heads, head_dim, value_dim, query_heads, rotary = fields
        need(known <= 1 and pairing <= 2, "unknown_value")
        need(reserved == 0, "reserved")
        need(max(kv_heads, head_dim, value_dim, rotary) <= 4096 and query_heads <= 65_536, "limit")
        if kv_heads == 0 or not known:
            need(not any((known, pairing, value_dim, query_heads, rotary)), "geometry")
            need((kv_heads == 0) == (head_dim == 0), "geometry")
        else:
            need(head_dim > 0 and value_dim != head_dim, "geometry")
            need(query_heads > 0 and query_heads % kv_heads == 0, "geometry")
            need(rotary % 2 == 0 and rotary <= head_dim and (pairing == 0) == (rotary == 0), "geometry")
        heads, channels = heads + kv_heads, channels + kv_heads * head_dim
        need(heads <= 1 << 20 and channels <= 1 << 28, "limit")
        layers.append(LayerGeometry(kv_heads, head_dim, bool(known), pairing, query_heads, rotary))
    need(channels > 0, "geometry")
    return layers


def _masks(raw: bytes, geometry: list[LayerGeometry], need: Need) -> list[Tensor | None]:
    packed = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    bits = (packed[:, None] >> torch.arange(8, dtype=torch.uint8) & 1).bool().flatten()
    masks: list[Tensor | None] = []
    position = 0
    for layer in geometry:
        if layer.kv_heads == 0:
            masks.append(None)
            continue
        stop = position + layer.kv_heads * layer.head_dim
        mask = torch.empty((layer.kv_heads, layer.head_dim), dtype=torch.bool)
        mask[:, layer.bit_order()] = bits[position:stop].view_as(mask)
        masks.append(mask)
        position = stop
    need(not bits[position:].any(), "mask_bits")
    return masks


@dataclass(frozen=True)
class Window:
    """The near keys of windowed mode, in tokens. Static mode is a window of no near keys at all."""

    sink: int
    recent: int
    accumulate: int
    empty_heads: str = "absent"

    def __post_init__(self) -> None:
        if self.empty_heads not in ("absent", "zero"):
            raise LeankError(f"empty heads are absent or zero, not {self.empty_heads!r}")
        if self.sink < 0 or self.recent < 1 or self.accumulate < 1:
            raise LeankError(f"expected sink >= 0, recent >= 1 and accumulate >= 1, found {self}")


@dataclass(frozen=True)
class WidthGroup:
    """KV heads of a layer that keep equally many channels."""

    heads: Tensor  # [heads], indices of KV heads
    channels: Tensor  # [heads, width], the kept channels of each

    @property
    def width(self) -> int:
        return self.channels.shape[1]

    def keys(self, keys: Tensor) -> Tensor:
        """The kept channels of `keys` [batch, kv_heads, tokens, head_dim]: [batch, heads, tokens, width]."""
        return self._pick(keys[:, self.heads])

    def queries(self, queries: Tensor) -> Tensor:
        """The same of `queries` [batch, kv_heads, queries of the group, head_dim]."""
        return self._pick(queries[:, self.heads])

    def _pick(self, rows: Tensor) -> Tensor:
        index = self.channels[None, :, None, :].expand(rows.shape[0], -1, rows.shape[2], -1)
        return rows.gather(-1, index)

    def on(self, device: torch.device) -> "WidthGroup":
        return WidthGroup(self.heads.to(device), self.channels.to(device))


class LayerMask:
    """The mask M of one layer: `keep`, bool [kv_heads, head_dim]."""

    def __init__(self, keep: Tensor) -> None:
        if keep.dim() != 2 or keep.dtype != torch.bool:
            raise LeankError(f"expected a bool mask [kv_heads, head_dim], found {keep.dtype} {list(keep.shape)}")
        self.keep = keep.cpu()
        self._groups: dict[torch.device, list[WidthGroup]] = {}
        self._factors: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    @property
    def kv_heads(self) -> int:
        return self.keep.shape[0]

    @property
    def head_dim(self) -> int:
        return self.keep.shape[1]

    def groups(self, device: torch.device) -> list[WidthGroup]:
        """Heads by width, in ascending order; empty heads are a group of width 0."""
        if device not in self._groups:
            counts = self.keep.sum(1)
            found = []
            for width in counts.unique().tolist():
                heads = (counts == width).nonzero()[:, 0]
                channels = self.keep[heads].nonzero()[:, 1].view(len(heads), width)
                found.append(WidthGroup(heads, channels).on(device))
            self._groups[device] = found
        return self._groups[device]

    def factor(self, like: Tensor) -> Tensor:
        """1 for a kept channel and 0 for another, [kv_heads, head_dim], in the dtype and on the device of `like`."""
        key = (like.device, like.dtype)
        if key not in self._factors:
            self._factors[key] = self.keep.to(like.device, like.dtype)
        return self._factors[key]

    def through(self, queries: Tensor) -> Tensor:
        """Queries [batch, query_heads, tokens, head_dim] with 0 for every channel that their KV head does not keep."""
        group = queries.shape[1] // self.kv_heads
        return queries * self.factor(queries).repeat_interleave(group, 0)[None, :, None, :]


# An allocation is a multiple of so many tokens, and grows by a sixteenth at least, so that tokens are seldom copied.
BLOCK, GROWTH = 128, 16


class TokenBuffer:
    """Rows [batch, heads, tokens, width]; tokens are added at the end and dropped at either end."""

    def __init__(self, like: Tensor, heads: int, width: int) -> None:
        self.data = like.new_empty((like.shape[0], heads, 0, width))
        self.start = 0
        self.stop = 0

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rows(self) -> Tensor:
        """What is held, [batch, heads, tokens, width], without a copy."""
        return self.data[:, :, self.start : self.stop]

    def append(self, rows: Tensor) -> None:
        self.extend(rows.shape[2])
        self.data[:, :, self.stop - rows.shape[2] : self.stop] = rows

    def extend(self, tokens: int) -> None:
        """Adds tokens whose rows are still to be written."""
        if self.stop + tokens > self.data.shape[2]:
            held = len(self)
            self._allocate(self.rows, held + max(tokens, held // GROWTH))
        self.stop += tokens

    def drop_front(self, tokens: int) -> None:
        self.start = min(self.start + max(tokens, 0), self.stop)

    def drop_back(self, tokens: int) -> None:
        self.stop = max(self.stop - max(tokens, 0), self.start)

    def change_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        """Replaces the rows by `change` of them, which may differ in the first dimension."""
        rows = change(self.rows)
        self._allocate(rows, rows.shape[2])

    def nbytes(self, allocated: bool = False) -> int:
        """Bytes of what is held, or of the whole allocation."""
        rows = self.data if allocated else self.rows
        return rows.numel() * rows.element_size()

    def _allocate(self, rows: Tensor, tokens: int) -> None:
        batch, heads, held, width = rows.shape
        self.data = rows.new_empty((batch, heads, -(-tokens // BLOCK) * BLOCK, width))
        self.data[:, :, :held] = rows
        self.start, self.stop = 0, held


@dataclass
class Middle:
    """Middle keys and values of the heads of one width."""

    group: WidthGroup
    keys: TokenBuffer
    values: TokenBuffer
    heads: list[int]


@dataclass
class Turn:
    """A prompt, as a range of slots, and implicitly what was decoded after it."""

    start: int
    stop: int


class PrunedLayer(CacheLayerMixin):
    """Keys and values of one layer: sinks and recent tokens whole, the others through M.

    A *slot* numbers the tokens of all rows of the batch alike, padding included; a row's *position* counts from its
    first real token. Recent tokens are the slots behind `boundary`, the same in every row; sinks differ from row to
    row. Static mode has neither sinks nor recent tokens, and an empty head keeps its values there.
    """

    is_compileable = False

    def __init__(
        self, mask: LayerMask, window: Window | None, sliding_window: int | None = None, dense_shape: bool = False
    ) -> None:
        super().__init__()
        self.mask = mask
        self.window = window
        self.dense_shape = dense_shape
        self.is_sliding = sliding_window is not None
        self.sliding_window = sliding_window
        self.set_padding(None)
        self._clear()

    def _clear(self) -> None:
        self.length = 0  # slots so far
        self.first_query = 0  # slot of the first of the newest tokens
        self._first_visible = 0  # slots before it are outside the sliding window of all queries to come
        self.boundary = -1  # the last slot that is not recent
        self.turns: list[Turn] = []
        self.prompt_next = False
        self.trimmed = False  # whether a sliding window has let go of tokens
        self.is_initialized = False
        self.kernel: Any = None  # what the decode kernel knows of the layer
        self.write: Callable[[Tensor, Tensor], None] | None = None  # what takes new tokens while a graph is recorded

    @property
    def is_croppable(self) -> bool:
        """Whether any number of tokens can be taken back: in static mode, outside sliding windows."""
        return self.window is None and not self.is_sliding

    @property
    def sink(self) -> int:
        return 0 if self.window is None else self.window.sink

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor | None = None) -> None:
        values = key_states if value_states is None else value_states
        heads, width = self.mask.kv_heads, self.mask.head_dim
        if key_states.shape[1] != heads or key_states.shape[3] != width:
            raise LeankError(
                f"the mask is for {heads} KV heads of {width} channels, "
                f"the model has {key_states.shape[1]} of {key_states.shape[3]}"
            )
        self.device, self.dtype = key_states.device, key_states.dtype
        if self.padding is not None:
            self.padding = self.padding.to(self.device)
        self.sinks = (key_states[:, :, :0], values[:, :, :0])
        self.recent = (TokenBuffer(key_states, heads, width), TokenBuffer(values, heads, values.shape[3]))
        self.middle_start = self._first_pad + self.sink
        groups = self.mask.groups(self.device)
        # In windowed mode the middle keys of an empty head are absent, and so are their values.
        absent = self.window is not None and self.window.empty_heads == "absent"
        self.without_middle = next((group for group in groups if absent and group.width == 0), None)
        self.middle = [
            Middle(
                group,
                TokenBuffer(key_states, len(group.heads), group.width),
                TokenBuffer(values, len(group.heads), values.shape[3]),
                group.heads.tolist(),
            )
            for group in groups
            if group is not self.without_middle
        ]
        self.is_initialized = True

    def set_padding(self, padding: Tensor | None) -> None:
        """Tells the leading padding of each row, [batch], before the first tokens arrive."""
        self.padding = padding
        self._first_pad = 0 if padding is None else int(padding.min())
        self._last_pad = 0 if padding is None else int(padding.max())

    @property
    def middle_count(self) -> int:
        """Slots of the middle, from `middle_start` on."""
        return max(0, self.boundary + 1 - self.middle_start)

    @property
    def batch_size(self) -> int:
        return self.sinks[0].shape[0] if self.is_initialized else -1

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Takes the keys and values of new tokens, [batch, kv_heads, tokens, head_dim].

        Returns them as they are for a first prompt, which attends to itself alone. Otherwise the layer itself stands in
        for both, and the attention function reads it. With `dense_shape`, for a model whose attention is its own, all
        keys and values are returned in that shape, the keys with 0 outside M.
        """
        keys, values = key_states.detach(), value_states.detach()
        # Falcon repeats its KV heads before it caches them; one of each is kept.
        repeats = max(1, keys.shape[1] // self.mask.kv_heads) if self.dense_shape else 1
        if repeats > 1:
            keys, values = keys[:, ::repeats], values[:, ::repeats]
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        if self.write is not None:
            self.write(keys, values)
            return self, self
        new, first = keys.shape[2], self.length == 0
        self.settle()
        self.first_query = self.length
        is_prompt = first or new > 1 or self.prompt_next
        if is_prompt:
            self.turns.append(Turn(self.length, self.length + new))
            self.prompt_next = False
        self.length += new
        if first:
            moved = max(0, self._target + 1)
            if self.sliding_window is not None:
                self._first_visible = max(0, self.length - self.sliding_window + 1)
            self._demote(keys[:, :, :moved], values[:, :, :moved])
            self.recent[0].append(keys[:, :, moved:])
            self.recent[1].append(values[:, :, moved:])
            self._trim()
            if not self.dense_shape:
                return key_states, value_states
            factor = self.mask.factor(key_states).repeat_interleave(repeats, 0)
            return key_states * factor[None, :, None], value_states
        self.recent[0].append(keys)
        self.recent[1].append(values)
        # The keys of a later prompt are whole to its own queries; they move on when those are done.
        if self.window is None or not is_prompt:
            self._move_on()
        if not self.dense_shape:
            return self, self
        whole = (self._whole_keys(), self._whole_values())
        return tuple(rows.repeat_interleave(repeats, 1) for rows in whole)  # type: ignore[return-value]

    @property
    def _target(self) -> int:
        """The last slot that is not recent to the newest token."""
        if self.window is None:
            return self.length - 1
        decoded = self.length - self.turns[-1].stop
        return self.length - 1 - self.window.recent - decoded % self.window.accumulate

    def advance(self) -> None:
        """Counts one decoded token whose key and value are still to be written, behind all that are counted."""
        self.settle()
        self.first_query = self.length
        self.length += 1
        if self.window is None:
            self.boundary += 1
            grown = [rows for part in self.middle for rows in (part.keys, part.values)]
        else:
            self._move_on()
            grown = list(self.recent)
        for rows in grown:
            rows.extend(1)

    def settle(self) -> None:
        """Ends the turn of the newest queries: stores their tokens, and lets go of what a sliding window has passed."""
        if self.length > 0 and self.write is None:
            self._move_on()
            self._trim()

    def _move_on(self) -> None:
        """Moves tokens that are no longer recent to the sinks or to the middle."""
        moved = self._target - self.boundary
        if moved > 0:
            keys, values = self.recent
            self._demote(keys.rows[:, :, :moved], values.rows[:, :, :moved])
            keys.drop_front(moved)
            values.drop_front(moved)

    def _demote(self, keys: Tensor, values: Tensor) -> None:
        """Stores the tokens right behind the boundary as sinks or middle tokens, and moves the boundary behind them."""
        first, stop = self.boundary + 1, self.boundary + 1 + keys.shape[2]
        if stop <= first:
            return
        columns = min(max(stop - self._first_pad, 0), self.sink)
        if columns > 0 and first < self._first_unfilled_sink:
            slots = self.sink_slots(columns)
            fresh = ((slots >= first) & (slots < stop))[:, None, :, None]
            index = (slots - first).clamp(0, stop - first - 1)[:, None, :, None]
            self.sinks = tuple(  # type: ignore[assignment]
                torch.where(fresh, _take(new, index), _widen(old, columns))
                for old, new in zip(self.sinks, (keys, values), strict=True)
            )
        begin = max(first, self.middle_start, self._first_visible)
        self.trimmed |= begin > max(first, self.middle_start)
        if begin < stop:
            for part in self.middle:
                part.keys.append(part.group.keys(keys[:, :, begin - first :]))
                part.values.append(values[:, part.group.heads, begin - first :])
        self.boundary = stop - 1

    @property
    def _first_unfilled_sink(self) -> int:
        """The slot behind the last sink of any row."""
        return self._last_pad + self.sink

    def sink_slots(self, columns: int) -> Tensor:
        """The slots of the sinks, [batch, columns], or [1, columns] without padding."""
        slots = torch.arange(columns, device=self.device)[None]
        return slots if self.padding is None else slots + self.padding[:, None]

    def _trim(self) -> None:
        if self.sliding_window is None or self.length < self.sliding_window:
            return
        first = self._first_visible = self.length - self.sliding_window + 1
        outside = first - 1 - self.boundary
        if outside > 0:
            for rows in self.recent:
                rows.drop_front(outside)
            self.boundary += outside
            self.trimmed = True
        begin = min(max(self.middle_start, first), self.boundary + 1)
        if begin > self.middle_start:
            for part in self.middle:
                excess = len(part.keys) - (self.boundary + 1 - begin)
                part.keys.drop_front(excess)
                part.values.drop_front(excess)
            self.middle_start = begin
            self.trimmed = True
        if first >= self._first_unfilled_sink and self.sinks[0].shape[2] > 0:
            self.sinks = tuple(rows[:, :, :0] for rows in self.sinks)  # type: ignore[assignment]
            self.trimmed = True

    def _whole_keys(self) -> Tensor:
        """Keys of a static cache in dense shape [batch, kv_heads, tokens, head_dim]."""
        batch, tokens = self.batch_size, self.middle_count
        keys = self.sinks[0].new_zeros((batch, self.mask.kv_heads, tokens, self.mask.head_dim))
        for part in self.middle:
            index = part.group.channels[None, :, None, :].expand(batch, -1, tokens, -1)
            keys[:, part.group.heads] = keys[:, part.group.heads].scatter(-1, index, part.keys.rows)
        return keys

    def _whole_values(self) -> Tensor:
        """Values of a static cache, [batch, kv_heads, tokens, head_dim]."""
        rows = torch.cat([part.values.rows for part in self.middle], 1)
        return rows[:, torch.cat([part.group.heads for part in self.middle]).argsort()]

    def get_seq_length(self) -> int:
        return self.length

    def get_mask_sizes(self, query_length: Any) -> tuple[int, int]:
        """Slots that new queries may see, and the first of them; transformers 4 passes the queries' positions."""
        new = query_length.shape[0] if isinstance(query_length, Tensor) else int(query_length)
        if self.sliding_window is None:
            return self.length + new, 0
        before = min(self.length, self.sliding_window - 1)
        return before + new, self.length - before

    def get_max_length(self) -> int:
        return -1 if self.sliding_window is None else self.sliding_window

    get_max_cache_shape = get_max_length

    def check_crop(self, length: int) -> None:
        """Raises unless the cache can become what it was after `length` slots."""
        if length >= self.length or length == 0:
            return
        if self.trimmed:
            raise LeankError("crop: a sliding window has let go of tokens that would be needed again")
        if self.window is None or self.boundary < self.middle_start:
            return
        turn = [turn for turn in self.turns if turn.start < length][-1]
        decoded = max(0, length - turn.stop)
        target = length - 1 - self.window.recent - decoded % self.window.accumulate
        if max(target + 1, self.middle_start) <= self.boundary:
            raise LeankError(
                f"crop to {length} tokens: those up to {self.boundary} have lost the channels outside the mask, and "
                f"from {max(target + 1, self.middle_start)} on they would have to be whole; start the cache anew"
            )

    def crop_to(self, length: int) -> None:
        self.settle()
        self.check_crop(length)
        if length >= self.length:
            return
        if length == 0:
            self.reset()
            return
        self.turns = [turn for turn in self.turns if turn.start < length]
        self.turns[-1].stop = min(self.turns[-1].stop, length)
        self.length = length
        excess = max(0, self.boundary + 1 - length)
        self.boundary -= excess
        for rows in self.recent:
            rows.drop_back(len(rows) - (length - 1 - self.boundary))
        for part in self.middle:
            part.keys.drop_back(excess)
            part.values.drop_back(excess)

    def crop(self, tokens_to_remove: int) -> None:
        removed = tokens_to_remove <= 0
        self.crop_to(self.length + tokens_to_remove if removed else tokens_to_remove)

    def change_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        if not self.is_initialized:
            return
        self.sinks = tuple(change(rows) for rows in self.sinks)  # type: ignore[assignment]
        for rows in (*self.recent, *(rows for part in self.middle for rows in (part.keys, part.values))):
            rows.change_batch(change)
        if self.padding is not None:
            self.padding = change(self.padding)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.change_batch(lambda rows: rows.index_select(0, beam_idx.to(rows.device)))

    def batch_select_indices(self, indices: Tensor) -> None:
        self.change_batch(lambda rows: rows[indices])

    def batch_repeat_interleave(self, repeats: int) -> None:
        self.change_batch(lambda rows: rows.repeat_interleave(repeats, 0))

    def reset(self) -> None:
        self._clear()
        self.set_padding(None)

    def offload(self) -> None:
        raise LeankError("a pruned cache cannot be offloaded; leave cache_implementation out")

    prefetch = offload

    def nbytes(self, allocated: bool = False) -> int:
        """Bytes of the keys and values held, or of the memory allocated for them."""
        if not self.is_initialized:
            return 0
        sinks = sum(rows.numel() * rows.element_size() for rows in self.sinks)
        parts = [*self.recent, *(rows for part in self.middle for rows in (part.keys, part.values))]
        return sinks + sum(rows.nbytes(allocated) for rows in parts)


def _take(rows: Tensor, index: Tensor) -> Tensor:
    """The tokens `index` [batch or 1, 1, columns, 1] of `rows` [batch, heads, tokens, width]."""
    return rows.gather(2, index.expand(rows.shape[0], rows.shape[1], -1, rows.shape[3]))


def _widen(rows: Tensor, tokens: int) -> Tensor:
    """`rows` [batch, heads, fewer tokens, width] with zeros behind them."""
    return torch.nn.functional.pad(rows, (0, 0, 0, tokens - rows.shape[2]))


def visibility(layer: PrunedLayer, attention_mask: Tensor | None, start: int, stop: int) -> Tensor | None:
    """Which sinks, recent and middle tokens the new queries from `start` up to `stop` see, in this order.

    `attention_mask` is transformers' own, bool [batch, 1, queries, slots]; None where it hides nothing. Returns
    bool [batch or 1, 1, queries, tokens], or None if all see all.
    """
    window = layer.sliding_window
    if attention_mask is None and layer.padding is None and layer.length - layer.first_query == 1:
        return None
    if attention_mask is not None and attention_mask.dtype != torch.bool:
        raise LeankError("a mask of numbers cannot hide pruned keys; pass attention_mask [batch, tokens]")
    slots, counted = _slots(layer)
    query = torch.arange(layer.first_query + start, layer.first_query + stop, device=layer.device)[:, None]
    seen = counted[:, None] & (slots[:, None] <= query)
    if window is not None:
        seen = seen & (slots[:, None] > query - window)
    if attention_mask is not None:
        # In a layer with a sliding window transformers' mask begins at the window's first slot.
        index = slots if window is None else slots - max(0, layer.first_query - window + 1)
        seen = seen & (index >= 0)[:, None]
        mask = attention_mask[:, 0, start:stop]
        index = index.clamp(0, mask.shape[-1] - 1).expand(mask.shape[0], -1)
        seen = seen & mask.gather(-1, index[:, None].expand(-1, stop - start, -1))
    return seen[:, None]


def _slots(layer: PrunedLayer) -> tuple[Tensor, Tensor]:
    """The slots of sinks, recent and middle tokens, [batch or 1, tokens], and which of them count: a sink that is
    still recent, and a middle token that is a sink or padding in its row, do not."""
    sinks = layer.sink_slots(layer.sinks[0].shape[2])
    recent = torch.arange(layer.boundary + 1, layer.length, device=layer.device)[None]
    middle = torch.arange(layer.middle_start, layer.middle_start + layer.middle_count, device=layer.device)[None]
    if layer.padding is None:
        counted = [sinks <= layer.boundary, recent >= 0, middle >= 0]
    else:
        pad = layer.padding[:, None]
        recent, middle = recent.expand(len(pad), -1), middle.expand(len(pad), -1)
        counted = [sinks <= layer.boundary, recent >= pad, middle >= pad + layer.sink]
    return torch.cat([sinks, recent, middle], 1), torch.cat(counted, 1)


try:
    import triton
    import triton.language as tl
    from triton.language import constexpr

    # Whether it can launch a kernel while the one before it still runs.
    CAN_OVERLAP = hasattr(getattr(tl.extra, "cuda", None), "gdc_wait")
except ImportError:  # PyTorch for processors has none
    triton, constexpr, CAN_OVERLAP = None, Any, False


def compiled(function: Any) -> Any:
    """Triton's compilation of `function`, where Triton is there."""
    return function if triton is None else triton.jit(function)


@compiled
def _pointer(table, column, like):
    return tl.load(table + column).to(tl.pointer_type(like.dtype.element_ty))


@compiled
def _attend(
    q, key_rows, value_rows, width, first, stop, low, high, seen, cap, scale, top, total, sums,
    BLOCK: constexpr, WIDTH: constexpr, DIM: constexpr, DIMS: constexpr, UNIT: constexpr,
    HAS_SEEN: constexpr, HAS_CAP: constexpr, STAGES: constexpr,
):  # fmt: skip
    """Takes the tokens [first, stop) into the running softmax of queries `q` [rows, WIDTH].

    Tokens outside [low, high), and those whose byte of `seen` is 0, are invisible. `top`, `total` [rows] and `sums`
    [rows, DIMS] are the largest score, the sum of weights and the weighted sum of values so far.
    """
    token = tl.arange(0, BLOCK)
    channel = tl.arange(0, WIDTH)
    column = tl.arange(0, DIMS)
    keys = key_rows + first.to(tl.int64) * width + (token[:, None] * width + channel[None, :])
    values = value_rows + first.to(tl.int64) * DIM + (token[:, None] * DIM + column[None, :])
    for start in tl.range(first, stop, BLOCK, num_stages=STAGES):
        here = start + token
        inside = here < stop
        if UNIT % 8 == 0:
            keys = tl.multiple_of(keys, (16, 16))
            values = tl.multiple_of(values, (16, 16))
        k = tl.load(keys, mask=inside[:, None] & (channel < width)[None, :], other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        if HAS_CAP:
            # cap * tanh(scores / cap); exp2 of a large number is infinity, and the quotient 0.
            scores = cap * (1.0 - 2.0 / (1.0 + tl.exp2(scores * (2.0 * 1.4426950408889634 / cap))))
        visible = inside & (here >= low) & (here < high)
        if HAS_SEEN:
            visible = visible & (tl.load(seen + here, mask=visible, other=0) != 0)
        scores = tl.where(visible[None, :], scores * 1.4426950408889634, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        base = tl.where(higher == float("-inf"), 0.0, higher)
        weights = tl.exp2(scores - base[:, None])
        factor = tl.exp2(top - base)
        top = higher
        total = total * factor + tl.sum(weights, 1)
        v = tl.load(values, mask=inside[:, None] & (column < DIM)[None, :], other=0.0)
        sums = sums * factor[:, None]
        sums = tl.dot(weights.to(v.dtype), v, sums, input_precision="ieee")
        keys += BLOCK * width
        values += BLOCK * DIM
    return top, total, sums


@compiled
def _middle(
    q_rows, q_row, channels, key_rows, value_rows, width, first, stop, low, high, seen, cap, scale, top, total, sums,
    GROUP: constexpr, BLOCK: constexpr, WIDTH: constexpr, DIM: constexpr, DIMS: constexpr,
    UNIT: constexpr, HAS_SEEN: constexpr, HAS_CAP: constexpr, STAGES: constexpr,
):  # fmt: skip
    """`_attend` for middle keys of at most WIDTH channels; `channels` points to the head's kept ones."""
    row = tl.arange(0, 16)
    channel = tl.arange(0, WIDTH)
    width = tl.multiple_of(width, UNIT)
    kept = tl.load(channels + channel, mask=channel < width, other=0)
    inside = (row < GROUP)[:, None] & (channel < width)[None, :]
    q = tl.load(q_rows + row[:, None] * q_row + kept[None, :], mask=inside, other=0.0)
    return _attend(
        q, key_rows, value_rows, width, first, stop, low, high, seen, cap, scale, top, total, sums,
        BLOCK, WIDTH, DIM, DIMS, UNIT, HAS_SEEN, HAS_CAP, STAGES,
    )  # fmt: skip


@compiled
def _cut(position, near, middle, near_cost, middle_cost):
    """The cuts of near and middle tokens before `position` of a head's work, which is counted in bytes."""
    near_work = near.to(tl.int64) * near_cost
    near_cut = tl.minimum(near, tl.cdiv(position, near_cost).to(tl.int32))
    rest = tl.maximum(position - near_work, 0)
    middle_cut = tl.minimum(middle, tl.cdiv(rest, middle_cost).to(tl.int32))
    return near_cut, middle_cut


@compiled
def decode_splits(
    queries, part_sums, part_stats, table, channels, work, state, padding, seen,
    scale, cap, q_batch, q_head, seen_batch, KV_HEADS: constexpr, GROUP: constexpr, DIM: constexpr,
    DIMS: constexpr, SINK: constexpr, WIDTHS: constexpr, BLOCK: constexpr, NEAR_BLOCK: constexpr, UNIT: constexpr,
    HAS_PADDING: constexpr, HAS_SEEN: constexpr, HAS_CAP: constexpr, STAGES: constexpr, OVERLAPS: constexpr,
):  # fmt: skip
    """One split of one KV head of one row of the batch: near keys whole, middle keys through M, one softmax.

    Grid: (splits of all heads, batch). `work` [splits, 3] int32 is (head, split of the head, splits of the head),
    splits of a head together. `table` holds addresses and strides, `state` what changes from token to token (see
    decode.py). Each split leaves its sums; `merge_splits` adds them up.
    """
    if OVERLAPS:
        # Once all programs have begun, those of the merge may come and wait.
        tl.extra.cuda.gdc_launch_dependents()
    item = tl.program_id(0)
    batch = tl.program_id(1)
    items = tl.num_programs(0)
    head = tl.load(work + item * 3)
    split = tl.load(work + item * 3 + 1)
    splits = tl.load(work + item * 3 + 2)
    sinks = tl.load(state)
    recent_first = tl.load(state + 1)
    recent = tl.load(state + 2)
    middle_first = tl.load(state + 3)
    middle = tl.load(state + 4)
    recent_slot = tl.load(state + 5)
    middle_slot = tl.load(state + 6)
    low_slot = tl.load(state + 7)
    seen_slot = tl.load(state + 8)
    head_row = table + 8 + head * 8
    width = tl.multiple_of(tl.load(head_row + 4).to(tl.int32), UNIT)
    middle = tl.where(tl.load(head_row + 5) != 0, middle, 0)

    # Which tokens are this split's: the work of a head, in bytes, is cut evenly, at multiples of 16 tokens.
    near_cuts = tl.cdiv(sinks + recent, 16)
    middle_cuts = tl.cdiv(middle, 16)
    near_work = near_cuts.to(tl.int64) * (2 * DIM)
    all_work = near_work + middle_cuts.to(tl.int64) * (width + DIM)
    near_start, middle_start = _cut(all_work * split // splits, near_cuts, middle_cuts, 2 * DIM, width + DIM)
    near_stop, middle_stop = _cut(all_work * (split + 1) // splits, near_cuts, middle_cuts, 2 * DIM, width + DIM)
    near_start = near_start * 16
    near_stop = tl.minimum(near_stop * 16, sinks + recent)
    middle_start = middle_start * 16
    middle_stop = tl.minimum(middle_stop * 16, middle)

    # Sinks of a row begin behind its padding; a sink that is still recent, or outside a sliding window, does not count.
    pad = 0
    if HAS_PADDING:
        pad = tl.load(padding + batch).to(tl.int32)
    low = tl.maximum(low_slot, pad)

    row = tl.arange(0, 16)
    column = tl.arange(0, DIMS)
    real = row < GROUP
    q_rows = queries + batch * q_batch + head * GROUP * q_head
    top = tl.full((16,), float("-inf"), tl.float32)
    total = tl.zeros((16,), tl.float32)
    sums = tl.zeros((16, DIMS), tl.float32)
    seen_row = seen + batch * seen_batch - seen_slot
    if near_start < near_stop:
        q = tl.load(
            q_rows + row[:, None] * q_head + column[None, :], mask=real[:, None] & (column < DIM)[None, :], other=0.0
        )  # fmt: skip
        if near_start < sinks:
            offset = batch * tl.load(table + 2) + head * tl.load(table + 3)
            top, total, sums = _attend(
                q, _pointer(table, 0, queries) + offset, _pointer(table, 1, queries) + offset, DIM,
                near_start, tl.minimum(near_stop, sinks), low - pad, recent_slot - pad, seen_row + pad, cap, scale,
                top, total, sums, NEAR_BLOCK, DIMS, DIM, DIMS, DIM, HAS_SEEN, HAS_CAP, STAGES,
            )  # fmt: skip
        if near_stop > sinks:
            offset = batch * tl.load(table + 6) + head * tl.load(table + 7) + recent_first * DIM
            top, total, sums = _attend(
                q, _pointer(table, 4, queries) + offset, _pointer(table, 5, queries) + offset, DIM,
                tl.maximum(near_start - sinks, 0), near_stop - sinks, low - recent_slot, recent, seen_row + recent_slot,
                cap, scale, top, total, sums, NEAR_BLOCK, DIMS, DIM, DIMS, DIM, HAS_SEEN, HAS_CAP, STAGES,
            )  # fmt: skip
    if middle_start < middle_stop:
        # A middle token that is a sink or padding in its row does not count.
        low = tl.maximum(low_slot, pad + SINK) - middle_slot
        key_rows = _pointer(head_row, 0, queries) + batch * tl.load(head_row + 1) + middle_first.to(tl.int64) * width
        value_rows = _pointer(head_row, 2, queries) + batch * tl.load(head_row + 3) + middle_first.to(tl.int64) * DIM
        # One loop for each power of two to which widths round up; narrower heads take the first.
        for power in tl.static_range(4, 9):
            if (WIDTHS >> power) & 1:  # noqa: SIM102 (this is settled when the kernel is compiled)
                if (width <= (1 << power)) & ((width > (1 << (power - 1))) | ((WIDTHS >> (power - 1)) & 1 == 0)):
                    top, total, sums = _middle(
                        q_rows, q_head, channels + head * DIM, key_rows, value_rows, width, middle_start, middle_stop,
                        low, middle, seen_row + middle_slot, cap, scale, top, total, sums,
                        GROUP, BLOCK if (1 << power) < DIMS else NEAR_BLOCK, 1 << power, DIM, DIMS, UNIT, HAS_SEEN,
                        HAS_CAP, STAGES,
                    )  # fmt: skip

    part = (batch * items + item) * GROUP + row
    tl.store(part_stats + part * 2, top, mask=real)
    tl.store(part_stats + part * 2 + 1, total, mask=real)
    tl.store(part_sums + part[:, None] * DIMS + column[None, :], sums, mask=real[:, None])


@compiled
def merge_splits(
    output, part_sums, part_stats, sink_logits, starts, items, KV_HEADS: constexpr, GROUP: constexpr, DIM: constexpr,
    DIMS: constexpr, CHUNK: constexpr, HAS_SINK_LOGITS: constexpr, OVERLAPS: constexpr,
):  # fmt: skip
    """Adds up the splits of `decode_splits`. Grid: (query heads, batch); `starts` [kv_heads + 1] int32 are the first
    splits of the heads."""
    q_head = tl.program_id(0)
    batch = tl.program_id(1)
    head = q_head // GROUP
    first = tl.load(starts + head)
    splits = tl.load(starts + head + 1) - first
    column = tl.arange(0, DIMS)
    chunk = tl.arange(0, CHUNK)
    top = float("-inf")
    total = 0.0
    if HAS_SINK_LOGITS:
        # A sink logit is one more score, without a value.
        top = tl.load(sink_logits + q_head).to(tl.float32) * 1.4426950408889634
        total = 1.0
    sums = tl.zeros((DIMS,), tl.float32)
    if OVERLAPS:
        tl.extra.cuda.gdc_wait()
    for start in tl.range(0, splits, CHUNK):
        here = start + chunk
        inside = here < splits
        part = (batch * items + first + here) * GROUP + q_head % GROUP
        tops = tl.load(part_stats + part * 2, mask=inside, other=float("-inf"))
        totals = tl.load(part_stats + part * 2 + 1, mask=inside, other=0.0)
        parts = tl.load(part_sums + part[:, None] * DIMS + column[None, :], mask=inside[:, None], other=0.0)
        higher = tl.maximum(top, tl.max(tops, 0))
        base = tl.where(higher == float("-inf"), 0.0, higher)
        factors = tl.exp2(tops - base)
        factor = tl.exp2(top - base)
        top = higher
        total = total * factor + tl.sum(totals * factors, 0)
        sums = sums * factor + tl.sum(parts * factors[:, None], 0)
    result = tl.where(total > 0, sums / total, 0.0)
    out = output + (batch * KV_HEADS * GROUP + q_head) * DIM + column
    tl.store(out, result.to(output.dtype.element_ty), mask=column < DIM)


@compiled
def append_rows(
    keys, values, table, channels, state, key_batch, key_head, value_batch, value_head,
    DIM: constexpr, DIMS: constexpr, IS_STATIC: constexpr,
):  # fmt: skip
    """Writes one token's key and value, [batch, kv_heads, 1, DIM], into the last place that `state` counts: that of the
    recent tokens, or in static mode, where a key is its channels of M, of the middle. Grid: (kv_heads, batch)."""
    head = tl.program_id(0)
    batch = tl.program_id(1)
    column = tl.arange(0, DIMS)
    real = column < DIM
    value = tl.load(values + batch * value_batch + head * value_head + column, mask=real)
    if IS_STATIC:
        row = table + 8 + head * 8
        width = tl.load(row + 4)
        kept = tl.load(channels + head * DIM + column, mask=column < width, other=0)
        key = tl.load(keys + batch * key_batch + head * key_head + kept, mask=column < width)
        place = (tl.load(state + 3) + tl.load(state + 4) - 1).to(tl.int64)
        key_row = _pointer(row, 0, keys) + batch * tl.load(row + 1) + place * width
        value_row = _pointer(row, 2, values) + batch * tl.load(row + 3) + place * DIM
        tl.store(key_row + column, key, mask=column < width)
    else:
        key = tl.load(keys + batch * key_batch + head * key_head + column, mask=real)
        place = (tl.load(state + 1) + tl.load(state + 2) - 1).to(tl.int64)
        offset = batch * tl.load(table + 6) + head * tl.load(table + 7) + place * DIM
        key_row, value_row = _pointer(table, 4, keys) + offset, _pointer(table, 5, values) + offset
        tl.store(key_row + column, key, mask=real)
    tl.store(value_row + column, value, mask=real)


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


# Name of the attention function in transformers' registry. Each checkpoint brings its own copy of the loader, perhaps
# of another version, and each copy has a name of its own.
ATTENTION = f"leank_{zlib.crc32(__name__.encode()):08x}"
# Scores that are held at once; more queries than that are taken in turns.
SCORES = 1 << 26


def leank_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor | PrunedLayer,
    value: Tensor | PrunedLayer,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of `query` [batch, query_heads, tokens, head_dim]; returns [batch, tokens, query_heads, head_dim].

    Keys and values are tensors where a text attends to itself alone: a first prompt, or a model without cache.
    Otherwise the layer of the cache stands in for both. `softcap` and the sink logits `s_aux` [query_heads] act on the
    scores as they do in the dense model.
    """
    if position_bias is not None:
        raise LeankError("attention with a position bias cannot be run through a mask")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = Scores(softcap, s_aux, dropout)
    if not isinstance(key, Tensor):
        hides = attention_mask is None or attention_mask.dtype == torch.bool
        if hides and dropout == 0 and kernel_runs(query, key):
            output = decode_attention(key, query, attention_mask, scale, softcap, s_aux)
        else:
            output = pruned_attention(key, query * scale, attention_mask, scores)
        key.settle()
    else:
        assert isinstance(value, Tensor)
        mask = getattr(module, "leank_mask", None)
        if mask is not None:
            query = mask.through(query)
        if softcap is None and s_aux is None:
            return sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
            )
        output = whole_attention(query * scale, key, value, attention_mask, scores)
    return output.transpose(1, 2).contiguous(), None


class Scores:
    """What a model does to its scores beside the softmax."""

    def __init__(self, softcap: float | None, sink_logits: Tensor | None, dropout: float) -> None:
        self.softcap, self.sink_logits, self.dropout = softcap, sink_logits, dropout

    def weights(self, scores: Tensor, allowed: Tensor | None, heads: Tensor | None = None) -> Tensor:
        """The softmax of `scores` [batch, kv_heads, group, queries, tokens].

        `allowed` [batch or 1, 1, queries, tokens] is bool, or numbers to add; `heads` are the indices of the KV heads,
        where they are not all.
        """
        result = scores.float()
        if self.softcap is not None:
            result = torch.tanh(result / self.softcap) * self.softcap
        if allowed is not None:
            allowed = allowed[:, :, None]
            if allowed.dtype == torch.bool:
                result = result.masked_fill(~allowed, torch.finfo(result.dtype).min)
            else:
                result = result + allowed
        if self.sink_logits is not None:
            logits = self.sink_logits.to(result).view(-1, scores.shape[2])
            logits = logits if heads is None else logits[heads]
            column = logits[None, :, :, None, None].expand(*result.shape[:1], -1, -1, result.shape[3], -1)
            result = torch.cat([result, column], -1).softmax(-1)[..., :-1]
        else:
            result = result.softmax(-1)
        if self.dropout > 0:
            result = nn.functional.dropout(result, self.dropout)
        return result.to(scores.dtype)


def pruned_attention(layer: PrunedLayer, query: Tensor, attention_mask: Tensor | None, scores: Scores) -> Tensor:
    """Attention of the newest queries [batch, query_heads, tokens, head_dim], already scaled, over a layer's cache."""
    tokens = len(layer.recent[0]) + layer.sinks[0].shape[2] + layer.middle_count
    outputs = []
    for start, stop in _turns(query, tokens):
        allowed = visibility(layer, attention_mask, start, stop)
        outputs.append(_pruned_attention(layer, query[:, :, start:stop], allowed, scores))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)


def _pruned_attention(layer: PrunedLayer, query: Tensor, allowed: Tensor | None, scores: Scores) -> Tensor:
    batch, heads, tokens, width = query.shape
    kv_heads = layer.mask.kv_heads
    group = heads // kv_heads
    shape = (batch, -1, group, tokens)
    # The query heads of a group share each load of their keys.
    queries = query.reshape(batch, kv_heads, group * tokens, width)
    near = [(layer.sinks[0], layer.sinks[1]), (layer.recent[0].rows, layer.recent[1].rows)]
    near_scores = torch.cat([queries @ keys.transpose(-1, -2) for keys, _ in near], -1)
    near_count = near_scores.shape[-1]
    weights = torch.zeros_like(near_scores)
    output = queries.new_zeros((batch, kv_heads, group * tokens, near[0][1].shape[-1]))
    for part in layer.middle:
        chosen = part.group.heads
        middle_scores = part.group.queries(queries) @ part.keys.rows.transpose(-1, -2)
        part_scores = torch.cat([near_scores[:, chosen], middle_scores], -1)
        part_weights = scores.weights(part_scores.view(*shape, part_scores.shape[-1]), allowed, chosen)
        part_weights = part_weights.reshape(part_scores.shape)
        weights[:, chosen] = part_weights[..., :near_count]
        output[:, chosen] = part_weights[..., near_count:] @ part.values.rows
    if layer.without_middle is not None:
        chosen = layer.without_middle.heads
        near_only = near_scores[:, chosen].view(*shape, near_count)
        seen = None if allowed is None else allowed[..., :near_count]
        weights[:, chosen] = scores.weights(near_only, seen, chosen).reshape(batch, len(chosen), -1, near_count)
    sinks = near[0][0].shape[2]
    output = output + weights[..., :sinks] @ near[0][1] + weights[..., sinks:] @ near[1][1]
    return output.view(batch, heads, tokens, -1)


def whole_attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scores: Scores) -> Tensor:
    """Attention of a text to itself: queries [batch, query_heads, tokens, head_dim], already scaled, and whole keys."""
    batch, heads, tokens, width = query.shape
    kv_heads, slots = keys.shape[1], keys.shape[2]
    group = heads // kv_heads
    outputs = []
    for start, stop in _turns(query, slots):
        if mask is None:
            positions = torch.arange(slots, device=query.device)
            own = positions[slots - tokens + start : slots - tokens + stop, None]
            allowed = (positions <= own)[None, None]
        else:
            allowed = mask[:, :, start:stop]
        rows = query[:, :, start:stop].reshape(batch, kv_heads, -1, width)
        raw = (rows @ keys.transpose(-1, -2)).view(batch, kv_heads, group, stop - start, slots)
        weights = scores.weights(raw, allowed).view(batch, kv_heads, -1, slots)
        outputs.append((weights @ values).view(batch, heads, stop - start, -1))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)


def _turns(query: Tensor, tokens: int) -> Iterator[tuple[int, int]]:
    """Ranges of queries whose scores are held at once."""
    step = max(1, SCORES // max(1, query.shape[0] * query.shape[1] * tokens))
    for start in range(0, query.shape[2], step):
        yield start, min(start + step, query.shape[2])


AttentionInterface.register(ATTENTION, leank_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


class PrunedCache(Cache):
    """A cache whose layers keep |M| channels of a key, and of near keys all; passed on like any cache of transformers.

    A call of the model with one token decodes it, one with several tokens is a prompt. `generate` says by itself where
    a prompt begins; who calls the model by hand with a later prompt of one token calls `begin_prompt` first.
    """

    def __init__(self, layers: list[Any]) -> None:
        super().__init__(layers=layers)

    @property
    def pruned_layers(self) -> list[PrunedLayer]:
        return [layer for layer in self.layers if isinstance(layer, PrunedLayer)]

    def begin_prompt(self) -> None:
        """Makes the next tokens a prompt, also if it is one token."""
        for layer in self.pruned_layers:
            layer.prompt_next = True

    def set_padding(self, padding: Tensor) -> None:
        """Tells the leading padding of each row, [batch], before the first tokens arrive."""
        for layer in self.pruned_layers:
            layer.set_padding(padding)

    def crop(self, tokens_to_remove: int) -> None:
        """Takes back the last tokens: -n removes n, a positive number is the length that remains.

        Raises `LeankError`, and changes nothing, where tokens would have to be whole again that no longer are.
        """
        length = self.get_seq_length()
        remaining = length + tokens_to_remove if tokens_to_remove <= 0 else min(tokens_to_remove, length)
        for layer in self.pruned_layers:
            layer.settle()
            layer.check_crop(max(0, remaining))
        for layer in self.layers:
            if isinstance(layer, PrunedLayer):
                layer.crop_to(max(0, remaining))
            else:
                layer.crop(remaining - length)

    def nbytes(self, allocated: bool = False) -> int:
        """Bytes of all keys and values held, or of the memory allocated for them."""
        return sum(
            layer.nbytes(allocated) if isinstance(layer, PrunedLayer) else _tensor_bytes(layer) for layer in self.layers
        )


def _tensor_bytes(layer: Any) -> int:
    """Bytes of a layer of transformers' own."""
    found = [getattr(layer, name, None) for name in ("keys", "values")]
    return sum(rows.numel() * rows.element_size() for rows in found if isinstance(rows, Tensor))


class DecodeGraph:
    """Decodes token after token with `model` and a cache that holds a prompt; one token a row and call.

    The graph is recorded at the first call. The cache stays what it is, and can be passed to the model again at any
    time; its rows may change places or be cropped between two calls, but their number must stay. In static mode no row
    may have padding, which the cache does not know there.
    """

    def __init__(self, model: Any, cache: PrunedCache) -> None:
        self.model, self.cache = model, cache
        if len(cache.pruned_layers) != len(cache.layers):
            raise LeankError("a graph cannot record layers without mask; decode with the model itself")
        if cache.get_seq_length() == 0:
            raise LeankError("a graph decodes behind a prompt; run the prompt with the model first")
        layer = cache.pruned_layers[0]
        if not interprets() and (triton is None or layer.device.type != "cuda"):
            raise LeankError("a graph needs CUDA and the package triton; decode with the model itself")
        if any(other.device != layer.device for other in cache.pruned_layers):
            raise LeankError("a graph cannot record layers on several devices; decode with the model itself")
        self.batch, self.device = layer.batch_size, layer.device
        self.tokens = torch.zeros((self.batch, 1), dtype=torch.long, device=self.device)
        self.positions = torch.zeros_like(self.tokens)
        # A row a layer, each 64 bytes, so that all are aligned alike.
        self._states = torch.zeros((len(cache.layers), 16), dtype=torch.int32, device=self.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._recorded: list[Any] = []  # what the graph knows by its address
        self._logits = torch.empty(0)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits [batch, 1, vocabulary] behind `tokens` [batch, 1]; the next call overwrites them."""
        layers = self.cache.pruned_layers
        if tokens.shape != self.tokens.shape or layers[0].batch_size != self.batch:
            raise LeankError(f"the graph decodes {self.batch} rows, one token each; found tokens {list(tokens.shape)}")
        if layers[0].prompt_next:
            raise LeankError("a graph decodes; run a prompt with the model itself")
        self.tokens.copy_(tokens)
        padding, slot = layers[0].padding, self.cache.get_seq_length()
        self.positions.fill_(slot)
        if padding is not None:
            self.positions.sub_(padding[:, None])
        for layer in layers:
            layer.advance()
            layer_kernel(layer).refresh(layer)
        rows = [(*state_of(layer), *[0] * 7) for layer in layers]
        numbers = [number for row in rows for number in row]
        self._states.copy_(on_device(numbers, torch.int32, self.device).view(-1, 16))
        known = [known for layer in layers for known in (layer_kernel(layer), layer.padding)]
        if self._graph is None or any(a is not b for a, b in zip(known, self._recorded, strict=True)):
            self._record()
            # The plans are held too, since the cache makes new ones.
            self._recorded, self._plans = known, [layer_kernel(layer).plan for layer in layers]
        if self._graph is not None:
            self._graph.replay()
        return self._logits

    def _record(self) -> None:
        """Records the forward pass; on another device than CUDA, where tests interpret the kernel, it just runs."""
        for layer, state in zip(self.cache.pruned_layers, self._states, strict=True):
            layer_kernel(layer).state = state
            layer.write = _writer(layer)
        try:
            if self.device.type != "cuda":
                self._logits = self._forward()
                return
            stream = torch.cuda.Stream(self.device)
            stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(stream):
                self._forward()
            torch.cuda.current_stream(self.device).wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._logits = self._forward()
        finally:
            for layer in self.cache.pruned_layers:
                layer_kernel(layer).state = layer.write = None

    def _forward(self) -> Tensor:
        held = {self.model._cache_name: self.cache}
        with torch.no_grad():
            return self.model(input_ids=self.tokens, position_ids=self.positions, use_cache=True, **held).logits


def _writer(layer: PrunedLayer) -> Any:
    def write(keys: Tensor, values: Tensor) -> None:
        append_token(layer, keys, values)

    return write


LAYOUTS = ("cache", "rows", "zeroed")


@dataclass(frozen=True)
class Settings:
    """How a model is run through its mask. `window` is None in static mode; a layer without mask is None."""

    layout: str
    window: Window | None
    masks: list[LayerMask | None]
    geometry: list[LayerGeometry]

    @classmethod
    def read(cls, config: Any, find: Callable[[str], str]) -> "Settings":
        """Of a configuration; `find` gives the path of a file of the checkpoint."""
        said = getattr(config, "leank", None)
        if not isinstance(said, dict):
            raise LeankError(
                "config.json: there is no object leank; open the checkpoint with transformers' own classes"
            )
        version, layout = str(said.get("spec_version")), said.get("layout")
        if version.split(".")[0] != "1":
            raise LeankError(
                f"config.json: leank.spec_version: {version} is not known; a newer modeling_leank.py is needed"
            )
        if layout not in LAYOUTS:
            raise LeankError(f"config.json: leank.layout: {layout!r} is not known; known are {', '.join(LAYOUTS)}")
        window = _window(said)
        if window is not None and layout != "cache":
            raise LeankError(f"config.json: leank.mode: layout {layout} is always static")
        name = str(said.get("mask_file"))
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise LeankError(f"config.json: leank.mask_file: expected a file name, found {name!r}")
        file = read_mask(Path(find(name)).read_bytes(), name)
        if file.content_id != said.get("mask_content_id"):
            raise LeankError(f"{name}: it is another mask than config.json says; convert the checkpoint again")
        masks = [None if keep is None else LayerMask(keep) for keep in file.masks]
        return cls(layout, window, masks, file.geometry)

    def mask(self, layer: int) -> LayerMask | None:
        return self.masks[layer] if layer < len(self.masks) else None

    def new_cache(self, config: Any, dense_shape: bool = False) -> PrunedCache:
        """An empty cache for a model of `config`; layers without mask have transformers' own.

        `dense_shape` is for models whose attention is not transformers' interface.
        """
        layers: list[Any] = list(DynamicCache(config=config).layers)
        if len(layers) != len(self.masks):
            raise LeankError(f"the mask has {len(self.masks)} layers, the model {len(layers)}")
        for index, own in enumerate(layers):
            mask = self.masks[index]
            if mask is not None:
                layers[index] = PrunedLayer(mask, self.window, getattr(own, "sliding_window", None), dense_shape)
        return PrunedCache(layers)


def _window(said: dict[str, Any]) -> Window | None:
    mode = said.get("mode")
    if mode == "static":
        return None
    if mode != "windowed":
        raise LeankError(f"config.json: leank.mode: {mode!r} is not known; known are static, windowed")
    prefill, empty_heads = said.get("prefill", "dense"), said.get("empty_heads", "absent")
    if prefill != "dense":
        raise LeankError(f"config.json: leank.prefill: {prefill!r} cannot be run here; dense can")
    numbers = [said.get(key) for key in ("sink", "recent", "accumulate")]
    if not all(isinstance(number, int) for number in numbers):
        raise LeankError("config.json: leank: windowed mode needs sink, recent and accumulate, three whole numbers")
    return Window(*numbers, empty_heads)  # type: ignore[arg-type]


PROJECTION = re.compile(
    r"(?:^|\.)(?:layers|h)\.(\d+)\.(?:self_attn|attention|self_attention|mixer)\."
    r"(q_proj|k_proj|qkv_proj|query_key_value)\.(weight|bias)$"
)
# Parts of a tensor's name that say that it is a picture's or a sound's, not the language model's.
TOWERS = ("visual", "vision_tower", "vision_model", "audio_tower", "mtp")


def dense_state(
    find: Callable[[str], str | None], geometry: list[LayerGeometry], masks: list[Any]
) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name, those of K and Q in dense shape with zeros for the rows that are not there.

    `find` gives the path of a file of the checkpoint, None where there is none. Other tensors stay mapped from files.
    """
    index = find("model.safetensors.index.json")
    if index is None:
        names = ["model.safetensors"]
    else:
        with open(index, encoding="utf-8") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
    kept = [_closure(layer, masks[number]) for number, layer in enumerate(geometry)]
    state: dict[str, Tensor] = {}
    for name in names:
        path = find(name)
        if path is None:
            raise LeankError(f"{name}: the file is missing")
        with safe_open(path, "pt") as shard:
            for tensor in shard.keys():  # noqa: SIM118 (it is no dict)
                state[tensor] = _dense(tensor, shard.get_tensor(tensor), geometry, kept)
    return state


def _dense(name: str, rows: Tensor, geometry: list[LayerGeometry], kept: list[Tensor]) -> Tensor:
    found = PROJECTION.search(name)
    if found is None or any(part in TOWERS for part in name.split(".")):
        return rows
    layer = int(found[1])
    if layer >= len(geometry) or geometry[layer].kv_heads == 0:
        return rows
    keep = _kept_rows(found[2], geometry[layer], kept[layer])
    if int(keep.sum()) != rows.shape[0]:
        raise LeankError(f"{name}: the mask keeps {int(keep.sum())} of {len(keep)} rows, the file has {rows.shape[0]}")
    dense = rows.new_zeros((len(keep), *rows.shape[1:]))
    dense[keep] = rows
    return dense


def _kept_rows(projection: str, geometry: LayerGeometry, kept: Tensor) -> Tensor:
    """Which rows of a dense projection the file has, bool [rows]; `kept` is bool [kv_heads, head_dim]."""
    group = geometry.query_heads // geometry.kv_heads
    queries = kept.repeat_interleave(group, 0)
    values = torch.ones_like(kept)
    if projection == "q_proj":
        blocks = [queries]
    elif projection == "k_proj":
        blocks = [kept]
    elif projection == "qkv_proj":
        blocks = [queries, kept, values]
    else:
        # For each KV head its queries, its key, its value.
        rows = [queries.view(geometry.kv_heads, group, -1), kept[:, None], values[:, None]]
        blocks = [torch.cat(rows, 1).flatten(0, 1)]
    return torch.cat(blocks).flatten()


def _closure(geometry: LayerGeometry, mask: Any) -> Tensor:
    """The mask and the rotary partners of its channels, bool [kv_heads, head_dim]."""
    if mask is None:
        return torch.empty((0, 0), dtype=torch.bool)
    keep = mask.keep
    if not geometry.attention_known:
        raise LeankError("the mask does not know how the model rotates its keys; convert the checkpoint again")
    partner = torch.arange(geometry.head_dim)
    width = geometry.rotary_width
    if geometry.pairing == 1:
        partner[:width] = partner[:width].roll(width // 2)
    elif geometry.pairing == 2:
        partner[:width] = partner[:width] ^ 1
    return keep | keep[:, partner]


# Arguments that say where a checkpoint is.
PLACE = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


class PrunedModel:
    """What a pruned model has beside its family's class; `leank` holds its mask and mode."""

    leank: Settings

    def new_cache(self) -> PrunedCache:
        """An empty cache, to be passed to several calls of `generate` or of the model."""
        return self.leank.new_cache(self._text_config, dense_shape=not self._uses_interface)

    def decode_graph(self, cache: PrunedCache) -> DecodeGraph:
        """Decodes behind what `cache` holds through a CUDA graph: `logits = graph(tokens)`, one token a row."""
        return DecodeGraph(self, cache)

    @property
    def _text_config(self) -> Any:
        return self.config.get_text_config(decoder=True)  # type: ignore[attr-defined]

    def _adopt(self, settings: Settings) -> None:
        self.leank = settings
        self.new_cache()  # a mask of another number of layers is refused now
        decoder = self.get_decoder()  # type: ignore[attr-defined]
        if settings.window is None:
            for module in decoder.modules():
                number = getattr(module, "layer_idx", None)
                if isinstance(number, int):
                    module.leank_mask = settings.mask(number)

    def _prepared(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `forward` with a pruned cache, and the cache told of the padding."""
        if "past_key_values" in kwargs and self._cache_name != "past_key_values":
            kwargs[self._cache_name] = kwargs.pop("past_key_values")
        cache = kwargs.get(self._cache_name)
        uses_cache = kwargs.get("use_cache")
        if uses_cache is None:
            uses_cache = bool(getattr(self._text_config, "use_cache", True))
        if getattr(self, "training", False) and getattr(self, "is_gradient_checkpointing", False):
            uses_cache = False
        if cache is None and uses_cache:
            cache = kwargs[self._cache_name] = self.new_cache()
        if cache is None:
            if self.leank.window is None and not self._uses_interface:
                raise LeankError(f"{self._family}: static mode without a cache cannot be run; leave use_cache on")
            return kwargs
        if not isinstance(cache, PrunedCache):
            raise LeankError(f"a {type(cache).__name__} cannot hold pruned keys; pass model.new_cache()")
        if kwargs.get("output_attentions"):
            raise LeankError("attention weights are not there to be returned; leave output_attentions out")
        if self.leank.window is not None:
            tokens = kwargs.get("input_ids")
            tokens = kwargs.get("inputs_embeds") if tokens is None else tokens
            self._tell_padding(cache, kwargs.get("attention_mask"), 0 if tokens is None else tokens.shape[1])
        return kwargs

    def _tell_padding(self, cache: PrunedCache, attention_mask: Tensor | None, tokens: int) -> None:
        """Windowed mode counts a row's sinks from its first real token, so it has to know where that is."""
        if attention_mask is None or (tokens == 1 and cache.get_seq_length() > 0):
            return
        if not isinstance(attention_mask, Tensor) or attention_mask.dim() != 2:
            raise LeankError("windowed mode needs an attention_mask [batch, tokens]; leave it out or pass that")
        real = attention_mask.to(torch.bool)
        padding = real.int().argmax(1)
        if not torch.equal(real.sum(1), real.shape[1] - padding):
            raise LeankError("windowed mode takes padding before a row's first token only; pad on the left")
        if cache.get_seq_length() == 0:
            if bool(padding.any()):
                cache.set_padding(padding)
            return
        known = next((layer.padding for layer in cache.pruned_layers), None)
        if not torch.equal(padding, torch.zeros_like(padding) if known is None else known.to(padding.device)):
            raise LeankError("the attention_mask pads other tokens than those that the cache was filled with")

    def _prepare_cache_for_generation(
        self, generation_config: GenerationConfig, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        """Called by `generate` before its first step."""
        if generation_config.cache_implementation not in (None, "dynamic"):
            raise LeankError(
                f"cache_implementation {generation_config.cache_implementation!r} cannot hold pruned keys; leave it out"
            )
        if getattr(generation_config, "prefill_chunk_size", None) is not None:
            raise LeankError(
                "a prompt in chunks would lose channels before it is complete; leave prefill_chunk_size out"
            )
        mode = getattr(args[0] if args else kwargs.get("generation_mode"), "value", "")
        if self.leank.window is not None and mode in ("assisted_generation", "contrastive_search"):
            raise LeankError(f"{mode} takes tokens back, which windowed mode cannot; leave the assistant out")
        cache = model_kwargs.get(self._cache_name)
        if cache is None:
            if generation_config.use_cache is False:
                if self.leank.window is not None:
                    raise LeankError("windowed mode is in the cache; leave use_cache on")
                return
            model_kwargs[self._cache_name] = self.new_cache()
        elif not isinstance(cache, PrunedCache):
            raise LeankError(f"a {type(cache).__name__} cannot hold pruned keys; pass model.new_cache()")
        else:
            cache.begin_prompt()
            cache._is_user_defined = True

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        raise LeankError("the attention of a pruned model reads the pruned cache, so it cannot be another one")

    def generate_batch(self, *args: Any, **kwargs: Any) -> None:
        raise LeankError("continuous batching has a cache of its own; use generate")

    init_continuous_batching = generate_batch

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model as layout `cache`: weights in dense shape, the mask, and this loader."""
        super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        folder = Path(save_directory)
        said = dict(self.config.leank, layout="cache")  # type: ignore[attr-defined]
        shutil.copyfile(self._mask_path, folder / said["mask_file"])
        loader = Path(str(sys.modules[__name__].__file__))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config.update(leank=said, architectures=[self._family])
        if loader.name == "modeling_leank.py":
            shutil.copyfile(loader, folder / loader.name)
            config["auto_map"] = self.config.auto_map  # type: ignore[attr-defined]
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    # Set by `pruned_class` and `open_pruned`.
    _family: str
    _cache_name: str
    _uses_interface: bool
    _mask_path: str


@functools.cache
def pruned_class(base: type[Any]) -> type[Any]:
    """The family's class `base` with a pruned cache, under the same name."""
    parameters = list(inspect.signature(base.forward).parameters)[1:]

    @functools.wraps(base.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(zip(parameters, args, strict=False))
        return base.forward(self, **self._prepared(kwargs))

    members = {
        "forward": forward,
        # transformers looks up how to read a checkpoint by the class's name, and whether it is its own by the module.
        "__module__": base.__module__,
        "_family": base.__name__,
        "_cache_name": "cache" if "cache" in parameters else "past_key_values",
        "_uses_interface": hasattr(sys.modules[base.__module__], "ALL_ATTENTION_FUNCTIONS")
        or bool(getattr(base, "_supports_attention_backend", False)),
    }
    return type(base.__name__, (PrunedModel, base), members)


def open_pruned(mapping: Any, place: str, *args: Any, config: Any = None, **kwargs: Any) -> Any:
    """Opens the checkpoint at `place`, a folder or the name of a repository, with the class that `mapping` has."""
    where = {key: kwargs[key] for key in PLACE if key in kwargs}
    if config is None:
        config = AutoConfig.from_pretrained(place, **where)

    def find(name: str) -> str | None:
        return cached_file(place, name, _raise_exceptions_for_missing_entries=False, **where)

    def need(name: str) -> str:
        path = find(name)
        if path is None:
            raise LeankError(f"{name}: the file is missing from {place}")
        return path

    settings = Settings.read(config, need)
    if getattr(config.get_text_config(decoder=True), "num_kv_shared_layers", None):
        raise LeankError("layers that use the keys of earlier ones (num_kv_shared_layers) cannot be run through a mask")
    base = mapping.get(type(config), None)
    if base is None or not issubclass(base, PreTrainedModel):
        raise LeankError(f"transformers has no such class for model_type {config.model_type!r}; try another AutoModel")
    model_class = pruned_class(base)
    asked = kwargs.pop("attn_implementation", None) or getattr(config, "_attn_implementation_internal", None)
    if asked not in (None, "sdpa", ATTENTION):
        raise LeankError(f"attn_implementation {asked!r} cannot read a pruned cache; leave it out")
    if model_class._uses_interface:
        kwargs["attn_implementation"] = ATTENTION
    elif settings.window is not None:
        raise LeankError(
            f"{model_class._family}: its attention is not transformers' interface, so windowed mode cannot be run; "
            "convert with --mode static"
        )
    loading_info = None
    if settings.layout == "rows":
        if getattr(config, "quantization_config", None) is not None:
            raise LeankError("quantised weights of layout rows cannot be opened; convert with --layout cache")
        places = kwargs.get("device_map")
        on_disk = "disk" in places.values() if isinstance(places, dict) else "offload_folder" in kwargs
        if on_disk and transformers_version.startswith("4."):
            raise LeankError("layout rows with weights on disk needs transformers 5; convert with --layout cache")
        state = dense_state(find, settings.geometry, settings.masks)
        opened = model_class.from_pretrained(None, *args, config=config, state_dict=state, **_without(kwargs, PLACE))
    else:
        opened = model_class.from_pretrained(place, *args, config=config, **kwargs)
    if isinstance(opened, tuple):
        opened, loading_info = opened
    if settings.layout == "rows":
        opened.config._name_or_path = opened.name_or_path = str(place)
        if find("generation_config.json") is not None:
            opened.generation_config = GenerationConfig.from_pretrained(place, **where)
    # Gemma's files ask for a cache of transformers by name.
    opened.generation_config.cache_implementation = None
    opened._mask_path = need(config.leank["mask_file"])
    opened._adopt(settings)
    return opened if loading_info is None else (opened, loading_info)


def _without(kwargs: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key not in keys}


class LeanKForCausalLM:
    """What `AutoModelForCausalLM` opens a pruned checkpoint with."""

    _mapping = MODEL_FOR_CAUSAL_LM_MAPPING

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoModelForCausalLM") -> None:
        """transformers calls it; the class that is opened is the family's, so there is nothing to note."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str, *args: Any, **kwargs: Any) -> Any:
        """As transformers' own, with the pruned cache; layout `rows` gets its weights back in dense shape."""
        return open_pruned(cls._mapping, pretrained_model_name_or_path, *args, **kwargs)


class LeanKForImageTextToText(LeanKForCausalLM):
    """What `AutoModelForImageTextToText` opens a pruned checkpoint with."""

    _mapping = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

"""##
}
