"""Attention over a pruned cache, as an attention function of transformers."""

import zlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from .decode import decode_attention, kernel_runs
from .errors import LeankError
from .layer import PrunedLayer
from .visibility import visibility

# Name of the attention function in transformers' registry. Each checkpoint brings its own copy of the loader, perhaps
# of another version, and each copy has a name of its own.
ATTENTION = f"leank_{zlib.crc32(__name__.encode()):08x}"
# Scores that are held at once; more queries than that are taken in turns.
SCORES = 1 << 26


def leank_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor | PrunedLayer,
    value: Tensor | PrunedLayer,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of `query` [batch, query_heads, tokens, head_dim]; returns [batch, tokens, query_heads, head_dim].

    Keys and values are tensors where a text attends to itself alone: a first prompt, or a model without cache.
    Otherwise the layer of the cache stands in for both. `softcap` and the sink logits `s_aux` [query_heads] act on the
    scores as they do in the dense model.
    """
    if position_bias is not None:
        raise LeankError("attention with a position bias cannot be run through a mask")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = Scores(softcap, s_aux, dropout)
    if not isinstance(key, Tensor):
        hides = attention_mask is None or attention_mask.dtype == torch.bool
        if hides and dropout == 0 and kernel_runs(query, key):
            output = decode_attention(key, query, attention_mask, scale, softcap, s_aux)
        else:
            output = pruned_attention(key, query * scale, attention_mask, scores)
        key.settle()
    else:
        assert isinstance(value, Tensor)
        mask = getattr(module, "leank_mask", None)
        if mask is not None:
            query = mask.through(query)
        if softcap is None and s_aux is None:
            return sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
            )
        output = whole_attention(query * scale, key, value, attention_mask, scores)
    return output.transpose(1, 2).contiguous(), None


class Scores:
    """What a model does to its scores beside the softmax."""

    def __init__(self, softcap: float | None, sink_logits: Tensor | None, dropout: float) -> None:
        self.softcap, self.sink_logits, self.dropout = softcap, sink_logits, dropout

    def weights(self, scores: Tensor, allowed: Tensor | None, heads: Tensor | None = None) -> Tensor:
        """The softmax of `scores` [batch, kv_heads, group, queries, tokens].

        `allowed` [batch or 1, 1, queries, tokens] is bool, or numbers to add; `heads` are the indices of the KV heads,
        where they are not all.
        """
        result = scores.float()
        if self.softcap is not None:
            result = torch.tanh(result / self.softcap) * self.softcap
        if allowed is not None:
            allowed = allowed[:, :, None]
            if allowed.dtype == torch.bool:
                result = result.masked_fill(~allowed, torch.finfo(result.dtype).min)
            else:
                result = result + allowed
        if self.sink_logits is not None:
            logits = self.sink_logits.to(result).view(-1, scores.shape[2])
            logits = logits if heads is None else logits[heads]
            column = logits[None, :, :, None, None].expand(*result.shape[:1], -1, -1, result.shape[3], -1)
            result = torch.cat([result, column], -1).softmax(-1)[..., :-1]
        else:
            result = result.softmax(-1)
        if self.dropout > 0:
            result = nn.functional.dropout(result, self.dropout)
        return result.to(scores.dtype)


def pruned_attention(layer: PrunedLayer, query: Tensor, attention_mask: Tensor | None, scores: Scores) -> Tensor:
    """Attention of the newest queries [batch, query_heads, tokens, head_dim], already scaled, over a layer's cache."""
    tokens = len(layer.recent[0]) + layer.sinks[0].shape[2] + layer.middle_count
    outputs = []
    for start, stop in _turns(query, tokens):
        allowed = visibility(layer, attention_mask, start, stop)
        outputs.append(_pruned_attention(layer, query[:, :, start:stop], allowed, scores))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)


def _pruned_attention(layer: PrunedLayer, query: Tensor, allowed: Tensor | None, scores: Scores) -> Tensor:
    batch, heads, tokens, width = query.shape
    kv_heads = layer.mask.kv_heads
    group = heads // kv_heads
    shape = (batch, -1, group, tokens)
    # The query heads of a group share each load of their keys.
    queries = query.reshape(batch, kv_heads, group * tokens, width)
    near = [(layer.sinks[0], layer.sinks[1]), (layer.recent[0].rows, layer.recent[1].rows)]
    near_scores = torch.cat([queries @ keys.transpose(-1, -2) for keys, _ in near], -1)
    near_count = near_scores.shape[-1]
    weights = torch.zeros_like(near_scores)
    output = queries.new_zeros((batch, kv_heads, group * tokens, near[0][1].shape[-1]))
    for part in layer.middle:
        chosen = part.group.heads
        middle_scores = part.group.queries(queries) @ part.keys.rows.transpose(-1, -2)
        part_scores = torch.cat([near_scores[:, chosen], middle_scores], -1)
        part_weights = scores.weights(part_scores.view(*shape, part_scores.shape[-1]), allowed, chosen)
        part_weights = part_weights.reshape(part_scores.shape)
        weights[:, chosen] = part_weights[..., :near_count]
        output[:, chosen] = part_weights[..., near_count:] @ part.values.rows
    if layer.without_middle is not None:
        chosen = layer.without_middle.heads
        near_only = near_scores[:, chosen].view(*shape, near_count)
        seen = None if allowed is None else allowed[..., :near_count]
        weights[:, chosen] = scores.weights(near_only, seen, chosen).reshape(batch, len(chosen), -1, near_count)
    sinks = near[0][0].shape[2]
    output = output + weights[..., :sinks] @ near[0][1] + weights[..., sinks:] @ near[1][1]
    return output.view(batch, heads, tokens, -1)


def whole_attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scores: Scores) -> Tensor:
    """Attention of a text to itself: queries [batch, query_heads, tokens, head_dim], already scaled, and whole keys."""
    batch, heads, tokens, width = query.shape
    kv_heads, slots = keys.shape[1], keys.shape[2]
    group = heads // kv_heads
    outputs = []
    for start, stop in _turns(query, slots):
        if mask is None:
            positions = torch.arange(slots, device=query.device)
            own = positions[slots - tokens + start : slots - tokens + stop, None]
            allowed = (positions <= own)[None, None]
        else:
            allowed = mask[:, :, start:stop]
        rows = query[:, :, start:stop].reshape(batch, kv_heads, -1, width)
        raw = (rows @ keys.transpose(-1, -2)).view(batch, kv_heads, group, stop - start, slots)
        weights = scores.weights(raw, allowed).view(batch, kv_heads, -1, slots)
        outputs.append((weights @ values).view(batch, heads, stop - start, -1))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)


def _turns(query: Tensor, tokens: int) -> Iterator[tuple[int, int]]:
    """Ranges of queries whose scores are held at once."""
    step = max(1, SCORES // max(1, query.shape[0] * query.shape[1] * tokens))
    for start in range(0, query.shape[2], step):
        yield start, min(start + step, query.shape[2])


AttentionInterface.register(ATTENTION, leank_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
