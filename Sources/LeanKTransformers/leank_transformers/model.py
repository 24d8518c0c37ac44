"""Opens a pruned checkpoint as a model of transformers whose cache is the smaller one."""

import functools
import inspect
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, GenerationConfig, PreTrainedModel
from transformers import __version__ as transformers_version
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import cached_file

from .attention import ATTENTION
from .cache import PrunedCache
from .errors import LeankError
from .graph import DecodeGraph
from .rows import dense_state
from .settings import Settings

# Arguments that say where a checkpoint is.
PLACE = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


class PrunedModel:
    """What a pruned model has beside its family's class; `leank` holds its mask and mode."""

    leank: Settings

    def new_cache(self) -> PrunedCache:
        """An empty cache, to be passed to several calls of `generate` or of the model."""
        return self.leank.new_cache(self._text_config, dense_shape=not self._uses_interface)

    def decode_graph(self, cache: PrunedCache) -> DecodeGraph:
        """Decodes behind what `cache` holds through a CUDA graph: `logits = graph(tokens)`, one token a row."""
        return DecodeGraph(self, cache)

    @property
    def _text_config(self) -> Any:
        return self.config.get_text_config(decoder=True)  # type: ignore[attr-defined]

    def _adopt(self, settings: Settings) -> None:
        self.leank = settings
        self.new_cache()  # a mask of another number of layers is refused now
        decoder = self.get_decoder()  # type: ignore[attr-defined]
        if settings.window is None:
            for module in decoder.modules():
                number = getattr(module, "layer_idx", None)
                if isinstance(number, int):
                    module.leank_mask = settings.mask(number)

    def _prepared(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `forward` with a pruned cache, and the cache told of the padding."""
        if "past_key_values" in kwargs and self._cache_name != "past_key_values":
            kwargs[self._cache_name] = kwargs.pop("past_key_values")
        cache = kwargs.get(self._cache_name)
        uses_cache = kwargs.get("use_cache")
        if uses_cache is None:
            uses_cache = bool(getattr(self._text_config, "use_cache", True))
        if getattr(self, "training", False) and getattr(self, "is_gradient_checkpointing", False):
            uses_cache = False
        if cache is None and uses_cache:
            cache = kwargs[self._cache_name] = self.new_cache()
        if cache is None:
            if self.leank.window is None and not self._uses_interface:
                raise LeankError(f"{self._family}: static mode without a cache cannot be run; leave use_cache on")
            return kwargs
        if not isinstance(cache, PrunedCache):
            raise LeankError(f"a {type(cache).__name__} cannot hold pruned keys; pass model.new_cache()")
        if kwargs.get("output_attentions"):
            raise LeankError("attention weights are not there to be returned; leave output_attentions out")
        if self.leank.window is not None:
            tokens = kwargs.get("input_ids")
            tokens = kwargs.get("inputs_embeds") if tokens is None else tokens
            self._tell_padding(cache, kwargs.get("attention_mask"), 0 if tokens is None else tokens.shape[1])
        return kwargs

    def _tell_padding(self, cache: PrunedCache, attention_mask: Tensor | None, tokens: int) -> None:
        """Windowed mode counts a row's sinks from its first real token, so it has to know where that is."""
        if attention_mask is None or (tokens == 1 and cache.get_seq_length() > 0):
            return
        if not isinstance(attention_mask, Tensor) or attention_mask.dim() != 2:
            raise LeankError("windowed mode needs an attention_mask [batch, tokens]; leave it out or pass that")
        real = attention_mask.to(torch.bool)
        padding = real.int().argmax(1)
        if not torch.equal(real.sum(1), real.shape[1] - padding):
            raise LeankError("windowed mode takes padding before a row's first token only; pad on the left")
        if cache.get_seq_length() == 0:
            if bool(padding.any()):
                cache.set_padding(padding)
            return
        known = next((layer.padding for layer in cache.pruned_layers), None)
        if not torch.equal(padding, torch.zeros_like(padding) if known is None else known.to(padding.device)):
            raise LeankError("the attention_mask pads other tokens than those that the cache was filled with")

    def _prepare_cache_for_generation(
        self, generation_config: GenerationConfig, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        """Called by `generate` before its first step."""
        if generation_config.cache_implementation not in (None, "dynamic"):
            raise LeankError(
                f"cache_implementation {generation_config.cache_implementation!r} cannot hold pruned keys; leave it out"
            )
        if getattr(generation_config, "prefill_chunk_size", None) is not None:
            raise LeankError(
                "a prompt in chunks would lose channels before it is complete; leave prefill_chunk_size out"
            )
        mode = getattr(args[0] if args else kwargs.get("generation_mode"), "value", "")
        if self.leank.window is not None and mode in ("assisted_generation", "contrastive_search"):
            raise LeankError(f"{mode} takes tokens back, which windowed mode cannot; leave the assistant out")
        cache = model_kwargs.get(self._cache_name)
        if cache is None:
            if generation_config.use_cache is False:
                if self.leank.window is not None:
                    raise LeankError("windowed mode is in the cache; leave use_cache on")
                return
            model_kwargs[self._cache_name] = self.new_cache()
        elif not isinstance(cache, PrunedCache):
            raise LeankError(f"a {type(cache).__name__} cannot hold pruned keys; pass model.new_cache()")
        else:
            cache.begin_prompt()
            cache._is_user_defined = True

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        raise LeankError("the attention of a pruned model reads the pruned cache, so it cannot be another one")

    def generate_batch(self, *args: Any, **kwargs: Any) -> None:
        raise LeankError("continuous batching has a cache of its own; use generate")

    init_continuous_batching = generate_batch

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model as layout `cache`: weights in dense shape, the mask, and this loader."""
        super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        folder = Path(save_directory)
        said = dict(self.config.leank, layout="cache")  # type: ignore[attr-defined]
        shutil.copyfile(self._mask_path, folder / said["mask_file"])
        loader = Path(str(sys.modules[__name__].__file__))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config.update(leank=said, architectures=[self._family])
        if loader.name == "modeling_leank.py":
            shutil.copyfile(loader, folder / loader.name)
            config["auto_map"] = self.config.auto_map  # type: ignore[attr-defined]
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    # Set by `pruned_class` and `open_pruned`.
    _family: str
    _cache_name: str
    _uses_interface: bool
    _mask_path: str


@functools.cache
def pruned_class(base: type[Any]) -> type[Any]:
    """The family's class `base` with a pruned cache, under the same name."""
    parameters = list(inspect.signature(base.forward).parameters)[1:]

    @functools.wraps(base.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(zip(parameters, args, strict=False))
        return base.forward(self, **self._prepared(kwargs))

    members = {
        "forward": forward,
        # transformers looks up how to read a checkpoint by the class's name, and whether it is its own by the module.
        "__module__": base.__module__,
        "_family": base.__name__,
        "_cache_name": "cache" if "cache" in parameters else "past_key_values",
        "_uses_interface": hasattr(sys.modules[base.__module__], "ALL_ATTENTION_FUNCTIONS")
        or bool(getattr(base, "_supports_attention_backend", False)),
    }
    return type(base.__name__, (PrunedModel, base), members)


def open_pruned(mapping: Any, place: str, *args: Any, config: Any = None, **kwargs: Any) -> Any:
    """Opens the checkpoint at `place`, a folder or the name of a repository, with the class that `mapping` has."""
    where = {key: kwargs[key] for key in PLACE if key in kwargs}
    if config is None:
        config = AutoConfig.from_pretrained(place, **where)

    def find(name: str) -> str | None:
        return cached_file(place, name, _raise_exceptions_for_missing_entries=False, **where)

    def need(name: str) -> str:
        path = find(name)
        if path is None:
            raise LeankError(f"{name}: the file is missing from {place}")
        return path

    settings = Settings.read(config, need)
    if getattr(config.get_text_config(decoder=True), "num_kv_shared_layers", None):
        raise LeankError("layers that use the keys of earlier ones (num_kv_shared_layers) cannot be run through a mask")
    base = mapping.get(type(config), None)
    if base is None or not issubclass(base, PreTrainedModel):
        raise LeankError(f"transformers has no such class for model_type {config.model_type!r}; try another AutoModel")
    model_class = pruned_class(base)
    asked = kwargs.pop("attn_implementation", None) or getattr(config, "_attn_implementation_internal", None)
    if asked not in (None, "sdpa", ATTENTION):
        raise LeankError(f"attn_implementation {asked!r} cannot read a pruned cache; leave it out")
    if model_class._uses_interface:
        kwargs["attn_implementation"] = ATTENTION
    elif settings.window is not None:
        raise LeankError(
            f"{model_class._family}: its attention is not transformers' interface, so windowed mode cannot be run; "
            "convert with --mode static"
        )
    loading_info = None
    if settings.layout == "rows":
        if getattr(config, "quantization_config", None) is not None:
            raise LeankError("quantised weights of layout rows cannot be opened; convert with --layout cache")
        places = kwargs.get("device_map")
        on_disk = "disk" in places.values() if isinstance(places, dict) else "offload_folder" in kwargs
        if on_disk and transformers_version.startswith("4."):
            raise LeankError("layout rows with weights on disk needs transformers 5; convert with --layout cache")
        state = dense_state(find, settings.geometry, settings.masks)
        opened = model_class.from_pretrained(None, *args, config=config, state_dict=state, **_without(kwargs, PLACE))
    else:
        opened = model_class.from_pretrained(place, *args, config=config, **kwargs)
    if isinstance(opened, tuple):
        opened, loading_info = opened
    if settings.layout == "rows":
        opened.config._name_or_path = opened.name_or_path = str(place)
        if find("generation_config.json") is not None:
            opened.generation_config = GenerationConfig.from_pretrained(place, **where)
    # Gemma's files ask for a cache of transformers by name.
    opened.generation_config.cache_implementation = None
    opened._mask_path = need(config.leank["mask_file"])
    opened._adopt(settings)
    return opened if loading_info is None else (opened, loading_info)


def _without(kwargs: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key not in keys}


class LeanKForCausalLM:
    """What `AutoModelForCausalLM` opens a pruned checkpoint with."""

    _mapping = MODEL_FOR_CAUSAL_LM_MAPPING

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoModelForCausalLM") -> None:
        """transformers calls it; the class that is opened is the family's, so there is nothing to note."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str, *args: Any, **kwargs: Any) -> Any:
        """As transformers' own, with the pruned cache; layout `rows` gets its weights back in dense shape."""
        return open_pruned(cls._mapping, pretrained_model_name_or_path, *args, **kwargs)


class LeanKForImageTextToText(LeanKForCausalLM):
    """What `AutoModelForImageTextToText` opens a pruned checkpoint with."""

    _mapping = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
