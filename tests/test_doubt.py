"""What was not seen and what was lost are told apart, on the picture, in the key and under the mouse."""

import geopandas as gpd
import holoviews as hv
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bokeh.models import Legend
from scenery import CRS, figures, landscape

from glacier_nb import doubt, maps, plots


def labels(part) -> set[str]:
    """What the key of a figure names."""
    return {item.label.value for item in part.select_one(Legend).items}


def faulty() -> xr.Dataset:
    """The landscape's second scene: a corner unseen, half of it for a failed read, and one failure elsewhere."""
    scene = landscape(1)["scene"]
    lost = np.zeros((256, 256), "int16")
    lost[:20, -60:], lost[100:180, 20:120] = 2, 1
    x, y = scene["x"].values, scene["y"].values
    box = f"{x[20] - 5} {y[179] - 5} {x[119] + 5} {y[100] + 5}"
    row = {"item": "S2A_1", "asset": "B04", "window": f"{CRS} {box}", "attempts": 4, "seconds": 1.0, "error": "503"}
    return scene.assign(lost=(("y", "x"), lost)).assign_attrs(manifest={"lost": [row, row | {"asset": "B08"}]})


def test_lost_ground_is_striped_in_its_own_colour():
    scene = faulty()
    rgb = maps.tones(scene, ("red",), (0, 1))
    orange = (rgb == [int(maps.LOSS[k : k + 2], 16) for k in (1, 3, 5)]).all(axis=-1)
    lost, seen = scene["lost"].values > 0, scene["clear"].values
    assert not orange[~lost].any()
    assert 0.2 < orange[lost & ~seen].mean() < 0.3  # one stripe in four
    assert 0.06 < orange[lost & seen].mean() < 0.1  # one in twelve: the picture shows through
    unseen = rgb[~seen & ~lost]
    assert set(map(tuple, unseen)) == {(168,) * 3, (222,) * 3}


def test_the_key_names_only_what_there_is():
    scene = faulty()
    assert {"not seen", "read failed"} <= labels(figures(hv.render(plots.scene(scene, fronts=None)))[0])
    clear = landscape(0)["scene"]
    part = figures(hv.render(plots.scene(clear)))[0]
    assert part.select_one(Legend) is None
    assert "not seen" in labels(figures(hv.render(plots.zones(landscape(1)["zones"])))[0])


def test_lost_windows_lie_where_they_were_read():
    rows = doubt.windows(faulty())
    assert rows["asset"].tolist() == ["B04", "B08"] and str(rows.crs) == CRS
    assert rows.area.tolist() == pytest.approx([80 * 100 * 100] * 2)
    frame = pd.DataFrame(faulty().attrs["manifest"]["lost"])
    mended = pd.concat([frame, frame.assign(error="")])  # read in the end: nothing is lost there
    pd.testing.assert_frame_equal(pd.DataFrame(doubt.windows(mended)), pd.DataFrame(rows))
    assert doubt.windows(landscape(0)["scene"]).empty and isinstance(doubt.windows(frame[:0]), gpd.GeoDataFrame)


def test_a_lost_window_is_drawn_once_with_all_its_assets():
    part = figures(hv.render(plots.scene(faulty())))[0]
    told = [r.data_source.data for r in part.renderers if "error" in getattr(r.data_source, "data", {})]
    assert [list(data["asset"]) for data in told] == [["B04, B08"]]


def test_spread_is_a_layer_of_its_own():
    zones = landscape(1)["zones"]
    values = np.full(zones.shape, 0.25, "float32")
    values[zones["zone"].values.tolist().index("debris cover")] = 0.4
    made = zones.assign_coords(spread=(zones.dims, values))
    part = figures(hv.render(plots.spread(made.assign_attrs(members=8))))[0]
    images = [r.data_source.data["image"][0] for r in part.renderers if "image" in r.data_source.data]
    image = next(image for image in images if image.dtype.kind == "f")
    assert np.nanmax(image) == pytest.approx(0.4) and "8 members" in part.title.text
    with pytest.raises(LookupError, match="passes="):
        plots.spread(zones)
