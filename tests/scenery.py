"""Small scenes whose answers are known, and every view of them, for the tests of maps, charts, plots and pages."""

import functools
import json
import pathlib
import re

import geopandas as gpd
import holoviews as hv
import nbformat
import numpy as np
import odc.geo.xr
import pandas as pd
import panel
import pystac
import rasterio.features
import shapely
import xarray as xr
from bokeh.document import Document
from bokeh.models import ColorBar, Legend
from bokeh.plotting import figure
from odc.geo.geobox import GeoBox
from scipy import ndimage

from glacier_nb import areas, plots
from glacier_nb.figures import plots as plotted

DATES = ("2017-08-29", "2021-09-02", "2025-08-24")
CRS = "EPSG:32633"


def relief(size: int, seed: int = 0) -> np.ndarray:
    """Smooth hills between 0 and 1 that fall towards a fjord in the south."""
    noise = np.random.default_rng(seed).standard_normal((size, size))
    hills = sum(ndimage.gaussian_filter(noise, size / k, mode="wrap") * (size / k) ** 1.8 for k in (8, 16, 32, 64))
    return 0.6 * (hills - hills.min()) / np.ptp(hills) + 0.4 * np.linspace(1, 0, size)[:, None]


def landscape(date: int = 0, size: int = 256) -> dict:
    """A scene, its zones and its outlines on the `date`-th of DATES: ice above a line that rises with time."""
    height = relief(size)
    geobox = GeoBox((size, size), odc.geo.geom.Affine(10, 0, 512_000, 0, -10, 8_600_000), CRS)
    rough = np.random.default_rng(date + 1).standard_normal((size, size))
    ice = ndimage.binary_opening(height > 0.52 + 0.03 * date, iterations=2)
    ocean, debris = height < 0.22, ice & (height < 0.57 + 0.03 * date)
    unseen = np.zeros((size, size), bool)
    unseen[:40, -60:] = date == 1
    layer = lambda values: xr.DataArray(  # noqa: E731
        np.where(unseen, np.nan, values).astype("float32"), coords=odc.geo.xr.xr_coords(geobox), dims=("y", "x")
    )
    shade = 0.5 + 20 * np.gradient(height)[1] * size / 256 + 0.03 * rough
    spectrum = {
        "blue": (0.8, 0.05),
        "green": (0.78, 0.04),
        "red": (0.72, 0.03),
        "nir": (0.6, 0.01),
        "swir16": (0.03, 0.01),
    }
    scene = xr.Dataset(
        {
            b: layer(np.select([ocean, debris, ice], [water, 0.2 * shade, snow * shade + 0.3 * snow], 0.22 * shade))
            for b, (snow, water) in spectrum.items()
        }
        | {"clear": (("y", "x"), ~unseen), "elevation": layer(2400 * height)},
        attrs={"time": DATES[date], "sensor": "sentinel-2-l2a"},
    )
    names = ["rock", "glacier", "debris cover", "ocean"]
    hard = np.stack([~ice & ~ocean, ice & ~debris, debris, ocean]).astype("float32")
    soft = np.stack([ndimage.gaussian_filter(h, 1.5) for h in hard])
    zones = xr.concat([layer(p) for p in soft], pd.Index(names, name="zone")).assign_attrs(
        system="extent-demo", time=DATES[date], sensor="sentinel-2-l2a"
    )
    halves = np.where(np.arange(size) < size // 2, 1, 2)[None] * ice
    shapes = [
        (int(v), shapely.geometry.shape(s))
        for s, v in rasterio.features.shapes(halves.astype("int16"), ice, transform=geobox.affine)
    ]
    outlines = gpd.GeoDataFrame(
        [
            {
                "rgi_id": f"demo-{v}",
                "time": pd.Timestamp(DATES[date]),
                "system": "extent-demo",
                "geometry": shapely.unary_union([s for u, s in shapes if u == v]),
            }
            for v in (1, 2)
        ],
        crs=CRS,
    )
    return {"scene": scene, "zones": zones, "outlines": outlines.assign(area_m2=outlines.area)}


def elsewhere() -> xr.Dataset:
    """The landscape's scene as if it lay in the next UTM zone."""
    return landscape()["scene"].drop_vars("spatial_ref").odc.assign_crs("EPSG:32634")


def change_table() -> pd.DataFrame:
    """Two glaciers and their region as change.area tells them, with an interval of 3 % of the area."""
    parts = [landscape(date)["outlines"] for date in range(3)]
    areas = pd.concat(parts, ignore_index=True)[["rgi_id", "time", "area_m2"]]
    region = areas.groupby("time", as_index=False)["area_m2"].sum().assign(rgi_id="region")
    rows = pd.concat([areas, region], ignore_index=True)
    first = rows.groupby("rgi_id")["area_m2"].transform("first")
    change = rows["area_m2"] - first
    return rows.assign(
        lower_m2=0.97 * rows["area_m2"], upper_m2=1.03 * rows["area_m2"], unseen_m2=0.0, change_m2=change,
        change_lower_m2=change - 0.04 * first, change_upper_m2=change + 0.04 * first,
        change_percent=100 * change / first,
    )  # fmt: skip


def front_lines(dates: int = 6) -> tuple[gpd.GeoDataFrame, pd.DataFrame, gpd.GeoDataFrame]:
    """Fronts across a fjord that retreat 100 m a month with two months missing a line, their positions, their box."""
    times = pd.date_range("2020-01-15", periods=dates, freq="30D")
    west, south = 512_000, 8_597_800
    lines = [
        shapely.LineString([(west + 300, south + 100 * i), (west + 900, south + 100 * i + 40)]) for i in range(dates)
    ]
    fronts = gpd.GeoDataFrame({"rgi_id": "demo-1", "time": times, "system": "truth"}, geometry=lines, crs=CRS)
    positions = pd.DataFrame(
        {
            "rgi_id": "demo-1",
            "time": times,
            "position_m": -100.0 * np.arange(dates),
            "method": "box",
            "uncertainty_m": 14.0,
        }
    )
    box = gpd.GeoDataFrame(
        {"rgi_id": ["demo-1"]}, geometry=[shapely.box(west + 350, south - 100, west + 850, south + 900)], crs=CRS
    )
    return fronts, positions, box


def scenes_table() -> pd.DataFrame:
    """Six scenes of a season, two of them dropped with the reason."""
    return pd.DataFrame(
        {
            "item": [f"S2A_{i}" for i in range(6)],
            "time": pd.date_range("2017-07-05", periods=6, freq="10D"),
            "clear_fraction": [0.9, 0.2, 0.7, 0.8, 0.95, 0.6],
            "snow_fraction": [0.5, np.nan, 0.4, 0.7, 0.3, 0.35],
            "kept": [True, False, True, False, True, True],
            "reason": ["", "cloud over 80 % of the region", "", "fresh snow", "", ""],
        }
    )


def items() -> list[pystac.Item]:
    """Three scenes of a place in Svalbard, each a little further east."""
    boxes = [shapely.box(15 + 0.2 * n, 77, 17 + 0.2 * n, 77.6) for n in range(3)]
    return [
        pystac.Item(
            f"S2A_{n}", shapely.geometry.mapping(box), list(box.bounds), pd.Timestamp(DATES[n]).to_pydatetime(),
            {"eo:cloud_cover": 10.0 * n},
        )
        for n, box in enumerate(boxes)
    ]  # fmt: skip


NAMES = (
    "scene", "zones", "probability", "before_after", "area_change", "glaciers", "hypsometry", "distribution", "fronts",
    "migration", "footprints", "timeline",
)  # fmt: skip
"""The views."""


@functools.cache
def views() -> dict:
    """Each view of the module drawn from the landscape, with the table beside it: name to (view, table)."""
    one, two, three = (landscape(date) for date in range(3))
    fronts, positions, box = front_lines()
    change = change_table()
    outlines = pd.concat([date["outlines"] for date in (one, two, three)], ignore_index=True)
    bands = areas.by_elevation(outlines, one["scene"]["elevation"])
    return {
        "scene": (plots.scene(one["scene"], one["outlines"], fronts), one["outlines"]),
        "zones": (plots.zones(two["zones"], two["outlines"], base=two["scene"]), None),
        "probability": (plots.probability(two["zones"], outlines=two["outlines"]), None),
        "before_after": (
            plots.before_after(one["scene"], three["scene"], one["outlines"], three["outlines"]),
            plots.difference(one["outlines"], three["outlines"]),
        ),
        "area_change": (plots.area_change(change), change),
        "glaciers": (plots.glaciers(outlines, change, one["scene"]), change),
        "hypsometry": (plots.hypsometry(bands), bands),
        "distribution": (plots.distribution(change), change),
        "fronts": (plots.fronts(fronts, one["scene"], positions, box), positions),
        "migration": (plots.migration(positions), positions),
        "footprints": (plots.footprints(items(), shapely.box(15.5, 77.1, 16.5, 77.4)), None),
        "timeline": (plots.timeline(scenes_table()), scenes_table()),
    }


@functools.cache
def drawn() -> dict:
    """The views, the tables beside them and their bokeh models: name to (view, table, model)."""
    return {name: (view, table, hv.render(view)) for name, (view, table) in views().items()}


def figures(model) -> list[figure]:
    """Every figure of a bokeh `model`, in reading order."""
    return plotted(model)


PLAIN = {"Glacier", "Front", "System", "Date", "Loss", "1 − IoU", "Probability", "Standard deviation of probability"}
"""Labels of what has no unit; all others tell theirs."""


def unnamed(model) -> list[str]:
    """Axes and colour bars of a bokeh `model` that a reader sees and that tell nothing, or no unit."""
    labels = []
    for part in figures(model):
        axes = [axis for axis in part.axis if axis.visible]
        labels += [(f"{type(axis).__name__} of {part.title.text!r}", axis.axis_label) for axis in axes]
        labels += [(f"colour bar of {part.title.text!r}", bar.title) for bar in part.select({"type": ColorBar})]
    return [
        f"{where}: {text!r}" for where, text in labels if text not in PLAIN and not re.search(r"%|\(.+\)", text or "")
    ]


def key(part: figure) -> set[str]:
    """What the key of a figure names."""
    return {item.label.value for legend in part.select({"type": Legend}) for item in legend.items}


def shown(page: pathlib.Path) -> list:
    """The bokeh models of a page, or of a notebook that was run, as a browser would read them."""
    found = re.findall(r"<script type=application/json class=(item|docs)>(.*?)</script>", page.read_text(), re.S)
    read = [(kind, json.loads(text)) for kind, text in found]
    docs = [doc for kind, one in read for doc in ([one["doc"]] if kind == "item" else one["docs"].values())]
    return [root for doc in docs for root in Document.from_json(doc).roots]


def notebook_output(view) -> nbformat.NotebookNode:
    """What `view` leaves in a notebook that shows it."""
    document = Document()
    root = panel.pane.HoloViews(view).get_root(document)
    document.add_root(root)
    data, metadata = panel.io.notebook.render_model(root)
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)
