"""Checkpoints that leank's binary wrote, in every layout."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from checkpoints import (
    CACHE,
    CONFIG,
    FAMILIES,
    IS_4,
    PROMPT,
    REFERENCE,
    binary,
    called,
    decoded,
    leank,
    loader,
    opened,
    tolerance,
)

pytestmark = pytest.mark.skipif(binary() is None, reason="leank is not built")
NORMED = ("qwen3", "qwen3_moe", "gemma3", "gemma3_text", "olmo2", "exaone4", "cohere", "stablelm_qkln")
WINDOW = ["--mode", "windowed", "--sink", 4, "--recent", 8, "--accumulate", 4]
STRETCHED = ("llama_dynamic", "phi3_longrope_long")


def source_of(name: str, folder: Path) -> Path:
    """A copy of the reference model with config.json in the running transformers' dialect."""
    folder.mkdir(parents=True)
    for file in REFERENCE.joinpath(name).glob("*model*"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_bytes((REFERENCE / name / CONFIG).read_bytes())
    (folder / "generation_config.json").write_bytes((REFERENCE / name / "generation_config.json").read_bytes())
    return folder


def converted(name: str, folder: Path, layout: str, *options: object) -> Path:
    """What leank makes of the reference model and its mask."""
    output, mask = folder / "pruned", REFERENCE / name / "mask.npy"
    source = source_of(name, folder / "dense")
    run = leank(
        "convert", "--model", source, "--mask", mask, "--output", output, "--layout", layout, "--quiet", *options
    )
    assert run.returncode == 0, run.stderr
    return output


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in NORMED])
def test_rows_are_put_back(name: str, tmp_path: Path) -> None:
    folder = converted(name, tmp_path, "rows")
    reference = load_file(REFERENCE / name / "reference.safetensors")
    model, tokens = opened(folder), reference["input_ids"]
    assert (model.generation_config.eos_token_id, model.config._name_or_path) == (2, str(folder))
    prompt = len(tokens) if name in STRETCHED else PROMPT
    logits = decoded(model, tokens, prompt)
    assert (logits - reference["logits_masked"]).abs().max().item() <= tolerance(name)


@pytest.mark.parametrize("name", ["llama_gqa", "phi3_longrope_short", "qwen2"])
def test_zeroed_caches_the_closure(name: str, tmp_path: Path) -> None:
    folder = converted(name, tmp_path, "zeroed")
    tokens = load_file(REFERENCE / name / "reference.safetensors")["input_ids"]
    model, plain = opened(folder), opened(folder, trust_remote_code=False)
    cache = model.new_cache()
    logits = called(model, tokens[None], [PROMPT, *range(PROMPT + 1, 49)], cache)[0]
    assert (logits - plain(tokens[None]).logits[0]).abs().max().item() <= tolerance(name)
    dense = sum(layer.keys.nbytes + layer.values.nbytes for layer in plain(tokens[None])[CACHE].layers)
    assert cache.nbytes() < dense


@pytest.mark.parametrize("name", ["llama_gqa", "gemma2"])
def test_windowed_cache(name: str, tmp_path: Path) -> None:
    folder = converted(name, tmp_path, "cache", *WINDOW)
    reference = load_file(REFERENCE / name / "reference.safetensors")
    logits = decoded(opened(folder), reference["input_ids"], PROMPT)
    assert (logits - reference["logits_deploy"]).abs().max().item() <= tolerance(name)


def test_bytes_are_leanks_own(tmp_path: Path) -> None:
    folder = converted("llama_gqa", tmp_path, "cache", *WINDOW)
    said = leank(
        "verify", tmp_path / "dense", folder, "--tokens", REFERENCE / "llama_gqa" / "reference.safetensors",
        "--prompt-length", PROMPT, "--json",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    report = json.loads(said.stdout)
    assert report["structure"]["loader"] == "0.1.0"
    model = opened(folder, dtype=torch.bfloat16)
    cache = model.new_cache()
    tokens = load_file(REFERENCE / "llama_gqa" / "reference.safetensors")["input_ids"]
    called(model, tokens[None], [PROMPT, *range(PROMPT + 1, 49)], cache)
    expected = report["k_cache_bytes"]["pruned"] + report["v_cache_bytes"]["pruned"]
    assert abs(cache.nbytes() - expected) <= 0.02 * expected


def test_rows_are_saved_as_dense_weights(tmp_path: Path) -> None:
    folder = converted("llama_gqa", tmp_path, "rows")
    reference = load_file(REFERENCE / "llama_gqa" / "reference.safetensors")
    opened(folder).save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["leank"]["layout"] == "cache"
    logits = decoded(opened(tmp_path / "saved"), reference["input_ids"], PROMPT)
    assert (logits - reference["logits_masked"]).abs().max().item() <= tolerance("llama_gqa")


def test_the_weights_stay_mapped(tmp_path: Path) -> None:
    folder = converted("llama_bias_sharded", tmp_path, "rows")
    model = opened(folder, dtype=torch.bfloat16)
    with safe_open(next(folder.glob("model-00001*")), "pt") as shard:
        for name in shard.keys():  # noqa: SIM118
            if "_proj" not in name or "mlp" in name:
                assert torch.equal(model.state_dict()[name], shard.get_tensor(name))


@pytest.mark.parametrize("layout", ["rows", "cache"])
def test_offloaded_to_disk(layout: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    folder = converted("llama_gqa", tmp_path, layout, "--mode", "static")
    places = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "disk"}
    places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    reference = load_file(REFERENCE / "llama_gqa" / "reference.safetensors")
    options = {"device_map": places, "offload_folder": tmp_path / "offload"}
    if layout == "rows" and IS_4:
        with pytest.raises(ValueError, match="layout rows with weights on disk needs transformers 5"):
            opened(folder, **options)
        return
    logits = decoded(opened(folder, **options), reference["input_ids"], PROMPT)
    assert (logits - reference["logits_masked"]).abs().max().item() <= tolerance("llama_gqa")


def test_the_loader_is_the_package(tmp_path: Path) -> None:
    folder = converted("llama_gqa", tmp_path, "cache")
    assert (folder / "modeling_leank.py").read_text() == loader()
    config = json.loads((folder / "config.json").read_text())
    assert config["auto_map"] == {"AutoModelForCausalLM": "modeling_leank.LeanKForCausalLM"}
    wrapper = converted("llava", tmp_path / "wrapper", "cache") if "llava" in FAMILIES else None
    if wrapper is not None:
        config = json.loads((wrapper / "config.json").read_text())
        assert config["auto_map"]["AutoModelForImageTextToText"] == "modeling_leank.LeanKForImageTextToText"


def test_without_loader(tmp_path: Path) -> None:
    folder = converted("llama_gqa", tmp_path, "cache", "--no-loader")
    assert not (folder / "modeling_leank.py").exists()
    assert "auto_map" not in json.loads((folder / "config.json").read_text())
    assert not hasattr(opened(folder), "leank")


def test_fp8_rows_are_refused(tmp_path: Path) -> None:
    source = REFERENCE.parent / "Quantised" / "llama_fp8"
    run = leank("convert", "--model", source, "--mask", source / "mask.npy", "--output", tmp_path / "pruned", "--quiet")
    assert run.returncode == 0, run.stderr
    with pytest.raises(ValueError, match="quantised weights of layout rows"):
        opened(tmp_path / "pruned")
