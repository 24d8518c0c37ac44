"""Puts the rows of a checkpoint of layout `rows` back in their places, in weights of dense shape."""

import json
import re
from collections.abc import Callable
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from .errors import LeankError
from .mask_file import LayerGeometry

PROJECTION = re.compile(
    r"(?:^|\.)(?:layers|h)\.(\d+)\.(?:self_attn|attention|self_attention|mixer)\."
    r"(q_proj|k_proj|qkv_proj|query_key_value)\.(weight|bias)$"
)
# Parts of a tensor's name that say that it is a picture's or a sound's, not the language model's.
TOWERS = ("visual", "vision_tower", "vision_model", "audio_tower", "mtp")


def dense_state(
    find: Callable[[str], str | None], geometry: list[LayerGeometry], masks: list[Any]
) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name, those of K and Q in dense shape with zeros for the rows that are not there.

    `find` gives the path of a file of the checkpoint, None where there is none. Other tensors stay mapped from files.
    """
    index = find("model.safetensors.index.json")
    if index is None:
        names = ["model.safetensors"]
    else:
        with open(index, encoding="utf-8") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
    kept = [_closure(layer, masks[number]) for number, layer in enumerate(geometry)]
    state: dict[str, Tensor] = {}
    for name in names:
        path = find(name)
        if path is None:
            raise LeankError(f"{name}: the file is missing")
        with safe_open(path, "pt") as shard:
            for tensor in shard.keys():  # noqa: SIM118 (it is no dict)
                state[tensor] = _dense(tensor, shard.get_tensor(tensor), geometry, kept)
    return state


def _dense(name: str, rows: Tensor, geometry: list[LayerGeometry], kept: list[Tensor]) -> Tensor:
    found = PROJECTION.search(name)
    if found is None or any(part in TOWERS for part in name.split(".")):
        return rows
    layer = int(found[1])
    if layer >= len(geometry) or geometry[layer].kv_heads == 0:
        return rows
    keep = _kept_rows(found[2], geometry[layer], kept[layer])
    if int(keep.sum()) != rows.shape[0]:
        raise LeankError(f"{name}: the mask keeps {int(keep.sum())} of {len(keep)} rows, the file has {rows.shape[0]}")
    dense = rows.new_zeros((len(keep), *rows.shape[1:]))
    dense[keep] = rows
    return dense


def _kept_rows(projection: str, geometry: LayerGeometry, kept: Tensor) -> Tensor:
    """Which rows of a dense projection the file has, bool [rows]; `kept` is bool [kv_heads, head_dim]."""
    group = geometry.query_heads // geometry.kv_heads
    queries = kept.repeat_interleave(group, 0)
    values = torch.ones_like(kept)
    if projection == "q_proj":
        blocks = [queries]
    elif projection == "k_proj":
        blocks = [kept]
    elif projection == "qkv_proj":
        blocks = [queries, kept, values]
    else:
        # For each KV head its queries, its key, its value.
        rows = [queries.view(geometry.kv_heads, group, -1), kept[:, None], values[:, None]]
        blocks = [torch.cat(rows, 1).flatten(0, 1)]
    return torch.cat(blocks).flatten()


def _closure(geometry: LayerGeometry, mask: Any) -> Tensor:
    """The mask and the rotary partners of its channels, bool [kv_heads, head_dim]."""
    if mask is None:
        return torch.empty((0, 0), dtype=torch.bool)
    keep = mask.keep
    if not geometry.attention_known:
        raise LeankError("the mask does not know how the model rotates its keys; convert the checkpoint again")
    partner = torch.arange(geometry.head_dim)
    width = geometry.rotary_width
    if geometry.pairing == 1:
        partner[:width] = partner[:width].roll(width // 2)
    elif geometry.pairing == 2:
        partner[:width] = partner[:width] ^ 1
    return keep | keep[:, partner]
