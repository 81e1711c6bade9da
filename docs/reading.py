"""Times reading a picture and bringing it to a network's input: Pillow and this module by turns.

    go build -o /tmp/reading docs/reading.go
    python3 docs/reading.py PICTURE [TURNS] /tmp/reading …

Each program named is one build of docs/reading.go, so that several states of the module are
compared in one run. Printed are the least times of all turns: of the clock, and of all processors.
"""
import subprocess
import sys
import time

import numpy
import PIL
from PIL import Image, features


def pillow(path):
    start, used = time.perf_counter(), time.process_time()
    img = Image.open(path).convert("RGB")
    w, h = img.size
    scale = min(800 / min(w, h), 1333 / max(w, h))
    numpy.asarray(img.resize((int(w * scale + 0.5), int(h * scale + 0.5)), Image.BILINEAR))
    return 1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - used)


def main(path, *rest):
    turns = int(rest[0]) if rest and rest[0].isdigit() else 20
    names = [name for name in rest if not name.isdigit()]
    running = [subprocess.Popen([n], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for n in names]
    names = ["Pillow %s, libjpeg-turbo %s" % (PIL.__version__, features.version("libjpeg_turbo"))] + names
    best = [(float("inf"), float("inf"))] * len(names)
    for _ in range(turns):
        times = [pillow(path)]
        for program in running:
            program.stdin.write(path + "\n")
            times.append(tuple(float(t) for t in program.stdout.readline().split()))
        best = [tuple(map(min, b, t)) for b, t in zip(best, times)]
    for name, (clock, processors) in zip(names, best):
        print("%6.1f ms (%.2f)   processors %6.1f ms (%.2f)   %s" % (clock, clock / best[0][0], processors, processors / best[0][1], name))


main(*sys.argv[1:])
