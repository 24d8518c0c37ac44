#!/usr/bin/env python3
"""Changes the input of `leank convert` while it stands still, runs two of it at once, and gives it odd paths.

    python3 Tests/CrashSafety/races.py LEANK [changed|two|paths ...] [--quick]

changed  stops the run at its N-th write, copy or fsync (strace), changes a file of the input in one of several ways and lets
         it go on: exit code 7 and no output, or the complete output when all was read and checked before
two      two runs to one output at the same time, plain, with --force, --shard and --commit: who exits 0 made the complete output,
         who comes too late exits 8
--quick stops the run at fewer places, and makes 5 rounds of two runs, not 50.
paths    outputs that are, contain, lie in or lead to the input, links, devices, and a Hugging Face snapshot as input
"""
import os, re, shutil, signal, subprocess, sys, tempfile, time
from tiny import Checks, arguments, digest, hashes, model, run

SHARD = "model-00002-of-00003.safetensors"


def rewrite(path, change):
    body = open(path, "rb").read()
    with open(path, "r+b") as file:
        change(file, body)


CHANGES = {
    "append": lambda p: rewrite(p, lambda f, b: (f.seek(0, 2), f.write(b"x"))),
    "halve": lambda p: rewrite(p, lambda f, b: f.truncate(len(b) // 2)),
    "empty": lambda p: rewrite(p, lambda f, b: f.truncate(0)),
    "overwrite": lambda p: rewrite(p, lambda f, b: f.write(bytes(255 - x for x in b))),
    "touch": lambda p: os.utime(p),
    "replace": lambda p: (shutil.copyfile(p, p + "~"), os.rename(p + "~", p)),
    "remove": os.remove,
}


class Races:
    def __init__(self, leank, work, quick):
        self.step, self.rounds = (7, 5) if quick else (1, 50)
        self.leank, self.work, self.check = leank, work, Checks()
        model(work + "/dense")
        self.mask = work + "/dense.npy"
        r = run(self.command(output=work + "/reference"))
        if r.returncode:
            sys.exit("convert fails without any help: " + r.stderr)
        self.reference = digest(work + "/reference")

    def command(self, *options, dense=None, output=None):
        w = self.work
        return [self.leank, "convert", "--model", dense or w + "/dense", "--mask", w + "/dense.npy", "--output", output or w + "/out",
                "--quiet", *options]

    def stopped(self, call, number, dense, then):
        """Runs with `then` called at the N-th `call`; exit code and errors, or None when there is no such call."""
        trace = self.work + "/trace"
        open(trace, "w").close()
        process = subprocess.Popen(
            ["strace", "-f", "-o", trace, "-e", "trace=" + call, "-e", f"inject={call}:signal=STOP:when={number}"]
            + self.command("--threads", "1", dense=dense), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        found = None
        while not found and process.poll() is None:
            time.sleep(0.002)
            found = re.search(r"^(\d+) +--- stopped by SIGSTOP", open(trace).read(), re.M)
        if found:
            then()
            os.kill(int(found[1]), signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
        return (process.returncode, errors) if found else None

    def changed(self):
        dense, out = self.work + "/changing", self.work + "/out"
        for name in (SHARD, "config.json", "tokenizer.json"):
            for how, change in CHANGES.items():
                codes = []
                for call in ("write", "copy_file_range", "fsync"):
                    number = 1 - self.step
                    while True:
                        number += self.step
                        shutil.rmtree(dense, ignore_errors=True)
                        shutil.rmtree(out, ignore_errors=True)
                        shutil.copytree(self.work + "/dense", dense)
                        result = self.stopped(call, number, dense, lambda: change(f"{dense}/{name}"))
                        if result is None:
                            break
                        code, errors = result
                        what = f"{how} {name} at {call} {number}: exit {code}"
                        found = digest(out) if os.path.isdir(out) else None
                        self.check(what, (code, found) == (7, None) or (code, found) == (0, self.reference), errors)
                        self.check(what + ": message", code == 0 or errors.startswith("leank: ") and errors.count("\n") == 1, errors)
                        self.check(what + ": left over", not [n for n in os.listdir(self.work) if "leank-partial" in n])
                        codes.append(code)
                self.check(f"{how} {name} is noticed", 7 in codes, codes)
                print(f"{how} {name}: {len(codes)} points, {codes.count(7)} refused, {codes.count(0)} complete", flush=True)

    def two(self):
        out, gathered = self.work + "/out", self.work + "/.out.leank-parts"
        # Options of both, what each may exit with, and what there is before.
        late = [(0, 8), (8, 0)]
        both = late + [(0, 0)]
        for one, other, allowed in [([], [], late), (["--force"], ["--force"], both), ([], ["--force"], [(0, 0), (8, 0), (0, 8)]),
                                    ([], ["--shard", "1/1"], both[::2]), ([], ["--commit"], late),
                                    (["--shard", "1/1"], ["--shard", "1/1"], both[2:]),
                                    # A commit that finds neither parts nor output yet says that parts are missing.
                                    (["--commit"], ["--commit"], late + [(0, 6), (6, 0)])]:
            seen = {}
            for _ in range(self.rounds):
                shutil.rmtree(out, ignore_errors=True)
                shutil.rmtree(gathered, ignore_errors=True)
                if "--commit" in other:
                    run(self.command("--shard", "1/1"))
                tasks = [subprocess.Popen(self.command(*o), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for o in (one, other)]
                errors = [t.communicate(timeout=60)[1] for t in tasks]
                codes = tuple(t.returncode for t in tasks)
                seen[codes] = seen.get(codes, 0) + 1
                self.check(f"{one} and {other}: {codes}", codes in allowed, errors)
                if "--shard" in one:
                    run(self.command("--commit"))
                self.check(f"{one} and {other}: output", os.path.isdir(out) and digest(out) == self.reference)
                left = [n for n in os.listdir(self.work) if "leank-partial" in n]
                self.check(f"{one} and {other}: left over", not left, left)
            shutil.rmtree(gathered, ignore_errors=True)
            print(f"{' '.join(one) or 'plain'} and {' '.join(other) or 'plain'}: {seen}", flush=True)

    def paths(self):
        w = self.work + "/paths"
        os.makedirs(w + "/real/parent")
        shutil.copytree(self.work + "/dense", w + "/dense")
        shutil.copytree(self.work + "/reference", w + "/other")
        for link, target in [("input", "dense"), ("linked", "other"), ("dangling", "nowhere"), ("parent", "real/parent"), ("loop", "loop")]:
            os.symlink(target, f"{w}/{link}")
        open(w + "/file", "w").write("mine")
        before = hashes(w + "/dense") | hashes(w + "/other")
        for output, codes in [("dense", [8]), ("dense/in", [8]), ("input", [8]), ("input/in", [8]), (".", [8]), ("dense/../dense", [8]),
                              ("real/../dense/in", [8]), ("linked", [8]), ("dangling", [8]), ("loop", [8]), ("loop/in", [6]),
                              ("file", [8]), ("file/in", [6]), ("../paths", [8]), ("nowhere/in", [6]), ("other", [8])]:
            for options in [[], ["--force"], ["--shard", "1/2"], ["--commit"]]:
                if output == "other" and "--force" in options:
                    continue
                r = run(self.command(*options, dense=w + "/dense", output=f"{w}/{output}"))
                self.check(f"output {output} {options}: exit {r.returncode}", r.returncode in codes, r.stderr)
        for device in ("/dev/full", "/dev/null"):
            for command in (self.command("--force", output=device), [self.leank, "export", w + "/other/mask.leank", "--output", device],
                            [self.leank, "import", self.mask, "--force", "--output", device],
                            [self.leank, "inspect", self.mask, "--report", device]):
                r = run(command)
                self.check(f"output {command[1]} {device}: exit {r.returncode}", r.returncode in (2, 8), r.stderr)
        # What reports would write over: the mask, and files of the checkpoints.
        mask = w + "/other/mask.leank"
        for command in (["inspect", mask, "--report", mask], ["inspect", mask, "--heatmap", w + "/parent/../../other/mask.leank"],
                        ["verify", w + "/dense", w + "/other", "--save-logits", w + "/dense/" + SHARD],
                        ["verify", w + "/dense", w + "/other", "--save-logits", w + "/other/" + SHARD]):
            r = run([self.leank] + command)
            self.check(f"{command[0]} {command[-2]} over its input: exit {r.returncode}", r.returncode == 8, r.stderr)
        self.check("inputs unchanged", hashes(w + "/dense") | hashes(w + "/other") == before and open(w + "/file").read() == "mine")
        self.check("nothing left", not [n for r, d, f in os.walk(w) for n in d + f if ".leank-part" in n])
        # The parent may be a link, and an input's files may be links into blobs.
        r = run(self.command(dense=w + "/dense", output=w + "/parent/out"))
        self.check("a linked parent", r.returncode == 0 and digest(w + "/real/parent/out") == self.reference, r.stderr)
        os.makedirs(w + "/hub/blobs")
        os.makedirs(w + "/hub/snapshots/main")
        for n, name in enumerate(sorted(os.listdir(w + "/dense"))):
            shutil.copy(f"{w}/dense/{name}", f"{w}/hub/blobs/{n}")
            os.symlink(f"../../blobs/{n}", f"{w}/hub/snapshots/main/{name}")
        before = hashes(w + "/hub")
        shutil.rmtree(self.work + "/out", ignore_errors=True)
        r = run(self.command(dense=w + "/hub/snapshots/main"))
        files = digest(self.work + "/out") if r.returncode == 0 else None
        self.check("a snapshot of links", files == self.reference and hashes(w + "/hub") == before, r.stderr)
        self.check("no links in the output", not any(os.path.islink(f"{self.work}/out/{n}") for n in files or []))
        # What looks like leank's but is not stays.
        for name in ("a.leank-partial-1", ".a.leank-partial-", ".a.leank-partial-UP", ".a.leank-partial-12345678", ".leank-partial-1"):
            os.mkdir(w + "/" + name)
        os.symlink("dense", w + "/.l.leank-partial-1")
        entries = sorted(os.listdir(w))
        r = run([self.leank, "clean", "--parts", w])
        self.check("clean leaves what is not leank's", r.returncode == 0 and sorted(os.listdir(w)) == entries, r.stdout + r.stderr)
        print("paths: done", flush=True)


def main():
    leank, parts, quick = arguments(["changed", "two", "paths"])
    with tempfile.TemporaryDirectory() as work:
        races = Races(leank, work, quick)
        for part in parts:
            getattr(races, part)()
        print(f"{races.check.count} checks, {len(races.check.bad)} failures")
        sys.exit(bool(races.check.bad))


main()
