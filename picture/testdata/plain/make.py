"""Makes the PNM, PCX, TGA, BMP, SGI, QOI, ICO, CUR and DIB files of this folder with Pillow and GraphicsMagick, or by hand
what neither writes, and as *.want.png what PIL reads from them.

Run with Pillow 13.0, numpy and gm from this folder: python3 make.py
"""
import os
import struct
import subprocess

import numpy as np
from PIL import Image

W, H = 21, 13
y, x = np.mgrid[0:H, 0:W]
grey = ((np.sin(x / 3.0) * np.cos(y / 4.0) + 1) * 127).astype("u1")
rgb = np.stack([grey, 255 - grey, (x * 12).astype("u1")], axis=-1)
rgb[4:8, 5:12] = (230, 20, 30)
picture = Image.fromarray(rgb)
bits = Image.fromarray(np.where(grey > 100, 255, 0).astype("u1")).convert("1")


def want(name, values=None):
    img = Image.open(name) if values is None else Image.fromarray(values)
    img.convert("RGB").save(name + ".want.png")


def keep(name, img, **options):
    img.save(name, **options)
    want(name)


def raw(name, data, values=None):
    with open(name, "wb") as f:
        f.write(data)
    want(name, values)


def run(name, *options):
    picture.save("source.png")
    subprocess.run(["gm", "convert", "source.png", *options, name], check=True)
    os.remove("source.png")
    want(name.split(":")[-1])


def text(kind, values, most=None):
    head = "P%d\n# drawn\n%d %d%s\n" % (kind, W, H, "" if most is None else "\n%d # white" % most)
    return (head + "\n".join(" ".join(str(v) for v in row) for row in values.reshape(H, -1)) + "\n").encode()


# Netpbm.
keep("grey.pgm", Image.fromarray(grey))
keep("rgb.ppm", picture)
keep("bits.pbm", bits)
ones = np.asarray(bits).astype("u1") ^ 1
raw("plain.pbm", text(1, ones))
raw("packed.pbm", b"P1 21 13\n" + "".join(str(v) for v in ones.ravel()).encode())
raw("plain.pgm", text(2, grey // 17, 15))
raw("plain.ppm", text(3, rgb, 255))
raw("most100.pgm", b"P5 21 13 100\n" + (grey // 3).astype("u1").tobytes())
raw("most31.ppm", b"P6\n#a\n21 13\n31\n" + (rgb // 8).tobytes())
deep = grey.astype(">u2") * 257 - 13 * (grey > 0)
raw("deep.pgm", b"P5 21 13 65535\n" + deep.astype(">u2").tobytes(), (deep >> 8).astype("u1"))  # PIL clips 16 bits
raw("deep.ppm", b"P6 21 13 65535\n" + (rgb.astype(">u2") * 257).astype(">u2").tobytes())
pam = "P7\nWIDTH 21\nHEIGHT 13\nDEPTH %d\nMAXVAL %d\n# drawn\nTUPLTYPE %s\nENDHDR\n"
raw("rgba.pam", (pam % (4, 255, "RGB_ALPHA")).encode() + np.dstack([rgb, grey]).tobytes(), rgb)
raw("grey.pam", (pam % (1, 255, "GRAYSCALE")).encode() + grey.tobytes(), grey)
raw("bits.pam", (pam % (1, 1, "BLACKANDWHITE")).encode() + (ones ^ 1).tobytes(), (ones ^ 1) * 255)
values = np.round(grey * 0.9).astype("<f4")
raw("grey.pfm", b"Pf\n21 13\n-1.0\n" + values[::-1].tobytes(), np.round(values).astype("u1"))
raw("rgb.pfm", b"PF\n21 13\n1.0\n" + rgb[::-1].astype(">f4").tobytes(), rgb)

# PCX.
keep("rgb.pcx", picture)
keep("grey.pcx", Image.fromarray(grey))
keep("palette.pcx", picture.quantize(40))
keep("bits.pcx", bits)
run("gm4.pcx", "-colors", "12", "-type", "palette")

# TGA.
keep("rgb.tga", picture)
keep("rle.tga", picture, compression="tga_rle")
keep("top.tga", picture, orientation=1)
keep("rgba.tga", Image.fromarray(np.dstack([rgb, 255 + 0 * grey])), compression="tga_rle")
keep("grey.tga", Image.fromarray(grey))
keep("palette.tga", picture.quantize(40), compression="tga_rle")
five = ((rgb[..., 0] >> 3).astype("<u2") << 10 | (rgb[..., 1] >> 3).astype("<u2") << 5 | rgb[..., 2] >> 3).astype("<u2")
head = struct.pack("<BBBHHBHHHHBB", 3, 0, 2, 0, 0, 0, 0, 0, W, H, 16, 0x20) + b"abc"
raw("five.tga", head + five.tobytes())
raw("right.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, W, H, 24, 0x10) + rgb[..., ::-1].tobytes())
run("TGA:gm.tga")

# BMP beyond 8, 24 and 32 bits without compression.
keep("bits.bmp", bits)
keep("grey.bmp", Image.fromarray(grey))
run("BMP2:os2.bmp")
run("gm_palette.bmp", "-colors", "12", "-type", "palette")


def bmp(bits, compression, body, masks=b"", palette=b"", height=H):
    head = struct.pack("<IiiHHIIiiII", 40, W, height, 1, bits, compression, len(body), 2835, 2835, len(palette) // 4, 0)
    at = 14 + len(head) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + head + masks + palette + body


def rows(a, flip=True):
    a = a[::-1] if flip else a
    return b"".join(r.tobytes() + b"\0" * (-len(r.tobytes()) % 4) for r in a)


raw("five.bmp", bmp(16, 0, rows(five)))
six = ((rgb[..., 0] >> 3).astype("<u2") << 11 | (rgb[..., 1] >> 2).astype("<u2") << 5 | rgb[..., 2] >> 3).astype("<u2")
raw("565.bmp", bmp(16, 3, rows(six), struct.pack("<III", 0xF800, 0x07E0, 0x001F)))
raw("masks32.bmp", bmp(32, 3, rows(np.dstack([rgb, 0 * grey])), struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)), rgb)
raw("top.bmp", bmp(24, 0, rows(rgb[..., ::-1], False), height=-H))
palette = b"".join(bytes([16 * i, 255 - 16 * i, 8 * i, 0]) for i in range(16))
index = grey // 16
rle8 = b""
for row in index[::-1]:
    rle8 += bytes([0, 20]) + row[:20].tobytes() + bytes([1, row[20], 0, 0])
raw("rle8.bmp", bmp(8, 1, rle8 + b"\0\1", palette=palette))
skips = bytes([5, 3, 0, 0, 0, 2, 4, 2, 9, 7, 0, 0, 21, 1, 0, 1])
left = np.zeros((H, W), "u1")  # what is jumped over has the first colour; Pillow wants all rows
left[0, :5], left[3, 4:13], left[4] = 3, 7, 1
table = np.frombuffer(palette, "u1").reshape(16, 4)[:, 2::-1]
raw("rle8_skips.bmp", bmp(8, 1, skips, palette=palette), table[left[::-1]])
rle4 = b""
for row in index[::-1]:
    pairs = [int(row[i]) << 4 | int(row[i + 1]) for i in range(0, 20, 2)]
    rle4 += bytes([0, 20, *pairs, 1, int(row[20]) << 4, 0, 0])
raw("rle4.bmp", bmp(4, 2, rle4 + b"\0\1", palette=palette))

# SGI, QOI, icons and cursors.
keep("rgb.sgi", picture)
keep("rle_rgba.sgi", Image.fromarray(np.dstack([rgb, grey])), rle=True)
keep("grey.sgi", Image.fromarray(grey))
keep("deep.sgi", picture, bpc=2)
keep("rgb.qoi", picture)
Image.fromarray(np.dstack([rgb, grey])).save("rgba.qoi")
want("rgba.qoi", rgb)
keep("rgb.ico", picture, sizes=[(21, 13)])
keep("several.ico", picture.resize((64, 48)), sizes=[(16, 12), (64, 48), (32, 24)])
keep("bitmap.ico", picture, sizes=[(21, 13)], bitmap_format="bmp")
picture.convert("RGB").quantize(12).save("palette.ico", sizes=[(21, 13)], bitmap_format="bmp")
want("palette.ico")
cursor = bytearray(open("bitmap.ico", "rb").read())
cursor[2] = 2
raw("bitmap.cur", bytes(cursor))
keep("rgb.dib", picture)
keep("palette.dib", picture.quantize(12))
keep("bits.tga", bits)
