"""Prints what torch.load finds in a file as JSON: tensors with the SHA-256 of their bytes, and strings."""
import hashlib
import json
import sys

import torch

found = torch.load(sys.argv[1], map_location="cpu")
assert type(found["model"]).__name__ == "OrderedDict", type(found["model"])
tensors = []
for name, t in found["model"].items():
    assert t.is_contiguous() and not t.requires_grad, name
    flat = t.reshape(-1)
    raw = (flat.view(torch.int16) if t.dtype == torch.bfloat16 else flat).numpy().tobytes()
    tensors.append([name, str(t.dtype).removeprefix("torch."), list(t.shape), hashlib.sha256(raw).hexdigest()])
json.dump({"tensors": tensors, "strings": {k: v for k, v in found.items() if k != "model"}}, sys.stdout)
