#!/usr/bin/env python3
"""Breaks `leank convert` at every system call that matters, one after the other, and looks at what is left.

    python3 Tests/CrashSafety/sweep.py LEANK [kill|errors|signals|force|shard|commit|side_by_side ...] [--quick]

Needs strace. For each call in the lists below and N = 1, 2, ... until the N-th is never reached:
kill    SIGKILL on entry: the output is absent or complete, left-over staging is marked or complete
errors  the call fails: exit code 6 and no output, or success with the complete output
signals SIGINT, SIGTERM and SIGHUP on entry: death by that signal and nothing left, or the complete output; with the signal ignored,
        as in a background job of a script, always the output
force   `kill` again with `--force` over an older output: always one complete output
shard   both with `--shard 1/2` beside a finished second part: no output, the part runs again, the commit succeeds
commit  both with `--commit` of two finished parts: the output is absent, or complete
side_by_side  both with three threads, where the N-th call is that of any of them; all others have one
--quick takes the first two points of each call and then every sixth, later every 23rd.
After each run the input is unchanged, `leank clean` removes what is left, and where there is no output a rerun
makes it byte for byte.
"""
import os, re, shutil, signal, sys, tempfile
from tiny import MARKER, Checks, arguments, digest, model, run

KILLS = ["write", "copy_file_range", "fsync", "renameat2", "renameat", "rename", "mkdirat", "unlinkat", "unlink", "linkat", "link",
         "fchmod", "close", "openat", "open"]
# Errors a file system may answer with, by call.
ERRORS = [("write", "ENOSPC"), ("write", "EIO"), ("write", "EDQUOT"), ("copy_file_range", "ENOSPC"),
          ("copy_file_range", "EIO"), ("copy_file_range", "EXDEV"), ("fsync", "EIO"), ("fsync", "ENOSPC"),
          ("renameat2", "EIO"), ("renameat2", "EACCES"), ("renameat2", "EINVAL"), ("renameat", "EIO"), ("renameat", "ENOSPC"),
          ("mkdirat", "EACCES"), ("mkdirat", "ENOSPC"), ("unlinkat", "EIO"), ("unlink", "EIO"), ("linkat", "EIO"), ("linkat", "EPERM"),
          ("link", "ENOSPC"), ("fchmod", "EPERM"), ("close", "EIO"), ("openat", "EMFILE"), ("openat", "EACCES"), ("openat", "ENOSPC"),
          ("pread64", "EIO"), ("getdents64", "EIO"), ("newfstatat", "EIO"), ("fstatfs", "EIO"), ("flock", "ENOLCK")]
INTERRUPTS = ["write", "copy_file_range", "pread64"]


class Sweep:
    def __init__(self, leank, work, quick):
        self.quick = quick
        self.leank, self.work, self.runs, self.check, self.may_fail = leank, work, 0, Checks(), False
        self.threads = 1
        model(work + "/dense")
        self.source = digest(work + "/dense")
        self.convert([], output="reference")
        self.reference = digest(work + "/reference")
        shutil.copytree(work + "/reference", work + "/old")
        open(work + "/old/tokenizer.json", "w").write("old")
        self.old = digest(work + "/old")
        # Parts bind to the input's times, not to their own place.
        for parts, tasks in [("one", ["2/2"]), ("both", ["1/2", "2/2"])]:
            for task in tasks:
                self.convert(["--shard", task])
            os.rename(work + "/.out.leank-parts", work + "/parts-" + parts)

    def convert(self, options, inject=None, output="out", **more):
        """Exit code, and whether the injection was reached."""
        w = self.work
        command = [self.leank, "convert", "--model", w + "/dense", "--mask", w + "/dense.npy", "--output", f"{w}/{output}", "--quiet"]
        command += ["--threads", str(self.threads), *options]
        if inject:
            call = inject.split(":")[0]
            command = ["strace", "-f", "-o", w + "/trace", "-e", "trace=" + call, "-e", "inject=" + inject] + command
        r = run(command, **more)
        self.runs += 1
        trace = open(w + "/trace").read() if inject else ""
        # A signal is not said to be injected.
        reached = "(INJECTED)" in trace or re.search(r"^\d+ +(--- SIG(INT|TERM|HUP|QUIT) |\+\+\+ killed by SIGKILL)", trace, re.M)
        # The loader, and the Swift runtime when it looks for its arguments, are not ours.
        hit = next((line for line in trace.splitlines() if "(INJECTED)" in line), "")
        self.early = r.returncode == 127 or ".so" in hit or "/proc/self/maps" in hit
        if not inject and not self.may_fail and r.returncode:
            sys.exit("convert fails without any help: " + r.stderr)
        return r.returncode, reached

    def leftovers(self, what):
        """Staging is marked as unfinished, or it is finished, or it is what --force took away; `clean` removes it."""
        left = [n for n in os.listdir(self.work) if ".leank-partial-" in n]
        for name in left:
            files = digest(f"{self.work}/{name}")
            partly_removed = all(self.old.get(n) == d for n, d in files.items())
            self.check(what + ": unmarked staging", MARKER in files or files == self.reference or partly_removed)
        if left:
            r = run([self.leank, "clean", self.work])
            gone = not [n for n in os.listdir(self.work) if ".leank-partial-" in n]
            self.check(what + ": clean", r.returncode == 0 and gone and all(n in r.stdout for n in left), r.stderr)

    def next(self, n):
        """The call after the N-th to look at."""
        return n + (1 if not self.quick or n < 2 else 6 if n < 20 else 23)

    def sweep(self, call, action, options, verdict, before=None, parts=None):
        """Runs until the N-th call is never reached; `verdict` gets exit code and what is in the output."""
        n, points, out, gathered = 0, 0, self.work + "/out", self.work + "/.out.leank-parts"
        while True:
            n = self.next(n)
            what = f"{' '.join(options)} {call}:{action} {n}"
            for folder, start in [(out, before), (gathered, parts)]:
                shutil.rmtree(folder, ignore_errors=True)
                if start:
                    shutil.copytree(f"{self.work}/{start}", folder)
            code, reached = self.convert(options, f"{call}:{action}:when={n}")
            found = digest(out) if os.path.isdir(out) else None
            self.check(what + ": input changed", digest(self.work + "/dense") == self.source)
            if not reached:
                self.check(what + ": fails untouched", code == 0 and found == (None if "--shard" in options else self.reference))
                return points
            points += 1
            self.check(f"{what}: exit {code}, output {'absent' if found is None else 'there'}", self.early or verdict(code, found))
            self.leftovers(what)
            if found is None and (parts or action == "signal=KILL"):
                self.may_fail = True
                codes = [self.convert(o)[0] for o in [options] + ([["--commit"]] if "--shard" in options else [])]
                self.may_fail = False
                self.check(f"{what}: rerun {codes}", not any(codes) and digest(out) == self.reference)
                self.check(what + ": parts left", not os.path.exists(gathered))
            elif parts and os.path.exists(gathered):
                r = run([self.leank, "clean", "--parts", self.work])
                self.check(what + ": clean --parts", r.returncode == 0 and not os.path.exists(gathered), r.stderr)

    def kill(self, options=(), allowed=None, **more):
        allowed = allowed or (None, self.reference)
        for call in KILLS:
            points = self.sweep(call, "signal=KILL", list(options), lambda _, found: found in allowed, **more)
            print(f"kill at {call} {' '.join(options)} with {self.threads} threads: {points} points", flush=True)

    def signals(self):
        for name, calls in [("INT", KILLS), ("TERM", ["write", "fsync"]), ("HUP", ["write", "fsync"]), ("QUIT", ["write", "fsync"])]:
            number = signal.Signals["SIG" + name]
            for call in calls:
                n, points = 0, 0
                while True:
                    n = self.next(n)
                    shutil.rmtree(self.work + "/out", ignore_errors=True)
                    inject = f"{call}:signal={name}:when={n}"
                    what = f"SIG{name} at {call} {n}"
                    code, reached = self.convert([], inject)
                    found = digest(self.work + "/out") if os.path.isdir(self.work + "/out") else None
                    if not reached:
                        self.check(what + ": fails untouched", code == 0 and found == self.reference)
                        break
                    points += 1
                    self.check(f"{what}: exit {code}", code == -number and found in (None, self.reference))
                    self.check(what + ": left over", not [n for n in os.listdir(self.work) if ".leank-partial-" in n])
                    shutil.rmtree(self.work + "/out", ignore_errors=True)
                    code, _ = self.convert([], inject, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
                    self.check(f"{what}, ignored: exit {code}", code == 0 and digest(self.work + "/out") == self.reference)
                print(f"SIG{name} at {call}: {points} points", flush=True)

    def errors(self, options=(), **more):
        done = [None] if "--shard" in options else [self.reference]

        # A close or a read before the program begins, and a name that is asked for twice, need not matter.
        def verdict(code, found):
            return found is None and code in (3, 6, 7, 8) or found in done and (code == 0 or call in ("fsync", "close"))
        for call, error in ERRORS:
            points = self.sweep(call, "error=" + error, list(options), verdict, **more)
            print(f"{call} fails with {error} {' '.join(options)}: {points} points", flush=True)
        for call in INTERRUPTS:
            points = self.sweep(call, "error=EINTR", list(options), lambda code, found: code == 0 and found in done, **more)
            print(f"{call} interrupted {' '.join(options)}: {points} points", flush=True)

    def force(self):
        self.kill(["--force"], (self.old, self.reference), before="old")

    def shard(self):
        for part in (self.kill, self.errors):
            part(["--shard", "1/2"], parts="parts-one")

    def commit(self):
        for part in (self.kill, self.errors):
            part(["--commit"], parts="parts-both")

    def side_by_side(self):
        self.threads = 3
        self.kill()
        self.errors()
        self.threads = 1


def main():
    leank, parts, quick = arguments(["kill", "errors", "signals", "force", "shard", "commit", "side_by_side"])
    with tempfile.TemporaryDirectory() as work:
        sweep = Sweep(leank, work, quick)
        for part in parts:
            getattr(sweep, part)()
        print(f"{sweep.runs} runs, {sweep.check.count} checks, {len(sweep.check.bad)} failures")
        sys.exit(bool(sweep.check.bad))


main()
