"""Opening a checkpoint: what is loaded, in which type, where, and what is refused by name."""

import copy
import json
from pathlib import Path

import leank_transformers
import masked_attention
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from checkpoints import (
    CACHE,
    IS_4,
    PROMPT,
    REFERENCE,
    called,
    decoded,
    loader,
    made,
    mask_of,
    opened,
    reference_model,
    tolerance,
    write_leank,
)  # fmt: skip

NAME = "llama_gqa"


def tokens_of(name: str = NAME) -> torch.Tensor:
    return load_file(REFERENCE / name / "reference.safetensors")["input_ids"]


def test_without_remote_code_it_is_the_dense_model(tmp_path: Path) -> None:
    folder = made(NAME, tmp_path / "checkpoint", "windowed")
    model = opened(folder, trust_remote_code=False)
    assert type(model).__module__ == "transformers.models.llama.modeling_llama"
    assert not hasattr(model, "leank")
    expected = load_file(REFERENCE / NAME / "reference.safetensors")["logits_dense"]
    assert (model(tokens_of()[None]).logits[0] - expected).abs().max().item() <= tolerance(NAME)


def test_the_loader_is_one_file(tmp_path: Path) -> None:
    model = opened(made(NAME, tmp_path / "checkpoint"))
    assert type(model.new_cache()).__module__.startswith("transformers_modules.")
    assert "leank_transformers" not in loader().replace("leank_transformers in one file", "")


def test_several_checkpoints_in_one_process(tmp_path: Path) -> None:
    reference, tokens = load_file(REFERENCE / NAME / "reference.safetensors"), tokens_of()
    arrays = {"static": "logits_masked", "windowed": "logits_deploy"}
    opened_models = {mode: opened(made(NAME, tmp_path / mode, mode)) for mode in arrays}
    for mode, array in arrays.items():
        logits = decoded(opened_models[mode], tokens, PROMPT)
        assert (logits - reference[array]).abs().max().item() <= tolerance(NAME)


def test_the_package_opens_it_too(tmp_path: Path) -> None:
    folder = made(NAME, tmp_path / "checkpoint", "windowed")
    model = leank_transformers.LeanKForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(model.new_cache(), leank_transformers.PrunedCache)
    expected = load_file(REFERENCE / NAME / "reference.safetensors")["logits_deploy"]
    assert (decoded(model, tokens_of(), PROMPT) - expected).abs().max().item() <= tolerance(NAME)


def test_generate_uses_the_cache_without_another_argument(tmp_path: Path) -> None:
    folder = made(NAME, tmp_path / "checkpoint", "windowed")
    tokens = tokens_of()[None, :PROMPT]
    options = {"attention_mask": torch.ones_like(tokens), "max_new_tokens": 16, "do_sample": False, "eos_token_id": -1}
    output = opened(folder).generate(tokens, return_dict_in_generate=True, **options)
    assert type(output.past_key_values).__name__ == "PrunedCache"
    masked_attention.current = masked_attention.Rule(mask_of(NAME), (4, 8, 4), [(0, PROMPT)])
    assert output.sequences.tolist() == reference_model(folder).generate(tokens, **options).tolist()


@pytest.mark.parametrize("mode", ["static", "windowed"])
def test_bytes_are_those_of_the_semantics(mode: str, tmp_path: Path) -> None:
    model, tokens, channels, widths = opened(made(NAME, tmp_path / "checkpoint", mode)), 33, 16, 0
    cache = model.new_cache()
    assert cache.nbytes() == 0
    called(model, tokens_of()[None, :tokens], [20, *range(21, tokens + 1)], cache)
    # Token 33 is the 13th decoded one: 8 + 13 % 4 recent tokens and 4 sinks are near.
    near = 0 if mode == "static" else 4 + 8 + 1
    for mask in mask_of(NAME):
        for head in mask:
            values = channels if mode == "static" or head.any() else 0
            widths += near * 2 * channels + (tokens - near) * (int(head.sum()) + values)
    assert cache.nbytes() == 4 * widths
    assert cache.nbytes(allocated=True) >= cache.nbytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mode", ["static", "windowed"])
@pytest.mark.parametrize("name", [NAME, "gemma2", "gpt_oss"])
def test_half_precision(name: str, mode: str, dtype: torch.dtype, tmp_path: Path) -> None:
    if IS_4 and name == "gpt_oss":
        pytest.skip("not among the families of the 4.57 check")
    folder = made(name, tmp_path / "checkpoint", mode)
    tokens, errors, held = tokens_of(name), [], []
    for remote in (True, False):
        half, full = (opened(folder, dtype=kind, trust_remote_code=remote) for kind in (dtype, torch.float32))
        difference = decoded(half, tokens, PROMPT).float() - decoded(full, tokens, PROMPT)
        errors.append(difference.abs().mean().item())
    for kind in (dtype, torch.float32):
        cache = opened(folder, dtype=kind).new_cache()
        called(opened(folder, dtype=kind), tokens[None, :30], [30], cache)
        held.append(cache.nbytes())
    # Masked attention is sharper or flatter than dense attention, but rounds as often.
    assert errors[0] <= 2 * errors[1]
    assert held[0] * 2 == held[1]


def test_offloaded_weights(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    folder = made(NAME, tmp_path / "checkpoint", "windowed")
    places = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "disk"}
    places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    model = opened(folder, device_map=places, offload_folder=tmp_path / "offload")
    assert model.model.layers[1].self_attn.q_proj.weight.device.type == "meta"
    expected = load_file(REFERENCE / NAME / "reference.safetensors")["logits_deploy"]
    assert (decoded(model, tokens_of(), PROMPT) - expected).abs().max().item() <= tolerance(NAME)


@pytest.mark.parametrize("mode", ["static", "windowed"])
def test_layers_without_a_mask(mode: str, tmp_path: Path) -> None:
    masks = mask_of(NAME)
    folder = made(NAME, tmp_path / "checkpoint", mode, masks=[masks[0], None, masks[2]])
    model, tokens = opened(folder), tokens_of()
    kinds = [type(layer).__name__ for layer in model.new_cache().layers]
    assert kinds == ["PrunedLayer", "DynamicLayer", "PrunedLayer"]
    rule = masked_attention.Rule([masks[0], np.ones_like(masks[1]), masks[2]], (4, 8, 4), [(0, PROMPT)])
    rule.window = rule.window if mode == "windowed" else None
    expected = masked_attention.run(reference_model(folder), rule, tokens[None])[0]
    assert (decoded(model, tokens, PROMPT) - expected).abs().max().item() <= tolerance(NAME)


@pytest.mark.skipif(IS_4, reason="LFM2 has a cache of its own in transformers 4")
def test_hybrid(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.Lfm2Config(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, layer_types=["conv", "full_attention", "conv", "full_attention"], block_multiple_of=8,
    )  # fmt: skip
    folder = tmp_path / "checkpoint"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    generator = np.random.default_rng(0)
    masks = [None, generator.random((2, 8)) < 0.5, None, generator.random((2, 8)) < 0.4]
    write_leank(folder, json.loads((folder / "config.json").read_text()), masks, "windowed")
    tokens = torch.randint(0, 64, (1, 40))
    model = opened(folder)
    rule = masked_attention.Rule(masks, (4, 8, 4), [(0, 20), (30, 34)])
    expected = masked_attention.run(reference_model(folder), rule, tokens)
    found = called(model, tokens, [20, *range(21, 31), *range(34, 41)], model.new_cache())
    assert (found - expected).abs().max().item() <= 3e-5


def test_a_cache_that_the_checkpoint_asks_for_is_not_made(tmp_path: Path) -> None:
    folder = made(NAME, tmp_path / "checkpoint", "windowed")
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**generation, "cache_implementation": "hybrid"}))
    output = opened(folder).generate(tokens_of()[None, :9], max_new_tokens=3, return_dict_in_generate=True)
    assert type(output.past_key_values).__name__ == "PrunedCache"


def test_a_copied_cache_goes_its_own_way(tmp_path: Path) -> None:
    model, tokens = opened(made(NAME, tmp_path / "checkpoint", "windowed")), tokens_of()[None]
    cache = model.new_cache()
    called(model, tokens[:, :20], [20], cache)
    copied = copy.deepcopy(cache)
    calls = [1, 2, 3, 4, 5, 6]
    first = called(model, tokens[:, 20:26], calls, cache)
    assert torch.equal(called(model, tokens[:, 20:26], calls, copied), first)


def test_static_mode_can_take_tokens_back_while_it_generates(tmp_path: Path) -> None:
    model, tokens = opened(made(NAME, tmp_path / "checkpoint")), tokens_of()[None, :20]
    options = {"max_new_tokens": 16, "do_sample": False, "attention_mask": torch.ones_like(tokens)}
    assert (
        model.generate(tokens, prompt_lookup_num_tokens=3, **options).tolist()
        == model.generate(tokens, **options).tolist()
    )


def test_it_is_saved_as_a_checkpoint_that_opens(tmp_path: Path) -> None:
    folder, tokens = made(NAME, tmp_path / "checkpoint", "windowed"), tokens_of()
    model = opened(folder)
    model.save_pretrained(tmp_path / "saved")
    again = opened(tmp_path / "saved")
    assert (tmp_path / "saved" / "modeling_leank.py").read_text() == loader()
    difference = decoded(again, tokens, PROMPT) - decoded(model, tokens, PROMPT)
    assert difference.abs().max().item() <= tolerance(NAME)


def test_gradients_reach_the_projections(tmp_path: Path) -> None:
    model = opened(made(NAME, tmp_path / "checkpoint"))
    model.train()
    with torch.enable_grad():
        model(input_ids=tokens_of()[None], labels=tokens_of()[None], use_cache=False).loss.backward()
    gradient = model.model.layers[0].self_attn.k_proj.weight.grad
    assert gradient.isfinite().all() and gradient.abs().max() > 0


REFUSED_OBJECTS = {
    "leank.spec_version: 2.0 is not known": {"spec_version": "2.0"},
    "leank.layout: 'columns' is not known; known are cache, rows, zeroed": {"layout": "columns"},
    "leank.mode: 'dense' is not known": {"mode": "dense"},
    "leank.mode: layout rows is always static": {"layout": "rows", "mode": "windowed"},
    "leank.prefill: 'windowed' cannot be run here": {"mode": "windowed", "prefill": "windowed"},
    "empty heads are absent or zero": {"mode": "windowed", "empty_heads": "some"},
    "needs sink, recent and accumulate": {"mode": "windowed", "recent": None},
    "expected sink >= 0, recent >= 1 and accumulate >= 1": {"mode": "windowed", "accumulate": 0},
    "leank.mask_file: expected a file name": {"mask_file": "../mask.leank"},
    "nothing.leank: the file is missing": {"mask_file": "nothing.leank"},
    "mask.leank: it is another mask than config.json says": {"mask_content_id": "0" * 64},
}


@pytest.mark.parametrize("message", REFUSED_OBJECTS)
def test_what_config_says_is_refused_by_name(message: str, tmp_path: Path) -> None:
    said = dict(REFUSED_OBJECTS[message])
    folder = made(NAME, tmp_path / "checkpoint", said.pop("mode", "static"), **said)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        opened(folder)


def test_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    masks = mask_of(NAME)
    with pytest.raises(ValueError, match="the mask has 2 layers, the model 3"):
        opened(made(NAME, tmp_path / "layers", masks=masks[:2]))
    model = opened(made(NAME, tmp_path / "heads", masks=[mask[:1] for mask in masks]))
    with pytest.raises(ValueError, match="the mask is for 1 KV heads of 16 channels, the model has 2 of 16"):
        model(tokens_of()[None])
    folder = made(NAME, tmp_path / "damaged")
    damaged = bytearray((folder / "mask.leank").read_bytes())
    damaged[-1] ^= 1
    (folder / "mask.leank").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"mask\.leank: section_checksum"):
        opened(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["leank"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="there is no object leank"):
        opened(folder)


def test_what_a_pruned_cache_cannot_do_is_refused(tmp_path: Path) -> None:
    folder, tokens = made(NAME, tmp_path / "checkpoint", "windowed"), tokens_of()[None, :20]
    model = opened(folder)
    generate = {"max_new_tokens": 4, "do_sample": False}
    with pytest.raises(ValueError, match="cache_implementation 'static' cannot hold pruned keys"):
        model.generate(tokens, cache_implementation="static", **generate)
    with pytest.raises(ValueError, match="leave prefill_chunk_size out"):
        model.generate(tokens, prefill_chunk_size=8, **generate)
    with pytest.raises(ValueError, match="takes tokens back"):
        model.generate(tokens, prompt_lookup_num_tokens=3, **generate)
    with pytest.raises(ValueError, match=r"a DynamicCache cannot hold pruned keys; pass model\.new_cache\(\)"):
        model.generate(tokens, **{CACHE: transformers.DynamicCache(config=model.config)}, **generate)
    with pytest.raises(ValueError, match="a DynamicCache cannot hold pruned keys"):
        model(tokens, **{CACHE: transformers.DynamicCache(config=model.config)})
    with pytest.raises(ValueError, match="leave output_attentions out"):
        model(tokens, output_attentions=True)
    with pytest.raises(ValueError, match="it cannot be another one"):
        model.set_attn_implementation("eager")
    with pytest.raises(ValueError, match="windowed mode is in the cache"):
        model.generate(tokens, use_cache=False, **generate)
    with pytest.raises(ValueError, match="continuous batching"):
        model.generate_batch([[1, 2]])
    with pytest.raises(ValueError, match="attn_implementation 'eager' cannot read a pruned cache"):
        opened(folder, attn_implementation="eager")
    right = torch.ones_like(tokens)
    right[0, -1] = 0
    with pytest.raises(ValueError, match="pad on the left"):
        model(tokens, attention_mask=right)
    with pytest.raises(ValueError, match=r"needs an attention_mask \[batch, tokens\]"):
        model(tokens, attention_mask=torch.ones((1, 1, 20, 20), dtype=torch.bool))
    cache = model.new_cache()
    model(tokens, **{CACHE: cache})
    padded = torch.ones((1, 22), dtype=torch.long)
    padded[0, 0] = 0
    with pytest.raises(ValueError, match="pads other tokens"):
        model(tokens[:, :2], attention_mask=padded, **{CACHE: cache})
    with pytest.raises(ValueError, match="cannot be offloaded"):
        cache.layers[0].offload()


def test_another_class_of_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such class for model_type 'llama'"):
        transformers.AutoModelForImageTextToText.from_pretrained(
            made(NAME, tmp_path / "checkpoint"), trust_remote_code=True
        )
