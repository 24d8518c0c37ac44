#!/usr/bin/env python3
"""leank's tokenizer beside Hugging Face's: opening a file and encoding a text, on one thread.

    python tokenizer.py [--model DIR] [--text FILE] [--leank PATH] [--rounds 3] [--megabytes 5]

Makes a byte-level vocabulary of 262,144 tokens with 514,000 merges in 33 MB of JSON, as the largest that models ship, and
opens it and, with --model, that of a real model. --text is encoded by the model's tokenizer. Times are those of the whole
process, medians over rounds; encoding is what a run takes beyond one of an empty text. Ids are compared with those of the
tokenizers library, which is measured in the same process as Python. Needs tokenizers, and `swift build -c release`."""
import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from tokenizers import Tokenizer, pre_tokenizers

LARGE = r"""
import sys
from tokenizers import Tokenizer
Tokenizer.from_file(sys.argv[1])
"""

def large(path):
    """A vocabulary in which every token is the merge of two before it, most of them in two ways."""
    rng = random.Random(262144)
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = set(tokens)
    merges = []
    letters = "etao\u00c3\u00e5\u00e9\u013c\u0142\u0143\u00b1\u00bf"
    while len(tokens) < 262144:
        whole = "".join(rng.choice(letters) for _ in range(rng.randint(2, 7)))
        whole = "\u0120" + whole if rng.random() < .5 else whole
        ways = [(whole[:i], whole[i:]) for i in range(1, len(whole)) if whole[:i] in known and whole[i:] in known]
        if whole in known or not ways: continue
        tokens.append(whole)
        known.add(whole)
        rng.shuffle(ways)
        merges += [list(way) for way in ways[:3 if len(merges) < 460000 else 1]]
    data = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "ignore_merges": False, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}
    with open(path, "w", encoding="utf-8") as f: json.dump(data, f, ensure_ascii=False, indent=2)
    return len(tokens), len(merges)

def seconds(command, rounds):
    """Wall time and processor time, which a machine shared with others stretches less."""
    walls, processors = [], []
    for _ in range(rounds):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(processors)

def shown(times): return f"{times[0]:.2f} s (processor {times[1]:.2f} s)"

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--text")
    parser.add_argument("--leank", default=".build/release/leank")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/tokenizer.json"
        tokens, merges = large(path)
        size = os.path.getsize(path) / 1e6
        ours = seconds([options.leank, "tokenize", folder, ""], options.rounds)
        theirs = seconds([sys.executable, "-c", LARGE, path], options.rounds)
        print(f"open {tokens} tokens, {merges} merges, {size:.1f} MB: leank {shown(ours)}, Python's tokenizers {shown(theirs)}")
        words = " ".join(random.Random(1).choice(["the", "key", "bridge", "4821", "of", "amber"]) for _ in range(2000))
        sample = folder + "/sample.txt"
        with open(sample, "w") as f: f.write(words)
        found = subprocess.run([options.leank, "tokenize", folder, "--file", sample], check=True, capture_output=True, text=True).stdout
        same = [int(x) for x in found.split()] == Tokenizer.from_file(path).encode(words).ids
        print("ids of 2000 words " + ("equal" if same else "DIFFER"))
        if not options.model: return
        ours = seconds([options.leank, "tokenize", options.model, ""], options.rounds)
        print(f"open {options.model}: leank {shown(ours)}")
        if not options.text: return
        with open(options.text, "rb") as f: raw = f.read(int(options.megabytes * 1e6))
        text = raw.decode("utf-8", errors="ignore")
        with open(sample, "w", encoding="utf-8", newline="") as f: f.write(text)
        size = os.path.getsize(sample) / 1e6
        both = seconds([options.leank, "tokenize", options.model, "--file", sample], options.rounds)
        took = [both[i] - ours[i] for i in (0, 1)]
        found = subprocess.run([options.leank, "tokenize", options.model, "--file", sample], check=True, capture_output=True, text=True).stdout
        reference = Tokenizer.from_file(options.model + "/tokenizer.json")
        start = time.perf_counter()
        ids = reference.encode(text).ids
        python = time.perf_counter() - start
        same = [int(x) for x in found.split()] == ids
        print(f"encode {size:.1f} MB to {len(ids)} ids: leank {size / took[0]:.1f} MB/s ({size / took[1]:.1f} by processor time), tokenizers {size / python:.1f} MB/s, ids {'equal' if same else 'DIFFER'}")

main()
