"""Decoding through a CUDA graph: one launch a token instead of some hundreds."""

from typing import Any

import torch
from torch import Tensor

from .cache import PrunedCache
from .decode import append_token, interprets, layer_kernel, on_device, state_of
from .decode_kernel import triton
from .errors import LeankError
from .layer import PrunedLayer


class DecodeGraph:
    """Decodes token after token with `model` and a cache that holds a prompt; one token a row and call.

    The graph is recorded at the first call. The cache stays what it is, and can be passed to the model again at any
    time; its rows may change places or be cropped between two calls, but their number must stay. In static mode no row
    may have padding, which the cache does not know there.
    """

    def __init__(self, model: Any, cache: PrunedCache) -> None:
        self.model, self.cache = model, cache
        if len(cache.pruned_layers) != len(cache.layers):
            raise LeankError("a graph cannot record layers without mask; decode with the model itself")
        if cache.get_seq_length() == 0:
            raise LeankError("a graph decodes behind a prompt; run the prompt with the model first")
        layer = cache.pruned_layers[0]
        if not interprets() and (triton is None or layer.device.type != "cuda"):
            raise LeankError("a graph needs CUDA and the package triton; decode with the model itself")
        if any(other.device != layer.device for other in cache.pruned_layers):
            raise LeankError("a graph cannot record layers on several devices; decode with the model itself")
        self.batch, self.device = layer.batch_size, layer.device
        self.tokens = torch.zeros((self.batch, 1), dtype=torch.long, device=self.device)
        self.positions = torch.zeros_like(self.tokens)
        # A row a layer, each 64 bytes, so that all are aligned alike.
        self._states = torch.zeros((len(cache.layers), 16), dtype=torch.int32, device=self.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._recorded: list[Any] = []  # what the graph knows by its address
        self._logits = torch.empty(0)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits [batch, 1, vocabulary] behind `tokens` [batch, 1]; the next call overwrites them."""
        layers = self.cache.pruned_layers
        if tokens.shape != self.tokens.shape or layers[0].batch_size != self.batch:
            raise LeankError(f"the graph decodes {self.batch} rows, one token each; found tokens {list(tokens.shape)}")
        if layers[0].prompt_next:
            raise LeankError("a graph decodes; run a prompt with the model itself")
        self.tokens.copy_(tokens)
        padding, slot = layers[0].padding, self.cache.get_seq_length()
        self.positions.fill_(slot)
        if padding is not None:
            self.positions.sub_(padding[:, None])
        for layer in layers:
            layer.advance()
            layer_kernel(layer).refresh(layer)
        rows = [(*state_of(layer), *[0] * 7) for layer in layers]
        numbers = [number for row in rows for number in row]
        self._states.copy_(on_device(numbers, torch.int32, self.device).view(-1, 16))
        known = [known for layer in layers for known in (layer_kernel(layer), layer.padding)]
        if self._graph is None or any(a is not b for a, b in zip(known, self._recorded, strict=True)):
            self._record()
            # The plans are held too, since the cache makes new ones.
            self._recorded, self._plans = known, [layer_kernel(layer).plan for layer in layers]
        if self._graph is not None:
            self._graph.replay()
        return self._logits

    def _record(self) -> None:
        """Records the forward pass; on another device than CUDA, where tests interpret the kernel, it just runs."""
        for layer, state in zip(self.cache.pruned_layers, self._states, strict=True):
            layer_kernel(layer).state = state
            layer.write = _writer(layer)
        try:
            if self.device.type != "cuda":
                self._logits = self._forward()
                return
            stream = torch.cuda.Stream(self.device)
            stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(stream):
                self._forward()
            torch.cuda.current_stream(self.device).wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._logits = self._forward()
        finally:
            for layer in self.cache.pruned_layers:
                layer_kernel(layer).state = layer.write = None

    def _forward(self) -> Tensor:
        held = {self.model._cache_name: self.cache}
        with torch.no_grad():
            return self.model(input_ids=self.tokens, position_ids=self.positions, use_cache=True, **held).logits


def _writer(layer: PrunedLayer) -> Any:
    def write(keys: Tensor, values: Tensor) -> None:
        append_token(layer, keys, values)

    return write
