"""The work of `predict.py` as torchgeo's users do it; run by that script in torchgeo's own environment.

A RasterDataset over the scene's files, a GridGeoSampler with the same windows and overlap, a DataLoader with one
worker, the network in float32, blended windows stitched in memory and written. Prints seconds, imports not counted.
"""

import json
import pathlib
import sys
import time

import numpy as np
import safetensors.torch
import torch
from torch.utils.data import DataLoader

try:
    import torchvision  # noqa: F401
except RuntimeError:  # built for CUDA beside a torch built for the CPU: its operators are declared, never called
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import segmentation_models_pytorch as smp
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import GridGeoSampler, Units

WINDOW, HALO, BATCH = 256, 32, 4
PIXEL = 10.0


class Sentinel(RasterDataset):
    """The six bands of one item."""

    filename_glob = "*_B02_10m.tif"
    filename_regex = r".*_(?P<date>\d{8}T\d{6})_(?P<band>B\w{2}_\d0m)\.tif"
    date_format = "%Y%m%dT%H%M%S"
    all_bands = ("B02_10m", "B03_10m", "B04_10m", "B08_10m", "B11_20m", "B12_20m")
    separate_files = True


def main(folder: str, weights: str) -> float:
    """Seconds from opening the files to a finished array on disk."""
    net = smp.Unet("resnet34", encoder_weights=None, in_channels=6, classes=6).eval()
    state = safetensors.torch.load_file(weights)
    net.load_state_dict({name.removeprefix("network."): tensor for name, tensor in state.items()})
    card = json.loads(pathlib.Path(weights).with_suffix(".json").read_text())
    mean, std = (torch.tensor(card[key])[:, None, None] for key in ("mean", "std"))
    ramp = np.minimum(np.arange(WINDOW) + 0.5, WINDOW - np.arange(WINDOW) - 0.5).clip(0, 2 * HALO)
    weight = torch.from_numpy(np.outer(ramp, ramp).astype("float32") / (2 * HALO) ** 2)
    start = time.perf_counter()
    data = Sentinel(str(pathlib.Path(folder) / "data"))
    sampler = GridGeoSampler(data, size=WINDOW, stride=WINDOW - 2 * HALO, units=Units.PIXELS)
    loader = DataLoader(data, sampler=sampler, batch_size=BATCH, num_workers=1, collate_fn=stack_samples)
    west, south, east, north = data.index.total_bounds
    height, width = round((north - south) / PIXEL), round((east - west) / PIXEL)
    total, share = torch.zeros(6, height + WINDOW, width + WINDOW), torch.zeros(height + WINDOW, width + WINDOW)
    with torch.no_grad():
        for batch in loader:
            x = (batch["image"] / 10_000 - mean) / std
            found = net(torch.nan_to_num(x)).softmax(1)
            for bounds, values in zip(batch["bounds"], found, strict=True):
                x_side, y_side, _ = bounds
                column, row = round((x_side.start - west) / PIXEL), round((north - y_side.stop) / PIXEL)
                place = (slice(max(row, 0), max(row, 0) + WINDOW), slice(column, column + WINDOW))
                total[:, *place] += values * weight
                share[place] += weight
    np.save(
        pathlib.Path(folder) / "torchgeo.npy", (total / share.clamp(1e-6))[:, :height, :width].numpy().astype("float16")
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps({"seconds": main(*sys.argv[1:])}))
