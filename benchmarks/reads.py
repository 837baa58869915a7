"""What reading costs, when all goes well and when it does not, against range servers on loopback.

    python benchmarks/reads.py [--json] [--quick] [--scenes N]

In one run: the same scenes read by `load.cube` from a clean server (50 ms before each answer), from one where 5 % of
the requests fail (503, reset, cut off, silent), tokens end and a storm of 429 passes; a file that is gone and one
that is corrupt; then against plain `odc.stac.load` and a loop of rioxarray opens, medians of five rounds in which ours
and odc.stac begin in turn; and a composite of 50, 100 and 200 scenes, each in a process of its own.

Bytes are held against those of the compressed blocks that the region touches. Servers run in their own processes.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

import numpy as np
import psutil
import pystac
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from scipy import ndimage
from tqdm import tqdm

from glacier_nb import composite, faults, kept, load, providers, reads

SIDE, BLOCK = 2048, 256
BANDS = {"blue": "B02", "green": "B03", "red": "B04", "swir16": "B11"}
DIFFERENT = 4
"""Scenes whose values differ; the others are the same files under other names."""
LATENCY = 0.05
PATIENCE = reads.Patience(timeout=2.0)
FULL = GeoBox((SIDE, SIDE), rasterio.Affine(10, 0, 600_000, 0, -10, 5_100_000), "EPSG:32632")
REGION = FULL[300:1836, 300:1836]
CHUNKS = {"y": 768, "x": 768}
"""As load.cube cuts this region when it is not told."""
THREADS = 2


def files(folder: pathlib.Path, scenes: int) -> None:
    """Write COGs of a Sentinel-2 kind: smooth ground, texture, deflate with predictor."""
    rng = np.random.default_rng(1)
    ground = ndimage.zoom(rng.random((33, 33)), SIDE / 33, order=1)[:SIDE, :SIDE]
    for number in tqdm(range(scenes), "scenes", delay=2):
        for key in (*BANDS.values(), "SCL"):
            path = folder / f"{number:03d}_{key}.tif"
            if number >= DIFFERENT:
                os.link(folder / f"{number % DIFFERENT:03d}_{key}.tif", path)
                continue
            if key == "SCL":
                values = np.where(ndimage.zoom(rng.random((64, 64)), SIDE / 64, order=0) < 0.2, 9, 4).astype("uint8")
            else:
                values = (800 + 4000 * ground + 60 * rng.standard_normal((SIDE, SIDE))).clip(1).astype("uint16")
            plain = folder / "plain.tif"
            profile = {"driver": "GTiff", "count": 1, "height": SIDE, "width": SIDE, "nodata": 0, "dtype": values.dtype}
            with rasterio.open(plain, "w", crs=FULL.crs, transform=FULL.affine, **profile) as dst:
                dst.write(values, 1)
            options = {"compress": "deflate", "predictor": "2", "blocksize": BLOCK, "level": 1}
            rasterio.shutil.copy(str(plain), str(path), driver="COG", **options)
            plain.unlink()


def items(address: str, scenes: int) -> list[pystac.Item]:
    """Items of these files at an address, one a day from the first of February."""
    west, south, east, north = FULL.extent.to_crs("EPSG:4326").boundingbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    found = []
    for number in range(scenes):
        day = np.datetime64("2021-02-01T10:00") + np.timedelta64(number, "D")
        place = {"proj:shape": [SIDE, SIDE], "proj:transform": list(FULL.affine)[:6]}
        told = {
            "type": "Feature", "stac_version": "1.0.0", "id": f"scene-{number:03d}", "links": [],
            "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
            "collection": "sentinel-2-l2a", "bbox": [west, south, east, north],
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"datetime": f"{day}:00Z", "proj:epsg": 32632, "s2:processing_baseline": "02.12"},
            "assets": {k: {"href": f"{address}/{number:03d}_{k}.tif", **place} for k in (*BANDS.values(), "SCL")},
        }  # fmt: skip
        found.append(pystac.Item.from_dict(told))
    return found


class Server:
    """A range server with faults, in a process of its own."""

    def __init__(self, folder: pathlib.Path, plan: faults.Faults) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        facts = {"latency": plan.latency, "share": plan.share, "hang": plan.hang, "lifetime": plan.lifetime}
        facts |= {"storm": plan.storm, "seed": plan.seed}
        self.process = context.Process(target=serve, args=(str(folder), facts, there), daemon=True)

    def __enter__(self) -> "Server":
        self.process.start()
        self.address = self.pipe.recv()
        return self

    def __exit__(self, *error) -> None:
        self.pipe.send(None)
        self.process.join()

    def counts(self) -> dict:
        """What it counted so far."""
        self.pipe.send("counts")
        return self.pipe.recv()


def serve(folder: str, facts: dict, pipe) -> None:
    """The server's process."""
    plan = faults.Faults(**facts)
    with faults.files(folder, plan) as address:
        pipe.send(address)
        while pipe.recv():
            pipe.send(dict(plan.counts))


def read(server: Server, scenes: int, **more):
    """The cube, seconds, and the Dataset's key."""
    kept.forget()
    ds = load.cube(items(server.address, scenes), REGION, chunks=CHUNKS, patience=PATIENCE, **more)
    start = time.perf_counter()
    done = ds.compute(scheduler="threads", num_workers=THREADS)
    return done, time.perf_counter() - start


def block_bytes(folder: pathlib.Path, scenes: int) -> tuple[int, int]:
    """Bytes and number of the compressed blocks that the region touches."""
    first, last = 300 // BLOCK, (1836 - 1) // BLOCK
    size = number = 0
    for scene in range(scenes):
        for key in (*BANDS.values(), "SCL"):
            with rasterio.open(folder / f"{scene % DIFFERENT:03d}_{key}.tif") as src:
                for j in range(first, last + 1):
                    for i in range(first, last + 1):
                        size += int(src.get_tag_item(f"BLOCK_SIZE_{i}_{j}", "TIFF", bidx=1) or 0)
                        number += 1
    return size, number


def same(a, b) -> bool:
    """Bit for bit."""
    return all(np.array_equal(a[name].values, b[name].values, equal_nan=True) for name in b.data_vars)


def faulty(folder: pathlib.Path, scenes: int) -> dict:
    """A clean run, and one with everything that may pass; what one costs beside the other."""
    with Server(folder, faults.Faults(latency=LATENCY)) as server:
        whole, clean = read(server, scenes)
        counts = server.counts()
    size, blocks = block_bytes(folder, scenes)
    plan = faults.Faults(latency=LATENCY, share=0.05, lifetime=max(5.0, clean / 2), storm=(clean / 3, clean / 3 + 2))
    with Server(folder, plan) as server:
        store = providers.Provider("store", server.address, signed=("127.0.0.1",))
        providers.PROVIDERS = (*providers.PROVIDERS, store)
        os.environ["PC_SDK_SAS_URL"] = f"{server.address}/sas"
        hit, seconds = read(server, scenes, provider="store")
        met = server.counts()
    return {
        "identical_under_faults": same(hit, whole), "fault_time_ratio": round(seconds / clean, 3),
        "bytes_ratio": round(counts["bytes"] / size, 4), "requests_per_block": round(counts["requests"] / blocks, 4),
        "clean_seconds": round(clean, 1), "fault_seconds": round(seconds, 1), "faults_met": met,
        "reads_tried_again": len(reads.report(hit)),
    }  # fmt: skip


def named(folder: pathlib.Path, scenes: int) -> dict:
    """A file that is gone and one that is corrupt: named, and all else as it was."""
    (folder / "cut.tif").write_bytes((folder / "001_B04.tif").read_bytes()[: SIDE * BLOCK])
    with Server(folder, faults.Faults()) as server:
        whole, _ = read(server, scenes)
        bad = items(server.address, scenes)
        bad[0].assets["B03"].href = f"{server.address}/gone.tif"
        bad[1].assets["B04"].href = f"{server.address}/cut.tif"
        lossy = load.cube(bad, REGION, chunks=CHUNKS, missing="report", patience=PATIENCE).compute()
    told = set(reads.report(lossy)[["item", "asset"]].itertuples(index=False, name=None))
    kept = lossy[list(BANDS)].where(~lossy.lost)
    intact = same(kept, whole[list(BANDS)].where(~lossy.lost)) and same(lossy.isel(time=[2]), whole.isel(time=[2]))
    lost = [("scene-000", "B03"), ("scene-001", "B04")]
    return {"lost_reads_named": told == set(lost), "all_else_intact": intact, "named": sorted(map(list, told))}


def against(folder: pathlib.Path, scenes: int, times: int) -> dict:
    """Seconds beside plain odc.stac and a loop of rioxarray opens over the same items: medians of ratios."""
    import odc.stac
    import rioxarray

    told = {"sentinel-2-l2a": {"assets": {"*": {"data_type": "uint16", "nodata": 0}}}}
    west, south, east, north = REGION.extent.boundingbox

    def plain(server: Server) -> None:
        ds = odc.stac.load(
            items(server.address, scenes), bands=[*BANDS.values(), "SCL"], geobox=REGION, stac_cfg=told,
            chunks=CHUNKS, groupby="solar_day",
        )  # fmt: skip
        ds.compute(scheduler="threads", num_workers=THREADS)

    def loop(server: Server) -> None:
        for item in items(server.address, scenes):
            for key in (*BANDS.values(), "SCL"):
                with rioxarray.open_rasterio(item.assets[key].href) as src:
                    src.rio.clip_box(west, south, east, north).load()

    def ours(server: Server) -> None:
        read(server, scenes)

    taken: dict = {reader.__name__: [] for reader in (plain, loop, ours)}
    for number in tqdm(range(times), "side by side", delay=2):
        for reader in ((plain, ours), (ours, plain))[number % 2] + (loop,):
            with Server(folder, faults.Faults(latency=LATENCY)) as server:  # a new address: nothing is in a cache
                start = time.perf_counter()
                reader(server)
                taken[reader.__name__].append(time.perf_counter() - start)
    return {
        "time_vs_odc_stac": round(statistics.median(map(lambda a, b: a / b, taken["ours"], taken["plain"])), 3),
        "time_vs_rioxarray_loop": round(statistics.median(map(lambda a, b: a / b, taken["ours"], taken["loop"])), 3),
        "seconds": {name: [round(one, 2) for one in seconds] for name, seconds in taken.items()},
    }


def compose(address: str, scenes: int, pipe) -> None:
    """Graph (tasks, seconds before the first byte) and peak memory (MB) of a late-summer composite, by itself."""
    found = items(address, scenes)
    start = time.perf_counter()
    stack = load.stack(found, REGION, list(BANDS), patience=PATIENCE)
    made = composite.late_summer(stack, 2021, months=range(1, 13))
    tasks, built = len(dict(made.__dask_graph__())), time.perf_counter() - start
    me, peak, over = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], me.memory_info().rss)

    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    done = made.compute(scheduler="threads", num_workers=THREADS)
    over.set()
    seconds = round(time.perf_counter() - start, 1)
    pipe.send((tasks, round(built, 2), round(peak[0] / 1e6), seconds, int(done["count"].max())))


def composites(folder: pathlib.Path, numbers: list[int]) -> dict:
    """Graph size and peak memory by number of scenes."""
    context, told = multiprocessing.get_context("spawn"), {}
    for number in tqdm(numbers, "composites", delay=2):
        here, there = context.Pipe()
        with Server(folder, faults.Faults(latency=LATENCY)) as server:
            process = context.Process(target=compose, args=(server.address, number, there))
            process.start()
            told[number] = here.recv()
            process.join()
    parts = zip(*told.values(), strict=True)
    names = ("graph_tasks", "graph_seconds", "peak_memory_mb", "composite_seconds", "observations")
    return {name: dict(zip(map(str, told), part, strict=True)) for name, part in zip(names, parts, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object only")
    parser.add_argument("--quick", action="store_true", help="a small run of a few minutes, for a look")
    parser.add_argument("--scenes", type=int, help="scenes of the clean and the faulty run (full: 60 s or more)")
    given = parser.parse_args()
    scenes = given.scenes or (8 if given.quick else 80)
    few, times = (4, 2) if given.quick else (10, 5)
    numbers = [6, 12, 24] if given.quick else [50, 100, 200]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        files(folder, max(scenes, few, *numbers))
        found = faulty(folder, scenes) | named(folder, 3) | against(folder, few, times) | composites(folder, numbers)
    found |= {"scenes": scenes, "patience": {"timeout": PATIENCE.timeout}, "cores": os.cpu_count()}
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:24}{value}")


if __name__ == "__main__":
    sys.exit(main())
