"""The guides' Python, behind their own commands."""

import re
from pathlib import Path

import pytest
import torch

from checkpoints import ROOT, binary, leank

GUIDES = [ROOT / "Sources" / "LeanKCommands" / "LeanK.docc" / name for name in ("ServingAPrunedModel.md",)]


@pytest.mark.skipif(binary() is None, reason="leank is not built")
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_guide(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Fixtures").symlink_to(ROOT / "Fixtures")
    (tmp_path / "out").mkdir()
    names: dict[str, object] = {}
    torch.manual_seed(0)
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
        if language == "python":
            exec(compile(block, path.name, "exec"), names)
            continue
        for line in block.splitlines():
            if line.startswith("$ leank "):
                run = leank(*line.removeprefix("$ leank ").split())
                assert run.returncode == 0, run.stderr
    said = capsys.readouterr().out
    assert "bytes of keys and values" in said
    assert re.search(r"\d+ tokens, \d+ bytes", said)
