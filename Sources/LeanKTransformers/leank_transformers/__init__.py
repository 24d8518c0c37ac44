"""Opens checkpoints that leank pruned in transformers, with the smaller K/V cache."""

from .cache import PrunedCache
from .channels import LayerMask, Window
from .errors import LeankError
from .layer import PrunedLayer
from .mask_file import MaskFile, read_mask
from .model import LeanKForCausalLM, LeanKForImageTextToText
from .settings import Settings

__all__ = [
    "LayerMask",
    "LeanKForCausalLM",
    "LeanKForImageTextToText",
    "LeankError",
    "MaskFile",
    "PrunedCache",
    "PrunedLayer",
    "Settings",
    "Window",
    "read_mask",
]
