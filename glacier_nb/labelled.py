"""Readers of the field's labelled sets, each from the folder a user has into one contract.

Nothing is read before it is asked for: features, truth and fronts of a `Sample` are dask arrays over the set's files.
"""

import os
import pathlib
import re
from collections.abc import Callable, Sequence

import dask
import dask.array
import geopandas as gpd
import h5py
import numpy as np
from PIL import Image

from glacier_nb import contrast, labels, readers
from glacier_nb.labels import UNSEEN, Sample


def caffe(folder: str | os.PathLike) -> list[Sample]:
    """CaFFe: sar_images, zones and fronts, each with train and test; 681 amplitude images of seven glaciers.

    Names are glacier_date_sensor_resolution_quality_number, with _zones and _front where a label; of zones 0 is not
    available, 64 (or 63) rock, 127 glacier, 254 ocean and melange. Features: grey / 255.
    FileNotFoundError: the folder has no such files, or an image no label.
    """
    numbers = np.full(256, UNSEEN, "uint8")
    numbers[[63, 64, 127, 254, 255]] = (0, 0, 1, 2, 2)
    found = []
    for part in ("train", "val", "test"):
        for image in _pictures(folder, f"sar_images/{part}"):
            zones, front = (
                _beside(image, image.parents[2] / kind / part / f"{image.stem}_{word}.png")
                for kind, word in (("zones", "zones"), ("fronts", "front"))
            )
            glacier, date, _, resolution, *_ = image.stem.split("_")
            found.append(
                Sample(
                    image.stem, _grey(image)[None], _picture(zones, lambda grey: numbers[grey], "uint8"),
                    _picture(front, lambda grey: grey > 127, bool), group=glacier, time=date,
                    resolution=float(resolution), part="validation" if part == "val" else part,
                )
            )  # fmt: skip
    return _some(found, folder, "sar_images/train/*.png")


def calfin(folder: str | os.PathLike) -> list[Sample]:
    """CALFIN's training data: train and validation (or all) with NAME.png and NAME_mask.png side by side.

    Names are glacier_sensor_level_date_path-row_tier_band. Truth: glacier (and land) where the mask is white, ocean
    where it is black; the front is the ice beside ocean. Features: grey / 255. Pixel sizes are not in the names: None.
    FileNotFoundError: as in `caffe`.
    """
    found = []
    for part in ("train", "validation", "all"):
        for image in _pictures(folder, part):
            if image.stem.endswith("_mask"):
                continue
            mask = _beside(image, image.with_name(f"{image.stem}_mask.png"))
            glacier, _, _, date, *_ = image.stem.split("_")
            truth = _picture(mask, lambda grey: (grey <= 127).astype("uint8"), "uint8")
            front = _picture(mask, lambda grey: _edge(grey > 127), bool)
            found.append(Sample(image.stem, _grey(image)[None], truth, front, group=glacier, time=date, part=part))
    return _some(found, folder, "train/*.png")


def termpicks(folder: str | os.PathLike) -> gpd.GeoDataFrame:
    """TermPicks: 39,060 traces of 278 Greenland glaciers as fronts: rgi_id, time, system, sensor, geometry (EPSG:3413).

    rgi_id is "TermPicks-" and GlacierID; author, image and quality follow. Draw them on scenes by `labels.of_fronts`.
    FileNotFoundError: the folder has no TermPicks*.shp.
    """
    files = sorted(readers.there(folder).rglob("TermPicks*.shp"))
    if not files:
        raise FileNotFoundError(f"{folder} has no TermPicks*.shp: unzip the set there")
    raw = readers.shapes(files[-1])
    names = {"Satellite": "sensor", "Author": "author", "ImageID": "image", "QualFlag": "quality"}
    out = raw.rename(columns=names).to_crs("EPSG:3413")
    out = out.assign(
        rgi_id="TermPicks-" + raw["GlacierID"].astype(int).astype(str), time=readers.dates(raw["Date"]),
        system="TermPicks",
    )  # fmt: skip
    first = ["rgi_id", "time", "system", "sensor", "geometry"]
    rest = [name for name in ("author", "image", "quality") if name in out]
    return out[[*first, *rest]].sort_values(["rgi_id", "time"], ignore_index=True)


def glavitu(folder: str | os.PathLike) -> list[Sample]:
    """The tiles GlaViTU learnt from: HDF5 files with train, val or test in their names, a group a tile.

    Each has optical (y, x, 6), dem (y, x, 2) and outlines (y, x), one-hot or not, and says its region.
    FileNotFoundError: the folder has no such files.
    """
    found = []
    for path in sorted(readers.there(folder).glob("*.h*5")):
        part = next((word for word in ("train", "val", "test") if word in re.split(r"[_.]", path.name)), "")
        with h5py.File(path) as file:
            for tile in file:
                shape = file[tile]["optical"].shape[:2]
                channels = sum(file[tile][name].shape[2] for name in ("optical", "dem"))
                region = file[tile].attrs.get("region", "")
                features = _lazy((channels, *shape), "float32", _tile, path, tile)
                found.append(
                    Sample(
                        tile, features, _lazy(shape, "uint8", _tile_truth, path, tile),
                        group=region.decode() if isinstance(region, bytes) else str(region),
                        part="validation" if part == "val" else part, resolution=10.0,
                    )
                )  # fmt: skip
    return _some(found, folder, "*_train_*.hdf5")


def dl4gam(folder: str | os.PathLike, inputs: Sequence[str] = ()) -> list[Sample]:
    """The glacier cubes of DL4GAM: a NetCDF a glacier and image, in folders called after the glacier.

    band_data (band, y, x) with its bands in long_name, mask_all_g_id (-1 where no glacier), mask_nok (clouds, shadows,
    gaps), and layers such as dem or dh_dt. inputs: bands and layers in this order; () for all bands. Pixels within are
    those no neighbour's glacier has, as the set scores each glacier by itself.
    LookupError: a cube has no such input. FileNotFoundError: the folder has no such files.
    """
    found = []
    for path in sorted(readers.there(folder).rglob("*.nc")):
        with h5py.File(path) as file:
            shape = file["band_data"].shape[1:]
            names = list(inputs) or _bands(file)
            if missing := [name for name in names if name not in _bands(file) and name not in file]:
                raise LookupError(f"{path.name} has no {missing[0]}: its bands are {', '.join(_bands(file))}")
            pixel = abs(float(file["x"][1] - file["x"][0])) if "x" in file else None
        features = _lazy((len(names), *shape), "float32", _cube, path, tuple(names))
        found.append(
            Sample(
                path.stem, features, _lazy(shape, "uint8", _cube_truth, path), group=path.parent.name,
                glaciers=_lazy(shape, "int32", _cube_glaciers, path), within=_lazy(shape, bool, _cube_own, path),
                time=next(iter(re.findall(r"\d{4}-?\d{2}-?\d{2}", path.stem)), ""), resolution=pixel,
            )
        )  # fmt: skip
    return _some(found, folder, "<glacier>/*.nc")


def frontscenes(folder: str | os.PathLike) -> list[Sample]:
    """123 Landsat scenes of three Greenland glaciers with their fronts, of `readers.frontlearning`.

    group by path and row: Jakobshavn 008-010/011, Sverdrup 020-024/006-007, Kangerlussuaq 229-231/012. Features: grey
    as `mohajerani2019` takes it. Truth is 0 all over, the front three pixels wide.
    FileNotFoundError: the folder has no such files.
    """
    found = []
    for row in readers.frontlearning(folder).itertuples():
        path, image = int(row.path_row[:3]), pathlib.Path(row.image)
        group = next((name for name, first, last in FJORDS if first <= path <= last), "")
        front = _picture(pathlib.Path(row.label), lambda grey: grey < 128, bool)
        features = _picture(image, lambda grey: contrast.pillow_grey((grey + 0.5) / 255), "float32")[None]
        truth = np.broadcast_to(np.uint8(0), front.shape)
        time = f"{row.time:%Y-%m-%d}"
        found.append(Sample(row.scene, features, truth, front, group=group, time=time, resolution=48.9))
    return _some(found, folder, "images/*.png")


FJORDS = (("Jakobshavn", 8, 10), ("Sverdrup", 20, 24), ("Kangerlussuaq", 229, 231))
"""Name, first and last WRS-2 path of the three glaciers of `frontscenes`."""


def own(folder: str | os.PathLike, zones: Sequence[str] = ("rock", "glacier")) -> list[Sample]:
    """One's own labels: GeoTIFFs, channels as their bands, and one vector file of polygons or of front lines.

    Each is drawn on every scene; those with a column `time` only on the scenes that have this day in their file names.
    Raises FileNotFoundError, ValueError where a scene has no labels.
    """
    import rioxarray

    folder, found = readers.there(folder), []
    vectors = [path for path in sorted(folder.iterdir()) if path.suffix in (".gpkg", ".shp", ".geojson", ".parquet")]
    if len(vectors) != 1:
        raise FileNotFoundError(f"{folder} has {len(vectors)} vector files: one with the labels, beside the GeoTIFFs")
    shapes = readers.shapes(vectors[0])
    for path in sorted((*folder.glob("*.tif"), *folder.glob("*.tiff"))):
        layers = rioxarray.open_rasterio(path, masked=True, chunks={"x": 1024, "y": 1024}).rename(band="feature")
        day = "-".join(next(iter(re.findall(r"(\d{4})-?(\d{2})-?(\d{2})", path.stem)), ()))
        mine = shapes[readers.dates(shapes["time"]).dt.strftime("%Y-%m-%d") == day] if "time" in shapes else shapes
        if not len(mine):
            raise ValueError(f"{path.name}: no label of {day or 'its day'}: put the day in the file's name and in time")
        drawn = mine.geom_type.isin(("LineString", "MultiLineString")).all()
        make = labels.of_fronts if drawn else lambda *given, **more: labels.of_outlines(*given, zones, **more)
        found.append(make(layers, mine, name=path.stem, time=day))
    return _some(found, folder, "*.tif")


def _some(found: list[Sample], folder: str | os.PathLike, shape: str) -> list[Sample]:
    if not found:
        raise FileNotFoundError(f"{folder} has no {shape}: give the folder that the set was unpacked in")
    return found


def _pictures(folder: str | os.PathLike, part: str) -> list[pathlib.Path]:
    return sorted((readers.there(folder) / part).glob("*.png"))


def _beside(image: pathlib.Path, label: pathlib.Path) -> pathlib.Path:
    if not label.exists():
        raise FileNotFoundError(f"{image.name} has no label {label}: fetch the set again")
    return label


def _lazy(shape: tuple[int, ...], dtype, read: Callable, *arguments) -> dask.array.Array:
    return dask.array.from_delayed(dask.delayed(read, pure=True)(*arguments), tuple(shape), dtype)


def _picture(path: pathlib.Path, convert: Callable[[np.ndarray], np.ndarray], dtype) -> dask.array.Array:
    """A picture's grey (y, x) uint8, converted; its size is read now, its pixels when they are asked for."""
    with Image.open(path) as image:
        shape = image.size[::-1]

    def read(path: pathlib.Path) -> np.ndarray:
        with Image.open(path) as image:
            return convert(np.asarray(image.convert("L"))).astype(dtype)

    return _lazy(shape, dtype, read, path)


def _grey(path: pathlib.Path) -> dask.array.Array:
    return _picture(path, lambda grey: grey / np.float32(255), "float32")


def _edge(ice: np.ndarray) -> np.ndarray:
    """Ice beside water (four neighbours)."""
    wet = np.pad(~ice, 1)
    return ice & (wet[:-2, 1:-1] | wet[2:, 1:-1] | wet[1:-1, :-2] | wet[1:-1, 2:])


def _tile(path: pathlib.Path, tile: str) -> np.ndarray:
    with h5py.File(path) as file:
        return np.concatenate([file[tile][name][()].astype("float32") for name in ("optical", "dem")], 2).transpose(
            2, 0, 1
        )


def _tile_truth(path: pathlib.Path, tile: str) -> np.ndarray:
    with h5py.File(path) as file:
        truth = file[tile]["outlines"][()]
    return (truth if truth.ndim == 2 else truth[..., -1]).astype("uint8")


def _bands(file: h5py.File) -> list[str]:
    names = file["band_data"].attrs.get("long_name", [])
    names = [names] if isinstance(names, str | bytes) else list(names)
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return names or [f"B{number + 1}" for number in range(len(file["band_data"]))]


def _cube(path: pathlib.Path, names: tuple[str, ...]) -> np.ndarray:
    with h5py.File(path) as file:
        bands = _bands(file)
        layers = [
            _filled(file["band_data"], bands.index(name)) if name in bands else _filled(file[name]) for name in names
        ]
        return np.stack(layers)


def _filled(layer: h5py.Dataset, band: int | None = None) -> np.ndarray:
    values = layer[()] if band is None else layer[band]
    blank = layer.attrs.get("_FillValue", np.nan)
    return np.where(values == np.ravel(blank)[0], np.nan, values.astype("float32")).astype("float32")


def _cube_truth(path: pathlib.Path) -> np.ndarray:
    with h5py.File(path) as file:
        truth = (file["mask_all_g_id"][()] != -1).astype("uint8")
        bad = file["mask_nok"][()] == 1 if "mask_nok" in file else False
    return np.where(bad, np.uint8(UNSEEN), truth)


def _cube_glaciers(path: pathlib.Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["mask_all_g_id"][()].astype("int32") + 1


def _cube_own(path: pathlib.Path) -> np.ndarray:
    """Pixels of the glacier that a cube is of, and of none."""
    with h5py.File(path) as file:
        return (file["mask_all_g_id"][()] == -1) | (file["mask_crt_g"][()] == 1)
