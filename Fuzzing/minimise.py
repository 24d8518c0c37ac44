#!/usr/bin/env python3
"""Chooses from .corpus/TARGET the inputs that Seeds/TARGET keeps: minimise.py TARGET...

libFuzzer says which features each input reaches; the inputs that add most are taken, until there are
40 or they are 25,000 bytes together. Run run.sh first."""
import hashlib, os, shutil, subprocess, sys, tempfile

COUNT, BYTES, LONGEST = 40, 25_000, 4096
here = os.path.dirname(os.path.abspath(__file__))
build = os.environ.get("FUZZ_BUILD", os.path.join(here, ".build"))


def features(target, folder):
    """Features by file name."""
    with tempfile.TemporaryDirectory() as scratch:
        control, out = os.path.join(scratch, "control"), os.path.join(scratch, "out")
        os.mkdir(out)
        subprocess.run([build + "/release/Fuzz", "-merge=1", "-merge_control_file=" + control, out, folder],
                       check=True, env=dict(os.environ, FUZZ_TARGET=target, SWIFT_BACKTRACE="enable=no"),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = open(control).read().splitlines()
    count = int(lines[0])
    names = lines[2:2 + count]
    found = {}
    for line in lines[2 + count:]:
        words = line.split()
        if words and words[0] == "FT":
            found[names[int(words[1])]] = set(words[2:])
    return found


for target in sys.argv[1:]:
    folder = os.path.join(here, ".corpus", target)
    rest = {path: reached for path, reached in features(target, folder).items()
            if 0 < os.path.getsize(path) <= LONGEST}
    chosen, reached, size = [], set(), 0
    while rest and len(chosen) < COUNT:
        best = max(rest, key=lambda path: (len(rest[path] - reached) / (512 + os.path.getsize(path)), path))
        added = rest.pop(best)
        if added <= reached or size + os.path.getsize(best) > BYTES:
            continue
        chosen.append(best)
        reached |= added
        size += os.path.getsize(best)
    seeds = os.path.join(here, "Seeds", target)
    shutil.rmtree(seeds, ignore_errors=True)
    os.makedirs(seeds)
    for path in chosen:
        data = open(path, "rb").read()
        with open(os.path.join(seeds, hashlib.sha256(data).hexdigest()[:16]), "wb") as file:
            file.write(data)
    print(f"{target}: {len(chosen)} inputs, {size} bytes, {len(reached)} features")
