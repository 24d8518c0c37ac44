"""The guides' Python, behind their own commands."""

import re
from pathlib import Path

import pytest
import torch

from checkpoints import ROOT, binary, leank

CATALOGUE = ROOT / "Sources" / "LeanKCommands" / "LeanK.docc"
# What the guide's Python prints.
GUIDES = {
    ROOT / "README.md": r"^$",
    CATALOGUE / "ServingAPrunedModel.md": r"bytes of keys and values\n(.*\n)*\d+ tokens, \d+ bytes",
}


@pytest.mark.skipif(binary() is None, reason="leank is not built")
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_guide(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Fixtures").symlink_to(ROOT / "Fixtures")
    (tmp_path / "out").mkdir()
    torch.manual_seed(0)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    for line in "".join(block for language, block in blocks if language == "console").splitlines():
        if line.startswith("$ leank "):
            run = leank(*line.removeprefix("$ leank ").split())
            assert run.returncode == 0, run.stderr
    names: dict[str, object] = {}
    python = [block for language, block in blocks if language == "python"]
    assert python
    for block in python:
        exec(compile(block, path.name, "exec"), names)
    assert re.search(GUIDES[path], capsys.readouterr().out)
