"""Writes the test files of package annotation with the writers that people use:
python make.py, with numpy and tifffile."""

import numpy as np
import tifffile

masks = np.zeros((12, 17), np.uint16)
masks[1:5, 2:8] = 1
masks[6:11, 1:4] = 2
masks[3:9, 10:16] = 3

for name, dtype in ("u16", np.uint16), ("u32", np.uint32), ("i32", np.int32):
    # As cellpose.io.masks_flows_to_seg does.
    np.save(f"{name}_seg.npy", {
        "outlines": masks.astype(np.uint16), "masks": masks.astype(dtype), "chan_choose": [0, 0],
        "ismanual": np.zeros(3, bool), "filename": "u16.png", "flows": [np.zeros((1, 12, 17), np.float32), [1]],
        "diameter": 6.5, "colors": np.zeros((3, 3), np.uint8),
    })
np.save("plain.npy", np.asfortranarray(masks.astype(">i8")))

tifffile.imwrite("u8_masks.tif", masks.astype(np.uint8))
tifffile.imwrite("u16_masks.tif", masks, compression="zlib", predictor=True)
tifffile.imwrite("u32_masks.tif", masks.astype(np.uint32) * 70000)
tifffile.imwrite("i32_masks.tif", masks.astype(np.int32), bigtiff=True)
tifffile.imwrite("f32_masks.tif", masks.astype(np.float32))
