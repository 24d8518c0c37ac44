"""Reads the mask of a `.leank` file, after Spec/v1/format.md.

A partial reader in that text's words: it checks header, table and all stored bytes, then the content of GEOM and MASK.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import LeankError

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
