"""The pruned K/V cache of one layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from .buffer import TokenBuffer
from .channels import LayerMask, WidthGroup, Window
from .errors import LeankError


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
