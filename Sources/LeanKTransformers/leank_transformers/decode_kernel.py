"""Decode attention over a ragged cache in one launch: the kernel itself, in Triton."""

from typing import Any

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
