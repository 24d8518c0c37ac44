#!/usr/bin/env python3
"""Fills a folder with first inputs for one target: seeds.py TARGET OUTDIR

They come from the repository's fixtures and from the generator of hostile files."""
import glob, json, os, shutil, subprocess, sys, tempfile, zipfile

target, out = sys.argv[1:]
fixtures = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Fixtures")
os.makedirs(out, exist_ok=True)
LIMIT = 1 << 16

def take(files):
    for path in files:
        if os.path.isfile(path) and os.path.getsize(path) <= LIMIT:
            shutil.copy(path, os.path.join(out, os.path.basename(os.path.dirname(path)) + "-" + os.path.basename(path)))

def find(pattern): return sorted(glob.glob(os.path.join(fixtures, pattern), recursive=True))

with tempfile.TemporaryDirectory() as hostile:
    subprocess.run([sys.executable, fixtures + "/Hostile/make_hostile.py", hostile], check=True, stdout=subprocess.DEVNULL)
    def cases(pattern): return sorted(glob.glob(os.path.join(hostile, pattern), recursive=True))
    if target.startswith("leank_"): take(find("Vectors/v1/**/*.leank"))
    elif target == "npy": take(find("Tensors/*.npy") + cases("npy/*"))
    elif target == "zip_reader": take(find("Tensors/*.npz") + cases("npz/*"))
    elif target == "pth_whole": take(find("Tensors/*.pth") + find("Masks/**/*.pth") + cases("pth/*"))
    elif target == "pickle":
        for path in find("Tensors/*.pth") + cases("pth/*"):
            try:
                with zipfile.ZipFile(path) as z:
                    name = next(n for n in z.namelist() if n.endswith("data.pkl"))
                    if z.getinfo(name).file_size > LIMIT: continue
                    data = z.read(name)
            except Exception: continue
            with open(os.path.join(out, os.path.basename(path) + ".pkl"), "wb") as f: f.write(data)
    elif target == "tsv": take(find("Tensors/*.tsv") + cases("tsv/*"))
    elif target == "safetensors_header": take(find("Tensors/*.safetensors") + cases("safetensors/*"))
    elif target == "index_json": take(cases("index/**/*.json"))
    elif target == "json_strict": take(cases("config/*") + cases("index/**/*.json") + find("Vectors/v1/valid/*.json"))
    elif target == "mask_json":
        with open(os.path.join(out, "small.json"), "w") as f:
            f.write('{"format": "leank-mask", "version": 1, "layers": [{"kv_heads": 2, "head_dim": 4, "query_heads": 4, "rotary_width": 4,'
                    ' "pairing": "half"}], "mask": [[[0, 2], [1]]], "scores": {"kind": "leank.alpha", "dtype": "bf16",'
                    ' "values": [[[1, 0.25, 0.5, 0], [0, 1, 0, 0]]]}}')
    elif target == "tokenizer_json":
        # whole ones are long: the model is cut down to its first tokens
        for path in find("Tokenizers/*.json"):
            with open(path) as f: data = json.load(f)
            if not isinstance(data, dict) or "model" not in data: continue
            model = data["model"]
            model["vocab"] = {t: i for t, i in model["vocab"].items() if i < 80 or len(t) < 3 and i < 300}
            model["merges"] = [m for m in model["merges"] if {*m, "".join(m)} <= set(model["vocab"])] if isinstance(model["merges"][0], list) else []
            kept = []
            for token in data["added_tokens"]:
                token["id"] = model["vocab"].get(token["content"], len(model["vocab"]) + sum(t["content"] not in model["vocab"] for t in kept))
                kept.append(token)
            with open(os.path.join(out, os.path.basename(path)), "w") as f: f.write(json.dumps(data) + "\0a <tool> b")
    elif target == "chat_template":
        with open(fixtures + "/Tokenizers/chats.json") as f: chats = json.load(f)
        for entry in chats["templates"]:
            with open(os.path.join(out, entry["name"]), "w") as f: f.write(entry["template"])
    else: sys.exit("no such target: " + target)
take(find("Crashers/" + target + "/*"))
