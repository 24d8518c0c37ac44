#!/usr/bin/env python3
"""Puts the package leank_transformers into the one self-contained file that `leank convert` writes into a checkpoint.

    python3 bundle.py            prints modeling_leank.py
    python3 bundle.py --write    writes it into the Swift source that carries it
    python3 bundle.py --check    fails unless it is there, and its digest among the released ones

Needs the standard library alone.
"""

import ast
import hashlib
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "leank_transformers"
PRUNING = PACKAGE.parents[1] / "LeanKPruning"
CARRIER = PRUNING / "LoaderFile+Text.swift"
RELEASED = PRUNING / "LoaderFile+Released.swift"
# Modules in the order of their dependence.
MODULES = (
    "errors", "mask_file", "channels", "buffer", "layer", "visibility", "decode_kernel", "decode", "attention", "cache",
    "graph", "settings", "rows", "model",
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
// Written by Sources/LeanKTransformers/bundle.py --write; do not edit.
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
        text = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
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
    """Prints, writes or checks the file."""
    text = bundle()
    digest = hashlib.sha256(text.encode()).hexdigest()
    if sys.argv[1:] == ["--write"]:
        CARRIER.write_text(swift(text), encoding="utf-8")
        print(f"SHA-256 for {RELEASED.name}: {digest}")
    elif sys.argv[1:] == ["--check"]:
        if CARRIER.read_text(encoding="utf-8") != swift(text):
            raise SystemExit(f"{CARRIER.name} is not the package: run bundle.py --write")
        if f'"{digest}")\n  ]' not in RELEASED.read_text(encoding="utf-8"):
            raise SystemExit(f"{RELEASED.name} does not end with the digest {digest}")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
