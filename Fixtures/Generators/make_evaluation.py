#!/usr/bin/env python3
"""Writes Evaluation/leank-tiny.safetensors and expected.json: sequences for leank-tiny, and what masks leave of its predictions.

    python3 Generators/make_evaluation.py          in Fixtures; transformers 5.24, torch 2.15

Four sequences are plain sentences, eight end in a question about a fact in them. transformers runs the model with masked_attention.py,
which keeps whole keys; loss, divergence, agreement and answers are computed here in float64. Bit-identical on rerun.
"""

import json
import random
from pathlib import Path

import masked_attention
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

HERE = Path(__file__).resolve().parent.parent
MODEL = HERE / "Models" / "leank-tiny"
CONTEXT, QUERIES, PLAIN, QUESTIONS = 192, 32, 4, 8
ADJECTIVES = "quiet brave amber hollow silver gentle rapid crimson distant frozen golden humble narrow calm young old rare".split()
NOUNS = "river mountain lantern garden harbor forest window bridge castle tiger canyon pencil candle quilt falcon market temple".split()
VERBS = "finds keeps paints carries watches builds guards follows opens repairs".split()

# name, mask, window (sink, recent, accumulate) or None for static mode
USES = [
    ("windowed_mask_r0.5", (4, 16, 1)),
    ("windowed_mask_r0.7", (4, 16, 1)),
    ("windowed_mask_r0.7", (4, 16, 8)),
    ("windowed_mask_r0.7", (0, 4, 1)),
    ("windowed_mask_r0.7", None),
    ("windowed_mask_r0.5", None),
    ("static_pairs_mask_r0.5", None),
    ("static_mask_r0.5", None),
    ("static_mask_r0.5", (4, 8, 3)),
]

torch.set_grad_enabled(False)
torch.set_num_threads(1)
tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
rng = random.Random(22)


def encode(text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def sentence():
    return f" The {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}."


def plain():
    ids = []
    while len(ids) <= CONTEXT:
        ids += encode(sentence())
    return ids[: CONTEXT + 1], 0


def question():
    keys = rng.sample([f"{a}-{n}" for a in ADJECTIVES for n in NOUNS], 3)
    values = [str(rng.randint(1000, 9999)) for _ in keys]
    end, answer = encode(f" Question: What is the key of {keys[0]}? Answer: The key of {keys[0]} is"), encode(f" {values[0]}")
    facts = [encode(f" The key of {key} is {value}.") for key, value in zip(keys, values)]
    room = CONTEXT + 1 - len(end) - len(answer) - sum(map(len, facts))
    text = plain()[0][:room]
    cuts = sorted(rng.randrange(room) for _ in facts)
    ids, last = [], 0
    for cut, fact in zip(cuts, facts):
        ids += text[last:cut] + fact
        last = cut
    return ids + text[last:] + end + answer, len(answer)


def logits(model, ids, mask, window):
    """Of the queries, [QUERIES, vocabulary]."""
    masks = [np.ones((2, 64), bool)] * 4 if mask is None else list(mask)
    rule = masked_attention.Rule(masks, window, turns=[(0, CONTEXT - QUERIES)])
    return masked_attention.run(model, rule, torch.tensor([ids[:CONTEXT]]))[0, -QUERIES:].double()


def judge(model, samples, mask=None, window=None, dense=None):
    sums = dict(loss=0.0, kl=0.0, top1_agreement=0.0)
    positions, right, all_logits = 0, [], []
    for number, (ids, answer) in enumerate(samples):
        values = logits(model, ids, mask, window)
        all_logits.append(values)
        targets = torch.tensor(ids[-QUERIES:])
        if answer:
            right.append(bool((values[-answer:].argmax(-1) == targets[-answer:]).all()))
            continue
        own = values.log_softmax(-1)
        sums["loss"] -= own[torch.arange(QUERIES), targets].sum().item()
        whole = own if dense is None else dense[number].log_softmax(-1)
        sums["kl"] += (whole.exp() * (whole - own)).sum().item()
        sums["top1_agreement"] += (whole.argmax(-1) == own.argmax(-1)).sum().item()
        positions += QUERIES
    result = {name: round(value / positions, 9) for name, value in sums.items()}
    return result | {"right": right}, all_logits


samples = [plain() for _ in range(PLAIN)] + [question() for _ in range(QUESTIONS)]
out = HERE / "Evaluation"
out.mkdir(exist_ok=True)
tensors = {
    "input_ids": torch.tensor([ids for ids, _ in samples], dtype=torch.int32),
    "answer_tokens": torch.tensor([answer for _, answer in samples], dtype=torch.int32),
}
save_file(tensors, out / "leank-tiny.safetensors")
model = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation=masked_attention.NAME).eval()
dense, dense_logits = judge(model, samples)
uses = []
for name, window in USES:
    mask = np.load(HERE / "Masks" / "leank-tiny" / f"{name}_align16.npy")
    result, _ = judge(model, samples, mask, window, dense_logits)
    uses.append({"mask": name, "window": window, "pruned_ratio": round(1 - float(mask.mean()), 9)} | result)
    print(name, window, result["kl"], sum(result["right"]))
expected = {"context": CONTEXT, "queries": QUERIES, "dense": {key: dense[key] for key in ("loss", "right")}, "uses": uses}
(out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
