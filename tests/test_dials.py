"""Outlines turned to in an exported page: one date, system or threshold at a time, by keys and from a list."""

import pandas as pd
import pytest
from scenery import landscape

from glacier_nb import figures, plots

SHOWN = """
() => {
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  const map = [...Bokeh.index].flatMap(all).find((view) => view.model.type == "Figure").model
  const lines = map.renderers.slice(-6)  // three dates, each a line in its casing
  return [map.title.text, lines.map((one) => one.visible)]
}
"""


@pytest.fixture(scope="module")
def outlines():
    """Three dates of the landscape's glaciers, by two systems."""
    found = pd.concat([landscape(date)["outlines"] for date in (0, 1, 2)], ignore_index=True)
    return pd.concat([found.assign(system=name) for name in ("ndsi", "extent-demo")], ignore_index=True)


def test_one_value_is_shown_at_first_and_its_area_told(outlines):
    column = figures.drawn(plots.turned(outlines[outlines["system"] == "ndsi"], landscape()["scene"]))
    control, figure = column.children
    days = sorted(outlines["time"].dt.strftime("%Y-%m-%d").unique())
    assert control.categories == days and control.value == days[-1]
    last = outlines[(outlines["time"] == outlines["time"].max()) & (outlines["system"] == "ndsi")]
    below = landscape()["scene"].attrs["time"]  # of another date than the outlines
    assert figure.title.text == f"{days[-1]}: {last['area_m2'].sum() / 1e6:.2f} km², on the scene of {below}"
    lines = figure.renderers[-6:]  # three dates, each a line in its casing
    assert [one.visible for one in lines] == [False] * 4 + [True] * 2
    for casing, line in zip(lines[::2], lines[1::2], strict=True):  # a page holds each outline once
        assert casing.data_source is line.data_source and casing.glyph.line_width > line.glyph.line_width


def test_what_cannot_be_turned_to_is_said(outlines):
    with pytest.raises(LookupError, match="no column 'sensor_'"):
        plots.turned(outlines, landscape()["scene"], "sensor_")
    with pytest.raises(ValueError, match="no outline"):
        plots.turned(outlines[:0], landscape()["scene"])


@pytest.mark.browser
def test_arrow_keys_turn_the_date(outlines, opened, tmp_path):
    view = plots.turned(outlines[outlines["system"] == "ndsi"], landscape()["scene"], start=0)
    tab = opened(plots.save(view, tmp_path / "turned.html", "Turned"))
    (first, shown), days = tab.evaluate(SHOWN), sorted(outlines["time"].dt.strftime("%Y-%m-%d").unique())
    assert first.startswith(days[0]) and shown == [True] * 2 + [False] * 4
    tab.locator(".noUi-handle").focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function(f"() => ({SHOWN})()[0].startsWith('{days[1]}')")
    assert tab.evaluate(SHOWN)[1] == [False] * 2 + [True] * 2 + [False] * 2


@pytest.mark.browser
def test_a_system_is_picked_from_a_list(outlines, opened, tmp_path):
    view = plots.turned(outlines[outlines["time"] == outlines["time"].min()], landscape()["scene"], "system")
    tab = opened(plots.save(view, tmp_path / "picked.html", "Picked"))
    assert tab.evaluate(SHOWN)[0].startswith("extent-demo")
    tab.locator("select").select_option("ndsi")
    tab.wait_for_function(f"() => ({SHOWN})()[0].startsWith('ndsi')")
