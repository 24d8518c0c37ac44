"""Which channels of a layer's keys are kept, and how a runtime holds them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import LeankError


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
