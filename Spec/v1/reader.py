#!/usr/bin/env python3
"""Reads .leank files, written from format.md alone and in its order. Not fast, and not meant to be.

    reader.py FILE ...

prints one line of JSON a file: what the file says, or {"class": ...} with the class of refusal. Needs the Python
standard library and a zstd decoder: the module compression.zstd (Python 3.14), the module zstandard, or the command zstd.
"""

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

SIGNATURE = bytes.fromhex("894C4E4B0D0A1A0A")

# 2.2
DAMAGES = [
    "894C4E4B0A",
    "894C4E4B0D0D0A",
    "894C4E4B0D0A1A0D",
    "894C4E4B0D1A",
    "894C4E4B0D0D1A",
    "094C4E4B",
    "C2894C4E4B",
    "EFBFBD4C4E4B",
    "4C4E4B0D0A",
]

KNOWN = [b"GEOM", b"MASK", b"ALGN", b"SCOR", b"DEPL", b"PROV"]
FLAGS = {b"GEOM": 1, b"MASK": 1, b"ALGN": 2, b"SCOR": 2, b"DEPL": 2, b"PROV": 2}


def read_header(file):
    if not file.startswith(SIGNATURE):
        need(not any(file.startswith(bytes.fromhex(front)) for front in DAMAGES), "transfer_damage")
        need(not SIGNATURE.startswith(file), "truncated")
        raise Refused("signature")
    need(len(file) >= 64, "truncated")
    need(u(2, file, 8) == 1, "major_version")
    need(zlib.crc32(file[:60]) == u(4, file, 60), "header_checksum")
    need(u(4, file, 12) == 64, "header_size")
    length = u(8, file, 16)
    need(length <= 256 << 20, "limit")
    need(length <= len(file), "truncated")
    need(length == len(file), "trailing_bytes")
    need(u(4, file, 24) <= 64, "limit")
    return [1, u(2, file, 10)], u(4, file, 24), file[28:60]


def read_table(file, count):
    end = 64 + 40 * count + 8
    need(end <= len(file), "section_layout")
    need(zlib.crc32(file[64 : end - 8]) == u(4, file, end - 8), "table_checksum")
    need(u(4, file, end - 4) == 0, "reserved")
    entries, position, total, previous = [], end, 0, None
    for at in range(64, end - 8, 40):
        tag = file[at : at + 4]
        letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        need(tag[0] in letters and all(c in letters + b"0123456789" for c in tag[1:]), "section_tag")
        flags = file[at + 4]
        if tag in FLAGS:
            need(flags == FLAGS[tag], "section_flags")
        else:
            need(flags <= 3, "section_flags")
            need(not flags & 1, "unknown_critical_section")
        codec = file[at + 5]
        need(codec <= 1, "codec")
        need(u(2, file, at + 6) == 0 and u(4, file, at + 36) == 0, "reserved")
        order = (0, KNOWN.index(tag)) if tag in KNOWN else (1, tag)
        need(previous is None or previous < order, "section_order")
        previous = order
        offset, stored, raw = u(8, file, at + 8), u(8, file, at + 16), u(8, file, at + 24)
        total += raw
        need(total <= 64 << 20, "limit")
        need(stored == raw if codec == 0 else stored < raw, "section_length")
        need(offset == (position + 7) // 8 * 8, "section_layout")
        need(offset + stored <= len(file), "section_layout")
        need(not any(file[position:offset]), "padding")
        position = offset + stored
        entries.append((tag, flags, codec, file[offset:position], raw, u(4, file, at + 32)))
    tags = [entry[0] for entry in entries]
    need(b"GEOM" in tags and b"MASK" in tags, "missing_section")
    need(position == len(file), "trailing_bytes")
    for _, _, _, stored, _, checksum in entries:
        need(zlib.crc32(stored) == checksum, "section_checksum")
    return entries


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
        window = (8 + (byte & 7)) * (1 << (10 + (byte >> 3))) // 8
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


def check_length(tag, length, channels):
    if tag == b"GEOM":
        need(length >= 20 and length % 20 == 0, "section_length")
        need(length // 20 <= 4096, "limit")
    elif tag == b"MASK":
        need(length == (channels + 7) // 8, "section_length")
    elif tag == b"ALGN":
        need(length == 24, "section_length")
    elif tag == b"SCOR":
        need(channels <= 16_000_000, "limit")
        need(8 + 2 * channels <= length <= 260 + 4 * channels, "section_length")
    elif tag == b"DEPL":
        need(length == 16, "section_length")
    elif tag == b"PROV":
        need(length <= 524_288, "limit")
        need(length >= 4, "section_length")


# 3.1


def read_geometry(raw):
    layers, heads, channels = [], 0, 0
    for at in range(0, len(raw), 20):
        kv_heads, head_dim, query_heads, rotary = (u(4, raw, at + 4 * i) for i in range(4))
        need(kv_heads <= 4096 and head_dim <= 4096 and query_heads <= 65_536 and rotary <= 4096, "limit")
        known, pairing = raw[at + 16], raw[at + 17]
        need(known <= 1 and pairing <= 2, "unknown_value")
        need(u(2, raw, at + 18) == 0, "reserved")
        need(kv_heads > 0 and head_dim > 0, "geometry")
        layer = dict(kv_heads=kv_heads, head_dim=head_dim, query_heads=None, rotary_width=None, pairing=None)
        if known:
            need(query_heads > 0 and query_heads % kv_heads == 0, "geometry")
            need(rotary % 2 == 0 and rotary <= head_dim, "geometry")
            need((pairing == 0) == (rotary == 0), "geometry")
            layer.update(
                query_heads=query_heads, rotary_width=rotary, pairing=["none", "half", "interleaved"][pairing]
            )
        else:
            need(query_heads == 0 and rotary == 0 and pairing == 0, "geometry")
        layers.append(layer)
        heads += kv_heads
        channels += kv_heads * head_dim
        need(heads <= 1 << 20 and channels <= 1 << 28, "limit")
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
    need(unit <= 4096, "limit")
    need(rule <= 2 and has_target <= 1, "unknown_value")
    need(reserved == 0, "reserved")
    need(unit >= 1, "alignment")
    bits, (target,) = raw[8:16], struct.unpack_from("<d", raw, 8)
    if has_target:
        need(0 <= target <= 1 and bits != struct.pack("<d", -0.0), "alignment")
    else:
        need(bits == bytes(8), "alignment")
    kept = sum(head.count("1") for heads in mask for head in heads)
    need(u(8, raw, 16) == kept, "alignment")
    return {
        "unit": unit,
        "rule": ["given", "leank", "budget"][rule],
        "target_ratio": target if has_target else None,
        "channels_kept": kept,
    }


# 3.4


def read_scores(raw, channels):
    need(1 <= raw[0] <= 3, "unknown_value")
    dtype = ["f32", "f16", "bf16"][raw[0] - 1]
    size = 4 if dtype == "f32" else 2
    need(raw[1] == 0, "reserved")
    kind_length = u(2, raw, 2)
    start = (4 + kind_length + 3) // 4 * 4
    need(len(raw) == start + channels * size, "scores")
    kind = raw[4 : 4 + kind_length]
    need(is_name(kind), "scores")
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
    need(raw[0] in (1, 2), "unknown_value")
    need(raw[1:4] == bytes(3), "reserved")
    sink, recent, accumulate = struct.unpack_from("<III", raw, 4)
    if raw[0] == 1:
        need(sink == recent == accumulate == 0, "deployment")
    else:
        top = 2**31 - 1
        need(sink <= top and 1 <= recent <= top and 1 <= accumulate <= top, "deployment")
    return {"mode": ["static", "windowed"][raw[0] - 1], "sink": sink, "recent": recent, "accumulate": accumulate}


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
        need(is_name(key) and previous < key, "provenance")
        previous = key
        try:
            entries[key.decode()] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("provenance") from None
    need(at == len(raw), "provenance")
    return entries


# 6. Reading


def read(file):
    version, count, content_id = read_header(file)
    entries = read_table(file, count)
    digest, raws, layers, channels = hashlib.sha256(), {}, [], 0
    for tag, flags, codec, stored, raw_length, _ in entries:
        check_length(tag, raw_length, channels)
        raws[tag] = raw = content(codec, stored, raw_length)
        if tag == b"GEOM":
            layers, channels = read_geometry(raw)
        digest.update(tag + bytes([flags, 0, 0, 0]) + raw_length.to_bytes(8, "little") + raw)
    need(digest.digest() == content_id, "content_id")
    mask = read_mask(raws[b"MASK"], layers, channels)
    return {
        "outcome": "valid",
        "version": version,
        "content_id": content_id.hex(),
        "sections": [
            {"tag": tag.decode(), "flags": flags, "codec": codec, "raw_length": raw_length}
            for tag, flags, codec, _, raw_length, _ in entries
        ],
        "layers": layers,
        "mask": mask,
        "alignment": read_alignment(raws[b"ALGN"], mask) if b"ALGN" in raws else None,
        "scores": read_scores(raws[b"SCOR"], channels) if b"SCOR" in raws else None,
        "deployment": read_deployment(raws[b"DEPL"]) if b"DEPL" in raws else None,
        "provenance": read_provenance(raws[b"PROV"]) if b"PROV" in raws else {},
        "unknown_sections": [
            {"tag": tag.decode(), "safe_to_copy": flags == 2, "hex": raws[tag].hex()}
            for tag, flags, *_ in entries
            if tag not in KNOWN
        ],
    }


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
