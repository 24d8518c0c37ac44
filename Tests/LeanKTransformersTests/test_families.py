"""Every reference model through the loader, against logits that transformers computed with patched attention."""

from pathlib import Path

import masked_attention
import pytest
from safetensors.torch import load_file

from checkpoints import FAMILIES, IS_4, PROMPT, REFERENCE, decoded, made, mask_of, opened, reference_model, tolerance

# RoPE is stretched as their text grows: transformers rotates new keys otherwise and keeps those that it has cached,
# while the references are of the whole text at once. They are compared with whole keys cached in the same steps.
STRETCHED = ("llama_dynamic", "phi3_longrope_long")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("mode", "array"), [("static", "logits_masked"), ("windowed", "logits_deploy")])
def test_logits_are_those_of_transformers(name: str, mode: str, array: str, tmp_path: Path) -> None:
    reference = load_file(REFERENCE / name / "reference.safetensors")
    tokens = reference["input_ids"]
    if array not in reference:
        assert name.startswith("falcon")
        pytest.skip("falcon's attention could be patched for the static mode only")
    folder = made(name, tmp_path / "checkpoint", mode)
    if name in STRETCHED:
        window = (4, 8, 4) if mode == "windowed" else None
        rule = masked_attention.Rule(mask_of(name), window, [(0, PROMPT)])
        expected = masked_attention.run(reference_model(folder), rule, tokens[None])[0]
    else:
        expected = reference[array]
    logits = decoded(opened(folder), tokens, PROMPT)
    assert (logits - expected).abs().max().item() <= tolerance(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_static_without_a_cache(name: str, tmp_path: Path) -> None:
    reference = load_file(REFERENCE / name / "reference.safetensors")
    model = opened(made(name, tmp_path / "checkpoint"))
    if name.startswith("falcon"):
        with pytest.raises(ValueError, match="static mode without a cache"):
            model(input_ids=reference["input_ids"][None], use_cache=False)
        return
    output = model(input_ids=reference["input_ids"][None], use_cache=False)
    assert output.past_key_values is None
    assert (output.logits[0] - reference["logits_masked"]).abs().max().item() <= tolerance(name)


@pytest.mark.skipif(IS_4, reason="the families of the 4.57 check have no other attention")
def test_windowed_needs_the_interface(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="FalconForCausalLM: its attention is not transformers' interface"):
        opened(made("falcon_new", tmp_path / "checkpoint", "windowed"))
