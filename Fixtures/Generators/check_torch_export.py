#!/usr/bin/env python3
"""Does with a .pth that leank exported what LeanK's own runtime does with a mask file, and compares with the tensor it came from.

usage: python3 check_torch_export.py LEANK [SOURCE.pth ...]       (torch 2.15.0; LEANK is the executable)
The sources are ../Masks/lookalike.pth and two more of the published masks' shapes, [32, 8, 128] and [28, 4, 128], drawn here. Each goes through
`leank import` and `leank export`. The runtime's side, written from its behaviour: torch.load without options, then for each layer the mask moved to
the model's device and dtype and viewed as [KV heads, head_dim]; a head's width is the sum over its channels, compared for equality with 0, 32, ... 128;
heads are put in ascending order of width; a group's keys and queries are cut by the flattened mask as a boolean index. Fails on any difference.
"""
import os, subprocess, sys, tempfile
import torch

here = os.path.dirname(os.path.abspath(__file__))
widths = range(0, 129, 32)


def draw(layers, heads, seed):
    """A float32 mask whose heads keep 0, 32, 64 or 96 of 128 channels, as the published ones do."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(layers, heads, 128, generator=generator).argsort(-1).argsort(-1)
    kept = torch.randint(0, 4, (layers, heads, 1), generator=generator) * 32
    return (order < kept).to(torch.float32)


def runtime_view(layer, dtype):
    """(widths of the heads in the runtime's order, mask in that order, number of heads of each width) of one layer."""
    mask = layer.to("cpu").to(dtype).reshape(-1, 128)
    width = mask.sum(dim=-1)
    groups = [(width == w).nonzero().flatten() for w in widths]
    order = torch.cat(groups)
    assert order.numel() == width.numel(), "a head's width is no multiple of 32"
    return width[order], mask[order], [g.numel() for g in groups]


def cut(mask, counts, keys):
    """Keys [1, heads, tokens, 128] of each group of equal width, cut to the kept channels."""
    out, first = [], 0
    for w, n in zip(widths, counts):
        if w and n:
            group = keys[:, first:first + n].transpose(1, 2).reshape(1, -1, n * 128)
            out.append(group[..., mask[first:first + n].flatten().bool()].reshape(1, -1, n, w).transpose(1, 2))
        first += n
    return out


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def check(leank, name, source, folder):
    original = torch.load(source, weights_only=True)
    packed, exported = os.path.join(folder, "mask.leank"), os.path.join(folder, "out.pth")
    for path in (packed, exported):
        if os.path.exists(path):
            os.unlink(path)
    subprocess.run([leank, "import", source, "--output", packed], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([leank, "export", packed, "--output", exported], check=True, stdout=subprocess.DEVNULL)
    for options in ({}, {"weights_only": True}, {"weights_only": False}, {"map_location": "cpu", "mmap": True}):
        mask = torch.load(exported, **options)
        assert type(mask) is torch.Tensor, (name, options, type(mask))
        assert same(mask, original), (name, options, mask.dtype, mask.shape)
        assert mask.is_contiguous() and mask.stride() == original.stride() and mask.storage_offset() == 0, (name, options)
        assert mask.untyped_storage().nbytes() == original.untyped_storage().nbytes() and not mask.requires_grad, (name, options)
    heads = mask.shape[1]
    keys = torch.randn(1, heads, 5, 128, generator=torch.Generator().manual_seed(1))
    for index in range(mask.shape[0]):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            ours, theirs = runtime_view(mask[index], dtype), runtime_view(original[index], dtype)
            assert same(ours[0], theirs[0]) and same(ours[1], theirs[1]) and ours[2] == theirs[2], (name, index, dtype)
            for a, b in zip(cut(ours[1], ours[2], keys), cut(theirs[1], theirs[2], keys), strict=True):
                assert same(a, b) and torch.isfinite(a).all(), (name, index, dtype)
    torch.nn.Module().register_buffer("full_attn_channels", mask[0])
    print(f"{name}: {list(mask.shape)} {mask.dtype}, {int(mask.sum())} of {mask.numel()} channels, as torch saved it")


def main():
    leank, sources = os.path.abspath(sys.argv[1]), [(p, os.path.abspath(p)) for p in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as folder:
        sources.insert(0, ("lookalike.pth", here + "/../Masks/lookalike.pth"))
        for layers, heads in ((32, 8), (28, 4)):
            path = os.path.join(folder, f"drawn_{layers}x{heads}.pth")
            torch.save(draw(layers, heads, layers), path)
            sources.append((os.path.basename(path), path))
        for name, source in sources:
            check(leank, name, source, folder)


main()
