"""What reports say of the bundled masks, computed by numpy alone.

Usage: python make_report_expectations.py, in Fixtures/Generators; writes ../Reports/expected.json.
"""
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTEXTS = [1, 20, 64, 300, 4096]
WINDOWS = [(4, 16, 1), (0, 1, 4), (128, 768, 128)]
ELEMENT = 2


def partner(c, width):
    """Half pairs."""
    if c >= width:
        return None
    return c + width // 2 if c < width // 2 else c - width // 2


def profile(mask):
    layers, heads, width = mask.shape
    closure = mask.copy()
    for c in range(width):
        p = partner(c, width)
        if p is not None:
            closure[:, :, p] |= mask[:, :, c]
    halves = mask.reshape(layers, heads, 2, width // 2)
    by_frequency = halves.sum(axis=(0, 1, 2))
    counts = mask.sum(axis=2)
    closure_counts = closure.sum(axis=2)
    return dict(
        channels=int(mask.size),
        kept=int(mask.sum()),
        closure_kept=int(closure.sum()),
        counts=counts.tolist(),
        closure_counts=closure_counts.tolist(),
        channel_heads=mask.sum(axis=1).tolist(),
        frequencies=by_frequency.tolist(),
        quarters=halves.reshape(layers, heads, 2, 4, width // 8).mean(axis=(0, 1, 2, 4)).tolist(),
        empty=int((counts == 0).sum()),
        narrow=int(((counts > 0) & (counts * 2 <= width)).sum()),
        wide=int(((counts * 2 > width) & (counts < width)).sum()),
        full=int((counts == width).sum()),
        layer_uniform=int((counts.max(axis=1) * heads).sum()),
        layer_closure_uniform=int((closure_counts.max(axis=1) * heads).sum()),
        model_uniform=int(counts.max() * counts.size),
    )


def cache(mask, sliding):
    """Bytes of K and V, key by key as the rule of windowed mode says."""
    layers, heads, width = mask.shape
    counts = mask.sum(axis=2)
    result = []
    for context in CONTEXTS:
        visible = [context if w is None else min(w, context) for w in sliding]
        dense = sum(v * heads * width for v in visible) * ELEMENT
        static = sum(v * int(counts[l].sum()) for l, v in enumerate(visible)) * ELEMENT
        entry = dict(context=context, dense=dense, static_keys=static, windowed=[])
        for sink, recent, accumulate in WINDOWS:
            # The cache is largest when j mod accumulate is accumulate - 1.
            t, j = context - 1, accumulate - 1
            k = np.arange(context)
            near = (k < sink) | (k > t - recent - j % accumulate)
            keys = values = 0
            for l, window in enumerate(sliding):
                seen = k > t - (window or context)
                n, m = int((near & seen).sum()), int((~near & seen).sum())
                keys += n * heads * width + m * int(counts[l].sum())
                values += n * heads * width + m * int((counts[l] > 0).sum()) * width
            entry["windowed"].append([keys * ELEMENT, values * ELEMENT])
        result.append(entry)
    return result


def scores(mask, alpha, bins=40):
    ratio = 1 - mask.mean()
    values = alpha.astype(np.float64)
    threshold = float(np.quantile(values, ratio))
    kept = values[mask]
    pruned = values[~mask]
    edges = (values.min(), values.max())
    return dict(
        minimum=float(values.min()), maximum=float(values.max()), threshold=threshold,
        kept_below=int((kept < threshold).sum()), pruned_above=int((pruned >= threshold).sum()),
        kept=np.histogram(kept, bins, edges)[0].tolist(),
        pruned=np.histogram(pruned, bins, edges)[0].tolist(),
    )


def agreement(a, b):
    def counts(x, y):
        return [int((x & y).sum()), int((x & ~y).sum()), int((~x & y).sum())]
    half = a.shape[2] // 2
    return dict(
        overall=counts(a, b),
        layers=[counts(x, y) for x, y in zip(a, b)],
        frequencies=[counts(a[:, :, [f, f + half]], b[:, :, [f, f + half]]) for f in range(half)],
        heads=[[l, h] for l in range(a.shape[0]) for h in range(a.shape[1])
               if (a[l, h] != b[l, h]).any()],
    )


def main():
    folder = ROOT / "Masks/leank-tiny"
    names = ["static_mask_r0.25_align16", "static_pairs_mask_r0.5_align16", "windowed_mask_r0.7_align16"]
    masks = {name: np.load(folder / f"{name}.npy").astype(bool) for name in names}
    sliding = [None, 8, None, 40]
    alpha = np.loadtxt(folder / "windowed_alpha_r0.7.tsv", dtype=np.float32)
    last = masks[names[2]]
    document = dict(
        masks=[
            dict(name=name, **profile(mask), cache=cache(mask, [None] * len(mask)),
                 cache_sliding=cache(mask, sliding))
            for name, mask in masks.items()
        ],
        windows=WINDOWS, sliding=sliding,
        scores=scores(last, alpha.reshape(last.shape)),
        agreement=agreement(masks[names[0]], masks[names[1]]),
    )
    out = ROOT / "Reports/expected.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


main()
