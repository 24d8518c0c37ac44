#!/usr/bin/env python3
"""leank's decoder beside transformers on torch's CPU: the same checkpoint, tokens, threads and machine, in turn.

    python decode.py [--shape llama-3.2-1b] [--layers 4] [--prompt 256] [--decode 32] [--rounds 3] [--threads N]
                     [--dtypes float32 bfloat16] [--scratch DIR] [--speed PATH]

Both have the weights in memory before the clock starts. Prompt: all tokens in one pass, logits of all of them. Decode: one
token a pass through the K/V cache. Medians over rounds; the ratio is leank's tokens/s over those of transformers in the
same dtype. Needs numpy, torch and transformers, and `swift build -c release --package-path Benchmarks`.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import checkpoints

TORCH = r"""
import json, sys, time
import torch
from transformers import AutoModelForCausalLM
path, dtype, prompt, count, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
vocabulary = model.config.vocab_size
ids = torch.tensor([[(i * 7919 + 13) % vocabulary for i in range(prompt)]])
with torch.inference_mode():
    cache = model(torch.tensor([[1]]), use_cache=True).past_key_values
    start = time.perf_counter()
    out = model(ids, past_key_values=cache, use_cache=True)
    first = time.perf_counter() - start
    token, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
    start = time.perf_counter()
    for _ in range(count):
        out = model(token, past_key_values=cache, use_cache=True)
        token, cache = out.logits[:, -1:].argmax(-1), out.past_key_values
    print(json.dumps({"prompt_seconds": first, "decode_seconds": time.perf_counter() - start}))
"""

CONVERT = r"""
import sys, torch
from transformers import AutoModelForCausalLM
AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=getattr(torch, sys.argv[3])).save_pretrained(sys.argv[2])
"""


def run(command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{command[0]}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", default="llama-3.2-1b", choices=checkpoints.SHAPES)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--decode", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    parser.add_argument("--speed", default=f"{here}/.build/release/decode-speed")
    a = parser.parse_args()
    scratch = tempfile.mkdtemp(dir=a.scratch)
    try:
        source = f"{scratch}/bfloat16"
        size = checkpoints.make(a.shape, source, a.layers)
        print(f"{a.shape}, {a.layers} layers, {size / 2e6:,.0f} M parameters; {a.prompt} prompt and {a.decode} decoded "
              f"tokens, {a.threads} threads, medians of {a.rounds}, load {os.getloadavg()[0]:.1f}\n")
        print("| dtype | | transformers | leank | ratio |\n|---|---|---|---|---|")
        for dtype in a.dtypes:
            path = f"{scratch}/{dtype}"
            if not os.path.exists(path):
                run([sys.executable, "-c", CONVERT, source, path, dtype])
            ways = {
                "transformers": [sys.executable, "-c", TORCH, path, dtype, a.prompt, a.decode, a.threads],
                "leank": [a.speed, path, a.prompt, a.decode, a.threads],
            }
            times = {way: [] for way in ways}
            for _ in range(a.rounds):
                for way, command in ways.items():
                    times[way].append(json.loads(run(command).splitlines()[-1]))
            for phase, tokens in (("prompt", a.prompt), ("decode", a.decode)):
                rate = {way: tokens / statistics.median(t[phase + "_seconds"] for t in runs) for way, runs in times.items()}
                print(f"| {dtype} | {phase} | {rate['transformers']:.1f} tokens/s | {rate['leank']:.1f} tokens/s | "
                      f"{rate['leank'] / rate['transformers']:.2f} |", flush=True)
    finally:
        shutil.rmtree(scratch)
    print(f"\nload afterwards {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
