"""Writes the checkpoint files of this folder and expected.json, the values that the tests hold them against.

Needs PyTorch 1.13 and NumPy 1.24: python3 make.py
"""
import argparse
import collections
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))
expected = {}


def note(file, tensors, metadata=None):
    expected[file] = {
        "metadata": metadata or {},
        "tensors": [
            {
                "name": k,
                "dtype": str(v.dtype).replace("torch.", "") if isinstance(v, torch.Tensor) else v.dtype.name,
                "shape": list(v.shape),
                "values": [float(x) for x in (v.detach().double() if isinstance(v, torch.Tensor) else v.astype(np.float64)).reshape(-1)],
            }
            for k, v in tensors.items()
        ],
    }


def state():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8 - 1
    s = collections.OrderedDict()
    s["plain"] = base
    s["row"] = base[2]                      # offset, shared storage
    s["transposed"] = base.t()              # strides
    s["sliced"] = base[1:4:2, 1::2]
    s["channels_last"] = torch.arange(48, dtype=torch.float32).reshape(2, 4, 2, 3).contiguous(memory_format=torch.channels_last)
    s["double"] = torch.linspace(-1, 1, 5, dtype=torch.float64)
    s["half"] = torch.tensor([0.0, -0.0, 1.5, -65504.0, 6e-8, 6.1e-5, 0.333], dtype=torch.float16)
    s["bfloat"] = torch.tensor([0.0, 1.0, -3.140625, 1e30, 1e-30], dtype=torch.bfloat16)
    s["long"] = torch.tensor([0, -1, 1 << 20, -(1 << 40)], dtype=torch.int64)
    s["int"] = torch.tensor([0, -1, 1 << 20], dtype=torch.int32)
    s["short"] = torch.tensor([0, -1, 32767], dtype=torch.int16)
    s["char"] = torch.tensor([0, -1, 127], dtype=torch.int8)
    s["byte"] = torch.tensor([0, 1, 255], dtype=torch.uint8)
    s["bool"] = torch.tensor([True, False, True])
    s["scalar"] = torch.tensor(2.5)
    s["empty"] = torch.zeros(0, 3)
    s["parameter"] = torch.nn.Parameter(torch.tensor([[1.0, 2.0]]))
    s._metadata = collections.OrderedDict([("", {"version": 1})])
    return s


def whole(s):
    return {
        "model": s,
        "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]},
        "iteration": 42,
        "best": 0.5,
        "done": False,
        "nothing": None,
        "names": ["a", "b", 1],
        "note": "größer",
        "big": 1 << 80,
    }


META = {"iteration": "42", "best": "0.5", "done": "false", "note": "größer", "big": str(1 << 80)}

# torch.save in both forms.
s = state()
torch.save(whole(s), "zip.pth")
torch.save(whole(s), "legacy.pth", _use_new_zipfile_serialization=False)
note("zip.pth", s, META)
note("legacy.pth", s, META)
plain = collections.OrderedDict((k, s[k]) for k in ("plain", "row", "bfloat"))
torch.save(plain, "plain.pth")
note("plain.pth", plain)
torch.save({"epoch": 1, "state_dict": plain}, "state_dict.pth")
note("state_dict.pth", plain, {"epoch": "1"})
nested = {"a": {"w": s["plain"]}, "b": [s["long"], 3], "epoch": 7}
torch.save(nested, "nested.pth")
note("nested.pth", {"a.w": s["plain"], "b.0": s["long"]}, {"epoch": "7"})




# What training programs put beside and into a model.
yacs = types.ModuleType("yacs.config")
sys.modules["yacs"], sys.modules["yacs.config"] = types.ModuleType("yacs"), yacs
yacs.CfgNode = type("CfgNode", (dict,), {"__module__": "yacs.config"})
config = yacs.CfgNode(A=1, B=yacs.CfgNode(C="d"))
config.frozen = True
tagged = torch.tensor([1.0, 2.0])
tagged.tag = "x"
tagged_parameter = torch.nn.Parameter(torch.tensor([3.0]))
tagged_parameter.tag = "y"
rich = collections.OrderedDict(tagged=tagged, tagged_parameter=tagged_parameter)
torch.save(
    {
        "state_dict": rich,
        "config": config,
        "args": argparse.Namespace(lr=0.1, device=torch.device("cpu")),
        "output": pathlib.PurePosixPath("/a/b"),
        "optimizer": collections.defaultdict(dict, {"complex": torch.ones(1, dtype=torch.complex64)}),
        "counts": collections.Counter("abca"),
        "sets": [{1, 2}, frozenset([3]), bytearray(b"abc"), b"", bytes(2000)],
        "types": [torch.float32, torch.Size([1, 2]), np.dtype("f4"), np.dtype([("a", "i4")]), float],
        "text": "x" * 2000,
        "f64": np.float64(0.25), "f16": np.float16(0.5), "i64": np.int64(-3), "u8": np.uint8(200), "i16": np.int16(-2), "b": np.bool_(True),
        "huge": 1e300,
        ("a", 1): None,
    },
    "rich.pth",
)
note("rich.pth", rich, {"text": "x" * 2000, "f64": "0.25", "f16": "0.5", "i64": "-3", "u8": "200", "i16": "-2", "b": "true", "huge": "1e+300"})
torch.save({"model": {"w": torch.ones(1, dtype=torch.complex64)}}, "complex.pth")

# As written on a big-endian machine.
with zipfile.ZipFile("plain.pth") as a, zipfile.ZipFile("big_endian.pth", "w") as b:
    for i in a.infolist():
        d = a.read(i)
        if "/data/" in i.filename:
            d = np.frombuffer(d, "<u4" if len(d) == 96 else "<u2").byteswap().tobytes()
        b.writestr(zipfile.ZipInfo(i.filename), d)
    b.writestr(zipfile.ZipInfo("plain/byteorder"), "big")
note("big_endian.pth", plain)

# Files that must be refused.
torch.save(torch.nn.Linear(2, 2), "module.pth")
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "script.pth")
np.savez("arrays.npz", a=np.zeros(2))
with zipfile.ZipFile("plain.pth") as a, zipfile.ZipFile("deflated.pth", "w", zipfile.ZIP_DEFLATED) as b:
    for i in a.infolist():
        b.writestr(i.filename, a.read(i))


class Evil:
    def __reduce__(self):
        return (os.system, ("true",))


with open("evil.pkl", "wb") as f:
    pickle.dump({"model": Evil()}, f, protocol=2)
torch.save({"model": plain, "x": Evil()}, "evil.pth")


# The newest form: an untyped storage whose element type stands beside it.
def _rebuild_tensor_v3(*args):
    raise NotImplementedError


_rebuild_tensor_v3.__module__ = "torch._utils"
torch._utils._rebuild_tensor_v3 = _rebuild_tensor_v3


class V3:
    def __reduce__(self):
        return (_rebuild_tensor_v3, (Key(), 1, (2, 2), (2, 1), False, collections.OrderedDict(), torch.float16))


class Key:
    pass


class V3Pickler(pickle._Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Key):
            return ("storage", torch.UntypedStorage, "0", "cpu", 10)


torch.UntypedStorage.__module__ = "torch.storage"
torch.storage.UntypedStorage = torch.UntypedStorage
buf = io.BytesIO()
V3Pickler(buf, 2).dump({"w": V3()})
half = torch.arange(5, dtype=torch.float16)
with zipfile.ZipFile("untyped.pth", "w") as z:
    z.writestr(zipfile.ZipInfo("m/data.pkl"), buf.getvalue())
    z.writestr(zipfile.ZipInfo("m/byteorder"), "little")
    z.writestr(zipfile.ZipInfo("m/data/0"), half.numpy().tobytes())
note("untyped.pth", {"w": half[1:].reshape(2, 2)})


# A view with a pending negation, as PyTorch writes it since 2.0.
class Negative:
    def __reduce__(self):
        return (torch._utils._rebuild_tensor_v2, (Key(), 0, (2,), (1,), False, collections.OrderedDict(), {"neg": True}))


buf = io.BytesIO()
V3Pickler(buf, 2).dump({"w": Negative()})
with zipfile.ZipFile("negative.pth", "w") as z:
    z.writestr(zipfile.ZipInfo("m/data.pkl"), buf.getvalue())
    z.writestr(zipfile.ZipInfo("m/data/0"), half.numpy().tobytes())


# The older form with a view of a storage, as PyTorch before 0.4 wrote it.
class View:
    def __reduce__(self):
        return (torch._utils._rebuild_tensor, (Key(), 1, (3,), (2,)))


class ViewPickler(pickle._Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Key):
            return ("storage", torch.FloatStorage, "77", "cpu", 10, ("78", 2, 7))


with open("legacy_view.pth", "wb") as f:
    pickle.dump(torch.serialization.MAGIC_NUMBER, f, 2)
    pickle.dump(1001, f, 2)
    pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, f, 2)
    ViewPickler(f, 2).dump(collections.OrderedDict([("w", View())]))
    pickle.dump(["77"], f, 2)
    f.write(struct.pack("<q", 10) + np.arange(10, dtype="<f4").tobytes())
note("legacy_view.pth", {"w": torch.tensor([3.0, 5.0, 7.0])})


# NumPy pickles.
def arrays(n):
    return collections.OrderedDict(
        [
            ("stem.conv1.weight", (np.arange(n, dtype=np.float32) - 100) / 8),
            ("stem.conv1.norm.weight", np.arange(6, dtype=np.float64).reshape(2, 3)),
            ("fortran", np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))),
            ("big", np.arange(4).astype(">i4")),
            ("half", np.arange(3, dtype=np.float16)),
            ("flag", np.array([True, False])),
            ("byte", np.array([0, 200], dtype=np.uint8)),
            ("long", np.array(7, dtype=np.int64)),
            ("none", np.zeros((0, 2), dtype=np.float32)),
        ]
    )


D2META = {"__author__": "tester", "matching_heuristics": "true", "loss": "0.25"}
for proto in 2, 3, 4, 5:
    a = arrays(5000 if proto == 2 else 600)
    with open(f"numpy{proto}.pkl", "wb") as f:
        pickle.dump({"model": dict(a), "__author__": "tester", "matching_heuristics": True, "loss": np.float32(0.25)}, f, proto)
    note(f"numpy{proto}.pkl", a, D2META)

with open("numpy3.pkl", "rb") as f:
    renamed = f.read().replace(b"numpy.core", b"numpy._core")
with open("numpy_2.x.pkl", "wb") as f:
    f.write(renamed)
note("numpy_2.x.pkl", a, D2META)


class Python2Pickler(pickle._Pickler):
    """Writes str and bytes as Python 2 writes its str."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, obj):
        raw = obj if isinstance(obj, bytes) else obj.encode("latin1")
        if len(raw) < 256:
            self.write(b"U" + bytes([len(raw)]) + raw)
        else:
            self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(obj)

    dispatch[str] = save_string
    dispatch[bytes] = save_string


caffe = collections.OrderedDict(
    [
        ("conv1_w", np.linspace(-1, 1, 300, dtype=np.float32)),
        ("res_conv1_bn_s", np.ones(3, dtype=np.float32)),
        ("res2_0_branch2a_w", np.arange(8, dtype=np.float32).reshape(4, 2)),
        ("conv1_w_momentum", np.zeros(2, dtype=np.float32)),
    ]
)
with open("python2.pkl", "wb") as f:
    Python2Pickler(f, 2).dump({"blobs": dict(caffe), "cfg": "größe"})
note("python2.pkl", caffe, {"cfg": "größe"})

# Tensors pickled without torch.save, as the conversion scripts of Swin do.
plain["large"] = torch.arange(600, dtype=torch.float32)
for proto in 2, 4:
    with open(f"tensors{proto}.pkl", "wb") as f:
        pickle.dump({"model": plain, "__author__": "third_party", "matching_heuristics": True}, f, proto)
    note(f"tensors{proto}.pkl", plain, {"__author__": "third_party", "matching_heuristics": "true"})

with open("no_tensors.pkl", "wb") as f:
    pickle.dump({"a": 1, "b": [1, 2, {"c": "d"}]}, f, 2)
with open("strings.pkl", "wb") as f:
    pickle.dump({"model": {"w": np.array(["a", "b"])}}, f, 2)

with open("expected.json", "w") as f:
    json.dump(expected, f, ensure_ascii=False, separators=(",", ":"))
