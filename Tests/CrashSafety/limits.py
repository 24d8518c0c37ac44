#!/usr/bin/env python3
"""Runs every command of leank that writes against full disks, size limits, dead streams and missing permissions.

    python3 Tests/CrashSafety/limits.py LEANK [disk|filesize|streams|permissions ...]

disk         output on a tmpfs of 4 KiB, 8 KiB, ... until the command succeeds (root, for mount)
filesize     RLIMIT_FSIZE from 0 in steps of 500 bytes until the command succeeds
streams      standard output to /dev/full, closed, and a pipe nobody reads; standard error closed
permissions  as another user: unreadable inputs, parents without write or search permission, read-only outputs (root)
Each time: a documented exit code, one line that says why, no output or the complete one, the inputs unchanged, nothing
left but what `leank clean` removes.
"""
import os, resource, shutil, struct, subprocess, sys, tempfile
from tiny import Checks, arguments, hashes, model, run


class Limits:
    def __init__(self, leank, work):
        self.work, self.check = work, Checks()
        os.chmod(work, 0o755)
        self.leank = shutil.copy(leank, work + "/leank")
        self.input = work + "/in"
        os.mkdir(self.input)
        model(self.input + "/dense")
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 8), }"
        head += b" " * (-(len(head) + 11) % 64) + b"\n"
        open(self.input + "/scores.npy", "wb").write(
            b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + struct.pack("<32f", *range(1, 33)))
        self.make(self.commands(self.input)["convert"][0])
        self.references = {}
        for name, (command, output) in self.commands(work).items():
            if name == "commit":
                self.make(self.commands(work)["shard"][0][:-1] + ["2/2"])
            self.make(command)
            self.references[name] = self.content(f"{work}/{output}")
            if name == "commit" or not name.startswith("shard"):
                self.remove(f"{work}/{output}")
        self.source = hashes(self.input)

    def commands(self, place):
        """What writes: its command line, with outputs in `place`, and the output's name."""
        i = self.input
        convert = ["convert", "--model", i + "/dense", "--mask", i + "/dense.npy", "--output", place + "/out"]
        mask, out = i + "/out/mask.leank", "/file"
        return {
            "convert": (convert, "out"), "shard": (convert + ["--shard", "1/2"], ".out.leank-parts"),
            "commit": (convert + ["--commit"], "out"),
            "import": (["import", i + "/dense.npy", "--no-provenance", "--output", place + out + ".leank"], "file.leank"),
            "export": (["export", mask, "--output", place + out + ".json"], "file.json"),
            "mask": (["mask", i + "/scores.npy", "--ratio", "0.5", "--align", "4", "--output", place + out + ".leank"], "file.leank"),
            "heatmap": (["inspect", mask, "--heatmap", place + out + ".svg"], "file.svg"),
            "report": (["inspect", mask, "--report", place + out + ".html"], "file.html"),
            "logits": (["verify", i + "/dense", i + "/out", "--tokens", self.tokens(), "--save-logits", place + out + ".safetensors"],
                       "file.safetensors"),
        }

    def tokens(self):
        path = self.input + "/tokens.json"
        open(path, "w").write("[1, 2, 3, 4, 5, 6, 7, 8]")
        return path

    def make(self, command):
        r = run([self.leank] + command)
        if r.returncode:
            sys.exit(f"{command} fails without any help: {r.stderr}")

    @staticmethod
    def content(path):
        return hashes(path) if os.path.isdir(path) else open(path, "rb").read() if os.path.exists(path) else None

    @staticmethod
    def remove(path):
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)

    def verdict(self, what, name, place, r, codes=(0, 6)):
        """Whether the outcome is one of those allowed; true when the command succeeded."""
        output = f"{place}/{self.commands(place)[name][1]}"
        found = self.content(output)
        errors = [line for line in r.stderr.splitlines() if not line.startswith("leank: warning: ")]
        said = errors == [] if r.returncode == 0 else len(errors) == 1 and errors[0].startswith("leank: ")
        self.check(f"{what}: exit {r.returncode}", r.returncode in codes and said, r.stderr)
        if name == "shard":
            self.check(what + ": output", not os.path.exists(place + "/out"))
        else:
            self.check(what + ": output", found == self.references[name] if r.returncode == 0 else found is None)
        self.check(what + ": inputs", hashes(self.input) == self.source)
        left = [n for n in os.listdir(place) if "leank-partial" in n]
        self.check(what + ": left over", not left, left)
        return r.returncode == 0

    def full(self, limited, what):
        """Every command in ever more room, from too little to enough."""
        for name in self.references:
            steps = 0
            while not limited(name, steps):
                steps += 1
                if steps > 400:
                    self.check(f"{what} {name}: never succeeds", False)
                    break
            print(f"{what}, {name}: succeeds at step {steps}", flush=True)

    def disk(self):
        if os.geteuid():
            return print("disk: SKIPPED, mount needs root")
        place = self.work + "/disk"
        os.mkdir(place)

        def limited(name, step):
            size = 4096 * (step + 1)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True)
            # The smallest disk has no room at all.
            open(place + "/filler", "wb").write(bytes(4096))
            try:
                if name == "commit":
                    for part in ("1/2", "2/2"):
                        if run([self.leank] + self.commands(place)["shard"][0][:-1] + [part]).returncode:
                            return False
                r = run([self.leank] + self.commands(place)[name][0])
                done = self.verdict(f"{name} on {size} bytes", name, place, r)
                if not done and name != "commit":
                    # More room, and the same command once more.
                    subprocess.run(["mount", "-o", "remount,size=1m", place], check=True)
                    r = run([self.leank] + self.commands(place)[name][0])
                    self.check(f"{name} on {size} bytes: again", self.verdict(f"{name} again", name, place, r))
                return done
            finally:
                subprocess.run(["umount", place], check=True)
        self.full(limited, "full disk")

    def filesize(self):
        place = self.work + "/small"

        def limited(name, step):
            os.mkdir(place)
            try:
                if name == "commit":
                    for part in ("1/2", "2/2"):
                        self.make(self.commands(place)["shard"][0][:-1] + [part])
                limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (step * 500, step * 500))
                r = run([self.leank] + self.commands(place)[name][0], preexec_fn=limit)
                return self.verdict(f"{name} of {step * 500} bytes a file", name, place, r)
            finally:
                shutil.rmtree(place)
        self.full(limited, "file size limit")

    def streams(self):
        place, i = self.work + "/streams", self.input
        commands = {n: c for n, (c, _) in self.commands(place).items()}
        commands |= {n: n.split() for n in ("--help", "--version", "help convert", "clean --help", "--generate-completion-script bash")}
        mask = i + "/out/mask.leank"
        commands |= {"inspect": ["inspect", mask], "inspect checkpoint": ["inspect", i + "/dense"], "diff": ["diff", mask, mask],
                     "clean": ["clean", i], "bench": ["bench", "--mask", mask, "--context", "16"], "verify": ["verify", i + "/dense", i + "/out"],
                     "dry run": commands["convert"] + ["--dry-run"]}
        commands |= {n + " --json": commands[n] + ["--json"] for n in ("convert", "inspect", "diff", "clean", "verify", "dry run")}
        for name, command in commands.items():
            for how in (">/dev/full", ">&-", "| head -c 0", "<&- >&-", "2>&-"):
                os.mkdir(place)
                if name == "commit":
                    for part in ("1/2", "2/2"):
                        self.make(commands["shard"][:-1] + [part])
                # The reader is gone before anything is written.
                shell = '(sleep 0.2; exec "$@") | true; exit ${PIPESTATUS[0]}' if "head" in how else f'exec "$@" {how}'
                r = run(["bash", "-c", shell, "leank", self.leank] + command)
                expected = 0 if how == "2>&-" else 6
                self.check(f"{name} {how}: exit {r.returncode}", r.returncode == expected, r.stderr)
                self.check(f"{name} {how}: message", how == "2>&-" or r.stderr.count("leank: standard output: write: ") == 1, r.stderr)
                known = self.references.get(name.removesuffix(" --json"))
                if known is not None and name != "shard":
                    found = self.content(f"{place}/{self.commands(place)[name.removesuffix(' --json')][1]}")
                    self.check(f"{name} {how}: output", found in (None, known))
                self.check(f"{name} {how}: inputs", hashes(i) == self.source)
                shutil.rmtree(place)
        print(f"streams: {len(commands)} commands, 5 ways", flush=True)

    def permissions(self):
        if os.geteuid():
            return print("permissions: SKIPPED, setpriv needs root")
        nobody = ["setpriv", "--reuid=65534", "--clear-groups", self.leank]
        dense, place = self.input + "/dense", self.work + "/place"
        shard = dense + "/model-00002-of-00003.safetensors"

        def attempt(what, name, codes, force=False):
            return self.verdict(what, name, place, run(nobody + self.commands(place)[name][0] + (["--force"] if force else [])), codes)

        os.mkdir(place)
        os.chmod(place, 0o777)
        for path, mode in [(shard, 0), (dense + "/config.json", 0), (dense, 0o600), (dense, 0), (self.input + "/dense.npy", 0)]:
            before = os.stat(path).st_mode
            os.chmod(path, mode)
            attempt(f"{os.path.basename(path)} of mode {mode:o}", "convert", [6])
            os.chmod(path, before)
        for mode in (0o555, 0o666, 0):
            os.chmod(place, mode)
            for name in self.references:
                attempt(f"{name} below mode {mode:o}", name, [6])
        # Another's read-only output: in one's own parent it is exchanged and stays as a leftover, in a sticky one it is refused.
        for mode, codes in [(0o777, [0]), (0o1777, [6])]:
            os.chmod(place, mode)
            shutil.copytree(self.input + "/out", place + "/out")
            os.chmod(place + "/out", 0o555)
            before = hashes(place + "/out")
            r = run(nobody + self.commands(place)["convert"][0] + ["--force"])
            self.check(f"read-only output in {mode:o}: exit {r.returncode}", r.returncode in codes, r.stderr)
            self.check(f"read-only output in {mode:o}", hashes(place + "/out") == (self.references["convert"] if r.returncode == 0 else before))
            left = [n for n in os.listdir(place) if "leank-partial" in n]
            cleaned = run([self.leank, "clean", place])
            self.check("clean", all(n in cleaned.stdout for n in left) and os.listdir(place) == ["out"], cleaned.stdout)
            shutil.rmtree(place + "/out")
        print("permissions: done", flush=True)


def main():
    leank, parts, _ = arguments(["disk", "filesize", "streams", "permissions"])
    with tempfile.TemporaryDirectory() as work:
        limits = Limits(leank, work)
        for part in parts:
            getattr(limits, part)()
        print(f"{limits.check.count} checks, {len(limits.check.bad)} failures")
        sys.exit(bool(limits.check.bad))


main()
