"""Which stored tokens a query sees."""

import torch
from torch import Tensor

from .errors import LeankError
from .layer import PrunedLayer


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
