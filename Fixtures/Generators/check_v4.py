#!/usr/bin/env python3
"""Third route and the OLD config dialect: write config_v4.json (as transformers 4.x, i.e. nearly every checkpoint on the
hub, spells it) and check that transformers 4.57 with it gives the reference logits.
    PYTHONPATH=FOLDER_WITH_TRANSFORMERS_4 python check_v4.py [--out models] [name ...]
"""
import argparse
import json, os, shutil, tempfile
os.environ["HF_HUB_OFFLINE"] = "1"
import torch, transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, CONFIG_MAPPING
assert transformers.__version__.startswith("4."), transformers.__version__
transformers.logging.set_verbosity_error()
ap = argparse.ArgumentParser()
ap.add_argument("names", nargs="*")
ap.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "models"))
args = ap.parse_args()
out = os.path.abspath(args.out)


def to_v4(c):
    c = dict(c)
    for k in ("transformers_version", "_sliding_window_pattern", "default_theta"):
        c.pop(k, None)
    c["torch_dtype"] = c.pop("dtype", None)
    if c["model_type"] == "qwen3_moe":  # v5 saves the attribute under its canonical name
        c["num_experts"] = c.pop("num_local_experts", c.get("num_experts"))
    if "text_config" in c:  # a wrapper: the vision tower's own keys are the same in both
        c["text_config"] = to_v4(c["text_config"])
        c["vision_config"].pop("rope_parameters", None)
        return c
    rp = c.pop("rope_parameters")
    def split(r):
        r = dict(r)
        th, pf = r.pop("rope_theta"), r.pop("partial_rotary_factor", None)
        return th, pf, (None if r["rope_type"] == "default" else r)
    if "full_attention" in rp:
        c["rope_theta"], _, c["rope_scaling"] = split(rp["full_attention"])
        c["rope_local_base_freq"] = rp["sliding_attention"]["rope_theta"]
    else:
        c["rope_theta"], pf, c["rope_scaling"] = split(rp)
        if "mrope_section" in rp:
            c["rope_scaling"] = dict(type="mrope", mrope_section=rp["mrope_section"])
        if c["model_type"] == "phi3" and c["rope_scaling"]:  # phi3's v4 validator wants exactly these three keys
            c["rope_scaling"] = {k: c["rope_scaling"][k] for k in ("short_factor", "long_factor")} | {"type": "longrope"}
        if c["model_type"] == "gpt_neox":
            c["rotary_pct"], c["rotary_emb_base"] = pf, c.pop("rope_theta")
        elif pf is not None:
            c["partial_rotary_factor"] = pf
    return c


for name in args.names or sorted(os.listdir(out)):
    d = f"{out}/{name}"
    if not os.path.isdir(d):
        continue
    try:
        v5 = json.load(open(f"{d}/config.json"))
        c4 = CONFIG_MAPPING[v5["model_type"]](**to_v4(v5))
        tmp = tempfile.mkdtemp()
        for f in os.listdir(d):
            if f.startswith("model"):
                os.symlink(f"{d}/{f}", f"{tmp}/{f}")
        c4.save_pretrained(tmp)
        auto = AutoModelForImageTextToText if "text_config" in v5 else AutoModelForCausalLM
        m, info = auto.from_pretrained(tmp, torch_dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
        m.eval()
        ref = load_file(f"{d}/reference.safetensors")
        with torch.no_grad():
            z = m(input_ids=ref["input_ids"][None], use_cache=False).logits[0].float()
        e = (z - ref["logits_dense"]).abs().max().item()
        # Version 4 names the parts of some vision towers otherwise; the language model is what is compared.
        bad = {k: [n for n in v if "vision_tower" not in str(n)] for k, v in info.items()}
        bad = {k: v for k, v in bad.items() if v}
        shutil.copy(f"{tmp}/config.json", f"{d}/config_v4.json")
        print(f"{name:20s} v4 vs v5 dense {e:.1e} {'' if e < 1e-4 else '<<<<<<<<'} {bad or ''}", flush=True)
    except Exception as ex:
        print(f"{name:20s} FAILED {ex!r}"[:300], flush=True)
