"""Writes the package as the one self-contained file that `leank convert` puts into a checkpoint.

python -m leank_transformers.bundle                 prints modeling_leank.py
python -m leank_transformers.bundle --swift FILE    writes it into the Swift source that carries it
"""

import ast
import hashlib
import sys
from pathlib import Path

# Modules in the order of their dependence.
MODULES = (
    "errors", "mask_file", "channels", "buffer", "layer", "attention", "cache", "settings", "rows", "model",
)  # fmt: skip

HEADER = '''\
# Copyright of the authors of leank. Licensed under the Apache License, Version 2.0.
"""Opens this checkpoint in transformers with leank's smaller K/V cache:

    AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

Written by `leank convert`; `leank verify` knows the file by its digest. It is leank's Python package
leank_transformers in one file.
"""

'''

SWIFT = '''\
// Written by Sources/LeanKTransformers/leank_transformers/bundle.py; do not edit.
// swift-format-ignore-file

extension LoaderFile {{
  /// The text of `modeling_leank.py`.
  static let text = ##"""
{lines}
"""##
}}
'''


def bundle() -> str:
    """The text of modeling_leank.py."""
    imports: dict[str, None] = {}
    bodies: list[str] = []
    names: dict[str, str] = {}
    for module in MODULES:
        text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        last = 0
        for node in tree.body:
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.level == 0):
                imports[ast.unparse(node)] = None
            if isinstance(node, ast.Import | ast.ImportFrom) or (node is tree.body[0] and isinstance(node, ast.Expr)):
                last = node.end_lineno or 0
            for name in _defined(node):
                if name in names:
                    raise SystemExit(f"{name} is defined in {names[name]} and in {module}")
                names[name] = module
        bodies.append("\n".join(lines[last:]).strip("\n"))
    plain = sorted(line for line in imports if line.startswith("import"))
    source = "\n".join(plain + sorted(_merged(line for line in imports if line.startswith("from"))))
    return HEADER + source + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def swift(text: str) -> str:
    """The Swift file that carries `text`."""
    return SWIFT.format(lines=text)


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _merged(lines: object) -> list[str]:
    """Imports of several names from one module in one line."""
    found: dict[str, set[str]] = {}
    for line in lines:  # type: ignore[attr-defined]
        module, _, names = line.removeprefix("from ").partition(" import ")
        found.setdefault(module, set()).update(names.split(", "))
    return [f"from {module} import {', '.join(sorted(names))}" for module, names in found.items()]


def main() -> None:
    """Prints the file, or writes the Swift source that carries it and prints the file's SHA-256."""
    """Prints the file, or writes the Swift source that carries it and prints the file's SHA-256."""
    text = bundle()
    if sys.argv[1:2] == ["--swift"]:
        Path(sys.argv[2]).write_text(swift(text), encoding="utf-8")
        print(hashlib.sha256(text.encode()).hexdigest())
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
