#!/usr/bin/env python3
"""Writes ../Tensors: small files as numpy and torch write them, and expected.json with what they hold.

usage: python3 make_tensor_files.py         (numpy 2.4, torch 2.15.0, safetensors 0.8)
expected.json: for each file a list of [tensor name, safetensors dtype, shape, little-endian bytes in C order as hex].
"""
import json, os
import numpy as np, torch
from safetensors.numpy import save_file

here = os.path.dirname(os.path.abspath(__file__)) + "/../Tensors/"
os.makedirs(here, exist_ok=True)
expected = {}
NAMES = {"bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
         "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32", "float64": "F64"}

def entry(name, array):
    if isinstance(array, torch.Tensor):
        if array.dtype == torch.bfloat16:
            raw = array.contiguous().view(torch.int16).numpy()
            return [name, "BF16", list(array.shape), raw.astype("<i2").tobytes().hex()]
        array = array.detach().contiguous().numpy()
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return [name, NAMES[array.dtype.name], list(array.shape), little.tobytes().hex()]

def note(file, tensors): expected[file] = [entry(n, a) for n, a in tensors]

rng = np.random.default_rng(7)
values = rng.random((2, 3, 4))
for name in NAMES:
    array = (values * 2 - 0.5).astype(name) if name.startswith("float") else (values > 0.5).astype(name)
    np.save(here + f"{name}.npy", array); note(f"{name}.npy", [("", array)])
big = values.astype(">f4"); np.save(here + "big_endian.npy", big); note("big_endian.npy", [("", big)])
fortran = np.asfortranarray(values.astype(np.float32)); np.save(here + "fortran.npy", fortran); note("fortran.npy", [("", fortran)])
both = np.asfortranarray(values.astype(">f8")); np.save(here + "fortran_big_endian.npy", both); note("fortran_big_endian.npy", [("", both)])
with open(here + "version2.npy", "wb") as f: np.lib.format.write_array(f, values, version=(2, 0))
note("version2.npy", [("", values)])
scalar = np.float32(0.25); np.save(here + "scalar.npy", scalar); note("scalar.npy", [("", np.asarray(scalar))])

mask, scores = values > 0.5, values.astype(np.float16)
np.savez(here + "stored.npz", mask=mask, scores=scores); note("stored.npz", [("mask", mask), ("scores", scores)])
np.savez_compressed(here + "deflated.npz", mask=mask, scores=scores); note("deflated.npz", [("mask", mask), ("scores", scores)])
ragged = {f"layers.{i}.mask": rng.random((1 + i % 2, 4 + 2 * i)) > 0.5 for i in range(3)}
np.savez(here + "ragged.npz", **ragged); note("ragged.npz", list(ragged.items()))

f32 = torch.from_numpy(values.astype(np.float32))
def pth(file, obj, tensors, **k): torch.save(obj, here + file, **k); note(file, tensors)
pth("tensor.pth", f32, [("", f32)])
pth("bool.pth", f32 > 0.5, [("", f32 > 0.5)])
pth("double.pth", f32.double(), [("", f32.double())])
pth("half.pth", f32.half(), [("", f32.half())])
pth("bfloat16.pth", f32.bfloat16(), [("", f32.bfloat16())])
for name in ("uint8", "int8", "int16", "int32", "int64"):
    t = (f32 > 0.5).to(getattr(torch, name)); pth(f"{name}.pth", t, [("", t)])
pth("list.pth", [f32[0], f32[1]], [("0", f32[0]), ("1", f32[1])])
pth("tuple.pth", (f32[0], f32[1].clone()), [("0", f32[0]), ("1", f32[1])])
pth("dict.pth", {"mask": f32 > 0.5, "scores": f32, "note": "plain", "n": 3, "r": 0.5, "none": None},
    [("mask", f32 > 0.5), ("scores", f32)])
pth("transposed.pth", f32.transpose(0, 2), [("", f32.transpose(0, 2))])
pth("view.pth", f32[1, 1:], [("", f32[1, 1:])])
pth("expanded.pth", f32[:, :1].expand(2, 3, 4), [("", f32[:, :1].expand(2, 3, 4))])
pth("parameter.pth", torch.nn.Parameter(f32), [("", f32)])
torch.manual_seed(1); layer = torch.nn.Linear(3, 2)
pth("state_dict.pth", layer.state_dict(), list(layer.state_dict().items()))
pth("protocol3.pth", f32, [("", f32)], pickle_protocol=3)
# what LeanK's trainer does: numpy arrays, which torch.load opens only without weights_only
pth("numpy_bool.pth", mask, [("", mask)])
pth("numpy_float.pth", values.astype(np.float32), [("", values.astype(np.float32))])
pth("numpy_fortran.pth", fortran, [("", fortran)])
pth("numpy_big_endian.pth", big, [("", big)])
pth("numpy_double.pth", values, [("", values)])
pth("numpy_list.pth", [mask[0], mask[1]], [("0", mask[0]), ("1", mask[1])])
pth("numpy_protocol3.pth", mask, [("", mask)], pickle_protocol=3)

save_file({f"layers.{i}.mask": mask[i] for i in range(2)}, here + "layers.safetensors")
np.savetxt(here + "alpha.tsv", values.astype(np.float32).reshape(2, 12), delimiter="\t")
note("alpha.tsv", [("", np.loadtxt(here + "alpha.tsv", delimiter="\t"))])
with open(here + "expected.json", "w", encoding="utf-8", newline="\n") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(expected.items())) + "\n}\n")
