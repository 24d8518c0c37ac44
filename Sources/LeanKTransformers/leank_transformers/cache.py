"""The pruned K/V cache of a model."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache

from .layer import PrunedLayer


class PrunedCache(Cache):
    """A cache whose layers keep |M| channels of a key, and of near keys all; passed on like any cache of transformers.

    A call of the model with one token decodes it, one with several tokens is a prompt. `generate` says by itself where
    a prompt begins; who calls the model by hand with a later prompt of one token calls `begin_prompt` first.
    """

    def __init__(self, layers: list[Any]) -> None:
        super().__init__(layers=layers)

    @property
    def pruned_layers(self) -> list[PrunedLayer]:
        return [layer for layer in self.layers if isinstance(layer, PrunedLayer)]

    def begin_prompt(self) -> None:
        """Makes the next tokens a prompt, also if it is one token."""
        for layer in self.pruned_layers:
            layer.prompt_next = True

    def set_padding(self, padding: Tensor) -> None:
        """Tells the leading padding of each row, [batch], before the first tokens arrive."""
        for layer in self.pruned_layers:
            layer.set_padding(padding)

    def crop(self, tokens_to_remove: int) -> None:
        """Takes back the last tokens: -n removes n, a positive number is the length that remains.

        Raises `LeankError`, and changes nothing, where tokens would have to be whole again that no longer are.
        """
        length = self.get_seq_length()
        remaining = length + tokens_to_remove if tokens_to_remove <= 0 else min(tokens_to_remove, length)
        for layer in self.pruned_layers:
            layer.settle()
            layer.check_crop(max(0, remaining))
        for layer in self.layers:
            if isinstance(layer, PrunedLayer):
                layer.crop_to(max(0, remaining))
            else:
                layer.crop(remaining - length)

    def nbytes(self, allocated: bool = False) -> int:
        """Bytes of all keys and values held, or of the memory allocated for them."""
        return sum(
            layer.nbytes(allocated) if isinstance(layer, PrunedLayer) else _tensor_bytes(layer) for layer in self.layers
        )


def _tensor_bytes(layer: Any) -> int:
    """Bytes of a layer of transformers' own."""
    found = [getattr(layer, name, None) for name in ("keys", "values")]
    return sum(rows.numel() * rows.element_size() for rows in found if isinstance(rows, Tensor))
