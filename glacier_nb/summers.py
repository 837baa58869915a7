"""Late summers of a place: images, radar and elevation on one grid, as systems take them and as they learn."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import geopandas as gpd
import pystac
import xarray as xr
from odc.geo.geobox import GeoBox

from glacier_nb import basins, composite, features, labels, load, reads, search, systems
from glacier_nb.labels import Sample
from glacier_nb.systems import System


def items(
    bbox: Sequence[float],
    years: Sequence[int],
    provider: str = "planetary-computer",
    months: Sequence[int] = (),
    terrain: str = "cop-dem-glo-30",
    optical: str = "sentinel-2-l2a",
    radar: str = "sentinel-1-rtc",
    max_cloud: float = 70,
    span: int = 1,
) -> dict[str, list[pystac.Item]]:
    """What `scenes` reads: items by "optical", "terrain" and "radar" (empty where the place has none in those months).

    bbox: west, south, east, north in degrees. months: of the scenes to use; none: late summer of the hemisphere. span:
    as in `scenes`. LookupError: no optical scene, or no elevation.
    """
    years = sorted({one for year in years for one in _span(year, span)})
    months = list(months) or (composite.NORTH if bbox[1] > 0 else composite.SOUTH)
    found = {
        "optical": search.scenes(bbox, years, optical, provider, max_cloud=max_cloud, months=months),
        "terrain": search.scenes(bbox, None, terrain, provider),
        "radar": [],
    }
    with contextlib.suppress(LookupError):  # no radar here
        found["radar"] = search.scenes(bbox, years, radar, provider, months=months)
    return found


def scenes(
    items: Mapping[str, Sequence[pystac.Item]],
    years: Sequence[int],
    geobox: GeoBox,
    provider: str = "planetary-computer",
    months: Sequence[int] = (),
    missing: str = "raise",
    span: int = 1,
) -> Iterator[tuple[int, xr.Dataset]]:
    """Each of `years` with its scene (y, x), lazy: bands and clear, elevation (m), dh_dt (m a-1), radar (power).

    items, months: as in `items`. What the place has not (a second date of elevation, radar in that year) is left out;
    see `composite.late_summer` for attrs. missing: as in `load.cube`; `read` then tells what was lost. span: summers
    that a scene is made of, the year's own the last (`System.summers`); those without images are done without.
    LookupError: no optical scene in any of them.
    """
    how = {"provider": provider, "missing": missing}
    images = load.stack(items["optical"], geobox, **how)
    ground = {"elevation": load.elevation(items["terrain"], geobox, **how)}
    with contextlib.suppress(ValueError):  # one date of elevation: no dh/dt
        ground["dh_dt"] = load.elevation_rate(items["terrain"], geobox, **how)
    ground = {name: layer.drop_vars("lost", errors="ignore") for name, layer in ground.items()}
    waves = load.cube(items["radar"], geobox, **how) if items["radar"] else None
    for year in years:
        scene = composite.late_summer(images, _span(year, span), months or None).assign(ground)
        if waves is not None:
            with contextlib.suppress(LookupError):  # a year without radar
                mean = composite.average(waves, _span(year, span))
                told = {name: mean.attrs[name] for name in (reads.KEY, "items")}
                radar = [name for name in ("vv", "vh", "hh", "hv") if name in mean]
                scene = scene.assign({name: mean[name].assign_attrs(told) for name in radar})
        yield year, scene


def _span(year: int, count: int) -> list[int]:
    """A year and those before it, `count` in all."""
    return list(range(int(year) - count + 1, int(year) + 1))


def read(scene: xr.Dataset) -> xr.Dataset:
    """A scene in memory. attrs: lost (windows that no read got, of any sensor), manifest["lost"] (each of them)."""
    return reads.computed(scene)


def samples(system: str | System, scenes: Mapping[str, xr.Dataset], outlines: gpd.GeoDataFrame) -> list[Sample]:
    """Scenes with outlines drawn on them, for `train.fit`: one a scene, named by its key, float32, in memory.

    outlines: of any dates (time), on each scene those of `basins.at` its date. An optional input that a scene has not
    is unknown (NaN) there. LookupError: another input is missing. ValueError as in `labels.of_outlines`.
    """
    system, found = systems.find(system), []
    for name, scene in scenes.items():
        there = [one for one in system.inputs if one in systems.layers(system, scene)]
        if missing := [one for one in system.inputs if one not in there and one not in system.optional]:
            raise LookupError(
                f"{system.name} needs {', '.join(missing)}, which {name} of {scene.attrs['sensor']} has not"
            )
        stack = features.stack(scene, there).reindex(feature=list(system.inputs)).astype("float32").compute()
        mine = basins.at(outlines, scene.attrs["time"])
        sample = labels.of_outlines(stack, mine, system.zones, name, time=scene.attrs["time"][:10])
        found.append(sample)
    return found
