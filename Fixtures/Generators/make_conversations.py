#!/usr/bin/env python3
"""Logits of conversations under a mask, by transformers with the attention of masked_attention.py (float64 scores, float32 elsewhere).

    python3 make_conversations.py --models Reference --out Conversations [NAME ...]     # in Fixtures; transformers 5.24, torch 2.15

One file a model: `input_ids` I64 [48], and for each plan `PLAN.turns` I64 [prompts, 2] (first position of a prompt, position behind
its last; what lies between two prompts is decoded one by one) and `PLAN.logits` F32 [48, vocabulary], windowed with sink 4, recent 8,
accumulate 4. The masks are those beside the models (mask.npy). Static mode knows no turns: Reference has its logits.
"""

import argparse
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import masked_attention
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

# Prompts of a conversation of 48 tokens: a long first one; one shorter than sink and recent, and a prompt that ends the text;
# prompts of one token.
PLANS = {
    "long_first": [(0, 17), (26, 35)],
    "short_first": [(0, 5), (7, 9), (30, 48)],
    "one_token": [(0, 20), (24, 25), (33, 34)],
}
MODELS = ["llama_gqa", "gemma2", "qwen2_window"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("names", nargs="*", default=MODELS)
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    os.makedirs(arguments.out, exist_ok=True)
    for name in arguments.names or MODELS:
        folder = f"{arguments.models}/{name}"
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=masked_attention.NAME
        ).eval()
        masks = list(np.load(folder + "/mask.npy").astype(bool))
        tokens = load_file(folder + "/reference.safetensors")["input_ids"]
        arrays = {"input_ids": tokens}
        for plan, turns in PLANS.items():
            arrays[plan + ".turns"] = torch.tensor(turns)
            rule = masked_attention.Rule(masks, (4, 8, 4), turns)
            arrays[plan + ".logits"] = masked_attention.run(model, rule, tokens[None])[0].contiguous()
        path = f"{arguments.out}/{name}.safetensors"
        save_file(arrays, path)
        print(path, {key: list(value.shape) for key, value in arrays.items()})


if __name__ == "__main__":
    main()
