"""What a pruned checkpoint says about itself: the object `leank` of its config.json and the mask beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import DynamicCache

from .cache import PrunedCache
from .channels import LayerMask, Window
from .errors import LeankError
from .layer import PrunedLayer
from .mask_file import LayerGeometry, read_mask

LAYOUTS = ("cache", "rows", "zeroed")


@dataclass(frozen=True)
class Settings:
    """How a model is run through its mask. `window` is None in static mode; a layer without mask is None."""

    layout: str
    window: Window | None
    masks: list[LayerMask | None]
    geometry: list[LayerGeometry]

    @classmethod
    def read(cls, config: Any, find: Callable[[str], str]) -> "Settings":
        """Of a configuration; `find` gives the path of a file of the checkpoint."""
        said = getattr(config, "leank", None)
        if not isinstance(said, dict):
            raise LeankError(
                "config.json: there is no object leank; open the checkpoint with transformers' own classes"
            )
        version, layout = str(said.get("spec_version")), said.get("layout")
        if version.split(".")[0] != "1":
            raise LeankError(
                f"config.json: leank.spec_version: {version} is not known; a newer modeling_leank.py is needed"
            )
        if layout not in LAYOUTS:
            raise LeankError(f"config.json: leank.layout: {layout!r} is not known; known are {', '.join(LAYOUTS)}")
        window = _window(said)
        if window is not None and layout != "cache":
            raise LeankError(f"config.json: leank.mode: layout {layout} is always static")
        name = str(said.get("mask_file"))
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise LeankError(f"config.json: leank.mask_file: expected a file name, found {name!r}")
        file = read_mask(Path(find(name)).read_bytes(), name)
        if file.content_id != said.get("mask_content_id"):
            raise LeankError(f"{name}: it is another mask than config.json says; convert the checkpoint again")
        masks = [None if keep is None else LayerMask(keep) for keep in file.masks]
        return cls(layout, window, masks, file.geometry)

    def mask(self, layer: int) -> LayerMask | None:
        return self.masks[layer] if layer < len(self.masks) else None

    def new_cache(self, config: Any, dense_shape: bool = False) -> PrunedCache:
        """An empty cache for a model of `config`; layers without mask have transformers' own.

        `dense_shape` is for models whose attention is not transformers' interface.
        """
        layers: list[Any] = list(DynamicCache(config=config).layers)
        if len(layers) != len(self.masks):
            raise LeankError(f"the mask has {len(self.masks)} layers, the model {len(layers)}")
        for index, own in enumerate(layers):
            mask = self.masks[index]
            if mask is not None:
                layers[index] = PrunedLayer(mask, self.window, getattr(own, "sliding_window", None), dense_shape)
        return PrunedCache(layers)


def _window(said: dict[str, Any]) -> Window | None:
    mode = said.get("mode")
    if mode == "static":
        return None
    if mode != "windowed":
        raise LeankError(f"config.json: leank.mode: {mode!r} is not known; known are static, windowed")
    prefill, empty_heads = said.get("prefill", "dense"), said.get("empty_heads", "absent")
    if prefill != "dense":
        raise LeankError(f"config.json: leank.prefill: {prefill!r} cannot be run here; dense can")
    numbers = [said.get(key) for key in ("sink", "recent", "accumulate")]
    if not all(isinstance(number, int) for number in numbers):
        raise LeankError("config.json: leank: windowed mode needs sink, recent and accumulate, three whole numbers")
    return Window(*numbers, empty_heads)  # type: ignore[arg-type]
