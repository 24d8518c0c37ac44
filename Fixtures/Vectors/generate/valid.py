"""Sound files: one scenario each, with the values that a reader has to find."""

import random
import struct

from container import Document, Mask, Section, algn, block, compressed, depl, frame, layer, no_cache, scor

SCENARIOS = {}


def scenario(function):
    """The function's name is the file's, its docstring the description."""
    SCENARIOS[function.__name__] = function
    return function


def random_mask(layers, density=0.5, seed=1):
    generator = random.Random(seed)
    return [
        ["".join("01"[generator.random() < density] for _ in range(item["head_dim"])) for _ in range(item["kv_heads"])]
        for item in layers
    ]


def document(layers, mask=None, more=(), unknown=(), **parts):
    """A file of one mask with `parts`, and of the masks in `more`."""
    return Document(layers, [Mask(mask or random_mask(layers), **parts), *more], list(unknown))


def small(**parts):
    """One head of eight channels, for scenarios about something else."""
    return document([layer(1, 8, 2, 8, "half")], [["11010010"]], **parts)


def alpha(count, dtype, seed=2):
    """Scaling factors: any pattern from that of 0 to that of 1."""
    generator = random.Random(seed)
    one = {"f32": 0x3F800000, "f16": 0x3C00, "bf16": 0x3F80}[dtype]
    return {"kind": "leank.alpha", "dtype": dtype, "bits": [generator.randint(0, one) for _ in range(count)]}


# --- geometry ------------------------------------------------------------------------------------


@scenario
def worked_example():
    """the example of Spec/v1/format.md, section 9"""
    return document(
        [layer(2, 4, 4, 4, "half")],
        [["1110", "0001"]],
        deployment={"mode": "windowed", "sink": 4, "recent": 8, "accumulate": 4},
        provenance={"model": "a/b"},
    )


@scenario
def one_channel_kept():
    """the smallest mask there is"""
    return document([layer(1, 1)], [["1"]])


@scenario
def one_channel_dropped():
    """the smallest mask that keeps nothing"""
    return document([layer(1, 1)], [["0"]])


@scenario
def attention_unknown_even():
    """a bare array: half pairs are assumed for the order of the bits"""
    return document([layer(2, 8)], [["11100000", "00000001"]])


@scenario
def attention_unknown_odd():
    """a bare array of odd head_dim: the last channel has no partner"""
    return document([layer(2, 7)], [["1110000", "0000001"]])


@scenario
def attention_known_in_one_layer():
    """one layer with known attention, one without"""
    return document([layer(2, 6, 4, 4, "half"), layer(2, 6)])


@scenario
def half_pairs():
    """half pairs over the whole head"""
    return document([layer(2, 16, 8, 16, "half")] * 2)


@scenario
def half_pairs_partial():
    """half pairs over a part of the head"""
    return document([layer(2, 10, 2, 4, "half")] * 2)


@scenario
def half_pairs_of_two():
    """a rotary width of 2"""
    return document([layer(1, 64, 1, 2, "half")])


@scenario
def interleaved_pairs():
    """interleaved pairs over the whole head"""
    return document([layer(2, 16, 8, 16, "interleaved")] * 2)


@scenario
def interleaved_pairs_partial():
    """interleaved pairs over a part of the head"""
    return document([layer(2, 16, 8, 8, "interleaved")] * 2)


@scenario
def without_rope():
    """layers without RoPE"""
    return document([layer(2, 8, 4, 0, "none")] * 2)


@scenario
def every_fourth_layer_without_rope():
    """layers with and without RoPE"""
    return document([layer(2, 8, 4, *((0, "none") if i % 4 == 3 else (8, "interleaved"))) for i in range(8)])


@scenario
def pairing_differs_by_layer():
    """half, interleaved and no pairs in one file"""
    return document([layer(1, 12, 1, 8, "half"), layer(1, 12, 1, 8, "interleaved"), layer(1, 12, 1, 0, "none")])


@scenario
def ragged_kv_heads():
    """another number of KV heads in each layer"""
    return document([layer(n, 8, 2 * n, 8, "half") for n in (1, 3, 2, 5)])


@scenario
def ragged_head_dim():
    """another head_dim in each layer"""
    return document([layer(2, n, 4, n // 2 * 2, "half") for n in (3, 8, 5, 16)])


@scenario
def ragged_query_heads():
    """another number of query heads in each layer"""
    return document([layer(2, 8, n, 8, "half") for n in (2, 4, 6)])


@scenario
def ragged_everything():
    """nothing in common between layers"""
    return document(
        [layer(1, 1, 7, 0, "none"), layer(4, 33, 4, 32, "half"), layer(2, 6), layer(3, 256, 9, 64, "interleaved")]
    )


@scenario
def head_dim_1():
    """one channel a head"""
    return document([layer(5, 1, 5, 0, "none")], [["1", "0", "1", "1", "0"]])


@scenario
def head_dim_2():
    """one pair a head"""
    return document([layer(3, 2, 3, 2, "half")], [["10", "01", "11"]])


@scenario
def head_dim_256_half():
    """the widest head of today's models"""
    return document([layer(1, 256, 8, 256, "half")])


@scenario
def head_dim_256_interleaved():
    """the widest head of today's models, interleaved"""
    return document([layer(1, 256, 8, 256, "interleaved")])


@scenario
def head_dim_at_limit():
    """head_dim 4096"""
    return document([layer(1, 4096, 1, 4096, "half")])


@scenario
def kv_heads_at_limit():
    """4096 KV heads in a layer"""
    return document([layer(4096, 1)])


@scenario
def query_heads_at_limit():
    """65536 query heads"""
    return document([layer(1, 4, 65536, 4, "half")])


@scenario
def value_dim():
    """heads of values that are narrower, wider, and as wide as those of keys"""
    return document([layer(2, 12, 4, 8, "half", n) for n in (8, 16, 12, 1, 4096)])


@scenario
def layers_without_cache():
    """two layers of eight with a K cache of heads"""
    with_cache = layer(2, 8, 4, 8, "half")
    return document([with_cache if i % 4 == 3 else no_cache() for i in range(8)])


@scenario
def layers_without_cache_unknown():
    """a bare array for some layers, none for others"""
    return document(
        [no_cache(), layer(1, 5), no_cache()], [[], ["10110"], []], scores={"kind": "k", "dtype": "f32", "bits": [5, 4, 3, 2, 1]}
    )


@scenario
def multi_query():
    """one KV head for all query heads"""
    return document([layer(1, 16, 71, 16, "half")] * 2)


@scenario
def multi_head():
    """a KV head for each query head"""
    return document([layer(6, 4, 6, 4, "half")] * 2)


# --- mask bits -------------------------------------------------------------------------------------


@scenario
def all_kept():
    """a mask that keeps everything"""
    return document([layer(2, 12, 4, 12, "half")], [["1" * 12] * 2])


@scenario
def all_dropped():
    """a mask that keeps nothing"""
    return document([layer(2, 12, 4, 12, "half")], [["0" * 12] * 2])


@scenario
def empty_and_full_heads():
    """empty heads beside full ones, and a layer that keeps nothing"""
    return document([layer(3, 8, 6, 8, "half")] * 2, [["0" * 8, "1" * 8, "0" * 8], ["0" * 8] * 3])


@scenario
def first_channel_only():
    """channel 0 of each head"""
    return document([layer(2, 6, 4, 4, "half")] * 2, [["100000"] * 2] * 2)


@scenario
def last_channel_only():
    """the last channel of each head"""
    return document([layer(2, 6, 4, 4, "half")] * 2, [["000001"] * 2] * 2)


@scenario
def first_of_each_pair():
    """a mask that is not closed under pairs: the closure keeps everything"""
    return document([layer(2, 8, 4, 8, "half")], [["11110000"] * 2])


@scenario
def heads_across_bytes():
    """heads whose bits begin and end inside bytes"""
    return document([layer(7, 3, 7, 2, "half")], [["101", "010", "111", "000", "100", "001", "110"]])


@scenario
def one_unused_bit():
    """seven channels: one bit of the last byte is unused"""
    return document([layer(1, 7, 1, 6, "half")], [["1111111"]])


@scenario
def seven_unused_bits():
    """nine channels: seven bits of the last byte are unused"""
    return document([layer(1, 9, 1, 8, "half")], [["111111111"]])


# --- zstd --------------------------------------------------------------------------------------------


def blocky():
    """Four layers of 64 channels each, where both GEOM and MASK compress."""
    return document([layer(2, 32, 4, 32, "half")] * 4, [["1" * 32] * 2] * 4)


@scenario
def zstd_mask():
    """a mask of a real size, compressed by zstd"""
    layers = [layer(8, 128, 32, 128, "half")] * 16
    heads = ["1" * 16 + "0" * 48 + "1" * 16 + "0" * 48, "0" * 128, "0" * 96 + "1" * 32]
    made = document(layers, [[heads[(i * 5 + h) % 3] for h in range(8)] for i in range(16)])
    file = made.file()
    for section in file.sections:
        compressed(section)
    return made, file


@scenario
def zstd_geometry():
    """two hundred equal layers: GEOM compressed, MASK not"""
    made = document([layer(1, 2, 4, 2, "half")] * 200)
    file = made.file()
    compressed(file.section("GEOM"))
    return made, file


def with_mask_frame(make):
    made = blocky()
    file = made.file()
    section = file.section("MASK")
    compressed(section, make(section.raw))
    return made, file


@scenario
def zstd_repeated_byte():
    """one RLE block"""
    return with_mask_frame(frame)


@scenario
def zstd_two_blocks():
    """an RLE block and a raw block"""
    return with_mask_frame(lambda raw: frame(raw, block(1, 30, b"\xff") + block(0, 2, b"\xff\xff", True)))


@scenario
def zstd_empty_last_block():
    """a last block of no bytes"""
    return with_mask_frame(lambda raw: frame(raw, block(1, 32, b"\xff") + block(0, 0, b"", True)))


@scenario
def zstd_window_descriptor():
    """no single segment: a window of 1 KiB"""
    return with_mask_frame(
        lambda raw: frame(raw, descriptor=0x84, window=b"\0", size=struct.pack("<I", len(raw)))
    )


@scenario
def zstd_window_at_limit():
    """a window of 8 MiB"""
    return with_mask_frame(
        lambda raw: frame(raw, descriptor=0x84, window=b"\x68", size=struct.pack("<I", len(raw)))
    )


@scenario
def zstd_blocks_of_the_window():
    """the smallest window, and blocks as long as it"""
    made = document([layer(4, 4096, 4, 4096, "half")], [["1" * 4096] * 4])
    file = made.file()
    mask = file.section("MASK")
    blocks = block(1, 1024, b"\xff") + block(1, 1024, b"\xff", True)
    compressed(mask, frame(mask.raw, blocks, descriptor=0x44, window=b"\0"))
    return made, file


@scenario
def zstd_size_of_eight_bytes():
    """the content size in its longest form"""
    return with_mask_frame(lambda raw: frame(raw, descriptor=0xE4, size=struct.pack("<Q", len(raw))))


@scenario
def zstd_size_of_two_bytes():
    """the content size in the form that counts from 256"""
    made = document([layer(1, 4096, 1, 4096, "half")], [["1" * 4096]])
    file = made.file()
    compressed(file.section("MASK"), frame(file.section("MASK").raw))
    return made, file


@scenario
def zstd_unused_bit():
    """the bit of the frame header that zstd leaves unused"""
    return with_mask_frame(lambda raw: frame(raw, descriptor=0x34, size=bytes([len(raw)])))


# A decoder that takes the window for a window descriptor of 1.875 KiB only where the fraction is real.
@scenario
def zstd_window_fraction():
    """a window of 15/8 KiB, and a block as long as it"""
    made = document([layer(4, 4096, 4, 4096, "half")], [["1" * 4096] * 4])
    file = made.file()
    mask = file.section("MASK")
    blocks = block(1, 1920, b"\xff") + block(1, 128, b"\xff", True)
    compressed(mask, frame(mask.raw, blocks, descriptor=0x44, window=b"\x07"))
    return made, file


# --- alignment ---------------------------------------------------------------------------------------


@scenario
def alignment_given():
    """alignment as found, without a target"""
    return small(alignment={"unit": 2, "rule": "given", "target_ratio": None})


@scenario
def alignment_leank():
    """LeanK's rule with a target"""
    return small(alignment={"unit": 4, "rule": "leank", "target_ratio": 0.7})


@scenario
def alignment_budget_target_0():
    """a target of 0, which is not the same as none"""
    return small(alignment={"unit": 1, "rule": "budget", "target_ratio": 0.0})


@scenario
def alignment_target_1():
    """a target of 1 that was not met, and the largest unit"""
    return small(alignment={"unit": 4096, "rule": "given", "target_ratio": 1.0})


@scenario
def alignment_smallest_target():
    """the smallest positive target"""
    return small(alignment={"unit": 2, "rule": "leank", "target_ratio": 5e-324})


@scenario
def alignment_given_not_met():
    """an imported mask whose counts are no multiples of the unit"""
    return small(alignment={"unit": 3, "rule": "given", "target_ratio": None})


@scenario
def alignment_whole_heads():
    """a head that keeps all its channels, which are no multiple of the unit"""
    return document(
        [layer(3, 7, 3, 6, "half")],
        [["1111111", "1111000", "0000000"]],
        alignment={"unit": 4, "rule": "budget", "target_ratio": 0.5},
    )


@scenario
def alignment_unknown_rule():
    """a rule of a later version: ALGN is not understood"""
    return small(unknown=[Section("ALGN", algn(4, "given", None, 4)[:4] + b"\3" + bytes(19))])


@scenario
def alignment_unknown_rule_and_more():
    """where ALGN is not understood, nothing else in it is checked"""
    return small(unknown=[Section("ALGN", b"\0" * 4 + b"\xff" * 20)])


@scenario
def alignment_nothing_kept():
    """channels_kept 0"""
    return document([layer(1, 4)], [["0000"]], alignment={"unit": 4, "rule": "given", "target_ratio": None})


# --- scores --------------------------------------------------------------------------------------------


@scenario
def scores_f32():
    """scaling factors in f32"""
    return small(scores=alpha(8, "f32"))


@scenario
def scores_f16():
    """scaling factors in f16"""
    return small(scores=alpha(8, "f16"))


@scenario
def scores_bf16():
    """scaling factors in bf16"""
    return small(scores=alpha(8, "bf16"))


@scenario
def scores_alpha_extremes():
    """0, the smallest f32, the one before 1, and 1"""
    return document(
        [layer(1, 4)],
        [["0011"]],
        scores={"kind": "leank.alpha", "dtype": "f32", "bits": [0, 1, 0x3F7FFFFF, 0x3F800000]},
    )


@scenario
def scores_other_kind():
    """another kind: negative values, infinities, the smallest and the largest f32"""
    bits = [0x80000001, 0xFF800000, 0x7F800000, 0x7F7FFFFF, 0xFF7FFFFF, 1, 0, 0xBF800000]
    return small(scores={"kind": "gradient.l2", "dtype": "f32", "bits": bits})


@scenario
def scores_f16_extremes():
    """another kind in f16: subnormals, infinities, the largest value"""
    bits = [0x0001, 0x8001, 0x7C00, 0xFC00, 0x7BFF, 0xFBFF, 0x03FF, 0]
    return small(scores={"kind": "norm", "dtype": "f16", "bits": bits})


@scenario
def scores_bf16_extremes():
    """another kind in bf16: subnormals, infinities, the largest value"""
    bits = [0x0001, 0x8001, 0x7F80, 0xFF80, 0x7F7F, 0xFF7F, 0x007F, 0]
    return small(scores={"kind": "norm", "dtype": "bf16", "bits": bits})


def kind_of(length):
    return small(scores={"kind": "k" * length, "dtype": "f16", "bits": list(range(8))})


@scenario
def scores_kind_of_1():
    """a kind of 1 byte, 59 bytes of padding"""
    return kind_of(1)


@scenario
def scores_kind_of_60():
    """a kind of 60 bytes, no padding"""
    return kind_of(60)


@scenario
def scores_kind_of_61():
    """a kind of 61 bytes, 63 bytes of padding"""
    return kind_of(61)


@scenario
def scores_kind_of_255():
    """the longest kind"""
    return kind_of(255)


@scenario
def scores_unknown_dtype():
    """a dtype of a later version: SCOR is not understood"""
    raw = scor("leank.alpha", "f32", [0] * 8)
    return small(unknown=[Section("SCOR", b"\4" + raw[1:])])


@scenario
def scores_unknown_dtype_and_length():
    """where SCOR is not understood, nothing else in it is checked, and the shortest will do"""
    return small(unknown=[Section("SCOR", b"\0" + b"\xff" * 63)])


@scenario
def scores_all_zero():
    """scores that zstd would make shorter are stored raw"""
    return document([layer(2, 32, 4, 32, "half")] * 4, scores={"kind": "leank.alpha", "dtype": "f32", "bits": [0] * 256})


@scenario
def scores_in_channel_order():
    """scores stand in channel order though mask bits stand in pairs, over two ragged layers"""
    layers = [layer(2, 6, 2, 4, "half"), layer(1, 3)]
    return document(layers, scores={"kind": "index", "dtype": "bf16", "bits": list(range(15))})


# --- deployment ------------------------------------------------------------------------------------------


@scenario
def deployment_static():
    """static mode"""
    return small(deployment={"mode": "static"})


@scenario
def deployment_windowed():
    """LeanK's own window"""
    return small(deployment={"mode": "windowed", "sink": 128, "recent": 768, "accumulate": 128})


@scenario
def deployment_smallest_window():
    """no sink, one recent key, no accumulation"""
    return small(deployment={"mode": "windowed", "sink": 0, "recent": 1, "accumulate": 1})


@scenario
def deployment_variations():
    """windowed prefill and zero empty heads"""
    window = {"mode": "windowed", "sink": 4, "recent": 8, "accumulate": 2}
    return small(deployment=window | {"prefill": "windowed", "empty_heads": "zero"})


@scenario
def deployment_windowed_prefill():
    """windowed prefill alone"""
    return small(deployment={"mode": "windowed", "sink": 4, "recent": 8, "accumulate": 2, "prefill": "windowed"})


@scenario
def deployment_zero_empty_heads():
    """zero empty heads alone"""
    return small(deployment={"mode": "windowed", "sink": 4, "recent": 8, "accumulate": 2, "empty_heads": "zero"})


def not_understood(offset, value, mode="windowed"):
    raw = bytearray(depl(mode, 4, 8, 2) if mode == "windowed" else depl(mode))
    raw[offset] = value
    return small(unknown=[Section("DEPL", bytes(raw))])


@scenario
def deployment_unknown_mode():
    """a mode of a later version: DEPL is not understood"""
    return not_understood(0, 3)


@scenario
def deployment_mode_0():
    """mode 0 is no mode of this version either"""
    return not_understood(0, 0)


@scenario
def deployment_unknown_prefill():
    """a prefill of a later version"""
    return not_understood(1, 2)


@scenario
def deployment_unknown_empty_heads():
    """a treatment of empty heads of a later version, in static mode"""
    return not_understood(2, 255, "static")


@scenario
def deployment_unknown_and_more():
    """where DEPL is not understood, nothing else in it is checked"""
    return small(unknown=[Section("DEPL", b"\xff" * 16)])


@scenario
def deployment_largest_window():
    """all numbers at 2^31 - 1"""
    n = 2**31 - 1
    return small(deployment={"mode": "windowed", "sink": n, "recent": n, "accumulate": n})


# --- provenance --------------------------------------------------------------------------------------------


@scenario
def provenance_known_keys():
    """all keys with a meaning"""
    keys = "model config_sha256 source source_sha256 derived_from recipe writer".split()
    return small(provenance={key: f"value of {key}" for key in keys})


@scenario
def provenance_empty_value():
    """a value of no bytes"""
    return small(provenance={"recipe": ""})


@scenario
def provenance_unicode():
    """texts of one to four bytes a character, control characters, NUL, a noncharacter"""
    return small(provenance={"recipe": "é\u0000\n\u2028\ufffe 漢字 \U0001f600 \u202e", "e": "\u0065\u0301"})


@scenario
def provenance_key_of_255():
    """the longest key, of every visible character"""
    visible = "".join(map(chr, range(0x21, 0x7F)))
    return small(provenance={(visible * 3)[:255]: "x"})


@scenario
def provenance_sorted_by_bytes():
    """upper case before lower case, a prefix before what it begins"""
    return small(provenance={key: key for key in ["a", "B", "aa", "a.", "_", "~", "Z9", "0"]})


@scenario
def provenance_longest_value():
    """a value of 65536 bytes, compressed"""
    made = small(provenance={"recipe": "mask " * 13107 + "."})
    file = made.file()
    compressed(file.section("PROV"))
    return made, file


@scenario
def provenance_most_entries():
    """1024 entries"""
    return small(provenance={f"{i:03x}": "" for i in range(1024)})


# --- instances -----------------------------------------------------------------------------------------------


@scenario
def instances_two_masks():
    """two masks of one geometry, nothing else"""
    return small(more=[Mask([["11111111"]])])


@scenario
def instances_equal_masks():
    """the same mask twice, run in two ways"""
    mask = [["11010010"]]
    window = {"mode": "windowed", "sink": 4, "recent": 8, "accumulate": 2}
    return small(deployment={"mode": "static"}, more=[Mask(mask, deployment=window)])


@scenario
def instances_three_ratios():
    """three ratios of one set of scores, with the provenance of the first"""
    def aligned(ratio):
        return {"unit": 2, "rule": "leank", "target_ratio": ratio}

    return small(
        alignment=aligned(0.5),
        scores=alpha(8, "bf16"),
        deployment={"mode": "static"},
        provenance={"model": "a/b"},
        more=[Mask([["11111100"]], aligned(0.25)), Mask([["11000000"]], aligned(0.75), deployment={"mode": "static"})],
    )


@scenario
def instances_own_scores():
    """an instance with scores and provenance of its own, one that shares, and one with scores of its own only"""
    return small(
        scores=alpha(8, "f16"),
        provenance={"model": "a/b"},
        more=[
            Mask([["11111100"]], scores=alpha(8, "f32", 3), provenance={"recipe": "another"}),
            Mask([["11000000"]]),
            Mask([["10000000"]], scores=alpha(8, "f16", 4)),
        ],
    )


@scenario
def instances_first_without_scores():
    """scores and provenance of the second instance only"""
    return small(more=[Mask([["11111100"]], scores=alpha(8, "f16"), provenance={"model": "a/b"})])


@scenario
def instances_same_provenance():
    """two instances that are not 0 may repeat each other"""
    own = {"model": "c/d"}
    return small(provenance={"model": "a/b"}, more=[Mask([["11111100"]], provenance=own), Mask([["11000000"]], provenance=own)])


@scenario
def instances_unknown_sections():
    """unknown sections of several instances; an identity covers those of its instance that are safe to copy"""
    return small(
        more=[Mask([["11111100"]])],
        unknown=[
            Section("NOTE", b"first", flags=2),
            Section("NOTE", b"second", flags=2, instance=1),
            Section("TEMP", b"left out", flags=0, instance=1),
        ],
    )


@scenario
def instances_not_understood():
    """a rule of a later version in one instance of two"""
    return small(
        alignment={"unit": 4, "rule": "leank", "target_ratio": 0.5},
        more=[Mask([["11111100"]])],
        unknown=[Section("ALGN", algn(2, "given", None, 6)[:4] + b"\x09" + bytes(19), instance=1)],
    )


@scenario
def instances_at_limit():
    """63 masks"""
    return small(more=[Mask([[f"{i:08b}"]]) for i in range(62)])


# --- sections of other versions ------------------------------------------------------------------------------


@scenario
def unknown_ancillary():
    """an unknown section that a rewrite leaves out"""
    return small(unknown=[Section("NOTE", b"hello", flags=0)])


@scenario
def unknown_safe_to_copy():
    """an unknown section that a rewrite carries along"""
    return small(unknown=[Section("NOTE", b"hello", flags=2)])


@scenario
def unknown_empty():
    """an unknown section of no bytes"""
    return small(unknown=[Section("NONE", b"", flags=2)])


@scenario
def unknown_compressed():
    """an unknown section, compressed"""
    raw = bytes(300)
    return small(unknown=[compressed(Section("ZERO", raw, flags=2), frame(raw))])


@scenario
def unknown_sorted():
    """unknown sections by their tags, whatever those of the text are called"""
    return small(
        provenance={"model": "m"}, unknown=[Section(tag, tag.encode(), flags=0) for tag in ("AAAA", "B000", "ZZZZ")]
    )


@scenario
def experimental():
    """an experimental section"""
    return small(unknown=[Section("X001", b"\x00\xff", flags=2)])


@scenario
def from_the_future():
    """minor version 1 with a section that 1.0 does not know"""
    made = small(unknown=[Section("FREQ", b"\x01\x02\x03\x04", flags=2)])
    return made, made.file(minor=1)


@scenario
def from_the_far_future():
    """the last minor version"""
    made = small()
    return made, made.file(minor=65535)


@scenario
def sections_at_limit():
    """64 sections"""
    return small(unknown=[Section(f"T{i:03d}", bytes([i]), flags=i % 2 * 2) for i in range(62)])


@scenario
def everything():
    """all sections, ragged geometry and an unknown section"""
    layers = [layer(2, 16, 8, 16, "half"), layer(1, 8, 8, 0, "none", 4), no_cache(), layer(2, 12, 4, 8, "interleaved")]
    made = document(
        layers,
        alignment={"unit": 4, "rule": "given", "target_ratio": 0.5},
        scores=alpha(64, "bf16"),
        deployment={"mode": "windowed", "sink": 4, "recent": 16, "accumulate": 4, "empty_heads": "zero"},
        provenance={"model": "example/ragged", "recipe": "by hand", "writer": "generate"},
        more=[Mask(random_mask(layers, seed=5), deployment={"mode": "static"})],
        unknown=[Section("NOTE", b"kept", flags=2, instance=1)],
    )
    file = made.file()
    compressed(file.section("GEOM"))
    return made, file
