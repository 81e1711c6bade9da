"""Writes old0.pkl and old1.pkl, pickles of protocols 0 and 1 as NumPy's users wrote them. Needs nothing but Python 3."""
import argparse
import collections
import os
import pickle
import struct
import sys
import types

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def function(module, name):
    def f(*args):
        raise RuntimeError
    f.__module__, f.__qualname__, f.__name__ = module, name, name
    parts = module.split(".")
    for i in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(parts[i - 1]))
    setattr(sys.modules[module], name, f)
    return f


reconstruct = function("numpy.core.multiarray", "_reconstruct")
dtype = function("numpy", "dtype")
ndarray = function("numpy", "ndarray")


class Type:
    def __reduce__(self):
        return dtype, ("f4", 0, 1), (3, "<", None, None, None, -1, -1, 0)


class Array:
    def __init__(self, *values):
        self.values = values

    def __reduce__(self):
        raw = struct.pack("<%df" % len(self.values), *self.values)
        return reconstruct, (ndarray, (0,), b"b"), (1, (len(self.values),), Type(), False, raw)


class Settings:
    def __init__(self):
        self.rate = 0.5


Settings.__module__ = "mine"
sys.modules["mine"] = types.ModuleType("mine")
sys.modules["mine"].Settings = Settings

content = {
    "model": collections.OrderedDict([("a.weight", Array(1, -2.5, 0.1)), ("a.bias", Array(*range(300)))]),
    "note": "größer\n\\u0041 \U0001f600", "iteration": 42, "big": 1 << 80, "rate": 0.25, "done": True, "settings": Settings(),
    "args": argparse.Namespace(a=None), "names": [("x", 1)],
}
for protocol in 0, 1:
    with open(f"old{protocol}.pkl", "wb") as f:
        pickle.dump(content, f, protocol)
