"""Models that no family of leank knows: converted by their geometry, opened by the loader, against whole keys."""

import json
from pathlib import Path

import masked_attention
import numpy as np
import pytest
import torch

from checkpoints import IS_4, REFERENCE, WINDOW, binary, called, leank, opened, reference_model

pytestmark = [
    pytest.mark.skipif(binary() is None, reason="leank is not built"),
    pytest.mark.skipif(IS_4, reason="transformers 4 does not know these models"),
]
CACHES = REFERENCE.parent / "Caches" / "models.json"
# A dense one, two with pictures, hybrids with and without QK-norm.
NAMES = ("seed_oss", "idefics3", "gemma4", "qwen3_5", "lfm2", "granitemoehybrid", "nemotron_h")
TURN = (0, 20)
TOKENS = torch.arange(3, 43)[None]


def masks_of(name: str) -> list[np.ndarray | None]:
    """A mask for the layers that were seen to cache keys, bool [kv_heads, head_dim]; None for the others."""
    layers = json.loads(CACHES.read_text())["models"][name]["cache"]
    random = np.random.default_rng(5)
    return [None if layer is None else random.random(layer[:2]) < 0.5 for layer in layers]


def source_of(name: str, folder: Path, masks: list[np.ndarray | None]) -> tuple[Path, Path]:
    """The tiny model as a checkpoint, and a file with the mask, which counts layers with a cache only."""
    import make_cache_shapes
    from safetensors.numpy import save_file

    model = make_cache_shapes.tiny(name)
    for parameter in model.parameters():
        parameter.data = parameter.data.float() * (8 if parameter.dim() == 2 else 1)
    model.save_pretrained(folder / "dense")
    kept = [mask for mask in masks if mask is not None]
    mask = folder / "mask.safetensors"
    save_file({f"layers.{index}.mask": layer for index, layer in enumerate(kept)}, mask)
    return folder / "dense", mask


@pytest.mark.parametrize("mode", ["static", "windowed"])
@pytest.mark.parametrize("name", NAMES)
def test_cache(name: str, mode: str, tmp_path: Path) -> None:
    masks = masks_of(name)
    dense, mask = source_of(name, tmp_path, masks)
    window = [part for key, value in WINDOW.items() for part in (f"--{key}", value)] if mode == "windowed" else []
    run = leank(
        "convert", "--model", dense, "--mask", mask, "--output", tmp_path / "pruned", "--layout", "cache",
        "--mode", mode, *window, "--quiet",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert leank("inspect", tmp_path / "pruned").returncode == 0
    proof = leank("verify", dense, tmp_path / "pruned", "--structure-only")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    numeric = leank("verify", dense, tmp_path / "pruned")
    assert numeric.returncode == 4 and "transformers runs it with the loader" in numeric.stderr
    check(name, tmp_path / "pruned", masks, tuple(WINDOW.values()) if mode == "windowed" else None)


@pytest.mark.parametrize("name", ["granitemoehybrid", "nemotron_h"])
def test_rows(name: str, tmp_path: Path) -> None:
    masks = masks_of(name)
    dense, mask = source_of(name, tmp_path, masks)
    run = leank(
        "convert", "--model", dense, "--mask", mask, "--output", tmp_path / "pruned", "--mode", "static", "--quiet"
    )
    assert run.returncode == 0, run.stderr
    proof = leank("verify", dense, tmp_path / "pruned", "--structure-only")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    check(name, tmp_path / "pruned", masks, None, tmp_path / "dense")


def test_shared_keys_are_refused(tmp_path: Path) -> None:
    dense, mask = source_of("gemma4_text", tmp_path, masks_of("gemma4_text"))
    output = tmp_path / "pruned"
    run = leank("convert", "--model", dense, "--mask", mask, "--output", output, "--layout", "cache", "--quiet")
    assert run.returncode == 0, run.stderr
    with pytest.raises(ValueError, match="num_kv_shared_layers"):
        opened(output)


def check(
    name: str, folder: Path, masks: list[np.ndarray | None], window: tuple[int, ...] | None, dense: Path | None = None
) -> None:
    """Compares the opened checkpoint with the dense model whose keys are whole and masked pair by pair."""
    reference = reference_model(folder.parent / "dense" if dense is None else dense)
    rule = masked_attention.Rule(masks, window, [TURN])
    expected = masked_attention.run(reference, rule, TOKENS)
    model = opened(folder)
    logits = called(model, TOKENS, [*range(TURN[1], TOKENS.shape[1] + 1)], model.new_cache())
    assert (logits - expected).abs().max().item() <= 3e-5 * max(1, expected.abs().max().item())
    plain = opened(folder.parent / "dense", trust_remote_code=False)
    assert (plain(TOKENS).logits - expected).abs().max().item() > 1e-3
