"""Writes .leank containers from the text of Spec/v1/format.md, sound ones and broken ones.

Nothing here reads a container, and nothing comes from leank's own code. Every field can be given another
value than the right one, and checksums are computed last, so that one fault does not hide behind another.
"""

import hashlib
import struct
import subprocess
import zlib
from dataclasses import dataclass, field

SIGNATURE = bytes.fromhex("8c4c4e4b0d0a1a0a")
ORDER = ["GEOM", "MASK", "ALGN", "SCOR", "DEPL", "PROV"]


@dataclass
class Section:
    tag: str | bytes
    raw: bytes
    flags: int | None = None
    codec: int = 0
    stored: bytes | None = None
    instance: int = 0
    # Values written in place of the right ones.
    offset: int | None = None
    stored_length: int | None = None
    raw_length: int | None = None
    crc: int | None = None
    digest: bytes | None = None
    reserved32: int = 0

    def __post_init__(self):
        if self.flags is None:
            self.flags = {"GEOM": 1, "MASK": 1}.get(self.tag, 2)
        if self.stored is None:
            self.stored = self.raw

    @property
    def tag_bytes(self):
        return self.tag if isinstance(self.tag, bytes) else self.tag.encode()

    @property
    def sha256(self):
        return hashlib.sha256(self.raw).digest() if self.digest is None else self.digest

    @property
    def written_raw_length(self):
        return len(self.raw) if self.raw_length is None else self.raw_length

    def logical(self, instance):
        """What a content id covers of the entry, 48 bytes."""
        return self.tag_bytes + struct.pack("<BBHQ", self.flags, 0, instance, self.written_raw_length) + self.sha256


@dataclass
class File:
    sections: list
    major: int = 1
    minor: int = 0
    header_size: int = 64
    file_length: int | None = None
    section_count: int | None = None
    content_id: bytes | None = None
    header_crc: int | None = None
    table_crc: int | None = None
    table_reserved: int = 0
    padding: bytes = b"\0"
    # Bytes behind the last section: counted in file_length, and not.
    tail: bytes = b""
    after: bytes = b""

    def section(self, tag, instance=0):
        return next(s for s in self.sections if s.tag == tag and s.instance == instance)

    def identity(self):
        if self.content_id is not None:
            return self.content_id
        return hashlib.sha256(b"".join(s.logical(s.instance) for s in self.sections)).digest()

    def identity_of(self, instance):
        """The content id of the file that holds one mask alone."""
        by_place = {(s.tag, s.instance): s for s in self.sections}
        alone = []
        for tag in ORDER:
            own = by_place.get((tag, instance))
            shared = by_place.get((tag, 0)) if tag in ("GEOM", "SCOR", "PROV") else None
            alone += [s for s in [own or shared] if s]
        alone += [s for s in self.sections if s.tag not in ORDER and s.instance == instance and s.flags == 2]
        return hashlib.sha256(b"".join(s.logical(0) for s in alone)).digest()

    def build(self):
        position = 64 + 72 * len(self.sections) + 8
        entries, body = b"", b""
        for s in self.sections:
            gap = -position % (64 if s.tag == "SCOR" else 8)
            body += self.padding * gap
            position += gap
            entries += s.tag_bytes + struct.pack(
                "<BBHQQQII32s",
                s.flags,
                s.codec,
                s.instance,
                position if s.offset is None else s.offset,
                len(s.stored) if s.stored_length is None else s.stored_length,
                s.written_raw_length,
                zlib.crc32(s.stored) if s.crc is None else s.crc,
                s.reserved32,
                s.sha256,
            )
            body += s.stored
            position += len(s.stored)
        body += self.tail
        position += len(self.tail)
        table_crc = zlib.crc32(entries) if self.table_crc is None else self.table_crc
        header = SIGNATURE + struct.pack(
            "<HHIQI",
            self.major,
            self.minor,
            self.header_size,
            position if self.file_length is None else self.file_length,
            len(self.sections) if self.section_count is None else self.section_count,
        )
        header += self.identity()
        header += struct.pack("<I", zlib.crc32(header) if self.header_crc is None else self.header_crc)
        return header + entries + struct.pack("<II", table_crc, self.table_reserved) + body + self.after


# --- content -----------------------------------------------------------------------------------


def layer(kv_heads, head_dim, query_heads=None, rotary_width=None, pairing=None, value_dim=None):
    """A layer's geometry as the sidecars have it; None = not known."""
    return {
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "value_dim": None if pairing is None else value_dim or head_dim,
        "query_heads": query_heads,
        "rotary_width": rotary_width,
        "pairing": pairing,
    }


def no_cache():
    """A layer without a K cache of heads."""
    return layer(0, 0)


def geom(layers):
    out = b""
    for item in layers:
        value_dim = item["value_dim"]
        out += struct.pack(
            "<BBHIIIII",
            item["pairing"] is not None,
            {None: 0, "none": 0, "half": 1, "interleaved": 2}[item["pairing"]],
            0,
            item["kv_heads"],
            item["head_dim"],
            0 if value_dim == item["head_dim"] else value_dim or 0,
            item["query_heads"] or 0,
            item["rotary_width"] or 0,
        )
    return out


def channel_order(item):
    width, pairing = item["rotary_width"], item["pairing"]
    if pairing is None:
        width, pairing = item["head_dim"] // 2 * 2, "half"
    if pairing != "half":
        return list(range(item["head_dim"]))
    order = []
    for j in range(width // 2):
        order += [j, j + width // 2]
    return order + list(range(width, item["head_dim"]))


def mask_bits(layers, mask):
    bits = "".join(
        head[channel] for item, heads in zip(layers, mask) for head in heads for channel in channel_order(item)
    )
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def algn(unit=32, rule="given", target_ratio=None, channels_kept=0):
    rule = ["given", "leank", "budget"].index(rule)
    return struct.pack("<IBBHdQ", unit, rule, target_ratio is not None, 0, target_ratio or 0.0, channels_kept)


def scor(kind, dtype, bits):
    head = struct.pack("<BBH", {"f32": 1, "f16": 2, "bf16": 3}[dtype], 0, len(kind)) + kind.encode()
    head += b"\0" * (-len(head) % 64)
    return head + b"".join(struct.pack("<I" if dtype == "f32" else "<H", b) for b in bits)


def depl(mode="windowed", sink=0, recent=0, accumulate=0, prefill="dense", empty_heads="absent"):
    return struct.pack(
        "<BBBBIII",
        {"static": 1, "windowed": 2}[mode],
        ["dense", "windowed"].index(prefill),
        ["absent", "zero"].index(empty_heads),
        0,
        sink,
        recent,
        accumulate,
    )


def prov_entry(key, value):
    return struct.pack("<HI", len(key), len(value)) + key + value


def prov(entries):
    pairs = sorted((k.encode(), v.encode()) for k, v in entries.items())
    return struct.pack("<I", len(pairs)) + b"".join(prov_entry(k, v) for k, v in pairs)


# --- zstd frames ---------------------------------------------------------------------------------


def xxh64(data):
    """XXH64 with seed 0, of which zstd's checksum is the lower half."""
    p1, p2, p3, p4, p5 = (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
    m = (1 << 64) - 1

    def rotate(x, n):
        return (x << n | x >> (64 - n)) & m

    def step(acc, lane):
        return rotate((acc + lane * p2) & m, 31) * p1 & m

    at = 0
    if len(data) >= 32:
        v = [(p1 + p2) & m, p2, 0, -p1 & m]
        while at + 32 <= len(data):
            v = [step(acc, lane) for acc, lane in zip(v, struct.unpack_from("<4Q", data, at))]
            at += 32
        h = sum(rotate(acc, n) for acc, n in zip(v, (1, 7, 12, 18))) & m
        for acc in v:
            h = ((h ^ step(0, acc)) * p1 + p4) & m
    else:
        h = p5
    h = (h + len(data)) & m
    while at + 8 <= len(data):
        h = (rotate(h ^ step(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & m
        at += 8
    if at + 4 <= len(data):
        h = (rotate(h ^ struct.unpack_from("<I", data, at)[0] * p1 & m, 23) * p2 + p3) & m
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ byte * p5 & m, 11) * p1 & m
    h = (h ^ h >> 33) * p2 & m
    h = (h ^ h >> 29) * p3 & m
    return h ^ h >> 32


def block(kind, size, payload, last=False):
    return (last | kind << 1 | size << 3).to_bytes(3, "little") + payload


def rle_blocks(raw):
    """Blocks of one repeated byte each; the shortest frame that needs no entropy coder."""
    assert len(set(raw)) == 1
    sizes = [131072] * (len(raw) // 131072) + ([len(raw) % 131072] if len(raw) % 131072 else [])
    return b"".join(block(1, size, raw[:1], i == len(sizes) - 1) for i, size in enumerate(sizes))


def frame(raw, blocks=None, descriptor=None, window=b"", size=None, checksum=None, magic=0xFD2FB528):
    """A frame put together by hand; `size` is the content size field as bytes."""
    if size is None:
        if len(raw) < 256:
            size, code = struct.pack("<B", len(raw)), 0
        elif len(raw) < 65792:
            size, code = struct.pack("<H", len(raw) - 256), 1
        else:
            size, code = struct.pack("<I", len(raw)), 2
        descriptor = code << 6 | 0x24 if descriptor is None else descriptor
    if blocks is None:
        blocks = rle_blocks(raw)
    if checksum is None:
        checksum = struct.pack("<I", xxh64(raw) & 0xFFFFFFFF)
    return struct.pack("<IB", magic, descriptor) + window + size + blocks + checksum


def zstd(raw):
    """What the zstd command makes of it; differs between its versions, which no test depends on."""
    command = ["zstd", "-19", "-q", "-c", "--single-thread", "--check", f"--stream-size={len(raw)}"]
    return subprocess.run(command, input=raw, stdout=subprocess.PIPE, check=True).stdout


def compressed(section, stored=None):
    """The section with codec 1."""
    section.codec = 1
    section.stored = zstd(section.raw) if stored is None else stored
    return section


# --- whole documents -------------------------------------------------------------------------------


@dataclass
class Mask:
    """What a file says of one mask, in the sidecars' terms."""

    mask: list
    alignment: dict | None = None
    scores: dict | None = None
    deployment: dict | None = None
    provenance: dict = field(default_factory=dict)

    def sections(self, layers, instance):
        yield Section("MASK", mask_bits(layers, self.mask), instance=instance)
        if self.alignment:
            kept = sum(head.count("1") for heads in self.mask for head in heads)
            self.alignment["channels_kept"] = kept
            yield Section("ALGN", algn(**self.alignment), instance=instance)
        if self.scores:
            yield Section("SCOR", scor(**self.scores), instance=instance)
        if self.deployment:
            yield Section("DEPL", depl(**self.deployment), instance=instance)
        if self.provenance:
            yield Section("PROV", prov(self.provenance), instance=instance)

    def sidecar(self, main):
        scores = self.scores or main.scores
        windowed = {"prefill": "dense", "empty_heads": "absent"}
        return {
            "mask": self.mask,
            "alignment": self.alignment,
            "scores": scores
            and {"kind": scores["kind"], "dtype": scores["dtype"], "bits": " ".join(f"{b:x}" for b in scores["bits"])},
            "deployment": self.deployment
            and ({"mode": "static"} if self.deployment["mode"] == "static" else windowed | self.deployment),
            "provenance": self.provenance or main.provenance,
        }


@dataclass
class Document:
    """What a file says, and how to write it. `unknown` are sections that are not in the text, or not understood."""

    layers: list
    masks: list
    unknown: list = field(default_factory=list)

    def file(self, **options):
        sections = [Section("GEOM", geom(self.layers))] + list(self.unknown)
        for instance, mask in enumerate(self.masks):
            sections += mask.sections(self.layers, instance)
        known = {tag: index for index, tag in enumerate(ORDER)}
        sections.sort(key=lambda s: (known.get(s.tag, len(known)), s.tag_bytes, s.instance))
        return File(sections, **options)

    def sidecar(self, file, describes):
        hidden = {(s.tag, s.instance) for s in self.unknown}
        return {
            "describes": describes,
            "outcome": "valid",
            "version": [file.major, file.minor],
            "content_id": file.identity().hex(),
            "sections": [
                {
                    "tag": s.tag,
                    "instance": s.instance,
                    "flags": s.flags,
                    "codec": s.codec,
                    "raw_length": len(s.raw),
                    "content_sha256": s.sha256.hex(),
                }
                for s in file.sections
            ],
            "layers": self.layers,
            "instances": [
                {"identity": file.identity_of(n).hex()} | mask.sidecar(self.masks[0])
                for n, mask in enumerate(self.masks)
            ],
            "not_understood": [
                {"tag": s.tag, "instance": s.instance, "safe_to_copy": s.flags == 2, "hex": s.raw.hex()}
                for s in file.sections
                if (s.tag, s.instance) in hidden
            ],
        }
