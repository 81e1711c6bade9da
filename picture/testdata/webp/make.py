# Lossless WebP pictures of several codings, and one with alpha: numpy, scipy and Pillow.
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

rng = np.random.default_rng(1)


def noise(h, w):
    return rng.integers(0, 256, (h, w, 3), dtype=np.uint8)


smooth = gaussian_filter(rng.normal(size=(64, 64, 3)), (9, 9, 0))
smooth = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
mixed = smooth.copy()
mixed[32:] = noise(32, 64)
mixed[:, 32:] //= 16
Image.fromarray(mixed).save("groups.webp", lossless=True, method=4, quality=75)  # groups of codes, cached colours
three = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
Image.fromarray(three[rng.integers(0, 3, (64, 64))]).save("palette.webp", lossless=True)
Image.fromarray(np.tile(noise(16, 16), (17, 9, 1))[:257, :131]).save("copies.webp", lossless=True, method=6, quality=100)
alpha = np.dstack([smooth, (smooth[..., 0] > 128) * 255]).astype(np.uint8)
Image.fromarray(alpha).save("alpha.webp", quality=80, method=6)
