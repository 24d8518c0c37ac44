"""python3 Fixtures/Vectors/generate: writes v1/valid and v1/invalid anew. Needs Python 3.10 and the zstd command."""

import json
import pathlib
import shutil

import invalid
import valid
from container import Document

ROOT = pathlib.Path(__file__).resolve().parent.parent / "v1"


def write(folder, name, content, sidecar):
    (ROOT / folder / f"{name}.leank").write_bytes(content)
    text = json.dumps(sidecar, ensure_ascii=True, separators=(",", ":"))
    (ROOT / folder / f"{name}.json").write_text(text + "\n")


def main():
    for folder in ("valid", "invalid"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
        (ROOT / folder).mkdir(parents=True)
    for name, make in valid.SCENARIOS.items():
        made = make()
        document, file = (made, made.file()) if isinstance(made, Document) else made
        for section in file.sections:
            assert section.codec == 0 or len(section.stored) < len(section.raw), (name, section.tag)
        content = file.build()
        write("valid", name, content, document.sidecar(file, make.__doc__))
    for name, (refusal, describes, content) in invalid.scenarios().items():
        write("invalid", name, content, {"describes": describes, "outcome": "invalid", "class": refusal})
    print(len(valid.SCENARIOS), "valid,", len(invalid.scenarios()), "invalid")


main()
