"""A tiny checkpoint, and what the scripts here need to run leank on it."""
import hashlib, json, os, signal, struct, subprocess, sys

MARKER = "LEANK_INCOMPLETE"

# Started in the background a script has signals ignored, and leank leaves ignored ones ignored.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def safetensors(tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in tensors:
        size = 2
        for n in shape:
            size *= n
        body = hashlib.shake_128(name.encode()).digest(size)
        # Finite and near 0.05, so that the model can be run.
        body = bytes(b if n % 2 == 0 else 0x3D | b & 0x80 for n, b in enumerate(body))
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
                   num_key_value_heads=2, head_dim=8, vocab_size=32, tie_word_embeddings=True),
              open(folder + "/config.json", "w"))
    open(folder + "/tokenizer.json", "w").write("{}")
    head = b"{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2, 8), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    bits = bytes([1, 1, 0, 0, 1, 0, 0, 0] + [0] * 8 + [1] * 8 + [0, 1] * 4)
    open(folder + ".npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bits)


def digest(folder):
    return {n: hashlib.sha256(open(f"{folder}/{n}", "rb").read()).hexdigest() for n in sorted(os.listdir(folder))}


def hashes(folder):
    """Of all files below a folder, dereferencing links."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            found[os.path.relpath(path, folder)] = hashlib.sha256(open(path, "rb").read()).hexdigest()
    return found


def run(command, **more):
    """A finished process; a crash is to end at once, without a backtrace."""
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SWIFT_BACKTRACE": "enable=no"}, **more)


def arguments(parts):
    """From the command line: the binary's path, the parts to run (all of `parts` unless some are named), and whether a sample of
    each is enough (`--quick`)."""
    words = [w for w in sys.argv[1:] if w != "--quick"]
    return os.path.abspath(words[0]), words[1:] or parts, "--quick" in sys.argv


class Checks:
    """Counts, and says what failed."""

    def __init__(self):
        self.count, self.bad = 0, []

    def __call__(self, what, ok, detail=""):
        self.count += 1
        if not ok:
            self.bad.append(what)
            print("FAILED", what, detail, flush=True)
