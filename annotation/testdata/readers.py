"""Reads what `convert` makes of a label map with the readers of others, and compares every pixel.

    pip install numpy pillow roifile shapely tifffile
    python readers.py a_masks.png FOLDER      # FOLDER/imagej/a_rois.zip, FOLDER/geojson/a.geojson …
"""
import json, sys
import numpy as np
import roifile, shapely, tifffile
from shapely import contains_xy
from shapely.geometry import shape
from PIL import Image

truth = np.asarray(Image.open(sys.argv[1]).convert("I")).astype(np.uint32)
folder = sys.argv[2]
H, W = truth.shape
ys, xs = np.mgrid[:H, :W] + 0.5
ids = set(np.unique(truth)) - {0}


def same(name, label, mask):
    assert (mask == (truth == label)).all(), (name, label, mask.sum(), (truth == label).sum())


done = set()
for roi in roifile.roiread(f"{folder}/imagej/a_rois.zip"):
    label = int(roi.name)
    mask = np.zeros((H, W), bool)
    rings = [roi.coordinates()] if not roi.composite else roi.coordinates(multi=True)
    for ring in rings:
        mask ^= contains_xy(shapely.Polygon(ring), xs, ys)
    same("roi", label, mask)
    done.add(label)
assert done == ids, (done, ids)
print("roifile", roifile.__version__, len(done), "regions")

done = set()
for f in json.load(open(f"{folder}/geojson/a.geojson"))["features"]:
    g = shape(f["geometry"])
    assert shapely.is_valid(g), (f["properties"], shapely.is_valid_reason(g))
    label = int(f["properties"]["name"])
    same("geojson", label, contains_xy(g, xs, ys))
    assert g.area == (truth == label).sum()
    done.add(label)
assert done == ids
print("shapely", shapely.__version__, len(done), "valid geometries")

with tifffile.TiffFile(f"{folder}/labeltiff/a_labels.tif") as t:
    a = t.asarray()
    assert a.dtype == np.uint16 and (a == truth).all() and t.is_ome
    print("tifffile", tifffile.__version__, a.dtype, "OME", t.is_ome, "ImageJ", t.is_imagej, t.imagej_metadata,
          t.pages[0].tags["XResolution"].value, t.ome_metadata[t.ome_metadata.index("Physical"):][:60])

d = np.load(f"{folder}/cellpose/a_seg.npy", allow_pickle=True).item()
assert (d["masks"] == truth).all() and (d["outlines"][d["outlines"] > 0] == truth[d["outlines"] > 0]).all()
print("numpy", np.__version__, {k: getattr(v, "shape", v) for k, v in d.items()})
for path in ("labels/a_masks.png", "labelmap/a.png"):
    assert (np.asarray(Image.open(f"{folder}/{path}")) == truth).all(), path
import csv
rows = list(csv.DictReader(open(f"{folder}/measurements/a.csv")))
assert {int(r["label"]) for r in rows} == ids
print("labels are the same in all files")
