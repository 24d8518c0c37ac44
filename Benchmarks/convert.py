#!/usr/bin/env python3
"""`leank convert` beside `cp -r` and beside the Python way, in turn, on the same checkpoint: times, ratios, peak memory.

    python convert.py [--leank PATH] [--scratch DIR] [--rounds 3] [--shard-gb 2] [SHAPE[:LAYERS] ...]

The page cache is warm (the source is read once before each run), every output is synced, and free memory has been used once before
each run: a virtual machine gets memory from its host at first use, which can take longer than the copy and would hit whoever comes
first. Needs numpy and GNU time; the Python way needs torch and safetensors, and is left out (with a line saying so) where they
are missing.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import checkpoints

PYTHON_WAY = r"""
import glob, json, os, shutil, sys
import numpy as np, torch
from safetensors.torch import load_file, save_file
src, mask, out = sys.argv[1:]
c = json.load(open(src + "/config.json")); mask = torch.from_numpy(np.load(mask) > 0.5)
dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
group = c["num_attention_heads"] // c["num_key_value_heads"]
closed = mask | torch.roll(mask, dim // 2, -1)
os.makedirs(out)
for path in sorted(glob.glob(src + "/*.safetensors")):
    tensors = load_file(path)
    for name in tensors:
        part = name.split(".")
        if part[-2] in ("q_proj", "k_proj"):
            keep = closed[int(part[2])]
            keep = keep.repeat_interleave(group, 0) if part[-2] == "q_proj" else keep
            tensors[name] = tensors[name][keep.flatten()].contiguous()
    save_file(tensors, out + "/" + os.path.basename(path), {"format": "pt"})
for name in os.listdir(src):
    if not name.endswith(".safetensors"):
        shutil.copy(src + "/" + name, out)
"""


def prepare(source, output, size):
    """Makes the start the same for all: no output, memory that the host has given, the source in the page cache."""
    shutil.rmtree(output, ignore_errors=True)
    os.sync()
    free = int(re.search(r"MemFree: +(\d+)", open("/proc/meminfo").read())[1]) * 1024
    np.ones(min(2 * size, free * 9 // 10), np.uint8)
    subprocess.run(f"cat {source}/* > /dev/null", shell=True, check=True)


def timed(command, output):
    """Seconds until `output` is on the disk, and peak resident KiB."""
    start = time.time()
    run = subprocess.run(["/usr/bin/time", "-f", "%M", *command], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)}: exit {run.returncode}\n{run.stderr}")
    subprocess.run(["sync", "-f", output], check=True)
    return time.time() - start, int(run.stderr.strip().splitlines()[-1])


def measure(name, leank, scratch, rounds, shard_gb, python):
    shape, _, layers = name.partition(":")
    source, output = f"{scratch}/source", f"{scratch}/output"
    size = checkpoints.make(shape, source, int(layers) if layers else None, shard_gb)
    mask = source + ".mask.npy"
    ways = {
        "cp -r": ["cp", "-r", source, output],
        "leank convert": [leank, "convert", "--model", source, "--mask", mask, "--output", output, "--quiet"],
    }
    if python:
        ways["python"] = [sys.executable, "-c", PYTHON_WAY, source, mask, output]
    results = {way: [] for way in ways}
    for _ in range(rounds):
        for way, command in ways.items():
            prepare(source, output, size)
            results[way].append(timed(command, output))
    shutil.rmtree(scratch)
    os.makedirs(scratch)
    copy = statistics.median(seconds for seconds, _ in results["cp -r"])
    for way, runs in results.items():
        seconds = statistics.median(s for s, _ in runs)
        peak = max(kib for _, kib in runs) / 1024
        print(f"| {name} | {size / 1e9:.1f} GB | {way} | {seconds:.2f} s | {seconds / copy:.2f} | {peak:,.0f} MiB |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--leank", default=f"{here}/../.build/release/leank")
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shard-gb", type=float, default=2.0)
    parser.add_argument("shapes", nargs="*", default=["llama-3.2-1b", "llama-3.1-8b:8", "qwen2.5-7b:8"])
    a = parser.parse_args()
    try:
        import safetensors, torch  # noqa: F401

        python = True
    except ImportError:
        python = False
        print("the Python way is left out: torch or safetensors is missing")
    scratch = tempfile.mkdtemp(dir=a.scratch)
    print("| checkpoint | weights | way | time | x cp | peak memory |\n|---|---|---|---|---|---|")
    for name in a.shapes:
        measure(name, a.leank, scratch, a.rounds, a.shard_gb, python)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
