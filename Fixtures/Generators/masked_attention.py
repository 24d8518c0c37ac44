"""Attention under a mask as Spec/semantics.md tells it, over whole keys: the reference for runtimes that store less.

Every key keeps all its channels and the rule is applied to each pair of a query and a key, in float64. Written apart from leank
and from its Python package; used by make_conversations.py and by Tests/LeanKTransformersTests.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import AttentionInterface, DynamicCache
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "masked_reference"


@dataclass
class Rule:
    """A mask, a mode, and where prompts begin and end."""

    masks: list  # numpy bool [kv_heads, head_dim] a layer
    window: tuple | None = None  # sink, recent, accumulate; None is static mode
    turns: list = field(default_factory=list)  # (first slot of a prompt, slot behind its last)
    padding: list | None = None  # leading padding of each row
    zero_empty: bool = False  # the middle keys of an empty head take part with score 0

    def boundary(self, slot):
        """The last slot that is stored without the channels outside M once the token at `slot` is done."""
        sink, recent, accumulate = self.window
        last = -1
        for start, stop in self.turns:
            if stop - 1 > slot:
                break
            last = max(last, stop - 1 - recent)
            following = [first for first, _ in self.turns if first > start]
            until = min(following + [slot + 1])
            for token in range(stop, until):
                j = token - stop + 1
                last = max(last, token - recent - j % accumulate)
        return last

    def middle(self, query, key, row):
        """Whether the query at one slot sees the key at another through M in `row`."""
        if self.window is None:
            return True
        pad = 0 if self.padding is None else self.padding[row]
        if key - pad < self.window[0]:
            return False
        start, stop = [turn for turn in self.turns if turn[0] <= query][-1]
        if query >= stop:
            return key <= self.boundary(query)
        return key < start and key <= self.boundary(start - 1)


current = None


def attention(module, query, key, value, attention_mask, scaling=None, softcap=None, s_aux=None, **kwargs):
    dtype = query.dtype
    query, key, value = query.double(), key.double(), value.double()
    batch, heads, queries, width = query.shape
    kv_heads, keys = key.shape[1], key.shape[2]
    group = heads // kv_heads
    keep = torch.tensor(np.asarray(current.masks[module.layer_idx])).repeat_interleave(group, 0)
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    scale = width**-0.5 if scaling is None else scaling
    whole = query @ key.transpose(2, 3) * scale
    through = (query * keep[None, :, None]) @ key.transpose(2, 3) * scale
    first = keys - queries
    middle = torch.tensor([[[current.middle(first + q, k, row) for k in range(keys)] for q in range(queries)] for row in range(batch)])
    scores = torch.where(middle[:, None], through, whole)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    allowed = torch.arange(keys) <= torch.arange(first, keys)[:, None]
    if attention_mask is not None:
        allowed = allowed & attention_mask
    allowed = allowed.expand(batch, heads, queries, keys)
    if current.window is not None and not current.zero_empty:
        allowed = allowed & ~(middle[:, None] & (~keep.any(1))[None, :, None, None])
    scores = scores.masked_fill(~allowed, -1e300)
    if s_aux is not None:
        scores = torch.cat([scores, s_aux.double()[None, :, None, None].expand(batch, -1, queries, 1)], -1)
    weights = scores.softmax(-1)[..., :keys]
    return (weights @ value).transpose(1, 2).contiguous().to(dtype), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def run(model, rule, tokens, calls=None, **kwargs):
    """Logits [batch, tokens, vocabulary] of a model that was opened with attn_implementation NAME.

    `calls` are the slots behind the last token of each call of the model; by default a call a prompt and a call a decoded token.
    """
    global current
    current = rule
    if calls is None:
        calls = []
        for number, (_, stop) in enumerate(rule.turns):
            until = rule.turns[number + 1][0] if number + 1 < len(rule.turns) else tokens.shape[1]
            calls += list(range(stop, until + 1))
    # Without a configuration layers of a sliding window keep all keys too; layers that are no attention need it.
    kinds = getattr(model.config.get_text_config(decoder=True), "layer_types", None) or []
    has_others = any(kind not in ("full_attention", "sliding_attention", "chunked_attention") for kind in kinds)
    cache, logits, start = DynamicCache(config=model.config) if has_others else DynamicCache(), [], 0
    mask = kwargs.pop("attention_mask", None)
    for stop in calls:
        extra = {} if mask is None else {"attention_mask": mask[:, :stop], "position_ids": (mask[:, :stop].cumsum(1) - 1).clamp(0)[:, start:stop]}
        output = model(input_ids=tokens[:, start:stop], past_key_values=cache, use_cache=True, **extra)
        logits.append(output.logits)
        start = stop
    return torch.cat(logits, 1)
