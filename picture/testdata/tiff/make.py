"""Makes the TIFF files of this folder with the programs that people use, and want.json and
*.want.png with what is read from them.

Run from this folder with tifffile, imagecodecs, Pillow, numpy, libtiff's tools and
GraphicsMagick: python3 make.py
"""
import hashlib
import json
import os
import struct
import subprocess

import numpy as np
import tifffile
from PIL import Image, ImageCms

W, H = 37, 29
y, x = np.mgrid[0:H, 0:W]
wants = {}


def ramp(low, high, dtype, step=1):
    """Values all over the range, with edges."""
    v = (np.sin(x / 5.0) * np.cos(y / 4.0 * step) + 1) / 2
    v[(x - 12) ** 2 + (y - 10) ** 2 < 49] = 1
    v[(x > 25) & (y > 15)] = 0
    out = low + v * (high - low)
    if np.dtype(dtype).kind != "f":
        out = np.clip(np.round(out), low, high)
    return out.astype(dtype)


def want(name, values, pixel=None, **options):
    """Values are H × W or H × W × samples, as numbers."""
    values = np.ascontiguousarray(values)
    entry = dict(options, height=values.shape[0], width=values.shape[1], samples=values.shape[2] if values.ndim == 3 else 1)
    entry["sha256"] = hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    entry["first"] = [float(v) for v in values.ravel()[:4]]
    if pixel:
        entry["pixel"] = pixel
    wants.setdefault(name, []).append(entry)


def tif(name, data, expected=None, **options):
    """Written and read again by tifffile."""
    tifffile.imwrite(name, data, **options)
    read = tifffile.imread(name)
    if expected is None:
        assert np.array_equal(read, data, equal_nan=read.dtype.kind == "f"), name
        expected = data
    want(name, expected)


kinds = {
    "u8": (0, 255), "u16": (0, 65535), "u32": (0, 2**32 - 1), "i8": (-128, 127), "i16": (-32768, 32767),
    "i32": (-(2**31), 2**31 - 1), "f2": (-3, 900), "f4": (0, 1), "f8": (-1e3, 1e9), "u64": (0, 2**50),
}
names = {"f2": "float16", "f4": "float32", "f8": "float64"}
for kind, (low, high) in kinds.items():
    dtype = {"u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8", "i8": "i1", "i16": "i2", "i32": "i4"}.get(kind, kind)
    data = ramp(low, high, dtype)
    label = names.get(kind, kind)
    tif(label + ".tif", data)
    tif(label + "_big_endian.tif", data, byteorder=">")
    if kind in ("f8", "u64"):
        continue
    predictor = 3 if kind[0] == "f" else 2
    tif(label + "_zlib_predictor.tif", data, compression="zlib", predictor=predictor, byteorder=">")
    tif(label + "_tiles_lzw.tif", data, compression="lzw", predictor=2 if predictor == 2 else None, tile=(16, 16))
f4 = ramp(0, 1, "f4")
f4[3, 4], f4[5, 6] = np.nan, np.inf
tif("float32_nan.tif", f4)
tif("float32_predictor_little.tif", ramp(0, 1, "f4"), compression="zlib", predictor=3)
tif("float64_predictor.tif", ramp(0, 1, "f8"), compression="zstd", predictor=3)

u16, u8 = ramp(100, 4095, "u2"), ramp(0, 255, "u1")
rgb = np.stack([u8, ramp(0, 200, "u1", 2), ramp(30, 255, "u1", 3)], axis=-1)
rgb16 = np.stack([ramp(0, 65535, "u2"), ramp(0, 5000, "u2", 2), ramp(300, 60000, "u2", 3)], axis=-1)
tif("bigtiff.tif", u16, bigtiff=True)
tif("bigtiff_big_endian.tif", u16, bigtiff=True, byteorder=">")
tif("strips.tif", u16, rowsperstrip=5)
tif("tiles_edge.tif", rgb16, tile=(16, 32), photometric="rgb")
for codec in ("packbits", "lzw", "zlib", "zstd", "lzma"):
    tif("rgb_%s.tif" % codec, rgb, compression=codec, rowsperstrip=7)
    tif("u16_%s.tif" % codec, u16, compression=codec)
tif("lzma_predictor.tif", u16, compression="lzma", predictor=2)
tif("zstd_predictor.tif", rgb16, compression="zstd", predictor=2, photometric="rgb", planarconfig="contig")
tif("rgb_planar.tif", np.moveaxis(rgb, -1, 0), rgb, photometric="rgb", planarconfig="separate")
tif("rgb16_planar_tiles.tif", np.moveaxis(rgb16, -1, 0), rgb16, photometric="rgb", planarconfig="separate", tile=(16, 16), compression="zlib", predictor=2)
tif("rgb_float.tif", rgb.astype("f4") / 255, photometric="rgb")
tif("rgb_webp.tif", rgb, photometric="rgb", compression="webp", compressionargs={"level": 100, "lossless": True})
tif("miniswhite.tif", u8, 255 - u8, photometric="miniswhite")
tif("miniswhite16.tif", u16, 65535 - u16, photometric="miniswhite")
two = np.stack([u16, u16[::-1]], axis=-1)
tif("two_samples.tif", two, u16, photometric="minisblack", planarconfig="contig")
five = np.stack([ramp(0, 900 * (k + 1), "u2", k + 1) for k in range(5)])
tif("five_planar.tif", five, five[0], photometric="minisblack", planarconfig="separate")
want("five_planar.tif", five[3], channels=["4"])
want("five_planar.tif", np.stack([five[4], five[0], five[2]], axis=-1), channels=["5", "1", "3"])
tif("grey_alpha.tif", np.stack([u8, u8[::-1]], axis=-1), u8, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
tif("rgba.tif", np.dstack([rgb, u8]), rgb, photometric="rgb", extrasamples=["unassalpha"])
want("rgb_lzw.tif", rgb[..., 2], channels=["blue"])
want("rgb_lzw.tif", rgb[..., ::-1], channels=["b", "g", "r"])

# Stacks.
stack = np.stack([ramp(0, 1000 * (k + 1), "u2", k + 1) for k in range(6)])
for p in range(3):
    tifffile.imwrite("pages.tif", stack[p], append=p > 0, metadata=None)
    want("pages.tif", stack[p], page=p + 1)
want("pages.tif", stack[1], z=2)
want("pages.tif", stack[:3].max(axis=0), maxz=True)
tifffile.imwrite("imagej.tif", stack.reshape(3, 2, H, W), imagej=True, resolution=(1 / 0.325, 1 / 0.325), metadata={"axes": "ZCYX", "unit": "um"})
want("imagej.tif", stack[2], z=2, pixel=0.325)
want("imagej.tif", stack[5], z=3, channels=["2"])
want("imagej.tif", stack[1::2].max(axis=0), maxz=True, channels=["2"])
want("imagej.tif", stack[3], page=4)
tifffile.imwrite("imagej_contiguous.tif", stack, imagej=True, metadata={"axes": "ZYX"})
with open("imagej_contiguous.tif", "r+b") as f:  # only the first directory, as ImageJ does above 4 GB
    with tifffile.TiffFile("imagej_contiguous.tif") as t:
        first = t.pages[0]
        f.seek(first.offset + 2 + 12 * len(first.tags))
    f.write(b"\0\0\0\0")
want("imagej_contiguous.tif", stack[4], z=5)
tifffile.imwrite("ome.ome.tif", stack.reshape(2, 3, H, W), ome=True, metadata={
    "axes": "CZYX", "PhysicalSizeX": 0.11, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.11, "PhysicalSizeYUnit": "µm",
    "Channel": {"Name": ["DAPI", "GFP"]}})
want("ome.ome.tif", stack[0], z=1, pixel=0.11)
want("ome.ome.tif", stack[5], z=3, channels=["gfp"])
want("ome.ome.tif", np.stack([stack[4], stack[1], 0 * stack[0]], axis=-1), z=2, channels=["GFP", "DAPI"])
with tifffile.TiffWriter("pyramid.tif") as t:
    t.write(u16, metadata=None)
    t.write(u16[::2, ::2], subfiletype=1, metadata=None)
    t.write(u16[::4, ::4], subfiletype=1, metadata=None)
want("pyramid.tif", u16)
want("pyramid.tif", u16[::2, ::2], page=2)
tifffile.imwrite("shaped.tif", np.stack([stack[0], stack[1]]), photometric="minisblack", metadata={"axes": "CYX"})
want("shaped.tif", stack[1], channels=["2"])
tifffile.imwrite("centimetre.tif", u8, resolution=(20000, 40000), resolutionunit=3)
want("centimetre.tif", u8, pixel=0.5)


def pil(name, note=True):
    """What PIL reads, as RGB."""
    Image.open(name).convert("RGB").save(name + ".want.png")


# Pillow, which writes through libtiff.
picture = Image.fromarray(rgb)
bits = Image.fromarray(np.where(u8 > 100, 255, 0).astype("u1")).convert("1")
for codec in ("raw", "group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"):
    name = "bits_%s.tif" % codec
    bits.save(name, compression=codec)
    pil(name)
bits.save("bits_white.tif", compression="group4", tiffinfo={262: 0})
pil("bits_white.tif")
picture.quantize(16).save("palette.tif")
pil("palette.tif")
picture.convert("CMYK").save("cmyk.tif", compression="tiff_lzw")
pil("cmyk.tif")
picture.convert("YCbCr").save("ycbcr.tif", compression="raw")
pil("ycbcr.tif")
srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB").save("lab.tif")
ImageCms.profileToProfile(Image.open("lab.tif"), lab, srgb, outputMode="RGB").save("lab.tif.want.png")
picture.save("jpeg.tif", compression="jpeg", quality=90)
pil("jpeg.tif")
Image.fromarray(u8).save("jpeg_grey.tif", compression="jpeg", quality=90)
pil("jpeg_grey.tif")
picture.convert("CMYK").save("jpeg_cmyk.tif", compression="jpeg", quality=95)
pil("jpeg_cmyk.tif")
for n in range(2, 9):
    tifffile.imwrite("turned%d.tif" % n, u16, extratags=[(274, 3, 1, n, True)])
    turn = {2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.T, 6: lambda a: a.T[:, ::-1],
            7: lambda a: a.T[::-1, ::-1], 8: lambda a: a.T[::-1]}[n]
    want("turned%d.tif" % n, turn(u16))


def run(*command):
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


# libtiff's tools.
picture.save("source.tif")
Image.fromarray(np.kron(rgb, np.ones((3, 3, 1), "u1"))).save("large.tif")
bits.save("bits.tif")
tifffile.imwrite("deep.tif", u16)
for name, options, source in [
    ("tiffcp_g3_1d.tif", ["-c", "g3:1d"], "bits.tif"), ("tiffcp_g3_2d.tif", ["-c", "g3:2d"], "bits.tif"),
    ("tiffcp_g3_fill.tif", ["-c", "g3:2d:fill"], "bits.tif"), ("tiffcp_g4_lsb.tif", ["-c", "g4", "-f", "lsb2msb"], "bits.tif"),
    ("tiffcp_g4_strips.tif", ["-c", "g4", "-r", "6"], "bits.tif"), ("tiffcp_lsb.tif", ["-c", "none", "-f", "lsb2msb"], "bits.tif"),
    ("tiffcp_lzw_lsb.tif", ["-c", "lzw:2", "-f", "lsb2msb"], "source.tif"), ("tiffcp_planar.tif", ["-c", "zip:2", "-p", "separate"], "source.tif"),
    ("tiffcp_jpeg.tif", ["-c", "jpeg:90", "-r", "16"], "source.tif"), ("tiffcp_jpeg_raw.tif", ["-c", "jpeg:r:90"], "source.tif"),
    ("tiffcp_jpeg_tiles.tif", ["-c", "jpeg:90", "-t", "-w", "64", "-l", "32"], "large.tif"),
    ("tiffcp_lzma.tif", ["-c", "lzma:p2"], "source.tif"), ("tiffcp_zstd.tif", ["-c", "zstd:2"], "source.tif"),
]:
    run("tiffcp", *options, source, name)
    pil(name)
for name, options in [("tiffcp_lzma16.tif", ["-c", "lzma"]), ("tiffcp_lzw16_tiles.tif", ["-c", "lzw:2", "-t", "-w", "16", "-l", "16"])]:
    run("tiffcp", *options, "deep.tif", name)
    want(name, u16)


def subsampled(name, h, v):
    """YCbCr with smaller chroma as it is without compression: blocks of h × v Y, then Cb and Cr."""
    p = np.asarray(picture.convert("YCbCr"))
    p = np.pad(p, ((0, -H % v), (0, -W % h), (0, 0)), mode="edge")
    data = b""
    for j in range(0, p.shape[0], v):
        for i in range(0, p.shape[1], h):
            block = p[j : j + v, i : i + h]
            data += block[..., 0].tobytes() + bytes([int(block[..., 1].mean()), int(block[..., 2].mean())])
    tags = [(256, 4, W), (257, 4, H), (258, 3, 8), (259, 3, 1), (262, 3, 6), (273, 4, 8 + len(data)), (277, 3, 3), (278, 4, H),
            (279, 4, len(data)), (530, 3, h | v << 16)]
    at = 8 + len(data)
    ifd = struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        count = {258: 3, 530: 2}.get(tag, 1)
        if tag == 258:
            value = at + 2 + 12 * len(tags) + 4
        if tag == 273:
            value = 8
        ifd += struct.pack("<HHII", tag, kind, count, value)
    ifd += struct.pack("<I", 0) + struct.pack("<HHH", 8, 8, 8)
    with open(name, "wb") as f:
        f.write(struct.pack("<2sHI", b"II", 42, at) + data + ifd)
    run("tiff2rgba", name, "read.tif")  # Pillow does not read it
    Image.open("read.tif").convert("RGB").save(name + ".want.png")
    os.remove("read.tif")


for h, v in [(2, 2), (2, 1), (4, 2)]:
    subsampled("ycbcr_%d%d.tif" % (h, v), h, v)

# GraphicsMagick.
for name, options in [
    ("gm_bilevel.tif", ["-type", "bilevel", "-compress", "group4"]), ("gm_palette.tif", ["-colors", "12", "-type", "palette"]),
    ("gm_grey.tif", ["-colorspace", "gray", "-compress", "zip"]), ("gm_cmyk.tif", ["-colorspace", "cmyk"]),
    ("gm_rgb.tif", ["-compress", "lzw", "-interlace", "plane"]), ("gm_bits2.tif", ["-colorspace", "gray", "-depth", "2", "-type", "grayscale"]),
    ("gm_bits4.tif", ["-colorspace", "gray", "-depth", "4", "-type", "grayscale"]),
]:
    run("gm", "convert", "source.tif", *options, name)
    pil(name)
run("gm", "convert", "deep.tif", "-depth", "16", "-endian", "msb", "gm_16.tif")
want("gm_16.tif", u16)
for name in ("source.tif", "large.tif", "bits.tif", "deep.tif"):
    os.remove(name)
json.dump(wants, open("want.json", "w"), indent=0, sort_keys=True)
