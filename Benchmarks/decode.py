#!/usr/bin/env python3
"""leank's decoder beside llama.cpp and transformers on the processor: the same weights, tokens, threads and machine, in turn.

    python decode.py [--shape llama-3.2-1b | --checkpoint DIR] [--layers 4] [--prompt 256] [--decode 32] [--rounds 3]
                     [--threads 1 2] [--dtypes bfloat16 float32] [--scratch DIR] [--speed PATH]

All have the weights in memory before the clock starts. Prompt: all tokens in one pass, logits of the last. Decode: one
given token a pass through the K/V cache, logits of each, the likeliest sought. Wall time; medians over rounds, each of which runs
every side once. llama.cpp's cache is f16, its default; leank's is f32, that of transformers in the weights' type.

Needs numpy, torch, transformers, gguf and llama-cpp-python, and `swift build -c release --package-path Benchmarks`.
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
import gguf_checkpoint

# Both get PATH DTYPE PROMPT DECODE THREADS and print seconds.
TORCH = r"""
import json, sys, time
import torch
from transformers import AutoModelForCausalLM
path, dtype, prompt, count, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
ids = torch.tensor([[(i * 7919 + 13) % model.config.vocab_size for i in range(prompt + count)]])
with torch.inference_mode():
    cache = model(torch.tensor([[1]]), use_cache=True).past_key_values
    start = time.perf_counter()
    out = model(ids[:, :prompt], past_key_values=cache, use_cache=True, logits_to_keep=1)
    out.logits[:, -1].argmax(-1)
    first = time.perf_counter() - start
    cache = out.past_key_values
    start = time.perf_counter()
    for i in range(prompt, prompt + count):
        out = model(ids[:, i:i + 1], past_key_values=cache, use_cache=True)
        out.logits[:, -1].argmax(-1)
        cache = out.past_key_values
    print(json.dumps({"prompt_seconds": first, "decode_seconds": time.perf_counter() - start}))
"""

LLAMA = r"""
import json, sys, time
import llama_cpp, numpy
path, _, prompt, count, threads = sys.argv[1] + ".gguf", sys.argv[2], *map(int, sys.argv[3:])
model = llama_cpp.Llama(path, n_ctx=prompt + count + 1, n_batch=prompt, n_ubatch=prompt, n_threads=threads, n_threads_batch=threads, verbose=False)
vocabulary = model.n_vocab()
ids = [(i * 7919 + 13) % vocabulary for i in range(prompt + count)]
def likeliest():
    return int(numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), (vocabulary,)).argmax())
model.eval([1])
start = time.perf_counter()
model.eval(ids[:prompt])
likeliest()
first = time.perf_counter() - start
start = time.perf_counter()
for i in range(prompt, prompt + count):
    model.eval(ids[i:i + 1])
    last = likeliest()
print(json.dumps({"prompt_seconds": first, "decode_seconds": time.perf_counter() - start, "last": last}))
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


def rates(ways, a, tokens):
    """Tokens a second of every way, [prompt, decode], medians over rounds in which each runs once."""
    times = {way: [] for way in ways}
    last = {}
    for _ in range(a.rounds):
        for way, command in ways.items():
            result = json.loads(run(command).splitlines()[-1])
            times[way].append(result)
            last.setdefault(way, result.get("last"))
    if last["llama.cpp"] != last["leank"]:
        # Near ties may fall apart in random weights, a wrong file would always.
        print(f"(after the last token llama.cpp finds {last['llama.cpp']} likeliest, leank {last['leank']})", file=sys.stderr)
    return {
        way: [count / statistics.median(run[f"{phase}_seconds"] for run in runs) for phase, count in tokens.items()]
        for way, runs in times.items()
    }


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", default="llama-3.2-1b", choices=checkpoints.SHAPES)
    parser.add_argument("--checkpoint", help="a Llama checkpoint instead of random weights of a shape")
    parser.add_argument("--layers", type=int, help="of the shape, all unless given")
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--decode", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16", "float32"])
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    parser.add_argument("--speed", default=f"{here}/.build/release/decode-speed")
    a = parser.parse_args()
    scratch = tempfile.mkdtemp(dir=a.scratch)
    try:
        source = a.checkpoint
        if source is None:
            source = f"{scratch}/source"
            checkpoints.make(a.shape, source, a.layers)
        name = os.path.basename(os.path.normpath(source)) if a.checkpoint else f"{a.shape}, {a.layers or 'all'} layers"
        print(f"{name}; {a.prompt} prompt and {a.decode} decoded tokens, medians of {a.rounds}, load {os.getloadavg()[0]:.1f}\n")
        print("| dtype | threads | | transformers | llama.cpp | leank | x transformers | x llama.cpp |\n|---|---|---|---|---|---|---|---|")
        for dtype in a.dtypes:
            path = f"{scratch}/{dtype}"
            run([sys.executable, "-c", CONVERT, source, path, dtype])
            gguf_checkpoint.write(path, path + ".gguf")
            for threads in a.threads:
                numbers = [a.prompt, a.decode, threads]
                found = rates({
                    "transformers": [sys.executable, "-c", TORCH, path, dtype, *numbers],
                    "llama.cpp": [sys.executable, "-c", LLAMA, path, dtype, *numbers],
                    "leank": [a.speed, path, *numbers],
                }, a, {"prompt": a.prompt, "decode": a.decode})
                for index, phase in enumerate(("prompt", "decode")):
                    torch, llama, leank = (found[way][index] for way in ("transformers", "llama.cpp", "leank"))
                    print(f"| {dtype} | {threads} | {phase} | {torch:.1f} tokens/s | {llama:.1f} tokens/s | {leank:.1f} tokens/s | "
                          f"{leank / torch:.2f} | {leank / llama:.2f} |", flush=True)
            shutil.rmtree(path)
            os.remove(path + ".gguf")
    finally:
        shutil.rmtree(scratch)
    print(f"\nload afterwards {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
