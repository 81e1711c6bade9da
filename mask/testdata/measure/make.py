"""Draws labels.png and samples.png and measures them with scikit-image: regionprops.json.

    pip install scikit-image==0.26.0 pillow
    python make.py
"""
import json
import warnings

import numpy as np
import skimage
from PIL import Image
from skimage.measure import regionprops

warnings.simplefilter("ignore")
rng = np.random.default_rng(13)
H, W = 190, 260
labels = np.zeros((H, W), np.uint16)
y, x = np.mgrid[:H, :W]


def add(mask):
    labels[mask & (labels == 0)] = labels.max() + 1


def ellipse(cx, cy, a, b, angle):
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


def box(x0, y0, x1, y1):
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)


add(ellipse(30, 25, 21, 9, 0.4))
add(ellipse(90, 30, 20, 14, -1.1) & ~ellipse(92, 28, 7, 4, 0.3))  # a hole
add(box(130, 5, 131, 6))  # one pixel
add(box(135, 5, 155, 6))  # lines
add(box(135, 9, 136, 24))
add((x - 140 == y - 10) & box(140, 10, 160, 30))  # a diagonal one
add(box(165, 5, 190, 17))
add(box(165, 22, 185, 42) & ~box(170, 22, 180, 37))  # a U
add(ellipse(205, 20, 8, 5, 0.2) | ellipse(235, 45, 6, 11, 0.9))  # two parts
add(ellipse(0, 80, 15, 30, 0))  # cut by the picture's edges
add(ellipse(259, 189, 30, 20, 0.5))
for i in range(40):
    add(ellipse(rng.uniform(20, W - 20), rng.uniform(60, H - 10), rng.uniform(2, 14), rng.uniform(2, 9), rng.uniform(0, 3.2)))
noise = rng.random((H, W))
smooth = sum(np.roll(np.roll(noise, i, 0), j, 1) for i in range(-3, 4) for j in range(-3, 4)) / 49
add((smooth > 0.5) & box(150, 100, 215, 160))  # ragged, with parts and holes
grey = (np.clip(rng.normal(9000, 4000, (H, W)) + 80 * x, 0, 65535)).astype(np.uint16)
Image.fromarray(labels).save("labels.png")
Image.fromarray(grey).save("samples.png")

intensity = np.stack([grey.astype(np.float64), grey / 4.0 - 5000], -1)
out = []
for p in regionprops(labels, intensity_image=intensity):
    mu = p.moments_central
    out.append({
        "label": int(p.label), "area": float(p.area), "y": float(p.centroid[0]), "x": float(p.centroid[1]),
        "mu20": float(mu[0, 2]), "mu11": float(mu[1, 1]), "mu02": float(mu[2, 0]),
        "perimeter": float(p.perimeter), "equivalent_diameter": float(p.equivalent_diameter_area),
        "major_axis": float(p.axis_major_length), "minor_axis": float(p.axis_minor_length),
        "orientation": float(p.orientation), "eccentricity": float(p.eccentricity),
        "solidity": float(p.solidity) if p.area_convex else None, "feret_diameter": float(p.feret_diameter_max),
        "mean": [float(v) for v in p.intensity_mean], "min": [float(v) for v in p.intensity_min],
        "max": [float(v) for v in p.intensity_max], "deviation": [float(v) for v in p.intensity_std],
        "sum": [float(v) for v in intensity[labels == p.label].sum(0)],
    })
with open("regionprops.json", "w") as f:
    json.dump({"scikit-image": skimage.__version__, "regions": out}, f, indent=1)
print(len(out), skimage.__version__)
