"""Writes protocol0.pth and protocol0_legacy.pth: pickle protocol 0, in which PyTorch names storages by text. Needs PyTorch 1.13."""
import torch

model = {"w": torch.arange(6.0).reshape(2, 3).t(), "half": torch.ones(2, dtype=torch.float16), "n": torch.tensor(5)}
model["tied"] = model["w"]
model["p"] = torch.nn.Parameter(torch.tensor([2.5]))
for name, zipped in (("protocol0.pth", True), ("protocol0_legacy.pth", False)):
    torch.save({"model": model, "note": "h\u00e9\n"}, name, pickle_protocol=0, _use_new_zipfile_serialization=zipped)
