#!/usr/bin/env python3
"""Breaks `leank convert` at every system call that matters, one after the other, and looks at what is left.

    python3 Tests/CrashSafety/sweep.py LEANK [kill|errors|force ...]

Needs strace. For each call in the lists below and N = 1, 2, ... until the N-th is never reached:
kill    SIGKILL on entry: the output is absent or complete, left-over staging is marked or complete
errors  the call fails: exit code 6 and no output, or success with the complete output
force   `kill` again with `--force` over an older output: always one complete output
After each run the input is unchanged; after each kill a rerun succeeds.
"""
import hashlib, json, os, shutil, struct, subprocess, sys, tempfile

KILLS = ["write", "copy_file_range", "fsync", "renameat2", "mkdirat", "unlinkat", "fchmod", "close", "openat"]
# Errors a file system may answer with, by call.
ERRORS = [("write", "ENOSPC"), ("write", "EIO"), ("write", "EDQUOT"), ("copy_file_range", "ENOSPC"),
          ("copy_file_range", "EIO"), ("copy_file_range", "EXDEV"), ("fsync", "EIO"), ("fsync", "ENOSPC"),
          ("renameat2", "EIO"), ("renameat2", "EACCES"), ("renameat2", "EINVAL"), ("mkdirat", "EACCES"),
          ("unlinkat", "EIO"), ("fchmod", "EPERM"), ("close", "EIO"), ("openat", "EMFILE"), ("openat", "EACCES"),
          ("pread64", "EIO"), ("newfstatat", "EIO"), ("fstatfs", "EIO")]
INTERRUPTS = ["write", "copy_file_range", "pread64"]
MARKER = "LEANK_INCOMPLETE"


def safetensors(tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in tensors:
        size = 2
        for n in shape:
            size *= n
        body = hashlib.shake_128(name.encode()).digest(size)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += body
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def model(folder):
    """Two layers of llama in three shards, and a mask."""
    os.makedirs(folder)
    shards = [[("model.embed_tokens.weight", [32, 16])], [], [("model.norm.weight", [16])]]
    for layer in range(2):
        p = f"model.layers.{layer}."
        shards[layer] += [(p + "self_attn.q_proj.weight", [32, 16]), (p + "self_attn.k_proj.weight", [16, 16]),
                          (p + "self_attn.v_proj.weight", [16, 16]), (p + "self_attn.o_proj.weight", [16, 32])]
        shards[layer + 1] += [(p + "mlp.gate_proj.weight", [24, 16]), (p + "mlp.up_proj.weight", [24, 16]),
                              (p + "mlp.down_proj.weight", [16, 24]), (p + "input_layernorm.weight", [16]),
                              (p + "post_attention_layernorm.weight", [16])]
    index = {"metadata": {"total_size": 0}, "weight_map": {}}
    for n, tensors in enumerate(shards):
        name = f"model-{n + 1:05d}-of-00003.safetensors"
        open(f"{folder}/{name}", "wb").write(safetensors(tensors))
        index["weight_map"].update({t: name for t, _ in tensors})
    json.dump(index, open(folder + "/model.safetensors.index.json", "w"))
    json.dump(dict(model_type="llama", hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
                   num_key_value_heads=2, head_dim=8, vocab_size=32), open(folder + "/config.json", "w"))
    open(folder + "/tokenizer.json", "w").write("{}")
    head = b"{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2, 8), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    bits = bytes([1, 1, 0, 0, 1, 0, 0, 0] + [0] * 8 + [1] * 8 + [0, 1] * 4)
    open(folder + ".npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bits)


def digest(folder):
    return {n: hashlib.sha256(open(f"{folder}/{n}", "rb").read()).hexdigest() for n in sorted(os.listdir(folder))}


class Sweep:
    def __init__(self, leank, work):
        self.leank, self.work, self.runs, self.bad = leank, work, 0, []
        model(work + "/dense")
        self.source = digest(work + "/dense")
        self.convert("reference")
        self.reference = digest(work + "/reference")
        old = work + "/old"
        shutil.copytree(work + "/reference", old)
        open(old + "/tokenizer.json", "w").write("old")
        self.old = digest(old)

    def convert(self, output, inject=None, force=False):
        """Exit code, and whether the injection was reached."""
        w = self.work
        command = [self.leank, "convert", "--model", w + "/dense", "--mask", w + "/dense.npy", "--output", f"{w}/{output}", "--quiet"]
        command += ["--force"] if force else []
        if inject:
            call = inject.split(":")[0]
            command = ["strace", "-f", "-o", w + "/trace", "-e", "trace=" + call, "-e", "inject=" + inject] + command
        r = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
        self.runs += 1
        trace = open(w + "/trace").read() if inject else ""
        reached = "(INJECTED)" in trace or r.returncode in (-9, 137)
        # The loader, and the Swift runtime when it looks for its arguments, are not ours.
        hit = next((line for line in trace.splitlines() if "(INJECTED)" in line), "")
        self.early = r.returncode == 127 or ".so" in hit or "/proc/self/maps" in hit
        if not inject and r.returncode:
            sys.exit("convert fails without any help: " + r.stderr)
        return r.returncode, reached

    def check(self, what, ok):
        if not ok:
            self.bad.append(what)
            print("FAILED", what, flush=True)

    def leftovers(self, what):
        """Staging is marked as unfinished, or it is finished, or it is what --force took away."""
        for name in os.listdir(self.work):
            if ".leank-partial-" in name:
                path = f"{self.work}/{name}"
                left = digest(path)
                partly_removed = all(self.old.get(n) == d for n, d in left.items())
                self.check(what + ": unmarked staging", MARKER in left or left == self.reference or partly_removed)
                shutil.rmtree(path)

    def sweep(self, call, action, verdict, force=False):
        """Runs until the N-th call is never reached; `verdict` gets exit code and what is in the output."""
        n = 0
        while True:
            n += 1
            what = f"{call}:{action} {n}"
            out = self.work + "/out"
            shutil.rmtree(out, ignore_errors=True)
            if force:
                shutil.copytree(self.work + "/old", out)
            code, reached = self.convert("out", f"{call}:{action}:when={n}", force)
            found = digest(out) if os.path.isdir(out) else None
            self.check(what + ": input changed", digest(self.work + "/dense") == self.source)
            if not reached:
                self.check(what + ": fails untouched", code == 0 and found == self.reference)
                return n - 1
            self.check(f"{what}: exit {code}, output {'absent' if found is None else 'there'}", self.early or verdict(code, found))
            self.leftovers(what)
            if action == "signal=KILL" and not force and found is None:
                code, _ = self.convert("out")
                self.check(what + ": rerun", code == 0 and digest(out) == self.reference)

    def kill(self, force=False):
        for call in KILLS:
            whole = (lambda _, found: found in (self.old, self.reference)) if force else (lambda _, found: found in (None, self.reference))
            points = self.sweep(call, "signal=KILL", whole, force)
            print(f"kill at {call}{' with --force' if force else ''}: {points} points", flush=True)

    def errors(self):
        for call, error in ERRORS:
            # A close or a read before the program begins, and a name that is asked for twice, need not matter.
            def verdict(code, found):
                return found is None and code != 0 or found == self.reference and (code == 0 or call in ("fsync", "close"))
            points = self.sweep(call, "error=" + error, verdict)
            print(f"{call} fails with {error}: {points} points", flush=True)
        for call in INTERRUPTS:
            points = self.sweep(call, "error=EINTR", lambda code, found: code == 0 and found == self.reference)
            print(f"{call} interrupted: {points} points", flush=True)


def main():
    parts = sys.argv[2:] or ["kill", "errors", "force"]
    with tempfile.TemporaryDirectory() as work:
        sweep = Sweep(os.path.abspath(sys.argv[1]), work)
        for part in parts:
            {"kill": sweep.kill, "errors": sweep.errors, "force": lambda: sweep.kill(force=True)}[part]()
        print(f"{sweep.runs} runs, {len(sweep.bad)} failures")
        sys.exit(bool(sweep.bad))


main()
