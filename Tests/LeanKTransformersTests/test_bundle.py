"""The one file that convert writes: it is the package, and what is in the Swift sources."""

import ast
import subprocess
import sys

import bundle

from checkpoints import ROOT, loader


def test_swift_carries_the_file_and_its_digest() -> None:
    run = subprocess.run([sys.executable, bundle.__file__, "--check"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_it_imports_nothing_beside_its_dependencies() -> None:
    allowed = {"torch", "transformers", "safetensors", "zstandard", "compression"} | set(sys.stdlib_module_names)
    allowed.add("triton")  # where torch has it
    imported = set()
    for node in ast.walk(ast.parse(loader())):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert imported <= allowed


def test_no_file_is_long() -> None:
    folders = [ROOT / "Sources" / "LeanKTransformers", ROOT / "Tests" / "LeanKTransformersTests"]
    lengths = {path.name: len(path.read_text().splitlines()) for folder in folders for path in folder.rglob("*.py")}
    assert len(lengths) > 10
    assert max(lengths.values()) <= 400
