"""A time lapse holds every date in order, with its own lines on it, and no player refuses it."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scenery import elsewhere, front_lines, landscape

from glacier_nb import lapse, maps


def scenes() -> list:
    """The landscape at all dates, the latest first."""
    return [landscape(date)["scene"] for date in (2, 0, 1)]


def near(picture: Image.Image, colour: str) -> int:
    """Pixels of `colour`, as near as a palette comes to it."""
    rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return int((np.abs(np.asarray(picture.convert("RGB")).astype(int) - rgb) <= 12).all(axis=-1).sum())


def test_a_gif_shows_the_dates_in_order_with_their_outlines(tmp_path):
    outlines = pd.concat([landscape(date)["outlines"] for date in range(3)])
    path = lapse.lapse(scenes(), tmp_path / "ice.gif", outlines, width=400, seconds=0.5)
    with Image.open(path) as film:
        assert film.n_frames == 3 and film.size == (400, 400)
        stays, pictures = [], []
        for number in range(3):
            film.seek(number)
            stays.append(film.info["duration"])
            pictures.append(np.asarray(film.convert("RGB")).astype(int))
            assert near(film, maps.EARLIER) > 1000
    assert stays == [500, 500, 1500]
    ice = [picture[60:].mean() for picture in pictures]
    assert ice[0] > ice[1] > ice[2]  # it retreats
    assert path.stat().st_size < 2e6 and [p.name for p in tmp_path.iterdir()] == ["ice.gif"]


def test_past_fronts_stay_in_grey(tmp_path):
    fronts = front_lines(3)[0].assign(time=pd.to_datetime(["2017-08-20", "2021-09-10", "2025-08-01"]))
    path = lapse.lapse(scenes(), tmp_path / "fronts.gif", fronts=fronts, width=400)
    now, past = [], []
    with Image.open(path) as film:
        for number in range(3):
            film.seek(number)
            now.append(near(film, maps.LOSS))
            past.append(near(film.crop((40, 280, 160, 360)), lapse.PAST))  # where they lie, on dark rock
    assert min(now) > 100 and max(now) < 1.5 * min(now)  # one front in each frame
    assert past[0] == 0 < past[1] < past[2]


def test_an_mp4_plays_for_as_long_as_its_scenes_stay(tmp_path):
    try:
        lapse._ffmpeg()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    path = lapse.lapse(scenes(), tmp_path / "ice.mp4", width=301, seconds=0.5)
    command = [lapse._ffmpeg(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert re.search(rb"Video: h264.*yuv420p.* 300x300.* 10 fps", done.stderr), done.stderr
    frames = np.frombuffer(done.stdout, "uint8").reshape(-1, 300, 300)
    assert len(frames) == (0.5 + 0.5 + 1.5) * lapse.RATE
    ice = frames[:, 50:].mean(axis=(1, 2))
    assert ice[2] > ice[7] > ice[-1] and np.ptp(ice[10:]) < 1  # it retreats, and the last scene stays


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"path": "a.avi"}, "gif or .mp4"),
        ({"scenes": scenes()[:1]}, "two dates"),
        ({"scenes": [landscape()["scene"], elsewhere()]}, "GeoBox"),
    ],
    ids=["suffix", "one", "grids"],
)
def test_bad_input_is_one_line(change, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=says) as caught:
        lapse.lapse(**{"scenes": scenes(), "path": "a.gif"} | change)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_without_ffmpeg_that_is_said_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match=r"glacier_nb\[video\]"):
        lapse.lapse(scenes(), tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())
