"""Makes the pictures of this folder and, as *.want.png, what PIL reads from them.

Run with Pillow (9.4 made most of the committed files, 13.0 those at the end) and cjpeg from this folder: python3 make.py
"""
import math
import struct
from PIL import Image, ImageOps

W, H = 37, 29


def drawn(w=W, h=H):
    """A smooth field with sharp coloured edges, so that chroma upsampling shows."""
    img = Image.new("RGB", (w, h))
    for y in range(h):
        for x in range(w):
            base = 127 + 100 * math.sin(x / 5.0) * math.cos(y / 4.0)
            p = (int(base), int(255 - base), int(40 + 5 * y))
            if (x - 12) ** 2 + (y - 10) ** 2 < 49:
                p = (230, 20, 30)
            if x > 25 and y > 15:
                p = (10, 40, 240)
            img.putpixel((x, y), p)
    return img


def keep(name, img, **options):
    img.save(name, **options)
    want = ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    want.save(name + ".want.png")


rgb = drawn()
ramp = Image.new("L", (W, H))
ramp.putdata([(x * 7 + y * 3) % 256 for y in range(H) for x in range(W)])
rgba = rgb.copy()
rgba.putalpha(ramp)

keep("444.jpg", rgb, quality=92, subsampling=0)
keep("422.jpg", rgb, quality=92, subsampling=1)
keep("420.jpg", rgb, quality=92, subsampling=2)
keep("progressive.jpg", rgb, quality=80, progressive=True)
keep("narrow.jpg", drawn(4, 9), quality=92, subsampling=2)
keep("grey.jpg", rgb.convert("L"), quality=92)
keep("cmyk.jpg", rgb.convert("CMYK"), quality=95)
for n in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = n
    keep("orientation%d.jpg" % n, rgb, quality=92, subsampling=0, exif=exif.tobytes())
exif = Image.Exif()
exif[0x0112] = 6
keep("orientation6.png", rgb, exif=exif.tobytes())
keep("orientation6.webp", rgb, lossless=True, exif=exif.tobytes())
keep("rgb.png", rgb)
keep("rgba.png", rgba)
keep("la.png", Image.merge("LA", (rgb.convert("L"), ramp)))
keep("palette.png", rgb.quantize(16), transparency=3)
keep("bits.png", rgb.convert("1"))
keep("rgb.bmp", rgb)
keep("rgb.tiff", rgb, compression="tiff_lzw")
keep("grey.tiff", rgb.convert("L"))
keep("rgba.tiff", rgba)
keep("palette.gif", rgb.quantize(32))
keep("lossy.webp", rgb, quality=90)
keep("lossless.webp", rgba, lossless=True, exact=True)
keep("lossy_alpha.webp", rgba, quality=90, exact=True)
keep("animated.gif", rgb.quantize(8), save_all=True, append_images=[ramp.quantize(8)])

# GIFs with transparent pixels, and with a first frame that covers a part of the canvas.
def part(name, **options):
    keep(name, rgb.quantize(8), **options)
    data = bytearray(open(name, "rb").read())
    at = data.index(b"\x2c\0\0\0\0")
    data[6:10] = struct.pack("<HH", rgb.width + 9, rgb.height + 7)
    data[at + 1 : at + 5] = struct.pack("<HH", 5, 3)
    open(name, "wb").write(data)
    Image.open(name).convert("RGB").save(name + ".want.png")


keep("transparent.gif", rgb.quantize(8), transparency=3)
part("part.gif")
part("part_transparent.gif", transparency=3)

# What package image/jpeg and package webp refuse.
import os
import subprocess

rgb.save("source.ppm")
for name, options in [
    ("restart420.jpg", ["-progressive", "-restart", "1", "-sample", "2x2"]), ("restart_blocks.jpg", ["-progressive", "-restart", "2B", "-sample", "2x1"]),
    ("sample31.jpg", ["-sample", "3x1,1x1,1x1"]),
    ("restart.jpg", ["-restart", "1", "-sample", "2x2"]),
]:
    subprocess.run(["cjpeg", "-quality", "90", *options, "-outfile", name, "source.ppm"], check=True)
    Image.open(name).convert("RGB").save(name + ".want.png")
os.remove("source.ppm")
# Every way of sampling and scanning, with sides that no block fits.
drawn(33, 31).save("source.ppm")
open("scans.txt", "w").write("0;\n1 2;\n")
for name, options in [
    ("odd420.jpg", ["-sample", "2x2"]), ("odd422.jpg", ["-sample", "2x1"]), ("odd440.jpg", ["-sample", "1x2"]),
    ("odd411.jpg", ["-sample", "4x1", "-restart", "3B"]), ("odd410.jpg", ["-sample", "4x2", "-progressive"]),
    ("mixed.jpg", ["-sample", "2x2,2x1,1x2"]), ("fine_chroma.jpg", ["-sample", "1x1,2x2,2x2"]),
    ("scans.jpg", ["-sample", "2x2", "-scans", "scans.txt", "-restart", "1"]), ("rgb.jpg", ["-rgb"]),
]:
    subprocess.run(["cjpeg", "-quality", "90", *options, "-outfile", name, "source.ppm"], check=True)
    Image.open(name).convert("RGB").save(name + ".want.png")
os.remove("source.ppm")
os.remove("scans.txt")
# Inks that Adobe's marker calls luma and chroma, and inks without the marker.
data = bytearray(open("cmyk.jpg", "rb").read())
at = data.find(b"Adobe")
for name, changed in [
    ("ycck.jpg", data[: at + 11] + b"\2" + data[at + 12 :]),
    ("cmyk_plain.jpg", data[: at - 4] + data[at - 2 + int.from_bytes(data[at - 2 : at], "big") :]),
]:
    open(name, "wb").write(changed)
    Image.open(name).convert("RGB").save(name + ".want.png")
data = open("420.jpg", "rb").read()  # motion JPEG leaves the Huffman tables out
while (at := data.find(b"\xff\xc4")) >= 0:
    data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
open("no_tables.jpg", "wb").write(data)
Image.open("420.jpg").convert("RGB").save("no_tables.jpg.want.png")
keep("animated.webp", rgb, save_all=True, append_images=[ramp.convert("RGB")], lossless=True)
keep("animated_lossy.webp", rgb, save_all=True, append_images=[ramp.convert("RGB")], quality=90)

# PIL clips 16-bit grey to 255 when it converts; wanted is the high byte.
deep = Image.new("I", (W, H))
deep.putdata([(x * 1771 + y * 311) % 65536 for y in range(H) for x in range(W)])
deep.convert("I;16").save("deep.png")
want = Image.new("L", (W, H))
want.putdata([v >> 8 for v in deep.getdata()])
want.convert("RGB").save("deep.png.want.png")

# Shrinking and stretching, by more than whole factors.
for w, h in [(13, 10), (5, 29), (37, 4), (50, 11), (80, 70), (1, 1)]:
    rgb.resize((w, h), Image.BILINEAR).save("resized_%dx%d.png" % (w, h))

Image.new("RGB", (1024, 1024)).save("blank.webp", lossless=True)  # many pixels in few bytes
