"""Broken files with their class of refusal, one fault each but where two show their order. Checksums hold unless they are the fault."""

import struct
import zlib

from container import (
    SIGNATURE,
    Mask,
    Section,
    algn,
    block,
    compressed,
    depl,
    frame,
    geom,
    layer,
    prov,
    prov_entry,
    scor,
    zstd,
)
from valid import document, small


def base(**parts):
    """A file of one mask with all sections, into which faults are put."""
    return document(
        [layer(1, 9, 2, 8, "half")],
        [["110100101"]],
        alignment={"unit": 5, "rule": "leank", "target_ratio": 0.5},
        scores={"kind": "leank.alpha", "dtype": "f32", "bits": [0x3F000000] * 9},
        deployment={"mode": "windowed", "sink": 4, "recent": 16, "accumulate": 4},
        provenance={"model": "example/model"},
        unknown=[Section("NOTE", b"hello", flags=2)],
        **parts,
    ).file()


def scenarios():
    """name: (class, description, bytes)"""
    out = {}

    def add(name, refusal, describes, content):
        assert name not in out, name
        out[name] = (refusal, describes, content)

    for part in (front, ends, header, table, order_and_layout, instances, lengths, frames, limits, checks_in_order):
        part(add)
    for part in (geometry, mask, alignment, scores, deployment, provenance):
        part(add)
    return out


def with_options(**options):
    """The base file with other header fields."""
    file = base()
    for key, value in options.items():
        setattr(file, key, value)
    return file.build()


def with_section(name, /, **changes):
    """The base file with changed fields in one section; a new `raw` is stored as it is."""
    file = base()
    section = file.section(name)
    if "raw" in changes:
        section.stored = changes["raw"]
    for key, value in changes.items():
        setattr(section, key, value)
    return file.build()


def patched(raw, offset, form, *values):
    """`raw` with values packed over the bytes at `offset`."""
    new = struct.pack("<" + form, *values)
    return raw[:offset] + new + raw[offset + len(new) :]


def with_field(tag, offset, form, *values):
    """The base file with one field of one section changed."""
    return with_section(tag, raw=patched(base().section(tag).raw, offset, form, *values))


# --- the front of the file ---------------------------------------------------------------------------------


def front(add):
    good = base().build()
    for name, content in {
        "text": b"this is not a mask\n",
        "zeros": bytes(64),
        "zip": b"PK\x03\x04" + bytes(60),
        "numpy": b"\x93NUMPY\x01\x00" + bytes(60),
        "safetensors": struct.pack("<Q", 16) + b'{"mask":{}}     ',
        "gguf": b"GGUF\x03\0\0\0" + bytes(60),
        "gzip": b"\x1f\x8b\x08\0" + bytes(60),
        "zstd": zstd(good),
        "git_lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "web_page": b"<!doctype html><title>404</title>",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(60),
        "signature_last_byte": SIGNATURE[:7] + b"\x0b" + good[8:],
        "byte_order_mark": b"\xef\xbb\xbf" + good,
    }.items():
        add(f"signature_{name}", "signature", f"another file: {name}", content)
    draft = bytes.fromhex("894c4e4b0d0a1a0a")
    add("draft_front", "major_version", "the front of a draft of the format", draft + good[8:])
    add("draft_signature", "major_version", "the signature of a draft alone", draft)
    add("draft_cut", "signature", "a part of a draft's signature", draft[:7])
    unix = good.replace(b"\r\n", b"\n")
    dos = good.replace(b"\n", b"\r\n")
    for name, content in {
        "crlf_to_lf": unix,
        "lf_to_crlf": dos,
        "lone_lf_to_crlf": good.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        "lf_removed": good.replace(b"\n", b""),
        "lf_to_cr": good.replace(b"\n", b"\r"),
        "seven_bits": bytes(b & 0x7F for b in good),
        "latin_1_to_utf8": good.decode("latin-1").encode(),
        "replacement_characters": good.decode("utf-8", "replace").encode(),
        "first_byte_lost": good[1:],
    }.items():
        add(f"transfer_{name}", "transfer_damage", f"transfer damage: {name}", content)


def ends(add):
    good = base().build()
    for length in (0, 1, 7, 8, 63, 64, 65, 200, len(good) - 1):
        add(f"truncated_to_{length}", "truncated", f"the first {length} bytes", good[:length])
    add("file_length_larger", "truncated", "file_length counts a byte too many",
        with_options(file_length=len(good) + 1))
    add("trailing_newline", "trailing_bytes", "a newline behind the file", good + b"\n")
    add("trailing_zero", "trailing_bytes", "a zero behind the file", good + b"\0")
    add("trailing_file", "trailing_bytes", "two files in one", good + good)
    add("trailing_zero_counted", "trailing_bytes", "a zero behind the last section, counted by file_length",
        with_options(tail=b"\0"))
    add("trailing_padding_counted", "trailing_bytes", "padding behind the last section",
        with_options(tail=bytes(-len(good) % 8)))
    add("file_length_smaller", "trailing_bytes", "file_length counts a byte too few",
        with_options(file_length=len(good) - 1))
    add("file_length_0", "trailing_bytes", "file_length 0", with_options(file_length=0))


def header(add):
    good = base().build()
    for major in (0, 2, 256, 65535):
        add(f"major_{major}", "major_version", f"major version {major}", with_options(major=major))
    add("major_2_other_header", "major_version", "major version 2 with a header of another shape",
        SIGNATURE + struct.pack("<HHI", 2, 0, 128) + bytes(range(200)))
    add("header_checksum_0", "header_checksum", "header_crc32 0", with_options(header_crc=0))
    for name, offset in (("minor", 10), ("header_size", 12), ("file_length", 16), ("section_count", 24),
                         ("content_id", 28), ("crc", 60)):
        flipped = bytearray(good)
        flipped[offset] ^= 1
        add(f"header_flip_{name}", "header_checksum", f"a flipped bit in {name}", bytes(flipped))
    for size in (0, 56, 72, 2**32 - 1):
        add(f"header_size_{size}", "header_size", f"header_size {size}", with_options(header_size=size))
    add("content_id_0", "content_id", "a content id of zeros", with_options(content_id=bytes(32)))
    add("content_id_of_another", "content_id", "the content id of another file",
        with_options(content_id=small().file().identity()))
    swapped = base()
    add("content_id_reversed", "content_id", "the content id with its bytes reversed",
        with_options(content_id=swapped.identity()[::-1]))


# --- the table -----------------------------------------------------------------------------------------------


def table(add):
    good = base().build()
    add("table_checksum_0", "table_checksum", "table_crc32 0", with_options(table_crc=0))
    for name, offset in (("tag", 0), ("flags", 4), ("codec", 5), ("offset", 8), ("stored_length", 16),
                         ("instance", 6), ("raw_length", 24), ("section_crc32", 32), ("content_sha256", 40)):
        flipped = bytearray(good)
        flipped[64 + 72 + offset] ^= 1
        add(f"table_flip_{name}", "table_checksum", f"a flipped bit in {name} of MASK", bytes(flipped))
    add("table_reserved", "reserved", "the bytes behind table_crc32 are not zero", with_options(table_reserved=1))
    for name, tag in (("lower_case", b"nOTE"), ("lower_case_later", b"NOTe"), ("digit_first", b"1OTE"),
                      ("space", b"NOT "), ("zero", b"NOT\0"), ("high_bit", b"NOT\xc5"), ("zeros", b"\0\0\0\0")):
        add(f"tag_{name}", "section_tag", f"a tag {tag!r}", with_section("NOTE", tag=tag))
    for tag, flags in (("GEOM", 0), ("GEOM", 3), ("MASK", 2), ("ALGN", 0), ("ALGN", 3), ("SCOR", 0), ("DEPL", 1),
                       ("PROV", 1), ("NOTE", 4), ("NOTE", 128)):
        add(f"flags_{tag.lower()}_{flags}", "section_flags", f"{tag} with flags {flags}",
            with_section(tag, flags=flags))
    add("unknown_critical", "unknown_critical_section", "an unknown section that is critical",
        with_section("NOTE", flags=1))
    add("unknown_critical_safe_to_copy", "unknown_critical_section", "critical and safe to copy",
        with_section("NOTE", flags=3))
    add("unknown_critical_experimental", "unknown_critical_section", "an experimental section that is critical",
        with_section("NOTE", tag="XNEW", flags=1))
    future = base()
    future.minor = 1
    future.section("NOTE").flags = 1
    add("future_critical", "unknown_critical_section", "minor version 1 with a critical section of its own",
        future.build())
    for tag in ("MASK", "SCOR", "NOTE"):
        add(f"codec_2_{tag.lower()}", "codec", f"codec 2 in {tag}", with_section(tag, codec=2))
    add("codec_255", "codec", "codec 255", with_section("GEOM", codec=255))
    add("codec_1_scor", "codec", "scores compressed by zstd", with_section("SCOR", codec=1, stored=b"\0"))
    for tag in ("GEOM", "NOTE"):
        add(f"entry_reserved32_{tag.lower()}", "reserved", f"reserved bytes 36 to 39 of the entry of {tag}",
            with_section(tag, reserved32=0x80000000))
    for tag in ("GEOM", "MASK", "ALGN", "SCOR", "DEPL", "PROV", "NOTE"):
        raw = base().section(tag).raw
        add(f"section_flip_{tag.lower()}", "section_checksum", f"a flipped bit in {tag}",
            with_section(tag, stored=bytes([raw[0] ^ 1]) + raw[1:], crc=zlib.crc32(raw)))
    add("section_checksum_0", "section_checksum", "section_crc32 0", with_section("SCOR", crc=0))
    for tag in ("GEOM", "MASK", "SCOR", "NOTE"):
        add(f"section_digest_{tag.lower()}", "section_digest", f"content_sha256 of {tag} is another's",
            with_section(tag, digest=bytes(range(32))))


def order_and_layout(add):
    def reordered(tags):
        file = base()
        file.sections = [file.section(tag) for tag in tags.split()]
        return file.build()

    for name, tags in (
        ("mask_first", "MASK GEOM ALGN SCOR DEPL PROV NOTE"),
        ("algn_before_mask", "GEOM ALGN MASK SCOR DEPL PROV NOTE"),
        ("prov_before_depl", "GEOM MASK ALGN SCOR PROV DEPL NOTE"),
        ("unknown_before_prov", "GEOM MASK ALGN SCOR DEPL NOTE PROV"),
        ("unknown_first", "NOTE GEOM MASK ALGN SCOR DEPL PROV"),
        ("mask_twice", "GEOM MASK MASK ALGN SCOR DEPL PROV NOTE"),
        ("geom_twice", "GEOM GEOM MASK"),
        ("depl_twice", "GEOM MASK DEPL DEPL"),
        ("unknown_twice", "GEOM MASK NOTE NOTE"),
    ):
        add(f"order_{name}", "section_order", f"order of sections: {tags}", reordered(tags))
    file = base()
    file.sections.append(Section("ABCD", b"", flags=0))
    add("order_unknown_descending", "section_order", "unknown sections not in ascending order", file.build())
    for name, tags in (("mask", "GEOM ALGN"), ("geom", "MASK"), ("both", "NOTE"), ("everything", "")):
        add(f"missing_{name}", "missing_section", f"only these sections: {tags or 'none'}", reordered(tags))

    good = base()
    offsets = {"GEOM": 64 + 72 * 7 + 8}
    for name, tag, offset in (
        ("gap", "GEOM", offsets["GEOM"] + 8),
        ("unaligned", "GEOM", offsets["GEOM"] + 1),
        ("in_table", "GEOM", offsets["GEOM"] - 8),
        ("zero", "GEOM", 0),
        ("overlap", "MASK", offsets["GEOM"]),
        ("largest", "MASK", 2**64 - 1),
        ("wraps", "MASK", 2**64 - 8),
        ("sign", "MASK", 2**63),
        ("scores_at_8", "SCOR", offsets["GEOM"] + 24 + 8 + 24),
    ):
        add(f"offset_{name}", "section_layout", f"offset of {tag} {offset}", with_section(tag, offset=offset))
    note = Section("NOTE", bytes(200), flags=2)
    file = small(unknown=[note]).file()
    note.stored = bytes(5)
    note.stored_length = 200
    add("section_beyond_file", "section_layout", "a section longer than the file", file.build())
    add("table_beyond_file", "section_layout", "a table longer than the file", with_options(section_count=40))
    add("padding_between_sections", "padding", "padding that is not zero", with_options(padding=b"\1"))
    good.padding = b"\xff"
    good.sections = [good.section("GEOM"), good.section("MASK"), good.section("DEPL")]
    add("padding_of_ones", "padding", "padding of ones", good.build())
    built = bytearray(base().build())
    scores = int.from_bytes(built[64 + 72 * 3 + 8 : 64 + 72 * 3 + 16], "little")
    built[scores - 1] = 1
    add("padding_before_scores", "padding", "the byte before SCOR, which begins at a multiple of 64", bytes(built))


def instances(add):
    def with_masks(count, *sections, masks=None):
        """A file of `count` masks with `sections` in their order; `masks` in place of the instances 0, 1, ..."""
        file = small(more=[Mask([["11110000"]]) for _ in range(count - 1)], unknown=sections).file()
        for section, instance in zip([s for s in file.sections if s.tag == "MASK"], masks or range(count)):
            section.instance = instance
        return file.build()

    window = depl("windowed", 4, 8, 2)
    for name, describes, content in (
        ("geom_1", "GEOM of instance 1", with_section("GEOM", instance=1)),
        ("mask_1_only", "a single MASK of instance 1", with_masks(1, masks=[1])),
        ("mask_gap", "MASK of instances 0 and 2", with_masks(2, masks=[0, 2])),
        ("mask_from_1", "MASK of instances 1 and 2", with_masks(2, masks=[1, 2])),
        ("mask_largest", "MASK of instances 0 and 65535", with_masks(2, masks=[0, 65535])),
        ("algn_without_mask", "ALGN of an instance that has no MASK",
         with_masks(1, Section("ALGN", algn(4, "given", None, 4), instance=1))),
        ("scor_without_mask", "SCOR of an instance that has no MASK",
         with_masks(2, Section("SCOR", scor("k", "f16", [0] * 8), instance=2))),
        ("depl_without_mask", "DEPL of an instance that has no MASK",
         with_masks(2, Section("DEPL", window, instance=65535))),
        ("prov_without_mask", "PROV of an instance that has no MASK",
         with_masks(1, Section("PROV", prov({"k": "v"}), instance=1))),
        ("unknown_without_mask", "an unknown section of an instance that has no MASK",
         with_masks(2, Section("NOTE", b"", instance=2))),
    ):
        add(f"instance_{name}", "instance", describes, content)
    add("order_two_geoms", "instance", "GEOM twice, as instances 0 and 1",
        with_masks(2, Section("GEOM", small().file().section("GEOM").raw, instance=1)))
    for name, masks in (("descending", [1, 0]), ("twice", [0, 0])):
        add(f"order_instances_{name}", "section_order", f"MASK of instances {masks}", with_masks(2, masks=masks))
    add("order_by_instance_first", "section_order", "instance by instance, not tag by tag", (lambda f: (
        f.sections.insert(1, f.sections.pop()), f.build())[1])(
            small(more=[Mask([["11110000"]], deployment={"mode": "static"})]).file()))
    scores = scor("k", "f16", [0] * 8)
    add("redundant_scores", "redundant_section", "instance 1 has the scores of instance 0 once more",
        with_masks(2, Section("SCOR", scores), Section("SCOR", scores, instance=1)))
    add("redundant_provenance", "redundant_section", "instance 2 has the provenance of instance 0 once more",
        with_masks(3, Section("PROV", prov({"k": "v"})), Section("PROV", prov({"k": "v"}), instance=2)))
    add("instance_alignment", "alignment", "channels_kept of instance 1 is that of instance 0",
        with_masks(2, Section("ALGN", algn(4, "given", None, 4)),
                   Section("ALGN", algn(4, "given", None, 5), instance=1)))
    add("instance_mask_bits", "mask_bits", "an unused bit in the MASK of instance 1",
        (lambda f: (setattr(f.section("MASK", 1), "raw", b"\xf0\x02"), setattr(f.section("MASK", 1), "stored", b"\xf0\x02"),
                    f.build())[2])(document([layer(1, 9, 2, 8, "half")], [["1" * 9]], more=[Mask([["0" * 9]])]).file()))


def checks_in_order(add):
    """Two faults a file: the class is that of the check that section 6 has first."""
    good = base().build()

    def scores(**changes):
        raw = bytearray(base().section("SCOR").raw)
        for offset, value in changes.values():
            raw[offset] = value
        return with_section("SCOR", raw=bytes(raw))

    for name, refusal, describes, content in (
        ("major_and_checksum", "major_version", "major version 2 and a wrong header_crc32", with_options(major=2, header_crc=0)),
        ("major_and_truncated", "truncated", "a header of major version 2 that is cut off", with_options(major=2)[:63]),
        ("header_size_and_length", "header_size", "header_size 72 and file_length 0", with_options(header_size=72, file_length=0)),
        ("length_limit_and_truncated", "limit", "file_length above the limit, the file shorter", with_options(file_length=1 << 40)),
        ("length_and_sections", "trailing_bytes", "file_length too small and 65 sections", with_options(file_length=100, section_count=65)),
        ("table_checksum_and_reserved", "table_checksum", "table_crc32 0 and the bytes behind it", with_options(table_crc=0, table_reserved=1)),
        ("tag_and_flags", "section_tag", "a tag in lower case with flags 4", with_section("NOTE", tag=b"note", flags=4)),
        ("flags_and_codec", "section_flags", "flags 1 and codec 2 in DEPL", with_section("DEPL", flags=1, codec=2)),
        ("flags_and_critical", "section_flags", "an unknown section with flags 5", with_section("NOTE", flags=5)),
        ("codec_and_reserved", "codec", "codec 2 and reserved bytes", with_section("MASK", codec=2, reserved32=1)),
        ("reserved_and_order", "reserved", "reserved bytes in a section that is out of order",
         with_section("PROV", tag="DEPL", reserved32=1)),
        ("order_and_limit", "section_order", "a doubled section of 2^64 - 1 bytes", with_section("PROV", tag="DEPL", raw_length=2**64 - 1)),
        ("limit_and_length", "limit", "a raw_length of 2^63 with codec 0", with_section("NOTE", raw_length=2**63)),
        ("length_and_offset", "section_length", "raw_length and offset wrong", with_section("NOTE", raw_length=9, offset=0)),
        ("offset_and_padding", "section_layout", "offset wrong and padding not zero",
         (lambda f: (setattr(f, "padding", b"\1"), setattr(f.section("ALGN"), "offset", 0), f.build())[2])(
             (lambda f: (setattr(f, "sections", [f.section("GEOM"), f.section("MASK"), f.section("ALGN")]), f)[1])(base()))),
        ("missing_and_instance", "missing_section", "no GEOM, and MASK of instance 1", (lambda f: (
            f.sections.pop(0), setattr(f.sections[0], "instance", 1), f.build())[2])(small().file())),
        ("instance_and_trailing", "instance", "DEPL of instance 7 and a byte behind it", (lambda f: (
            setattr(f.section("NOTE"), "instance", 7), setattr(f, "tail", b"\0"), f.build())[2])(base())),
        ("trailing_and_content_id", "trailing_bytes", "a byte behind the last section and a content id of zeros",
         with_options(tail=b"\0", content_id=bytes(32))),
        ("content_id_and_checksum", "content_id", "a content id of zeros and section_crc32 0", (lambda f: (
            setattr(f.section("GEOM"), "crc", 0), setattr(f, "content_id", bytes(32)), f.build())[2])(base())),
        ("checksum_of_the_last", "section_checksum", "GEOM of 0 bytes, and section_crc32 0 in NOTE", (lambda f: (
            setattr(f.section("GEOM"), "raw", b""), setattr(f.section("GEOM"), "stored", b""),
            setattr(f.section("NOTE"), "crc", 0), f.build())[3])(base())),
        ("length_and_digest", "section_length", "MASK of 3 bytes with the digest of others", with_section("MASK", raw=bytes(3), digest=bytes(32))),
        ("digest_and_content", "section_digest", "GEOM with kv_heads 0 and the digest of others",
         with_section("GEOM", raw=patched(base().section("GEOM").raw, 4, "I", 0), digest=bytes(32))),
        ("content_in_table_order", "alignment", "ALGN with unit 0, PROV with a count of 0", (lambda f: (
            setattr(f.section("ALGN"), "raw", bytes(24)), setattr(f.section("ALGN"), "stored", bytes(24)),
            setattr(f.section("PROV"), "raw", bytes(4)), setattr(f.section("PROV"), "stored", bytes(4)), f.build())[4])(base())),
        ("geometry_known_first", "unknown_value", "attention_known 2 and kv_heads above the limit",
         with_section("GEOM", raw=patched(patched(base().section("GEOM").raw, 0, "B", 2), 4, "I", 5000))),
        ("geometry_reserved_and_limit", "reserved", "reserved bytes and kv_heads above the limit",
         with_section("GEOM", raw=patched(patched(base().section("GEOM").raw, 2, "H", 2), 4, "I", 5000))),
        ("geometry_limit_and_zero", "limit", "kv_heads 0 and head_dim 4097", with_field("GEOM", 4, "II", 0, 4097)),
        ("alignment_reserved_and_unit", "reserved", "unit 4097 and reserved bytes",
         with_section("ALGN", raw=patched(patched(base().section("ALGN").raw, 0, "I", 4097), 6, "H", 1))),
        ("alignment_unit_and_kept", "limit", "unit 4097 and channels_kept 0",
         with_section("ALGN", raw=patched(patched(base().section("ALGN").raw, 0, "I", 4097), 16, "Q", 0))),
        ("scores_reserved_and_length", "reserved", "the reserved byte and a kind_length beyond the section", scores(a=(1, 1), b=(3, 255))),
        ("scores_length_and_name", "scores", "a kind with a space, and a score too many",
         with_section("SCOR", raw=scor("two words", "f32", [0] * 10))),
        ("scores_name_and_padding", "name", "a kind with a space, and padding", scores(a=(4, 32), b=(63, 1))),
        ("scores_padding_and_score", "padding", "padding, and a score that is NaN", scores(a=(63, 1), b=(67, 255))),
        ("provenance_count_and_limit", "provenance", "a count of 0 with 1025 entries",
         with_section("PROV", raw=struct.pack("<I", 0) + bytes(12))),
        ("provenance_limit_and_end", "limit", "a value of 65,537 bytes that are not there", with_field("PROV", 6, "I", 65537)),
        ("provenance_name_and_order", "name", "a key of no bytes behind another",
         with_section("PROV", raw=struct.pack("<I", 2) + prov_entry(b"k", b"") + prov_entry(b"", b""))),
        ("provenance_name_and_text", "name", "a key with a space and a value that is not UTF-8",
         with_section("PROV", raw=struct.pack("<I", 1) + prov_entry(b"k k", b"\xff"))),
        ("truncated_and_damaged", "truncated", "a file that is cut, with a wrong table_crc32", with_options(table_crc=0)[:-1]),
        ("trailing_and_damaged", "trailing_bytes", "a byte behind a file with a wrong table_crc32", with_options(table_crc=0) + b"\0"),
        ("signature_and_short", "signature", "three bytes of another file", b"abc"),
        ("damage_and_short", "transfer_damage", "five bytes of a file whose line ends were converted", good[:4] + b"\n"),
    ):
        add(f"order_of_checks_{name}", refusal, describes, content)


def lengths(add):
    add("raw_stored_shorter", "section_length", "codec 0 with raw_length above stored_length",
        with_section("NOTE", raw_length=6))
    add("raw_stored_longer", "section_length", "codec 0 with raw_length below stored_length",
        with_section("NOTE", raw_length=4))
    raw = base().section("PROV").raw
    longer = frame(raw, block(0, len(raw), raw, True))
    add("zstd_not_shorter", "section_length", "a zstd frame longer than its content",
        with_section("PROV", codec=1, stored=longer))
    equal = bytes(20)
    add("zstd_as_long", "section_length", "a zstd frame as long as its content",
        with_section("NOTE", codec=1, raw=equal, stored=frame(equal, block(1, 20, b"\0", True), checksum=bytes(10))))
    for tag, raw in (
        ("GEOM", b""), ("GEOM", bytes(20)), ("GEOM", bytes(25)), ("MASK", b""), ("MASK", b"\xff"), ("MASK", bytes(3)),
        ("ALGN", bytes(23)), ("ALGN", bytes(32)), ("ALGN", b""), ("DEPL", bytes(12)), ("DEPL", bytes(17)),
        ("SCOR", b""), ("SCOR", bytes(63)), ("PROV", b""), ("PROV", bytes(3)),
    ):
        add(f"length_{tag.lower()}_{len(raw)}", "section_length", f"{tag} of {len(raw)} bytes",
            with_section(tag, raw=raw))


# --- zstd ------------------------------------------------------------------------------------------------------


def frames(add):
    def with_frame(stored, raw=b"\xff" * 32):
        """64 heads of 4 channels, all kept, so that MASK is 32 bytes of ones."""
        file = document([layer(64, 4, 64, 4, "half")], [["1111"] * 64]).file()
        compressed(file.section("MASK"), stored)
        return file.build()

    raw = b"\xff" * 32
    good = frame(raw)
    for name, describes, stored in (
        ("magic", "another magic number", frame(raw, magic=0xFD2FB529)),
        ("legacy", "the magic number of zstd 0.7", frame(raw, magic=0xFD2FB527)),
        ("skippable", "a skippable frame", struct.pack("<II", 0x184D2A50, 4) + b"skip"),
        ("skippable_first", "a skippable frame before the frame", struct.pack("<II", 0x184D2A50, 0) + good),
        ("reserved_bit", "the reserved bit of the frame header", frame(raw, descriptor=0x2C, size=b"\x20")),
        ("no_checksum", "no checksum", frame(raw, descriptor=0x20, size=b"\x20", checksum=b"")),
        ("wrong_checksum", "a wrong checksum", frame(raw, checksum=bytes(4))),
        ("dictionary", "a dictionary id", frame(raw, descriptor=0x25, size=b"\x00\x20")),
        ("dictionary_4", "a dictionary id of 4 bytes", frame(raw, descriptor=0x27, size=b"\x01\0\0\0\x20")),
        ("no_content_size", "no content size", frame(raw, descriptor=0x04, window=b"\0", size=b"")),
        ("content_size_smaller", "a content size of 31", frame(raw, descriptor=0x24, size=b"\x1f")),
        ("content_size_larger", "a content size of 33", frame(raw, descriptor=0x24, size=b"\x21")),
        ("content_size_huge", "a content size of 2^64 - 1", frame(raw, descriptor=0xC4, window=b"\0", size=b"\xff" * 8)),
        ("content_shorter", "blocks of 31 bytes in all", frame(raw, block(1, 31, b"\xff", True))),
        ("content_longer", "blocks of 33 bytes in all", frame(raw, block(1, 32, b"\xff") + block(1, 1, b"\xff", True))),
        ("two_frames", "half the content in each of two frames", frame(raw[:16]) + frame(raw[16:])),
        ("trailing_byte", "a byte behind the frame", good + b"\0"),
        ("cut_checksum", "the frame ends inside its checksum", good[:-1]),
        ("cut_block", "the frame ends inside a block", frame(raw, block(0, 32, b"\xff"), checksum=b"")),
        ("cut_header", "the frame ends inside its header", good[:5]),
        ("cut_descriptor", "the frame is its magic number", good[:4]),
        ("no_last_block", "no block is the last", frame(raw, block(1, 32, b"\xff"))),
        ("block_type_3", "a block of the reserved type", frame(raw, block(3, 1, b"\xff", True))),
        ("block_too_large", "an RLE block above 128 KiB", frame(raw, block(1, 131073, b"\xff", True))),
        ("block_above_content", "an RLE block longer than the content, which is the window",
         frame(raw, block(1, 33, b"\xff", True))),
        ("corrupt_block", "a compressed block of nonsense", frame(raw, block(2, 5, b"\xff" * 5, True))),
        ("not_a_frame", "bytes that are no frame", b"\xff" * 20),
    ):
        add(f"zstd_{name}", "zstd_frame", describes, with_frame(stored))
    large = document([layer(4, 4096, 4, 4096, "half")], [["1" * 4096] * 4]).file()
    content = large.section("MASK").raw
    compressed(large.section("MASK"), frame(content, descriptor=0x44, window=b"\0"))
    add("zstd_block_above_window", "zstd_frame", "an RLE block of 2 KiB in a window of 1 KiB", large.build())
    add("zstd_window_above_limit", "limit", "a window of 9 MiB",
        with_frame(frame(raw, descriptor=0x84, window=b"\x69", size=struct.pack("<I", 32))))
    add("zstd_window_largest", "limit", "the largest window",
        with_frame(frame(raw, descriptor=0x84, window=b"\xff", size=struct.pack("<I", 32))))
    add("zstd_single_segment_largest", "limit", "a single segment of 2^64 - 1 bytes",
        with_frame(frame(raw, block(1, 32, b"\xff", True), descriptor=0xE4, size=b"\xff" * 8)))
    content = bytes(9 << 20)
    file = small(unknown=[compressed(Section("NOTE", content, flags=2), frame(content))]).file()
    add("zstd_single_segment_above_limit", "limit", "a single segment of 9 MiB", file.build())


# --- limits ------------------------------------------------------------------------------------------------------


def limits(add):
    add("limit_file_length", "limit", "file_length above 256 MiB", with_options(file_length=(256 << 20) + 1))
    add("limit_file_length_largest", "limit", "file_length 2^64 - 1", with_options(file_length=2**64 - 1))
    add("limit_file_length_sign", "limit", "file_length 2^63", with_options(file_length=2**63))
    file = small(unknown=[Section(f"T{i:03d}", b"", flags=0) for i in range(63)]).file()
    add("limit_sections", "limit", "65 sections", file.build())
    add("limit_section_count_largest", "limit", "section_count 2^32 - 1", with_options(section_count=2**32 - 1))
    for name, length in (("largest", 2**64 - 1), ("sign", 2**63), ("largest_signed", 2**63 - 1),
                         ("above_64_mib", (64 << 20) + 1)):
        add(f"limit_raw_length_{name}", "limit", f"raw_length {length}", with_section("NOTE", raw_length=length, codec=1))
    half = compressed(Section("HALF", bytes(4), flags=0), bytes(1))
    other = compressed(Section("REST", bytes(4), flags=0), bytes(1))
    half.raw_length = other.raw_length = 40 << 20
    add("limit_raw_length_sum", "limit", "two sections of 40 MiB", small(unknown=[half, other]).file().build())

    def with_layers(layers):
        file = small().file()
        file.section("GEOM").raw = file.section("GEOM").stored = geom(layers)
        return file

    for name, item in (
        ("kv_heads", layer(4097, 1)),
        ("head_dim", layer(1, 4097)),
        ("value_dim", layer(1, 8, 2, 8, "half", 4097)),
        ("query_heads", layer(1, 8, 65537, 8, "half")),
        ("rotary_width", layer(1, 4096, 1, 4098, "half")),
        ("kv_heads_largest", layer(2**32 - 1, 1)),
        ("head_dim_largest", layer(1, 2**32 - 1)),
    ):
        add(f"limit_{name}", "limit", f"GEOM with {name} above the limit", with_layers([item]).build())

    def with_many(count, item):
        file = with_layers([item] * count)
        compressed(file.section("GEOM"))
        return file.build()

    add("limit_layers", "limit", "4097 layers", with_many(4097, layer(1, 1)))
    add("limit_heads", "limit", "2^20 + 4096 KV heads in all", with_many(257, layer(4096, 1)))
    add("limit_channels", "limit", "more than 2^28 channels in all", with_many(17, layer(4096, 4096)))
    file = with_layers([layer(1000, 4000)] * 4 + [layer(1, 8)])
    mask = bytes(2_000_001)
    file.sections[1] = compressed(Section("MASK", mask), frame(mask))
    file.sections.append(Section("SCOR", scor("k", "f16", [])))
    add("limit_scored_channels", "limit", "scores for 16,000,008 channels", file.build())
    content = bytes(524_289)
    file = small(provenance={"k": ""}).file()
    file.sections[-1] = compressed(Section("PROV", content), frame(content))
    add("limit_provenance_bytes", "limit", "a PROV of 524,289 bytes", file.build())
    many = struct.pack("<I", 1025) + b"".join(prov_entry(f"{i:04d}".encode(), b"") for i in range(1025))
    add("limit_provenance_entries", "limit", "1025 entries", with_section("PROV", raw=many))
    add("limit_provenance_count", "limit", "a count of 2^32 - 1", with_field("PROV", 0, "I", 2**32 - 1))
    long = struct.pack("<I", 1) + prov_entry(b"k", bytes(65_537))
    file = small(provenance={"k": ""}).file()
    file.sections[-1] = compressed(Section("PROV", long))
    add("limit_provenance_value", "limit", "a value of 65,537 bytes", file.build())
    add("limit_provenance_value_length", "limit", "a value_length of 2^32 - 1", with_field("PROV", 6, "I", 2**32 - 1))
    add("limit_unit", "limit", "unit 4097", with_field("ALGN", 0, "I", 4097))
    add("limit_unit_largest", "limit", "unit 2^32 - 1", with_field("ALGN", 0, "I", 2**32 - 1))


# --- content -------------------------------------------------------------------------------------------------------


def geometry(add):
    for name, describes, offset, form, value in (
        ("kv_heads_0", "kv_heads 0 with head_dim 9", 4, "I", 0),
        ("head_dim_0", "head_dim 0 with a KV head", 8, "I", 0),
        ("value_dim_of_keys", "value_dim is head_dim, which is said by 0", 12, "I", 9),
        ("query_heads_0", "query_heads 0 though attention is known", 16, "I", 0),
        ("rotary_odd", "rotary_width 7", 20, "I", 7),
        ("rotary_above_head", "rotary_width above head_dim", 20, "I", 10),
        ("rotary_0_with_pairs", "rotary_width 0 with half pairs", 20, "I", 0),
        ("pairing_0_with_rotary", "no pairs with rotary_width 8", 1, "B", 0),
        ("unknown_with_fields", "query_heads, rotary_width and pairing though attention is not known", 0, "B", 0),
    ):
        add(f"geometry_{name}", "geometry", describes, with_field("GEOM", offset, form, value))
    for name, pairing, values in (("value_dim", 0, (4, 0, 0)), ("query_heads", 0, (0, 2, 0)), ("rotary", 0, (0, 0, 2)),
                                  ("pairing", 2, (0, 0, 0))):
        add(f"geometry_unknown_with_{name}", "geometry", f"{name} though attention is not known",
            with_section("GEOM", raw=struct.pack("<BBHIIIII", 0, pairing, 0, 1, 9, *values)))

    def with_second_layer(*record):
        """The base file with a layer without a K cache of heads, whose record is this one."""
        return with_section("GEOM", raw=base().section("GEOM").raw + struct.pack("<BBHIIIII", *record))

    for name, record in (("attention_known", (1, 0, 0, 0, 0, 0, 0, 0)), ("pairing", (0, 1, 0, 0, 0, 0, 0, 0)),
                         ("head_dim", (0, 0, 0, 0, 4, 0, 0, 0)), ("value_dim", (0, 0, 0, 0, 0, 4, 0, 0)),
                         ("query_heads", (0, 0, 0, 0, 0, 0, 4, 0)), ("rotary", (0, 0, 0, 0, 0, 0, 0, 4))):
        add(f"geometry_no_heads_with_{name}", "geometry", f"{name} in a layer without heads", with_second_layer(*record))
    for count in (1, 3):
        file = base()
        file.sections = [Section("GEOM", bytes(24 * count)), Section("MASK", b"")]
        add(f"geometry_no_heads_in_{count}", "geometry", f"{count} layers, none of which has heads", file.build())
    add("geometry_query_heads_no_multiple", "geometry", "3 query heads for 2 KV heads",
        document([layer(2, 4, 3, 4, "half")], [["1000"] * 2]).file().build())
    add("geometry_query_heads_fewer", "geometry", "1 query head for 2 KV heads",
        document([layer(2, 4, 1, 4, "half")], [["1000"] * 2]).file().build())
    add("geometry_second_layer", "geometry", "a fault in the second layer",
        document([layer(1, 4, 1, 4, "half"), layer(1, 4, 1, 3, "half")], [["1000"], ["1000"]]).file().build())
    add("unknown_pairing", "unknown_value", "pairing 3", with_field("GEOM", 1, "B", 3))
    add("unknown_attention_known", "unknown_value", "attention_known 2", with_field("GEOM", 0, "B", 2))
    add("reserved_geom", "reserved", "reserved bytes of a layer", with_field("GEOM", 2, "H", 0x100))


def mask(add):
    good = base().section("MASK").raw
    add("mask_unused_bit_low", "mask_bits", "the first unused bit is set", with_field("MASK", 1, "B", good[1] | 2))
    add("mask_unused_bit_high", "mask_bits", "the last unused bit is set", with_field("MASK", 1, "B", good[1] | 128))
    add("mask_unused_bits", "mask_bits", "all unused bits are set", with_field("MASK", 1, "B", good[1] | 254))


def alignment(add):
    for name, value in (("nan", float("nan")), ("negative_zero", -0.0), ("above_1", 1.0000000000000002),
                        ("negative", -5e-324), ("infinite", float("inf"))):
        add(f"alignment_target_{name}", "alignment", f"target_ratio {name}", with_field("ALGN", 8, "d", value))
    add("alignment_target_without_flag", "alignment", "a target that has_target denies", with_field("ALGN", 5, "B", 0))
    add("alignment_unit_0", "alignment", "unit 0", with_field("ALGN", 0, "I", 0))
    for name, kept in (("more", 6), ("fewer", 4), ("huge", 2**64 - 1)):
        add(f"alignment_kept_{name}", "alignment", f"channels_kept {kept} where the mask keeps 5",
            with_field("ALGN", 16, "Q", kept))
    add("alignment_has_target_2", "alignment", "has_target 2", with_field("ALGN", 5, "B", 2))
    for rule in ("leank", "budget"):
        add(f"alignment_{rule}_not_met", "alignment", f"rule {rule}, and a head that keeps 4 of 8 with unit 3",
            small(alignment={"unit": 3, "rule": rule, "target_ratio": 0.5}).file().build())
    add("reserved_algn", "reserved", "reserved bytes of ALGN", with_field("ALGN", 6, "H", 1))


def scores(add):
    first = 64  # behind the kind "leank.alpha" and its padding
    for name, describes, pattern in (
        ("nan", "a NaN", 0x7FC00000),
        ("signalling_nan", "the first signalling NaN", 0x7F800001),
        ("negative_nan", "a NaN with its sign", 0xFFFFFFFF),
        ("negative_zero", "negative zero", 0x80000000),
        ("above_1", "an alpha just above 1", 0x3F800001),
        ("negative", "a negative alpha", 0x80000001),
        ("infinite", "an infinite alpha", 0x7F800000),
    ):
        add(f"scores_{name}", "scores", describes, with_field("SCOR", first + 8, "I", pattern))

    def with_scores(raw):
        return with_section("SCOR", raw=raw)

    for dtype, nan, zero, above in (("f16", 0x7E00, 0x8000, 0x3C01), ("bf16", 0x7FC0, 0x8000, 0x3F81)):
        for name, kind, pattern in (("nan", "k", nan), ("negative_zero", "k", zero), ("above_1", "leank.alpha", above)):
            add(f"scores_{dtype}_{name}", "scores", f"{name} in {dtype}",
                with_scores(scor(kind, dtype, [0] * 8 + [pattern])))
    for name, kind in (("space", "two words"), ("control", "tab\t"), ("delete", "del\x7f")):
        add(f"scores_kind_{name}", "name", f"a kind with {name}", with_scores(scor(kind, "f32", [0] * 9)))
    add("scores_kind_high_bit", "name", "a kind that is not ASCII",
        with_scores(scor("kkkk", "f32", [0] * 9).replace(b"kkkk", "ké.".encode())))
    add("scores_kind_0", "name", "a kind of no bytes", with_scores(scor("", "f32", [0] * 9)))
    add("scores_kind_256", "name", "a kind of 256 bytes", with_scores(scor("k" * 256, "f16", [0] * 9)))
    add("scores_kind_length", "scores", "a kind_length beyond the section", with_field("SCOR", 2, "H", 65535))
    add("scores_dtype_and_length", "scores", "f16 announced, f32 there", with_field("SCOR", 0, "B", 2))
    add("scores_one_more", "scores", "a score too many", with_scores(scor("k", "f32", [0] * 10)))
    add("scores_one_fewer", "scores", "a score too few", with_scores(scor("k", "f32", [0] * 8)))
    add("scores_between_lengths", "scores", "a length between those of f16 and f32",
        with_scores(scor("k", "f16", [0] * 9) + bytes(9)))
    add("scores_no_scores", "scores", "64 bytes, and no score", with_scores(scor("k", "f16", [])))
    add("scores_many", "scores", "a thousand scores too many", with_scores(scor("k", "f32", [0] * 1009)))
    add("reserved_scor", "reserved", "the reserved byte of SCOR", with_field("SCOR", 1, "B", 1))
    add("padding_scor", "padding", "padding behind kind that is not zero", with_field("SCOR", first - 1, "B", 1))


def deployment(add):
    for name, raw in (
        ("recent_0", depl("windowed", 4, 0, 4)),
        ("accumulate_0", depl("windowed", 4, 16, 0)),
        ("all_0", depl("windowed", 0, 0, 0)),
        ("sink_above", depl("windowed", 2**31, 16, 4)),
        ("recent_above", depl("windowed", 4, 2**31, 4)),
        ("accumulate_above", depl("windowed", 4, 16, 2**32 - 1)),
        ("static_sink", depl("static", 1, 0, 0)),
        ("static_recent", depl("static", 0, 1, 0)),
        ("static_accumulate", depl("static", 0, 0, 1)),
        ("static_prefill", depl("static", prefill="windowed")),
        ("static_empty_heads", depl("static", empty_heads="zero")),
    ):
        add(f"deployment_{name}", "deployment", f"deployment: {name}", with_section("DEPL", raw=raw))
    add("reserved_depl", "reserved", "the reserved byte of DEPL", with_field("DEPL", 3, "B", 1))


def provenance(add):
    def with_entries(*entries, count=None, tail=b""):
        body = b"".join(prov_entry(k, v) for k, v in entries)
        return with_section("PROV", raw=struct.pack("<I", len(entries) if count is None else count) + body + tail)

    for name, content in {
        "count_0": with_entries(),
        "count_0_with_entry": with_entries((b"k", b"v"), count=0),
        "count_larger": with_entries((b"k", b"v"), count=2),
        "count_smaller": with_entries((b"a", b"v"), (b"b", b"v"), count=1),
        "trailing_byte": with_entries((b"k", b"v"), tail=b"\0"),
        "cut_value": with_section("PROV", raw=struct.pack("<IHI", 1, 1, 5) + b"kvvvv"),
        "cut_key": with_section("PROV", raw=struct.pack("<IHI", 1, 9, 0) + b"key"),
        "cut_lengths": with_section("PROV", raw=struct.pack("<I", 1) + bytes(5)),
        "descending": with_entries((b"b", b""), (b"a", b"")),
        "twice": with_entries((b"a", b"1"), (b"a", b"2")),
        "prefix_behind": with_entries((b"aa", b""), (b"a", b"")),
        "key_empty": with_entries((b"", b"v")),
        "key_space": with_entries((b"two words", b"v")),
        "key_newline": with_entries((b"key\n", b"v")),
        "key_high_bit": with_entries(("clé".encode(), b"v")),
        "key_256": with_entries((b"k" * 256, b"v")),
        "value_latin_1": with_entries((b"k", b"caf\xe9")),
        "value_overlong": with_entries((b"k", b"\xc0\x80")),
        "value_surrogate": with_entries((b"k", b"\xed\xa0\x80")),
        "value_above_unicode": with_entries((b"k", b"\xf4\x90\x80\x80")),
        "value_cut_character": with_entries((b"k", b"\xe2\x82")),
    }.items():
        refusal = "name" if name.startswith("key_") else "provenance"
        add(f"provenance_{name}", refusal, f"provenance: {name}", content)
