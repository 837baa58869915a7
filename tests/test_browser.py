"""Pages opened in a real browser: drawn, silent on the console, asking nobody, answering the mouse."""

import numpy as np
import pandas as pd
import pytest
import scenery
from mouse import DRAWN, FIGURE, PLACE, told
from nbformat import v4
from PIL import Image

from glacier_nb import article, pages, plots

pytestmark = pytest.mark.browser

DATE = "2017-08-29"

PICKED = f"""
(want) => {{
  // The values of want.column that are picked in each glyph that has it.
  {FIGURE}
  const parts = figures.flatMap((view) => view.model.renderers.filter(holds)).map((part) => part.data_source)
  return [...new Set(parts)].map((source) => source.selected.indices.map((i) => source.data[want.column][i]))
}}
"""

BRUSH = """
() => {
  // The tool that brushes along an axis is the one that a drag now uses.
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  for (const view of [...Bokeh.index].flatMap(all).filter((view) => view.model.type == "Figure")) {
    const brush = view.model.toolbar.tools.find((tool) => tool.type == "BoxSelectTool")
    if (brush) brush.active = true
  }
}
"""

ROOM = """
() => {
  // For each key: how far its lower edge lies above that of its figure.
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  const figures = [...Bokeh.index].flatMap(all).filter((view) => view.model.type == "Figure")
  return figures.flatMap((view) => [...view.renderer_views.values()]
    .filter((part) => part.model.type == "Legend").map((part) => view.bbox.height - part.bbox.bottom))
}
"""


FRAMES = """
() => {
  // Of each figure its place in the window and the units a pixel of both axes.
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  return [...Bokeh.index].flatMap(all).filter((view) => view.model.type == "Figure").map((view) => {
    const place = view.el.getBoundingClientRect(), box = view.frame.bbox
    const long = (range) => Math.abs(range.end - range.start)
    return {left: place.left, top: place.top, map: view.model.center.some((one) => one.type == "ScaleBar"),
      across: long(view.model.x_range) / box.width, down: long(view.model.y_range) / box.height, pixels: box.height}
  })
}
"""

NAMELESS = """
() => {
  // What Tab can reach inside the figures and what has no role or no name there.
  const inside = (node) => [...node.querySelectorAll("*")].flatMap(
    (e) => [e, ...(e.shadowRoot ? inside(e.shadowRoot) : [])]
  )
  const reached = inside(document).filter((e) => e.tabIndex >= 0 && e.closest("main") == null && !e.disabled)
  const known = (e) => (e.tagName == "SELECT" || e.getAttribute("role")) && e.getAttribute("aria-label")
  const bare = reached.filter((e) => !known(e))
  return [reached.length, bare.map((e) => e.outerHTML.slice(0, 200))]
}
"""


def reached(tab, label: str):
    """The list called `label`, which Tab, pressed as often as it takes, has given the focus."""
    found = tab.get_by_label(label, exact=True)
    for _ in range(40):
        tab.keyboard.press("Tab")
        if found.evaluate("(list) => list == document.activeElement"):
            return found
    raise AssertionError(f"Tab does not reach {label}")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each view as its own page: name to path."""
    folder = tmp_path_factory.mktemp("pages")
    return {
        name: plots.save(view, folder / f"{name}.html", name, table) for name, (view, table) in scenery.views().items()
    }


NAMES = tuple(scenery.NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_view_is_drawn_in_silence(name, files, opened):
    colours = opened(files[name]).evaluate(DRAWN)
    assert colours and max(colours) > 5, f"{name}: nothing but paper on {len(colours)} canvases"


def inside(outlines, name: str) -> tuple[float, float]:
    """A point inside the outline of glacier `name`."""
    point = outlines.set_index("rgi_id").geometry[name].representative_point()
    return point.x, point.y


def lost():
    """What the landscape's glaciers lost between the first date and the last."""
    return plots.difference(scenery.landscape(0)["outlines"], scenery.landscape(2)["outlines"])


def day(text: str) -> float:
    """Bokeh's number of a date: ms since 1970."""
    return pd.Timestamp(text).timestamp() * 1000


@pytest.mark.parametrize(
    ("name", "column", "point", "says"),
    [
        ("scene", "rgi_id", lambda: inside(scenery.landscape(0)["outlines"], "demo-1"), ("demo-1", "1.640 km²", DATE)),
        ("zones", "percent", lambda: (512_500, 8_599_900), ("glacier", "100 %")),
        ("probability", "image", lambda: (513_000, 8_597_600), ("0.00",)),
        ("before_after", "kind", lambda: inside(lost(), "demo-1"), ("demo-1", "loss", "0.307 km²")),
        ("area_change", "change_km2", lambda: (-10, "demo-2"), ("demo-2", "-31.3 %", "km²", "-35.3 to -27.3 %")),
        ("area_change", "relative", lambda: (day(DATE), 100), ("2.570 km²", "97.0 to 103.0 %")),
        ("fronts", "front", lambda: scenery.front_lines()[0].geometry[3].coords[0], ("demo-1", "2020-04-14")),
        ("fronts", "position_m", lambda: (day("2020-04-14"), -300), ("demo-1", "-300 m ± 14 m")),
        ("footprints", "cloud", lambda: (15.1, 77.3), ("S2A_0", "2017-08-29", "0 %")),
        ("timeline", "verdict", lambda: (day("2017-07-15"), 20), ("S2A_1", "20 %", "cloud over 80 %")),
    ],
)
def test_a_hover_tells_a_value(name, column, point, says, files, opened):
    tab = opened(files[name])
    heard = told(tab, column, *point())
    assert all(part in heard for part in says), f"{name}: the mouse was told {heard!r}"


def test_a_pick_on_the_map_is_a_pick_in_the_series(files, opened):
    tab = opened(files["fronts"])
    x, y = scenery.front_lines()[0].geometry[3].coords[1]
    tab.mouse.click(*tab.evaluate(PLACE, {"column": "front", "x": x, "y": y}))
    assert tab.evaluate(PICKED, {"column": "front"}) == [["demo-1 2020-04-14"]] * 3  # casing, line and point


def test_a_pick_in_the_series_is_a_pick_on_the_map(files, opened):
    tab = opened(files["fronts"])
    tab.mouse.click(*tab.evaluate(PLACE, {"column": "position_m", "x": day("2020-02-14"), "y": -100}))
    assert tab.evaluate(PICKED, {"column": "front"}) == [["demo-1 2020-02-14"]] * 3


def test_a_bar_picks_its_glacier_at_every_date(files, opened):
    tab = opened(files["area_change"])
    tab.mouse.click(*tab.evaluate(PLACE, {"column": "change_km2", "x": -5, "y": "demo-2"}))
    picked = tab.evaluate(PICKED, {"column": "rgi_id"})
    assert picked == [["demo-2"], ["demo-2"] * 3]


def test_a_glacier_picked_on_the_map_keeps_its_series_and_its_outlines(files, opened):
    tab = opened(files["glaciers"])
    x, y = inside(scenery.landscape(2)["outlines"], "demo-1")
    tab.mouse.click(*tab.evaluate(PLACE, {"column": "rate_percent_a", "x": x, "y": y}))
    glaciers, series = tab.evaluate(PICKED, {"column": "rgi_id"})[0], tab.evaluate(PICKED, {"column": "relative"})[-1]
    assert glaciers == ["demo-1"] and len(series) == 3
    assert sorted(tab.evaluate(PICKED, {"column": "outline"})[0]) == [f"demo-1 {date}" for date in scenery.DATES]


def test_years_brushed_in_the_series_leave_their_outlines(files, opened):
    tab = opened(files["glaciers"])
    tab.evaluate(BRUSH)
    for date, step in (("2019-06-01", 0), ("2022-06-01", 5)):
        tab.mouse.move(*tab.evaluate(PLACE, {"column": "relative", "x": day(date), "y": 90}), steps=step or 1)
        tab.mouse.up() if step else tab.mouse.down()
    assert tab.evaluate(PICKED, {"column": "outline"})[0] == ["demo-1 2021-09-02", "demo-2 2021-09-02"]
    assert ["demo-1", "demo-2"] in tab.evaluate(PICKED, {"column": "rgi_id"})  # and both glaciers on the map


def test_glaciers_and_years_are_picked_by_keys_alone(files, opened):
    """Lists below the figure do what a click on a map and a brush over years do, and follow both."""
    tab = opened(files["glaciers"])
    outlines = lambda: sorted(tab.evaluate(PICKED, {"column": "outline"})[0])  # noqa: E731
    glacier = reached(tab, "Glacier")
    for _ in range(2):  # all, region, demo-1
        tab.keyboard.press("ArrowDown")
    assert glacier.input_value() == "demo-1"
    assert tab.evaluate(PICKED, {"column": "rgi_id"})[0] == ["demo-1"]
    assert outlines() == [f"demo-1 {date}" for date in scenery.DATES]
    reached(tab, "from")
    tab.keyboard.press("ArrowDown")
    assert outlines() == [f"demo-1 {date}" for date in scenery.DATES[1:]]
    glacier.press("Home")
    assert outlines() == [f"demo-{one} {date}" for one in (1, 2) for date in scenery.DATES[1:]]
    tab.get_by_label("from", exact=True).press("Home")
    assert not outlines()  # all glaciers, all dates: nothing is picked out
    x, y = inside(scenery.landscape(2)["outlines"], "demo-2")
    tab.mouse.click(*tab.evaluate(PLACE, {"column": "rate_percent_a", "x": x, "y": y}))
    told = [tab.get_by_label(label, exact=True).input_value() for label in ("Glacier", "from", "to")]
    assert told == ["demo-2", scenery.DATES[0], scenery.DATES[-1]]


@pytest.mark.parametrize("name", ["glaciers", "scene"])
def test_all_that_tab_reaches_in_a_figure_has_a_role_and_a_name(name, files, opened):
    tab = opened(files[name])
    reached, bare = tab.evaluate(NAMELESS)
    assert reached >= 5 and not bare
    if name == "glaciers":
        tool = tab.get_by_role("button", name="Wheel Zoom")
        before = tool.get_attribute("aria-pressed")
        tool.press("Enter")
        tab.wait_for_timeout(100)
        assert {before, tool.get_attribute("aria-pressed")} == {"true", "false"}


def test_maps_pan_together(files, opened):
    tab = opened(files["before_after"])
    ranges = (
        "() => [...Bokeh.index].flatMap(function all(v) { return [v, ...[...(v.child_views ?? [])].flatMap(all)] })"
    )
    ranges += ".filter((v) => v.model.type == 'Figure').map((v) => [v.model.x_range.start, v.model.y_range.end])"
    before = tab.evaluate(ranges)
    x, y = tab.evaluate(PLACE, {"column": "kind", "x": 513_000, "y": 8_598_000})
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x - 80, y + 40, steps=4)
    tab.mouse.up()
    one, two = tab.evaluate(ranges)
    assert one == two
    assert (
        one[0] > before[0][0] and one[1] > before[0][1]
    )  # drawn to the west and to the south, one sees east and north


CUT = "() => [...document.querySelectorAll('.plot')].map((plot) => plot.scrollWidth - plot.clientWidth)"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_on_a_laptop(name, files, opened):
    tab = opened(files[name], {"width": 1200, "height": 900})
    assert max(tab.evaluate(CUT)) <= 0


@pytest.mark.parametrize("name", ["before_after", "fronts", "timeline"])
def test_a_narrow_window_stacks_maps_and_narrows_charts(name, files, opened):
    tab = opened(files[name], {"width": 700, "height": 900})
    tab.wait_for_function(f"() => Math.max(...({CUT})()) <= 0", timeout=5000)
    frames = tab.evaluate(FRAMES)
    assert [frame["left"] for frame in frames] == [frames[0]["left"]] * len(frames)  # one below the other
    assert [frame["top"] for frame in frames] == sorted(frame["top"] for frame in frames)
    for frame in frames:  # a map's scales stay equal: metres a pixel, to the pixel that a side is rounded to
        if frame["map"]:
            assert frame["across"] == pytest.approx(frame["down"], rel=1 / frame["pixels"])


def test_a_title_of_three_lines_leaves_the_map_its_key(opened, tmp_path):
    """Frames are lined up by their upper edges: what a taller title pushes down must not be cut below."""
    fronts, positions, box = scenery.front_lines()
    two = pd.concat([positions.assign(width_m=500.0), positions.assign(method="centreline", width_m=np.nan)])
    view = plots.fronts(fronts, scenery.landscape(0)["scene"], two, box)
    tab = opened(plots.save(view, tmp_path / "two.html", "Two methods"))
    room = tab.evaluate(ROOM)
    assert len(room) == 2 and min(room) >= 0, room


def test_keys_pan_and_zoom_a_figure(files, opened):
    tab = opened(files["scene"])
    ranges = (
        "() => [...Bokeh.index].flatMap(function all(v) { return [v, ...[...(v.child_views ?? [])].flatMap(all)] })"
    )
    ranges += ".filter((v) => v.model.type == 'Figure').map((v) => [v.model.x_range.start, v.model.x_range.end])[0]"
    start, end = tab.evaluate(ranges)
    for _ in range(20):  # by Tab from the top of the page
        tab.keyboard.press("Tab")
        tab.keyboard.press("ArrowRight")
        if tab.evaluate(ranges) != [start, end]:
            break
    assert tab.evaluate(ranges) == pytest.approx([start + 0.1 * (end - start), end + 0.1 * (end - start)])
    tab.keyboard.press("+")
    west, east = tab.evaluate(ranges)
    assert east - west == pytest.approx(0.8 * (end - start))
    tab.keyboard.press("0")
    assert tab.evaluate(ranges) == pytest.approx([start, end])


def test_a_picture_shows_the_page(browser, files, tmp_path):
    path = pages.picture(files["before_after"], tmp_path / "before_after.png", (900, 600))
    picture = np.asarray(Image.open(path).convert("RGB"))
    assert picture.shape == (600, 900, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500  # imagery, not an empty frame
    assert [p.name for p in tmp_path.iterdir()] == ["before_after.png"]


def test_a_trimmed_picture_ends_where_its_figure_does(browser, files, tmp_path):
    whole, cut = (
        np.asarray(Image.open(pages.picture(files["scene"], tmp_path / f"{trim}.png", trim=trim)).convert("RGB"))
        for trim in (False, True)
    )
    tall, wide = cut.shape[:2]
    assert tall < whole.shape[0] and wide < whole.shape[1]
    assert (whole[:tall, :wide] == cut).all() and (whole[tall:] == 255).all() and (whole[:, wide:] == 255).all()


def test_an_index_is_read_without_a_script(opened, tmp_path):
    entries = [plots.Entry("A notebook", "a.html", "What changed?", numbers={"Change": "−9 %"}, group="Notebooks")]
    tab = opened(plots.index(entries, tmp_path / "index.html", "Demo"))
    assert tab.get_by_role("link", name="A notebook").get_attribute("href") == "a.html"
    assert tab.get_by_role("heading", name="Demo").is_visible()


def test_a_table_is_found_by_its_role(files, opened):
    tab = opened(files["area_change"])
    assert tab.get_by_role("columnheader", name="Area (km²)").is_visible()
    assert tab.get_by_role("group", name="Change of area, 2017-08-29 to 2025-08-24").is_visible()


def test_a_run_notebook_shows_its_figure(opened, tmp_path):
    view, _, _ = scenery.drawn()["area_change"]
    code = v4.new_code_cell("view", outputs=[scenery.notebook_output(view)])
    cells = [v4.new_markdown_cell("# What changed?"), code]
    tab = opened(article.write(v4.new_notebook(cells=cells), tmp_path / "notebook.html"))
    assert max(tab.evaluate(DRAWN)) > 5
    assert "demo-2" in told(tab, "change_km2", -10, "demo-2")


FOCUS = """
() => {
  // Role, name and value of what has the focus, through shadow roots, and the values of all controls.
  let here = document.activeElement
  while (here?.shadowRoot?.activeElement) here = here.shadowRoot.activeElement
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  const controls = [...Bokeh.index].flatMap(all).filter((view) => /Slider$|Select$/.test(view.model.type))
  return {role: here.getAttribute("role") ?? here.tagName, name: here.getAttribute("aria-label") ?? "",
    values: controls.map((view) => view.model.value)}
}
"""


def test_tab_reaches_every_figure_and_control_by_name_and_arrow_keys_turn_them(opened, tmp_path):
    one, two = scenery.landscape(0), scenery.landscape(2)
    dated = pd.concat([one["outlines"], two["outlines"]], ignore_index=True)
    stricter = [part["outlines"].assign(threshold=level) for part, level in ((one, 0.4), (two, 0.5))]
    mapped = [one["outlines"], one["outlines"].assign(system="ndsi")]
    views = [
        plots.swipe(one["scene"], two["scene"], one["outlines"], two["outlines"]),
        plots.turned(dated, two["scene"]),
        plots.turned(pd.concat(stricter, ignore_index=True), two["scene"], by="threshold"),
        plots.turned(pd.concat(mapped, ignore_index=True), two["scene"], by="system"),
    ]
    tab = opened(plots.page("Keys", [plots.Section(view) for view in views], tmp_path / "keys.html"))
    reached, turned = [], {}
    for _ in range(9):
        tab.keyboard.press("Tab")
        before = tab.evaluate(FOCUS)
        reached.append((before["role"], before["name"].split(":")[0]))
        tab.keyboard.press("ArrowLeft" if before["role"] == "slider" else "ArrowUp")
        tab.wait_for_timeout(50)
        after = tab.evaluate(FOCUS)["values"]
        if after != before["values"]:
            turned[reached[-1]] = after
    swipe = "Swipe between 2017-08-29 (left) and 2025-08-24 (right)"
    controls = [("slider", swipe), ("slider", "Date"), ("slider", "Threshold"), ("SELECT", "System")]
    assert [one for one in reached if one[0] != "application"] == controls
    assert [role for role, _ in reached].count("application") == 5  # two of the swipe
    assert ("application", "2017-08-29") in reached  # by then turned: the title that it now has
    assert list(turned) == controls and turned[controls[-1]] == [49, "2017-08-29", "0.4", "extent-demo"]
