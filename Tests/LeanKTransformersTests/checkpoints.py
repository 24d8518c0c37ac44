"""Checkpoints for the tests: the repository's reference models with a mask and the loader beside them.

`made` writes them by means of its own, so that the loader is tested apart from leank; `converted` asks leank's binary.
"""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import zlib
from functools import cache
from inspect import signature
from pathlib import Path

import bundle
import masked_attention
import numpy as np
import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "Fixtures" / "Reference"
IS_4 = transformers.__version__.startswith("4.")
# The config.json of the running transformers' dialect.
CONFIG = "config_v4.json" if IS_4 else "config.json"
# The name of the cache among a model's arguments.
CACHE = "past_key_values" if "cache" not in signature(transformers.LlamaForCausalLM.forward).parameters else "cache"
WINDOW = {"sink": 4, "recent": 8, "accumulate": 4}
PROMPT = 24
# float64 differs from these references by up to 1.7e-5, since their logits are large; from the others by 5e-6.
BIG_LOGITS = ("llama_tied_headdim", "qwen2_yarn", "smollm3")
# What transformers 4.57 is checked with; qwen2_vl needs positions there that only `generate` makes.
FAMILIES_4 = ("llama", "qwen2", "qwen3", "gemma2", "phi3")
FAMILIES = sorted(
    path.name
    for path in REFERENCE.iterdir()
    if path.is_dir() and (not IS_4 or (path.name.startswith(FAMILIES_4) and path.name != "qwen2_vl"))
)


def tolerance(name: str) -> float:
    """How far float32 logits may be from the references, as FamilyTests of leank has it."""
    return 1e-4 if name in BIG_LOGITS else 3e-5


def mask_file(masks: list[np.ndarray | None]) -> tuple[bytes, str]:
    """A .leank file with these masks, bool [kv_heads, head_dim], and its content id. Attention is not known in it."""
    geometry, bits = b"", []
    for mask in masks:
        heads, width = (0, 0) if mask is None else mask.shape
        geometry += struct.pack("<BBHIIIII", 0, 0, 0, heads, width, 0, 0, 0)
        if mask is not None:
            half = width // 2
            order = [channel for j in range(half) for channel in (j, j + half)] + list(range(2 * half, width))
            bits.append(mask[:, order].reshape(-1))
    contents = [(b"GEOM", geometry), (b"MASK", np.packbits(np.concatenate(bits), bitorder="little").tobytes())]
    position = 64 + 72 * len(contents) + 8
    table, identity, body = b"", b"", b""
    for tag, raw in contents:
        body += bytes(-position % 8)
        position += -position % 8
        digest = hashlib.sha256(raw).digest()
        table += struct.pack("<4sBBHQQQII", tag, 1, 0, 0, position, len(raw), len(raw), zlib.crc32(raw), 0) + digest
        identity += tag + struct.pack("<BBHQ", 1, 0, 0, len(raw)) + digest
        body += raw
        position += len(raw)
    content_id = hashlib.sha256(identity).digest()
    header = bytes.fromhex("8C4C4E4B0D0A1A0A") + struct.pack("<HHIQI", 1, 0, 64, position, len(contents)) + content_id
    header += struct.pack("<I", zlib.crc32(header))
    return header + table + struct.pack("<II", zlib.crc32(table), 0) + body, content_id.hex()


def made(
    name: str, folder: Path, mode: str = "static", masks: list[np.ndarray | None] | None = None, **said: object
) -> Path:
    """The reference model `name` in layout `cache`, by default with its own mask and the window of the references."""
    source = REFERENCE / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.glob("model*"):
        (folder / file.name).symlink_to(file)
    shutil.copyfile(source / "generation_config.json", folder / "generation_config.json")
    config = json.loads((source / CONFIG).read_text())
    write_leank(folder, config, mask_of(name) if masks is None else masks, mode, **said)
    return folder


def write_leank(folder: Path, config: dict, masks: list[np.ndarray | None], mode: str, **said: object) -> None:
    """Writes config.json with the object `leank`, the mask and the loader."""
    file, content_id = mask_file(masks)
    (folder / "mask.leank").write_bytes(file)
    window = WINDOW if mode == "windowed" else {}
    config["leank"] = {
        "spec_version": "1.0", "mask_file": "mask.leank", "mask_content_id": content_id, "layout": "cache",
        "mode": mode, **window, "source_digest": "0" * 64, **said,
    }  # fmt: skip
    config["auto_map"] = {
        "AutoModelForCausalLM": "modeling_leank.LeanKForCausalLM",
        "AutoModelForImageTextToText": "modeling_leank.LeanKForImageTextToText",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_leank.py").write_text(loader())


def mask_of(name: str) -> list[np.ndarray]:
    """The mask of a reference model, bool [kv_heads, head_dim] a layer."""
    return list(np.load(REFERENCE / name / "mask.npy").astype(bool))


@cache
def loader() -> str:
    """The text of modeling_leank.py."""
    return bundle.bundle()


@cache
def binary() -> Path | None:
    """leank's binary: that of LEANK_BINARY, or the newest that was built here."""
    if "LEANK_BINARY" in os.environ:
        return Path(os.environ["LEANK_BINARY"]).resolve()
    found = [path for path in (ROOT / ".build").glob("*/leank") if path.is_file() and os.access(path, os.X_OK)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def leank(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs leank."""
    return subprocess.run([str(binary()), *map(str, arguments)], capture_output=True, text=True, check=False)


def opened(folder: Path, **kwargs: object) -> torch.nn.Module:
    """The checkpoint, opened as a user does, in float32."""
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    is_wrapper = architecture.endswith("ForConditionalGeneration")
    auto = transformers.AutoModelForImageTextToText if is_wrapper else transformers.AutoModelForCausalLM
    return auto.from_pretrained(folder, **{"trust_remote_code": True, "dtype": torch.float32, **kwargs}).eval()


def reference_model(folder: Path) -> torch.nn.Module:
    """The dense model of a checkpoint with the reference's attention, in float32."""
    return opened(folder, trust_remote_code=False, attn_implementation=masked_attention.NAME)


def decoded(model: torch.nn.Module, tokens: torch.Tensor, prompt: int) -> torch.Tensor:
    """Logits [tokens, vocabulary] of all tokens: a prompt in one pass, the others one by one."""
    return called(model, tokens[None], [prompt, *range(prompt + 1, len(tokens) + 1)])[0]


def called(
    model: torch.nn.Module, tokens: torch.Tensor, calls: list[int], cache: object = None, **kwargs: object
) -> torch.Tensor:
    """Logits [batch, tokens, vocabulary] of `tokens` in calls that end at the slots `calls`."""
    logits, start = [], 0
    for stop in calls:
        held = {} if cache is None else {CACHE: cache}
        output = model(input_ids=tokens[:, start:stop], use_cache=True, **held, **kwargs)
        cache = output[CACHE]
        logits.append(output.logits)
        start = stop
    return torch.cat(logits, 1)
