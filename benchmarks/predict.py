"""How near inference comes to the bare network, what others take for the same work, and what it takes when killed.

    python benchmarks/predict.py --json [--quick] [--parts road workers ...] [--peers .cache/peers/bin/python]

All figures are ratios inside one run, medians of five (`--quick`: of one, on a small scene, to see that it runs). The
scene is a Sentinel-2 image of the embedded landscape, mirrored to `--side` pixels, read as COGs over HTTP on loopback.
The network is a U-Net with a ResNet-34 on six bands; agreement is measured with trained weights (extent-demo). The bare
forward runs the same windows, overlap included, on tensors in memory, by one thread a core or all threads at once,
whichever is faster. torchgeo is asked in an environment of its own, as its users install it:

    python -m venv .cache/peers && .cache/peers/bin/pip install torch==2.13.0 torchgeo requests
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence

import dask.array
import distributed
import geopandas as gpd
import numpy as np
import rasterio
import safetensors.torch
import shapely
import torch
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import batch, cluster, demo, features, forward, load, overpass, predict, recipes, search, serve, systems
from glacier_nb.networks.smp import Smp

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
SYSTEM = systems.System(
    name="unet-resnet34", citation="", task="extent", inputs=BANDS, network=functools.partial(Smp, terms={"zones": 6}),
    finish=recipes.exclusive_zones, zones=("rock", "glacier", "debris cover", "ocean", "melange", "lake"),
)  # fmt: skip
SMALL = dataclasses.replace(
    SYSTEM, name="small", network=functools.partial(Smp, terms={"zones": 6}, encoder="resnet18")
)
WINDOW, HALO, BATCH = 256, 32, 16 if torch.cuda.is_available() else 1


def scene(folder: pathlib.Path, side: int) -> None:
    """Write one Sentinel-2 item of the embedded landscape with its bands mirrored to `side` pixels of 10 m."""
    region = demo.folder()
    path = sorted((region / "items" / "sentinel-2-l2a").glob("*.json"))[-1]
    item = json.loads(path.read_text())
    for key, asset in list(item["assets"].items()):
        if "proj:shape" not in asset or not asset["href"].endswith(".tif"):
            del item["assets"][key]
            continue
        with rasterio.open(path.parent / asset["href"]) as file:
            pixels, transform, crs, nodata = file.read(1), file.transform, str(file.crs), file.nodata
        size = round(side * 10 / transform.a)
        pixels = (
            np.pad(pixels, [(0, size - n) for n in pixels.shape], "symmetric") if size > pixels.shape[0] else pixels
        )
        pixels = pixels[:size, :size]
        overpass.store(folder / "data" / pathlib.Path(asset["href"]).name, pixels, transform, crs, nodata, "nearest")
        asset["proj:shape"] = list(pixels.shape)
        asset.pop("proj:bbox", None)
    box = grid(side).extent.to_crs("EPSG:4326")
    item["bbox"], item["geometry"] = list(box.boundingbox), box.json
    (folder / "items" / "sentinel-2-l2a").mkdir(parents=True)
    (folder / "items" / "sentinel-2-l2a" / path.name).write_text(json.dumps(item))


def grid(side: int) -> GeoBox:
    """The scene's grid."""
    with rasterio.open(demo.folder() / "truth" / "zones.tif") as file:
        whole = GeoBox.from_rio(file)
    return GeoBox((side, side), whole.affine, whole.crs)


def layers(address: str, side: int) -> xr.DataArray:
    """The scene's six bands, lazy."""
    box = grid(side)
    items = search.scenes(list(box.extent.to_crs("EPSG:4326").boundingbox), None, "sentinel-2-l2a", address)
    cube = load.cube(items, box, list(BANDS), provider=address)
    return features.stack(cube.isel(time=0, drop=True), list(BANDS))


def network(folder: pathlib.Path, system: systems.System, stack: xr.DataArray) -> pathlib.Path:
    """Random weights whose batch norm has seen the scene, so that no number runs away."""
    path = folder / f"{system.name}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        net, some = system.network(len(BANDS)), stack[:, :512, :512].values
        mean, std = np.nanmean(some, axis=(1, 2)), np.nanstd(some, axis=(1, 2))
        x = torch.from_numpy(np.nan_to_num((some - mean[:, None, None]) / std[:, None, None]).astype("float32"))
        with torch.no_grad():
            for _ in range(10):
                net.train()(x[None, :, :256, :256])
        safetensors.torch.save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
        card = {"system": system.name, "inputs": BANDS, "mean": mean.tolist(), "std": std.tolist()}
        path.with_suffix(".json").write_text(json.dumps(card))
    return path


def timed(work) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(stack: xr.DataArray, weights: pathlib.Path, out: pathlib.Path, system=SYSTEM, **more) -> xr.DataArray:
    """COGs over HTTP to a finished Zarr."""
    more = {"window": WINDOW, "halo": HALO, "batch": BATCH, "progress": False, **more}
    return predict.zones(stack, system, weights, out=out, **more)


def bare(weights: pathlib.Path, windows: int, precision: str) -> float:
    """Seconds of the forward pass alone on the same windows, by the better of two ways to use the cores."""
    net = SYSTEM.network(len(BANDS))
    net.load_state_dict(safetensors.torch.load_file(weights))
    net = net.eval().to(forward.device(), memory_format=torch.channels_last)
    x = torch.randn(BATCH, len(BANDS), WINDOW, WINDOW).to(forward.device(), memory_format=torch.channels_last)
    half = forward.PRECISIONS[precision]
    best, cores = np.inf, cluster.cores()
    for lanes in {1, 1 if x.is_cuda else cores}:

        def lane(count: int, threads: int = cores // lanes) -> None:
            torch.set_num_threads(threads)
            with torch.inference_mode(), torch.autocast(x.device.type, half, enabled=half is not None):
                for _ in range(count):
                    net(x)
            if x.is_cuda:
                torch.cuda.synchronize()

        batches = -(-windows // BATCH)
        shares = [batches // lanes + (k < batches % lanes) for k in range(lanes)]
        with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
            list(pool.map(lane, [1] * lanes))
            best = min(best, timed(lambda pool=pool, shares=shares: list(pool.map(lane, shares))))
    torch.set_num_threads(cores)
    return best * windows / (batches * BATCH)


def map_overlap(stack: xr.DataArray, weights: pathlib.Path, out: pathlib.Path) -> None:
    """What a notebook does: the model called per block of a dask array, with the same windows and halo."""
    net = SYSTEM.network(len(BANDS)).eval()
    net.load_state_dict(safetensors.torch.load_file(weights))
    card = json.loads(weights.with_suffix(".json").read_text())
    mean, std = (np.array(card[key], "float32")[:, None, None] for key in ("mean", "std"))

    def model(block: np.ndarray) -> np.ndarray:
        x = np.nan_to_num((block - mean) / std)
        height, width = x.shape[1:]
        x = np.pad(x, ((0, 0), (0, -height % 32), (0, -width % 32)))
        with torch.no_grad():
            return net(torch.from_numpy(x[None]))["zones"].softmax(1)[0, :, :height, :width].numpy()

    step = WINDOW - 2 * HALO
    data = stack.data.rechunk((-1, step, step))
    depth = {0: 0, 1: HALO, 2: HALO}
    wide = dask.array.overlap.overlap(data, depth, boundary="none")
    found = wide.map_blocks(model, dtype="float32", chunks=((len(SYSTEM.zones),), *wide.chunks[1:]))
    found = dask.array.overlap.trim_internal(found, depth, boundary="none")
    xr.Dataset({"zones": (("zone", "y", "x"), found.astype("float16"))}).to_zarr(out, mode="w", consolidated=False)


def torchgeo(python: str, folder: pathlib.Path, weights: pathlib.Path) -> float | None:
    """Seconds that a grid sampler, a DataLoader and stitching take, or None where torchgeo is not there."""
    script = pathlib.Path(__file__).with_name("torchgeo_road.py")
    done = subprocess.run([python, str(script), str(folder), str(weights)], capture_output=True, text=True)
    if done.returncode:
        print(f"predict: no torchgeo at {python}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])["seconds"]


class Counter(distributed.WorkerPlugin):
    """Writes how many windows go through the network of a worker to a file that outlives it."""

    def __init__(self, path: str):
        self.path = path

    def setup(self, worker: distributed.Worker | None = None) -> None:
        """Begin to count."""
        inner = forward._batch

        def counted(x, cuts, job, seed):
            with open(self.path, "a") as file:
                file.write(f"{len(cuts)}\n")
            return inner(x, cuts, job, seed)

        forward._batch = counted


def counted(path: pathlib.Path) -> int:
    """Windows in a counter's file."""
    return sum(map(int, path.read_text().split())) if path.exists() else 0


def agreement(precision: str) -> float:
    """Share of pixels whose likeliest zone is that of float32, with trained weights on a landscape."""
    region = demo.folder()
    facts = json.loads((region / "region.json").read_text())
    box = grid(1024)
    items = search.scenes(facts["bbox"], None, "sentinel-2-l2a", region)
    cube = load.cube(items, box, list(BANDS), provider=region).isel(time=-1, drop=True)
    heights = search.scenes(facts["bbox"], None, "cop-dem-glo-30", region)
    stack = features.stack(
        cube.assign(elevation=load.elevation(heights, box, None, region)), [*BANDS, "ndsi", "slope"]
    ).compute()
    one, other = (
        predict.zones(stack, "extent-demo", clean=False, progress=False, precision=p).values
        for p in ("float32", precision)
    )
    seen = ~np.isnan(one[0])
    return float((one.argmax(0) == other.argmax(0))[seen].mean())


def once(folder: pathlib.Path, side: int, out: pathlib.Path, count: pathlib.Path) -> None:
    """One run in a process of its own; prints the peak of its memory."""
    with serve.folder(folder) as served, batch.peak_memory(0.1) as peak:
        Counter(str(count)).setup()
        stack = layers(served.stac, side)
        ours(stack, network(folder, SMALL, stack), out, SMALL)
    print(json.dumps(peak))


def child(*arguments, **how) -> subprocess.Popen:
    """`once` in a process of its own."""
    command = [sys.executable, __file__, "--once", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **how)


def memory(temporary: pathlib.Path, side: int) -> list[float]:
    """Peak PSS in MiB at 1, 4 and 16 times the area."""
    found = []
    for factor in (1, 2, 4):
        folder = temporary / f"memory-{factor}"
        scene(folder, side * factor)
        said, _ = child(folder, side * factor, folder / "out.zarr", folder / "count").communicate()
        found.append(json.loads(said.splitlines()[-1])["mb"])
    return found


def killed(folder: pathlib.Path, side: int) -> tuple[bool, int]:
    """A run killed in the middle and resumed: whether the product is an undisturbed one's, and windows done twice."""
    whole, out = folder / "whole.zarr", folder / "killed.zarr"
    child(folder, side, whole, folder / "count-whole").communicate()
    windows = counted(folder / "count-whole")
    count = folder / "count-killed"
    process = child(folder, side, out, count)
    while counted(count) < windows // 2 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    child(folder, side, out, count).communicate()
    same = np.array_equal(*(xr.open_zarr(p, consolidated=False).zones.values for p in (whole, out)), equal_nan=True)
    return same, counted(count) - windows


def pin(core: int) -> None:
    """Keep all threads of this process on one core, so that one worker does not do the work of two."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})


def worker_killed(stack: xr.DataArray, weights: pathlib.Path, folder: pathlib.Path) -> tuple[bool, int]:
    """A worker killed in the middle of a run of two: the same two answers."""
    with cluster.client(workers=2, threads=1) as client:
        client.register_plugin(Counter(str(folder / "count-a")), name="a")
        whole = ours(stack, weights, folder / "a.zarr", client=client).values
    windows = counted(folder / "count-a")
    with cluster.client(workers=2, threads=1) as client:
        client.register_plugin(Counter(str(folder / "count-b")), name="b")
        victim = next(iter(client.run(os.getpid).values()))

        def kill() -> None:
            while counted(folder / "count-b") < windows // 2:
                time.sleep(0.05)
            os.kill(victim, 9)

        killer = threading.Thread(target=kill)
        killer.start()
        found = ours(stack, weights, folder / "b.zarr", client=client).values
        killer.join()
    return np.array_equal(whole, found, equal_nan=True), counted(folder / "count-b") - windows


def road(temporary: pathlib.Path, side: int, repeats: int, peers: str) -> dict:
    """The whole road beside the bare network, and beside what others take."""
    rows = []
    with _scene(temporary, side) as (folder, stack, weights):
        Counter(str(count := folder / "count")).setup()
        ours(stack, weights, folder / "warm.zarr")
        windows = counted(count)
        for number in range(repeats):
            row = {}
            for precision in ("float32", "bfloat16"):
                row[f"bare {precision}"] = bare(weights, windows, precision)
                out = folder / f"{precision}-{number}.zarr"
                row[precision] = timed(lambda out=out, p=precision: ours(stack, weights, out, precision=p))
            row["map_overlap"] = timed(lambda n=number: map_overlap(stack, weights, folder / f"map-{n}.zarr"))
            row["torchgeo"] = torchgeo(peers, folder, weights)
            rows.append(row)
    middle = {key: float(np.median([r[key] for r in rows])) if rows[0][key] else None for key in rows[0]}
    fastest = min(middle["float32"], middle["bfloat16"])
    return {
        "fraction_of_bare_forward": ratio(rows, "bare float32", "float32"),
        "fraction_of_bare_forward_bf16": ratio(rows, "bare bfloat16", "bfloat16"),
        "speedup_vs_torchgeo": middle["torchgeo"] and round(middle["torchgeo"] / fastest, 3),
        "speedup_vs_map_overlap": round(middle["map_overlap"] / fastest, 3),
        "details": {"seconds": rows, "windows": windows},
    }


def inside(temporary: pathlib.Path, side: int, repeats: int, peers: str) -> dict:
    """A tenth of the area alone, on a scene of four times the area: a square touches more windows than its share."""
    rows, side = [], 2 * side
    with _scene(temporary, side) as (folder, stack, weights):
        low, high = side // 3, side // 3 + round(side * 0.1**0.5)
        tenth = gpd.GeoSeries([shapely.box(*stack.odc.geobox[low:high, low:high].boundingbox)], crs=grid(side).crs)
        for number in range(repeats):
            rows.append({
                name: timed(lambda out=folder / f"{name}-{number}.zarr", w=within: ours(stack, weights, out, within=w))
                for name, within in {"whole": None, "within": tenth}.items()
            })  # fmt: skip
    return {"within_time_fraction": ratio(rows, "within", "whole"), "details": {"within": rows, "within_side": side}}


def workers(temporary: pathlib.Path, side: int, repeats: int, peers: str) -> dict:
    """One worker on one core, two on two; and one of two killed."""
    rows = []
    with _scene(temporary, side) as (folder, stack, weights):
        for number in range(repeats):
            row = {}
            for count in (1, 2):
                with cluster.client(workers=count, threads=1) as client:
                    out = folder / f"scaling-{count}-{number}.zarr"
                    client.run(forward.device)  # torch is imported on all of them before the clock starts
                    addresses = client.scheduler_info()["workers"]
                    for core, address in zip(sorted(os.sched_getaffinity(0)), addresses, strict=False):
                        client.run(pin, core, workers=[address])
                    row[f"{count} workers"] = timed(lambda o=out, c=client: ours(stack, weights, o, client=c))
            rows.append(row)
        same, twice = worker_killed(stack, weights, folder)
    return {
        "scaling_2_workers": ratio(rows, "1 workers", "2 workers"),
        "identical_after_worker_kill": same,
        "windows_computed_twice": twice,
        "details": {"workers": rows, "twice_worker": twice},
    }


def room(temporary: pathlib.Path, side: int, repeats: int, peers: str) -> dict:
    """Memory by the area of the scene."""
    peaks = memory(temporary, side // 2)
    ratios = {area: round(peak / peaks[0], 3) for area, peak in zip((1, 4, 16), peaks, strict=True)}
    return {"peak_memory_ratio": ratios, "details": {"peaks_mb": peaks}}


def resume(temporary: pathlib.Path, side: int, repeats: int, peers: str) -> dict:
    """The whole run killed and resumed."""
    scene(temporary, side)
    same, twice = killed(temporary, side)
    return {"identical_after_resume": same, "windows_computed_twice": twice, "details": {"twice_run": twice}}


def trained(temporary: pathlib.Path, side: int, repeats: int, peers: str) -> dict:
    """What half the digits cost."""
    return {"agreement": round(agreement("bfloat16"), 5)}


PARTS = {part.__name__: part for part in (road, inside, workers, room, resume, trained)}


@contextlib.contextmanager
def _scene(temporary: pathlib.Path, side: int) -> Iterator[tuple[pathlib.Path, xr.DataArray, pathlib.Path]]:
    """A folder with a scene that is served, its layers, and weights for it."""
    scene(temporary, side)
    with serve.folder(temporary) as served:
        stack = layers(served.stac, side)
        yield temporary, stack, network(temporary, SYSTEM, stack)


def measure(temporary: pathlib.Path, side: int, repeats: int, peers: str, parts: Sequence[str]) -> dict:
    """Figures of these parts, by the issue's keys, and what they come from under `details`."""
    found: dict = {"device": platform.processor() or platform.machine()}
    details = {"side": side, "cores": cluster.cores(), "torch": torch.__version__}
    details |= {"gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none: no GPU figures"}
    for part in parts:
        told = PARTS[part](temporary / part, side, repeats, peers)
        details |= told.pop("details", {})
        told["windows_computed_twice"] = told.get("windows_computed_twice", 0) + found.get("windows_computed_twice", 0)
        found |= told
    return found | {"details": details}


def ratio(rows: list[dict], above: str, below: str) -> float:
    """Median of the ratios within each round."""
    return round(float(np.median([row[above] / row[below] for row in rows])), 3)


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser("predict", description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, help="pixels of the scene's side")
    parser.add_argument("--quick", action="store_true", help="one round on a small scene")
    parser.add_argument("--peers", default=".cache/peers/bin/python", help="a Python that has torchgeo")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="these figures alone")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--once", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.once:
        folder, side, out, count = arguments.once
        once(pathlib.Path(folder), int(side), pathlib.Path(out), pathlib.Path(count))
        return 0
    side = arguments.side or (1024 if arguments.quick else 5120)  # there the start is under 5 % of the time
    with (
        tempfile.TemporaryDirectory(prefix="glacier_nb-") as temporary,
        contextlib.redirect_stdout(sys.stderr),
    ):
        repeats = 1 if arguments.quick else 5
        found = measure(pathlib.Path(temporary), side, repeats, arguments.peers, arguments.parts)
    print(json.dumps(found) if arguments.json else "\n".join(f"{key:>32}  {value}" for key, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
