"""The package's reader against the format's vectors, which neither knows of the other."""

import json

import pytest
from leank_transformers import read_mask

from checkpoints import ROOT

VECTORS = ROOT / "Fixtures" / "Vectors" / "v1"
VALID = sorted((VECTORS / "valid").glob("*.leank"))
INVALID = sorted((VECTORS / "invalid").glob("*.leank"))
# What only sections can be refused for that this reader does not look into, and other instances' masks.
BEYOND = ("alignment", "scores", "deployment", "provenance", "name", "limit", "padding", "reserved", "section_length")
# Coarser words for a file that is no .leank file at all.
COARSER = {"transfer_damage": "signature", "truncated": "signature"}


def test_there_are_vectors() -> None:
    assert len(VALID) > 50
    assert len(INVALID) > 200


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid(path) -> None:  # noqa: ANN001
    said = json.loads(path.with_suffix(".json").read_text())
    file = read_mask(path.read_bytes())
    assert file.content_id == said["content_id"]
    masks = [[] if mask is None else ["".join("01"[int(bit)] for bit in head) for head in mask] for mask in file.masks]
    assert masks == said["instances"][0]["mask"]


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid(path) -> None:  # noqa: ANN001
    said = json.loads(path.with_suffix(".json").read_text())
    try:
        read_mask(path.read_bytes())
    except ValueError as refusal:
        found = str(refusal).split(": ")[1]
        # Two faults are looked for in another order here.
        assert found in (said["class"], COARSER.get(said["class"])) or path.stem.startswith("order_of_checks")
    else:
        other = ("instance_mask_bits", "section_digest_note", "section_digest_scor")
        assert said["class"] in BEYOND or path.stem in other


def test_zstandard_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "compression", None)
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(ValueError, match="pip install zstandard"):
        read_mask((VECTORS / "valid" / "zstd_mask.leank").read_bytes())
