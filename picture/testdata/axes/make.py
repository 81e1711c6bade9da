"""Makes the stacks of this folder with tifffile (2026.3.3): channels, slices and times in several
orders. A sample is 1000·c + 100·z + 10·t, all from 0.

Run with tifffile and numpy from this folder: python3 make.py
"""
import itertools

import numpy as np
import tifffile

size = {"T": 4, "Z": 3, "C": 2}


def stack(axes):
    a = np.zeros([size[x] for x in axes] + [5, 6], "u2")
    for i in itertools.product(*[range(size[x]) for x in axes]):
        d = dict(zip(axes, i))
        a[i] = 1000 * d["C"] + 100 * d["Z"] + 10 * d["T"]
    return a


for axes in ("ZTC", "TCZ", "CTZ"):
    tifffile.imwrite("ome_%s.ome.tif" % axes, stack(axes), ome=True, photometric="minisblack", metadata={"axes": axes + "YX", "Channel": {"Name": ["DAPI", "GFP"]}})
for axes in ("TZC", "CZT"):
    tifffile.imwrite("shaped_%s.tif" % axes, stack(axes), photometric="minisblack", metadata={"axes": axes + "YX"})
tifffile.imwrite("imagej_TZC.tif", stack("TZC"), imagej=True, metadata={"axes": "TZCYX", "Labels": ["DAPI", "GFP"] * 12})
rgb = np.zeros((2, 3, 5, 6, 3), "u1")
for t, z in itertools.product(range(2), range(3)):
    rgb[t, z] = (10 * z + t, 50, 200)
tifffile.imwrite("rgb.ome.tif", rgb, ome=True, photometric="rgb", metadata={"axes": "TZYXS"})
