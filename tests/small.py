"""A small system with random weights, a made-up scene, and the network over all of it at once by no code of ours."""

import dataclasses
import functools
import json
import pathlib

import numpy as np
import odc.geo.xr
import safetensors.torch
import torch
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import recipes, systems, weights
from glacier_nb.networks.unet import UNet

INPUTS = ("red", "nir", "slope", "dh_dt")
SYSTEM = systems.System(
    name="small",
    citation="",
    task="extent",
    inputs=INPUTS,
    network=functools.partial(UNet, terms={"zones": 3}, widths=(4, 8, 8), norm=True),
    finish=recipes.exclusive_zones,
    zones=("rock", "glacier", "ocean"),
    optional=("dh_dt",),
)
EXACT = 1e-5  # float32: convolutions of another size sum in another order


def write(folder: pathlib.Path, seed: int = 0, system: systems.System = SYSTEM, **card) -> pathlib.Path:
    """Path of weights for a system: random ones, with statistics of batch norm that are not the identity."""
    torch.manual_seed(seed)
    network = system.network(4)
    for name, tensor in network.state_dict().items():
        if "running_mean" in name:
            tensor.copy_(torch.randn_like(tensor) * 0.1)
        elif "running_var" in name:
            tensor.copy_(torch.rand_like(tensor) * 0.1 + 0.05)  # lively: what is far away still matters
    path = folder / f"small{seed or ''}.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    facts = {"system": system.name, "inputs": INPUTS, "mean": [0.4, 0.5, 20, 1.5], "std": [0.3, 0.2, 10, 1]}
    path.with_suffix(".json").write_text(json.dumps({**facts, **card}))
    return path


def scene(height: int, width: int, seed: int = 0, pixel: float = 10) -> xr.DataArray:
    """Layers of a made-up scene, in no particular order and with one too many."""
    rng = np.random.default_rng(seed)
    values = rng.random((5, height, width), dtype="float32") * np.array([1, 1, 40, 1, 4], "float32")[:, None, None]
    box = GeoBox((height, width), odc.geo.geobox.Affine(pixel, 0, 5e5, 0, -pixel, 3.1e6), "EPSG:32645")
    found = odc.geo.xr.wrap_xr(values, box, axis=1, dims=("feature", "y", "x"))
    found = found.assign_coords(feature=["nir", "red", "slope", "blue", "dh_dt"])
    return found.assign_attrs(time="2024-08-15", sensor="sentinel-2-l2a")


def by_hand(layers: xr.DataArray, path: pathlib.Path) -> np.ndarray:
    """The network over the whole scene at once, by no code of predict's."""
    row = weights.find(path)
    network = weights.load(SYSTEM.network(4), row).eval()
    x = layers.sel(feature=list(INPUTS)).values
    x = (x - np.reshape(row.mean, (4, 1, 1))) / np.reshape(row.std, (4, 1, 1))
    pad = [(0, 0), (0, -x.shape[1] % 4), (0, -x.shape[2] % 4)]
    x = torch.from_numpy(np.nan_to_num(np.pad(x, pad)).astype("float32"))[None]
    with torch.inference_mode():
        return network(x)["zones"].softmax(dim=1)[0, :, : layers.shape[1], : layers.shape[2]].numpy()


WET = dataclasses.replace(
    SYSTEM,
    name="wet",
    network=functools.partial(UNet, terms={"zones": 3}, widths=(4, 8), norm=True, dropout=0.3),
)
"""The same with dropout."""


class Symmetric(torch.nn.Module):
    """A network that treats all directions alike: what it says of a turned scene is what it says, turned."""

    def __init__(self, channels: int):
        super().__init__()
        self.score = torch.nn.Conv2d(channels, 3, 1)
        self.spread = torch.nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of the neighbourhood's mean."""
        return {"zones": self.score(self.spread(x))}
