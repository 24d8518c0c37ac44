#!/usr/bin/env python3
"""Shows Python every input in .corpus/json_strict that leank accepts: it has to be JSON to Python's json
module too, and leank's writing of it has to hold the same values. Run run.sh json_strict first."""
import json, os, subprocess, sys, tempfile

here = os.path.dirname(os.path.abspath(__file__))
build = os.environ.get("FUZZ_BUILD", os.path.join(here, ".build"))
sys.set_int_max_str_digits(0)


def refuse(text):
    raise ValueError(text)


def value(pairs):
    keys = [key for key, _ in pairs]
    return dict(pairs) if len(set(keys)) == len(keys) else refuse("a key twice")


def parse(text):
    # numbers as they are written: a double would hide a difference
    return json.loads(text.decode("utf-8"), object_pairs_hook=value, parse_constant=refuse,
                      parse_int=str, parse_float=str)


with tempfile.NamedTemporaryFile() as accepted:
    environment = dict(os.environ, FUZZ_TARGET="json_strict", FUZZ_ACCEPTED=accepted.name,
                       SWIFT_BACKTRACE="enable=no")
    folders = [path for path in (os.path.join(here, ".corpus", "json_strict"),
                                 os.path.join(here, "Seeds", "json_strict")) if os.path.isdir(path)]
    subprocess.run([build + "/release/Fuzz", "-runs=0", "-max_len=65536", *folders], check=True, env=environment,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    count = 0
    for line in open(accepted.name):
        original, again = (bytes.fromhex(part) for part in line.rstrip("\n").split(" "))
        assert parse(original) == parse(again), original
        count += 1
assert count > 0
print(f"{count} accepted inputs, all the same to Python")
