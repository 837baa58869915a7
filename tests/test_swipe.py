"""The swipe in an exported page: what lies left and right of the handle, and all the ways to move it."""

import io

import numpy as np
import pytest
from PIL import Image
from scenery import elsewhere, landscape

from glacier_nb import pages, plots

pytestmark = pytest.mark.browser

FRAME = """
() => {
  const all = (view) => [view, ...[...(view.child_views ?? [])].flatMap(all)]
  const views = [...Bokeh.index].flatMap(all)
  const maps = views.filter((view) => view.model.type == "Figure")
  const at = maps[1].el.getBoundingClientRect(), box = maps[1].frame.bbox
  const slider = views.find((view) => view.model.type == "Slider").model.value
  const ranges = maps.map((view) => [view.model.x_range.start, view.model.y_range.end])
  const cut = parseFloat(maps[1].el.style.clipPath.split(" ").pop()) - box.left
  return {x: at.x + box.left, y: at.y + box.top, width: box.width, height: box.height, slider, ranges, cut}
}
"""


@pytest.fixture(scope="module")
def pair():
    """A white scene and a black one, so that a picture tells which of them is seen."""
    one = landscape()["scene"][["red", "green", "blue"]]
    outlines = landscape()["outlines"]
    return one * 0 + 1, one * 0, outlines.iloc[:1], outlines.iloc[1:]


@pytest.fixture(scope="module")
def page(pair, tmp_path_factory):
    """The swipe as an exported page."""
    view = plots.swipe(*pair, stretch=(0.0, 1.0), width=500)
    return plots.save(view, tmp_path_factory.mktemp("swipe") / "swipe.html", "Swipe")


def white(tab) -> float:
    """Share of one row of the map that shows the earlier, white scene."""
    box = tab.evaluate(FRAME)
    picture = Image.open(io.BytesIO(tab.screenshot())).convert("L")
    row = np.asarray(picture)[int(box["y"] + 0.8 * box["height"]), int(box["x"]) : int(box["x"] + box["width"])]
    return float((row > 128).mean())


def test_the_handle_parts_two_scenes(page, opened):
    tab = opened(page)
    box = tab.evaluate(FRAME)
    assert box["cut"] == pytest.approx(box["width"] / 2, abs=1)
    assert white(tab) == pytest.approx(0.5, abs=4 / box["width"])  # the handle's own width
    assert page.stat().st_size < pages.LARGEST / 4


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_mouse_moves_the_handle(share, page, opened):
    tab = opened(page)
    box = tab.evaluate(FRAME)
    y = box["y"] + box["height"] / 3
    tab.mouse.move(box["x"] + box["width"] / 2, y)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * share, y, steps=5)
    tab.mouse.up()
    tab.mouse.move(5, 5)
    after = tab.evaluate(FRAME)
    assert after["slider"] == pytest.approx(100 * share, abs=1)
    assert after["ranges"] == box["ranges"]  # the map below stays
    assert white(tab) == pytest.approx(share, abs=0.01 + 4 / box["width"])


def test_a_finger_moves_the_handle(page, opened):
    tab = opened(page)
    box, client = tab.evaluate(FRAME), tab.context.new_cdp_session(tab)
    client.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    points = [{"x": box["x"] + box["width"] * at, "y": box["y"] + box["height"] / 2} for at in (0.5, 0.4, 0.3)]
    for kind, touch in zip(("touchStart", "touchMove", "touchMove"), points, strict=True):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [touch]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert tab.evaluate(FRAME)["slider"] == pytest.approx(30, abs=1)


def test_arrow_keys_move_the_handle(page, opened):
    tab = opened(page)
    handle = tab.get_by_role("slider")
    assert handle.get_attribute("aria-label").startswith("Swipe between 2017-08-29 (left)")
    handle.focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    assert tab.evaluate(FRAME)["slider"] == 53
    assert "53 %" in handle.get_attribute("aria-valuetext")
    tab.keyboard.press("Home")
    assert white(tab) < 0.02
    tab.keyboard.press("End")
    assert white(tab) > 0.98


def test_both_scenes_pan_as_one_under_the_handle(page, opened):
    tab = opened(page)
    box = tab.evaluate(FRAME)
    for share in (0.2, 0.8):  # left of the handle and right of it
        x, y = box["x"] + share * box["width"], box["y"] + box["height"] / 4
        before = tab.evaluate(FRAME)["ranges"]
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x - 60, y + 30, steps=4)
        tab.mouse.up()
        one, two = tab.evaluate(FRAME)["ranges"]
        assert one == two and one[0] > before[0][0] and one[1] > before[0][1]


@pytest.mark.parametrize(
    ("change", "says"), [({"scene_b": None}, "GeoBox"), ({"start": 120}, "0 and 100")], ids=["crs", "start"]
)
def test_what_cannot_be_swiped_is_said(change, says, pair):
    arguments = {"scene_a": pair[0], "scene_b": pair[1]} | change
    if change.get("scene_b", ...) is None:
        arguments["scene_b"] = elsewhere()
    with pytest.raises(ValueError, match=says):
        plots.swipe(**arguments)
