"""How long a wide scene takes to be drawn anew when it is panned or zoomed, in a kernel as a notebook has it.

    python benchmarks/redraw.py [--json] [--side N] [--moves N]

A COG of three bands and N x N pixels (10 980: a Sentinel-2 tile) is opened lazily by `files.items` and `load.cube` and
shown by `plots.wide` in a Jupyter kernel, a process of its own. Each move sets the ranges of the view by
`RangeXY.event`, which a browser's message calls, and the kernel's answer, the message with the new picture, is awaited:
from asking to having it in hand. Not in it: the browser's own drawing. Moves go over all zooms, from one pixel of the
scene to one of the screen up to the whole scene, each to ground anywhere in the scene. cpu_ms is the kernel's own work,
which other load on the machine does not stretch.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time

import jupyter_client
import numpy as np
import psutil
import rasterio
import rasterio.shutil
from rasterio.windows import Window
from scipy import ndimage

SIDE, SCREEN, PIXEL = 10_980, 700, 10.0
STRIP = 1024
"""Rows that are made at a time."""
CORNER = (600_000.0, 5_100_000.0)
ZOOMS = (1, 1.5, 3, 6, 15)
"""Pixels of the scene to one of the screen."""

OPEN = """
from IPython.display import display
import holoviews as hv
from holoviews.plotting.util import get_nested_streams
from odc.geo.geobox import GeoBox
from panel.io.state import state
import rasterio
from glacier_nb import files, load, plots
items = files.items({path!r}, "image", bands=dict(red=1, green=2, blue=3), date="2025-08-20")
geobox = GeoBox(({side}, {side}), rasterio.Affine({pixel}, 0, {left}, 0, -{pixel}, {top}), "EPSG:32632")
scene = load.cube(items, geobox).isel(time=0)
view = plots.wide(scene, width={screen})
display(view)
for *_, comm in state._views.values():
    comm.init()  # as the page does once it shows the view: from then on pictures are sent
(moved,) = {{stream for stream in get_nested_streams(view) if isinstance(stream, hv.streams.RangeXY)}}
"""


def write(folder: pathlib.Path, side: int) -> pathlib.Path:
    """A COG of smooth ground with texture, made and packed strip by strip."""
    rng, plain, path = np.random.default_rng(1), folder / "plain.tif", folder / "scene.tif"
    ground = rng.random((3, 66, 66)).astype("float32")
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint16", "crs": "EPSG:32632",
        "transform": rasterio.Affine(PIXEL, 0, CORNER[0], 0, -PIXEL, CORNER[1]), "tiled": True, "compress": "deflate",
        "zlevel": 1, "predictor": 2, "interleave": "band",
    }  # fmt: skip
    with rasterio.open(plain, "w", **profile) as file:
        for top in range(0, side, STRIP):
            rows = np.arange(top, min(top + STRIP, side)) / side * 64
            places = np.meshgrid(rows, np.arange(side) / side * 64, indexing="ij")
            for band in range(3):
                smooth = ndimage.map_coordinates(ground[band], places, order=1)
                values = 2000 + 6000 * smooth + rng.normal(0, 60, smooth.shape)
                file.write(values.astype("uint16"), band + 1, window=Window(0, top, side, len(rows)))
    rasterio.shutil.copy(plain, path, driver="COG", compress="deflate", predictor="yes", blocksize=512)
    plain.unlink()
    return path


def views(moves: int, side: int) -> list[tuple[float, tuple, tuple]]:
    """Pixels of the scene to one of the screen, and the ranges of x and y, of each move."""
    rng, found = np.random.default_rng(2), []
    for number in range(moves):
        wide = min(ZOOMS[number % len(ZOOMS)] * SCREEN, side * 0.98)
        left, top = rng.uniform(0, side - wide, 2).tolist()
        x = CORNER[0] + PIXEL * left, CORNER[0] + PIXEL * (left + wide)
        y = CORNER[1] - PIXEL * (top + wide), CORNER[1] - PIXEL * top
        found.append((wide / SCREEN, x, y))
    return found


class Kernel:
    """A kernel and its client; `ask` runs code, and returns seconds, bytes of the messages to the browser."""

    def __enter__(self):
        self.manager, self.client = jupyter_client.manager.start_new_kernel(
            kernel_name="python3", extra_arguments=["--log-level=ERROR"]
        )
        self.process = psutil.Process(self.manager.provisioner.pid)
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def ask(self, code: str) -> tuple[float, int]:
        start, size = time.perf_counter(), 0
        asked = self.client.execute(code)
        while True:
            told = self.client.get_iopub_msg(timeout=600)
            if told["parent_header"].get("msg_id") != asked:
                continue
            kind, content = told["msg_type"], told["content"]
            if kind == "error":
                raise SystemExit("\n".join(content["traceback"]))
            if kind == "comm_msg":
                size += len(json.dumps(content, default=str)) + sum(len(part) for part in told["buffers"])
            if kind == "status" and content["execution_state"] == "idle":
                return time.perf_counter() - start, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of the scene to a side")
    parser.add_argument("--moves", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Kernel() as kernel:
        path = write(pathlib.Path(name), given.side)
        mb = path.stat().st_size / 1e6
        left, top = CORNER
        code = OPEN.format(path=str(path), side=given.side, pixel=PIXEL, left=left, top=top, screen=SCREEN)
        opened, _ = kernel.ask(code)
        rows, before = [], sum(kernel.process.cpu_times()[:2])
        for zoom, x, y in views(given.moves, given.side):
            seconds, size = kernel.ask(f"moved.event(x_range={x}, y_range={y})")
            if not size:
                raise SystemExit("the kernel sent no picture")
            rows.append((zoom, 1000 * seconds, size))
        cpu = 1000 * (sum(kernel.process.cpu_times()[:2]) - before) / len(rows)
    times = np.array([ms for _, ms, _ in rows])
    found = {
        "side": given.side, "pixels": given.side**2, "bands": 3, "file_mb": round(mb, 1), "open_s": round(opened, 1),
        "n": len(rows), "median_ms": round(float(np.median(times)), 1),
        "p95_ms": round(float(np.quantile(times, 0.95)), 1), "most_ms": round(float(times.max()), 1),
        "median_ms_by_zoom": {
            f"{zoom:.1f}": round(float(np.median([ms for z, ms, _ in rows if z == zoom])), 1)
            for zoom in dict.fromkeys(zoom for zoom, *_ in rows)
        },
        "cpu_ms": round(cpu, 1), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1),
        "message_mb": round(float(np.median([size for *_, size in rows])) / 1e6, 2),
    }  # fmt: skip
    print(json.dumps(found) if given.json else "\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
