#!/usr/bin/env python3
"""Reads .leank files, written from format.md alone and in its order. Not fast, and not meant to be.

    reader.py FILE ...

prints one line of JSON a file: what the file says, or {"class": ...} with the class of refusal. Needs the Python
standard library and a zstd decoder: the module compression.zstd (Python 3.14), the module zstandard, or the command zstd.
"""

import dataclasses
import hashlib
import json
import shutil
import struct
import subprocess
import sys
import zlib


class Refused(Exception):
    """The class of refusal, section 8."""


def need(condition, refusal):
    if not condition:
        raise Refused(refusal)


def u(size, data, offset):
    return int.from_bytes(data[offset : offset + size], "little")


# 1. Conventions


def is_name(data):
    return 1 <= len(data) <= 255 and all(0x21 <= byte <= 0x7E for byte in data)


# 2. Container

SIGNATURE = bytes.fromhex("8C4C4E4B0D0A1A0A")
DRAFT = bytes.fromhex("894C4E4B0D0A1A0A")

# 2.2
DAMAGES = [
    "8C4C4E4B0A",
    "8C4C4E4B0D0D0A",
    "8C4C4E4B0D0A1A0D",
    "8C4C4E4B0D1A",
    "8C4C4E4B0D0D1A",
    "0C4C4E4B",
    "C28C4C4E4B",
    "EFBFBD4C4E4B",
    "4C4E4B0D0A",
]

KNOWN = [b"GEOM", b"MASK", b"ALGN", b"SCOR", b"DEPL", b"PROV"]
FLAGS = {b"GEOM": 1, b"MASK": 1, b"ALGN": 2, b"SCOR": 2, b"DEPL": 2, b"PROV": 2}


@dataclasses.dataclass
class Entry:
    tag: bytes
    flags: int
    codec: int
    instance: int
    offset: int
    stored_length: int
    raw_length: int
    section_crc32: int
    content_sha256: bytes

    def logical(self, instance):
        """The 48 bytes that go into a content id."""
        numbers = struct.pack("<BBHQ", self.flags, 0, instance, self.raw_length)
        return self.tag + numbers + self.content_sha256


def read_header(start, length):
    """`start` has the first 64 bytes of the file, or all of it; `length` is the file's."""
    if not start.startswith(SIGNATURE):
        need(not any(start.startswith(bytes.fromhex(front)) for front in DAMAGES), "transfer_damage")
        need(not start.startswith(DRAFT), "major_version")
        need(not SIGNATURE.startswith(start), "truncated")
        raise Refused("signature")
    need(length >= 64, "truncated")
    need(u(2, start, 8) == 1, "major_version")
    need(zlib.crc32(start[:60]) == u(4, start, 60), "header_checksum")
    need(u(4, start, 12) == 64, "header_size")
    file_length = u(8, start, 16)
    need(file_length <= 256 << 20, "limit")
    need(file_length <= length, "truncated")
    need(file_length == length, "trailing_bytes")
    need(u(4, start, 24) <= 64, "limit")
    return [1, u(2, start, 10)], u(4, start, 24), start[28:60]


def read_table(table, length, content_id, check_padding):
    """`table` has the entries and the 8 bytes behind them."""
    need(zlib.crc32(table[:-8]) == u(4, table, len(table) - 8), "table_checksum")
    need(u(4, table, len(table) - 4) == 0, "reserved")
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    entries, position, total, previous = [], 64 + len(table), 0, None
    for at in range(0, len(table) - 8, 72):
        tag, flags, codec, instance, offset, stored, raw, crc, reserved, digest = struct.unpack_from(
            "<4sBBHQQQII32s", table, at
        )
        need(tag[0] in letters and all(c in letters + b"0123456789" for c in tag[1:]), "section_tag")
        need(flags == FLAGS[tag] if tag in FLAGS else flags <= 3, "section_flags")
        need(tag in FLAGS or not flags & 1, "unknown_critical_section")
        need(codec == 0 or (codec == 1 and tag != b"SCOR"), "codec")
        need(reserved == 0, "reserved")
        order = (KNOWN.index(tag) if tag in KNOWN else len(KNOWN), tag, instance)
        need(previous is None or previous < order, "section_order")
        previous = order
        total += raw
        need(total <= 64 << 20, "limit")
        need(stored == raw if codec == 0 else stored < raw, "section_length")
        unit = 64 if tag == b"SCOR" else 8
        need(offset == (position + unit - 1) // unit * unit, "section_layout")
        need(offset + stored <= length, "section_layout")
        check_padding(position, offset)
        position = offset + stored
        entries.append(Entry(tag, flags, codec, instance, offset, stored, raw, crc, digest))
    masks = [entry.instance for entry in entries if entry.tag == b"MASK"]
    need(masks and any(entry.tag == b"GEOM" for entry in entries), "missing_section")
    need(masks == list(range(len(masks))), "instance")
    for entry in entries:
        need(entry.instance < (1 if entry.tag == b"GEOM" else len(masks)), "instance")
    main = {entry.tag: entry.content_sha256 for entry in entries if entry.instance == 0}
    for entry in entries:
        if entry.tag in (b"SCOR", b"PROV") and entry.instance > 0:
            need(entry.content_sha256 != main.get(entry.tag), "redundant_section")
    need(position == length, "trailing_bytes")
    id = hashlib.sha256(b"".join(entry.logical(entry.instance) for entry in entries))
    need(id.digest() == content_id, "content_id")
    return entries


# 2.5, 2.6


def find(entries, tag, instance):
    """The section that serves an instance: its own, or the one of instance 0 that is shared."""
    shared = [0] if tag in (b"GEOM", b"SCOR", b"PROV") else []
    for wanted in [instance] + shared:
        for entry in entries:
            if (entry.tag, entry.instance) == (tag, wanted):
                return entry
    return None


def identity(entries, instance):
    """The content id of the file that holds one mask alone."""
    alone = [find(entries, tag, instance) for tag in KNOWN]
    alone += [e for e in entries if e.tag not in KNOWN and e.instance == instance and e.flags & 2]
    return hashlib.sha256(b"".join(entry.logical(0) for entry in alone if entry)).hexdigest()


# 2.4


def check_frame(frame, raw_length):
    def take(count):
        nonlocal at
        need(at + count <= len(frame), "zstd_frame")
        at += count
        return frame[at - count : at]

    at = 0
    need(take(4) == bytes.fromhex("28B52FFD"), "zstd_frame")
    descriptor = take(1)[0]
    need(descriptor & 0x08 == 0 and descriptor & 0x04 and descriptor & 0x03 == 0, "zstd_frame")
    single, form = descriptor >> 5 & 1, descriptor >> 6
    need(form or single, "zstd_frame")
    window = None
    if not single:
        byte = take(1)[0]
        window = (8 + (byte & 7)) * 2 ** (7 + (byte >> 3))
    size = int.from_bytes(take(1 << form), "little") + (256 if form == 1 else 0)
    window = size if window is None else window
    need(window <= 8 << 20, "limit")
    need(size == raw_length, "zstd_frame")
    largest = min(window, 131072)
    reachable, last = 0, False
    while not last:
        head = int.from_bytes(take(3), "little")
        last, kind, length = head & 1, head >> 1 & 3, head >> 3
        need(kind != 3 and length <= largest, "zstd_frame")
        take(1 if kind == 1 else length)
        reachable += largest if kind == 2 else length
    take(4)
    need(at == len(frame) and reachable >= size, "zstd_frame")


def decompressor():
    """A function from frame and raw length to bytes; None where the frame is bad."""
    try:
        from compression import zstd

        def decompress(frame, length):
            try:
                return zstd.decompress(frame)
            except zstd.ZstdError:
                return None

    except ImportError:
        try:
            import zstandard

            def decompress(frame, length):
                try:
                    return zstandard.ZstdDecompressor().decompress(frame, max_output_size=length)
                except zstandard.ZstdError:
                    return None

        except ImportError:
            if not shutil.which("zstd"):
                sys.exit("reader.py: no zstd decoder found")

            def decompress(frame, length):
                done = subprocess.run(["zstd", "-dcq"], input=frame, capture_output=True)
                return done.stdout if done.returncode == 0 else None

    return decompress


decompress = decompressor()


def content(codec, stored, raw_length):
    if codec == 0:
        return stored
    check_frame(stored, raw_length)
    raw = decompress(stored, raw_length)
    need(raw is not None and len(raw) == raw_length, "zstd_frame")
    return raw


# 3. Sections


class NotUnderstood(Exception):
    """An open field has a value that this text does not define."""


def understand(condition):
    if not condition:
        raise NotUnderstood


def check_length(tag, length, channels):
    if tag == b"GEOM":
        need(length >= 24 and length % 24 == 0, "section_length")
        need(length // 24 <= 4096, "limit")
    elif tag == b"MASK":
        need(length == (channels + 7) // 8, "section_length")
    elif tag == b"ALGN":
        need(length == 24, "section_length")
    elif tag == b"SCOR":
        need(length >= 64, "section_length")
        need(channels <= 16_000_000, "limit")
    elif tag == b"DEPL":
        need(length == 16, "section_length")
    elif tag == b"PROV":
        need(length >= 4, "section_length")
        need(length <= 524_288, "limit")


# 3.1


def read_geometry(raw):
    layers, heads, channels = [], 0, 0
    for at in range(0, len(raw), 24):
        known, pairing, reserved, kv_heads, head_dim, value_dim, query_heads, rotary = struct.unpack_from(
            "<BBHIIIII", raw, at
        )
        need(known <= 1 and pairing <= 2, "unknown_value")
        need(reserved == 0, "reserved")
        need(kv_heads <= 4096 and head_dim <= 4096 and value_dim <= 4096 and rotary <= 4096, "limit")
        need(query_heads <= 65_536, "limit")
        layer = dict(
            kv_heads=kv_heads, head_dim=head_dim, value_dim=None, query_heads=None, rotary_width=None, pairing=None
        )
        if kv_heads == 0 or not known:
            need(not any((known, pairing, value_dim, query_heads, rotary)), "geometry")
            need((kv_heads == 0) == (head_dim == 0), "geometry")
        else:
            need(head_dim > 0 and value_dim != head_dim, "geometry")
            need(query_heads > 0 and query_heads % kv_heads == 0, "geometry")
            need(rotary % 2 == 0 and rotary <= head_dim, "geometry")
            need((pairing == 0) == (rotary == 0), "geometry")
            layer.update(
                value_dim=value_dim or head_dim,
                query_heads=query_heads,
                rotary_width=rotary,
                pairing=["none", "half", "interleaved"][pairing],
            )
        layers.append(layer)
        heads += kv_heads
        channels += kv_heads * head_dim
        need(heads <= 1 << 20 and channels <= 1 << 28, "limit")
    need(channels > 0, "geometry")
    return layers, channels


# 3.2


def bit_order(layer):
    head_dim, rotary, pairing = layer["head_dim"], layer["rotary_width"], layer["pairing"]
    if pairing is None:
        rotary, pairing = head_dim - head_dim % 2, "half"
    if pairing != "half":
        return list(range(head_dim))
    half = rotary // 2
    return [channel for j in range(half) for channel in (j, j + half)] + list(range(rotary, head_dim))


def read_mask(raw, layers, channels):
    mask, i = [], 0
    for layer in layers:
        order, heads = bit_order(layer), []
        for _ in range(layer["kv_heads"]):
            head = ["0"] * layer["head_dim"]
            for channel in order:
                head[channel] = "01"[raw[i // 8] >> i % 8 & 1]
                i += 1
            heads.append("".join(head))
        mask.append(heads)
    need(all(not raw[j // 8] >> j % 8 & 1 for j in range(channels, 8 * len(raw))), "mask_bits")
    return mask


# 3.3


def read_alignment(raw, mask):
    unit, rule, has_target, reserved = struct.unpack_from("<IBBH", raw)
    understand(rule <= 2)
    need(reserved == 0, "reserved")
    need(unit <= 4096, "limit")
    need(unit >= 1 and has_target <= 1, "alignment")
    bits, (target,) = raw[8:16], struct.unpack_from("<d", raw, 8)
    if has_target:
        need(0 <= target <= 1 and bits != struct.pack("<d", -0.0), "alignment")
    else:
        need(bits == bytes(8), "alignment")
    kept = [(head.count("1"), len(head)) for heads in mask for head in heads]
    need(u(8, raw, 16) == sum(count for count, _ in kept), "alignment")
    if rule:
        need(all(count % unit == 0 or count == head_dim for count, head_dim in kept), "alignment")
    return {
        "unit": unit,
        "rule": ["given", "leank", "budget"][rule],
        "target_ratio": target if has_target else None,
        "channels_kept": u(8, raw, 16),
    }


# 3.4


def read_scores(raw, channels):
    understand(1 <= raw[0] <= 3)
    dtype = ["f32", "f16", "bf16"][raw[0] - 1]
    size = 4 if dtype == "f32" else 2
    need(raw[1] == 0, "reserved")
    kind_length = u(2, raw, 2)
    start = (4 + kind_length + 63) // 64 * 64
    need(len(raw) == start + channels * size, "scores")
    kind = raw[4 : 4 + kind_length]
    need(is_name(kind), "name")
    need(not any(raw[4 + kind_length : start]), "padding")
    bits = [u(size, raw, at) for at in range(start, len(raw), size)]
    infinity = {"f32": 0x7F800000, "f16": 0x7C00, "bf16": 0x7F80}[dtype]
    one = {"f32": 0x3F800000, "f16": 0x3C00, "bf16": 0x3F80}[dtype]
    sign = 1 << 8 * size - 1
    for pattern in bits:
        need(pattern % sign <= infinity and pattern != sign, "scores")
        # as integers, the patterns of the numbers from 0 to 1 are those from 0 to that of 1
        need(kind != b"leank.alpha" or pattern <= one, "scores")
    return {"kind": kind.decode(), "dtype": dtype, "bits": " ".join(f"{pattern:x}" for pattern in bits)}


# 3.5


def read_deployment(raw):
    mode, prefill, empty_heads, reserved, sink, recent, accumulate = struct.unpack("<BBBBIII", raw)
    understand(1 <= mode <= 2 and prefill <= 1 and empty_heads <= 1)
    need(reserved == 0, "reserved")
    if mode == 1:
        need(not any((prefill, empty_heads, sink, recent, accumulate)), "deployment")
        return {"mode": "static"}
    top = 2**31 - 1
    need(sink <= top and 1 <= recent <= top and 1 <= accumulate <= top, "deployment")
    return {
        "mode": "windowed",
        "prefill": ["dense", "windowed"][prefill],
        "empty_heads": ["absent", "zero"][empty_heads],
        "sink": sink,
        "recent": recent,
        "accumulate": accumulate,
    }


# 3.6


def read_provenance(raw):
    count, at = u(4, raw, 0), 4
    need(count >= 1, "provenance")
    need(count <= 1024, "limit")
    entries, previous = {}, b""
    for _ in range(count):
        need(at + 6 <= len(raw), "provenance")
        key_length, value_length = struct.unpack_from("<HI", raw, at)
        need(value_length <= 65_536, "limit")
        at += 6
        need(at + key_length + value_length <= len(raw), "provenance")
        key, value = raw[at : at + key_length], raw[at + key_length : at + key_length + value_length]
        at += key_length + value_length
        need(is_name(key), "name")
        need(previous < key, "provenance")
        previous = key
        try:
            entries[key.decode()] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("provenance") from None
    need(at == len(raw), "provenance")
    return entries


# 6. Reading


class Sections:
    """Contents of sections, checked and interpreted in table order."""

    def __init__(self):
        self.raw, self.said = {}, {}
        self.layers, self.channels = [], 0

    def add(self, entry, stored):
        tag = entry.tag
        check_length(tag, entry.raw_length, self.channels)
        raw = content(entry.codec, stored, entry.raw_length)
        need(hashlib.sha256(raw).digest() == entry.content_sha256, "section_digest")
        self.raw[tag, entry.instance] = raw
        said = None
        try:
            if tag == b"GEOM":
                said = self.layers, self.channels = read_geometry(raw)
            elif tag == b"MASK":
                said = read_mask(raw, self.layers, self.channels)
            elif tag == b"ALGN":
                said = read_alignment(raw, self.said[b"MASK", entry.instance])
            elif tag == b"SCOR":
                said = read_scores(raw, self.channels)
            elif tag == b"DEPL":
                said = read_deployment(raw)
            elif tag == b"PROV":
                said = read_provenance(raw)
        except NotUnderstood:
            pass
        self.said[tag, entry.instance] = said


def read(file):
    version, count, content_id = read_header(file[:64], len(file))
    end = 64 + 72 * count + 8
    need(end <= len(file), "section_layout")
    entries = read_table(
        file[64:end], len(file), content_id, lambda start, stop: need(not any(file[start:stop]), "padding")
    )
    parts = [file[entry.offset : entry.offset + entry.stored_length] for entry in entries]
    for entry, stored in zip(entries, parts):
        need(zlib.crc32(stored) == entry.section_crc32, "section_checksum")
    sections = Sections()
    for entry, stored in zip(entries, parts):
        sections.add(entry, stored)

    def said(tag, instance):
        entry = find(entries, tag, instance)
        return entry and sections.said[tag, entry.instance]

    return {
        "outcome": "valid",
        "version": version,
        "content_id": content_id.hex(),
        "sections": [
            {
                "tag": entry.tag.decode(),
                "instance": entry.instance,
                "flags": entry.flags,
                "codec": entry.codec,
                "raw_length": entry.raw_length,
                "content_sha256": entry.content_sha256.hex(),
            }
            for entry in entries
        ],
        "layers": sections.layers,
        "instances": [
            {
                "identity": identity(entries, instance),
                "mask": said(b"MASK", instance),
                "alignment": said(b"ALGN", instance),
                "scores": said(b"SCOR", instance),
                "deployment": said(b"DEPL", instance),
                "provenance": said(b"PROV", instance) or {},
            }
            for instance in range(sum(entry.tag == b"MASK" for entry in entries))
        ],
        "not_understood": [
            {
                "tag": entry.tag.decode(),
                "instance": entry.instance,
                "safe_to_copy": entry.flags == 2,
                "hex": sections.raw[entry.tag, entry.instance].hex(),
            }
            for entry in entries
            if sections.said[entry.tag, entry.instance] is None
        ],
    }


def read_partial(fetch, length, wanted):
    """Partial reader: `fetch(start, stop)` gives bytes of a file of `length`, `wanted` is a list of (tag, instance).

    Returns what those sections say by (tag, instance); None where one is not there or not understood.
    """
    version, count, content_id = read_header(fetch(0, min(64, length)), length)
    end = 64 + 72 * count + 8
    need(end <= length, "section_layout")
    entries = read_table(fetch(64, end), length, content_id, lambda start, stop: None)
    wanted = set(wanted)
    if any(tag in KNOWN for tag, _ in wanted):
        wanted.add((b"GEOM", 0))
    wanted |= {(b"MASK", instance) for tag, instance in wanted if tag == b"ALGN"}
    entries = [entry for entry in entries if (entry.tag, entry.instance) in wanted]
    parts = [fetch(entry.offset, entry.offset + entry.stored_length) for entry in entries]
    for entry, stored in zip(entries, parts):
        need(zlib.crc32(stored) == entry.section_crc32, "section_checksum")
    sections = Sections()
    for entry, stored in zip(entries, parts):
        sections.add(entry, stored)
    return {key: sections.said.get(key) for key in wanted}


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as source:
            file = source.read()
        try:
            result = read(file)
        except Refused as refusal:
            result = {"outcome": "invalid", "class": str(refusal)}
        print(json.dumps(result, separators=(",", ":")))


if __name__ == "__main__":
    main()
