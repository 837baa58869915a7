"""Pages from plots: one HTML file that needs no server and no network, with the numbers and how they came to be."""

import base64
import contextlib
import dataclasses
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from bokeh.resources import Resources

from glacier_nb import provenance

LARGEST = 8_000_000
"""Bytes a page may take: a larger one is hard to send to a colleague."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One card of an index."""

    title: str
    href: str
    """Address relative to the index."""
    text: str = ""
    """The question it answers."""
    picture: str | os.PathLike | None = None
    """A PNG that the card holds."""
    numbers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Key numbers: label to text with unit."""
    group: str = ""
    """Heading it stands under."""


def library(parts: Sequence[str] = ("bokeh",)) -> str:
    """BokehJS as script elements, without the addresses at which it could reach for more."""
    texts = Resources(mode="inline", components=list(parts), log_level="warn").js_raw
    return "".join(f"<script>{re.sub(OUTSIDE, 'about:blank', text)}</script>\n" for text in texts)


def provenance_line(manifest: Mapping) -> str:
    """The facts of `manifest` that fit on a line, and all of it to unfold; paths of this machine by their last name."""
    manifest = provenance.short(dict(manifest))
    facts = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in manifest.items()
        if isinstance(value, str | int | float) and value != ""
    ]
    full = html.escape(json.dumps(manifest, indent=1, default=str))
    line = html.escape(" · ".join(fact for fact in facts if len(fact) < 80))
    return f"<details><summary>How this was made: {line}</summary><pre>{full}</pre></details>"


def laid(title: str, body: str, scripts: str = "", text: str = "") -> str:
    """The HTML of a page with `title`, the paragraph `text` and `body`."""
    lede = f"<p class=lede>{html.escape(text)}</p>" if text else ""
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<meta name=viewport content='width=device-width, initial-scale=1'><style>{STYLE}</style></head>"
        f"<body><main><header><h1>{html.escape(title)}</h1>{lede}</header>\n{body}</main>\n{scripts}</body></html>\n"
    )


def whole(title: str, body: str, path: str | os.PathLike, scripts: str = "", text: str = "") -> pathlib.Path:
    """Write the page that is `laid` from these; ValueError above LARGEST bytes."""
    page = laid(title, body, scripts, text)
    size = len(page.encode())
    if size > LARGEST:
        raise ValueError(
            f"{path}: the page takes {size / 1e6:.1f} MB, over {LARGEST / 1e6:.0f}: show fewer figures or dates"
        )
    with provenance.whole(path) as temporary:
        temporary.write_text(page)
    return pathlib.Path(path)


def card(entry: Entry) -> str:
    """The HTML of one card."""
    shown = ""
    if entry.picture and pathlib.Path(entry.picture).exists():
        data = base64.b64encode(pathlib.Path(entry.picture).read_bytes()).decode()
        shown = f"<img alt='' role=presentation src='data:image/png;base64,{data}'>"  # the card's words say what it is
    numbers = "".join(f"<div><dt>{html.escape(k)}<dd>{html.escape(v)}</div>" for k, v in entry.numbers.items())
    return (
        f'<a class=card href="{html.escape(entry.href, quote=True)}">{shown}<div><h3>{html.escape(entry.title)}</h3>'
        f"<p>{html.escape(entry.text)}</p>{f'<dl>{numbers}</dl>' if numbers else ''}</div></a>"
    )


def index(
    entries: Sequence[Entry],
    path: str | os.PathLike,
    title: str = "glacier_nb",
    text: str = "",
    numbers: Mapping[str, str] | None = None,
    manifest: Mapping | None = None,
) -> pathlib.Path:
    """Write a page of cards, one for each of `entries` under its group's heading, below the key `numbers`."""
    tiles = "".join(f"<div><dt>{html.escape(k)}<dd>{html.escape(v)}</div>" for k, v in (numbers or {}).items())
    body = f"<dl class=tiles>{tiles}</dl>" if tiles else ""
    for group in dict.fromkeys(entry.group for entry in entries):
        cards = "".join(card(entry) for entry in entries if entry.group == group)
        body += f"<h2>{html.escape(group)}</h2><div class=cards>{cards}</div>\n"
    body += provenance_line(manifest) if manifest else ""
    return whole(title, body, path, text=text)


def chromium() -> str | None:
    """Path of a Chromium or Chrome that can take pictures of pages, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def picture(
    page: str | os.PathLike, path: str | os.PathLike, size: tuple[int, int] = (1280, 800), trim: bool = False
) -> pathlib.Path:
    """Write what a browser shows of the HTML file `page` as a PNG of `size` pixels to `path`, and return the path.

    A page of ours is shown from its first figure on, without its title; `trim` cuts off blank paper beside and below.

    Raises FileNotFoundError where there is no Chromium, RuntimeError where it shows nothing within a minute.
    """
    browser = chromium()
    if browser is None:
        raise FileNotFoundError("no chromium to take a picture with: install it (Debian: apt install chromium)")
    with provenance.whole(path) as temporary, tempfile.TemporaryDirectory() as profile:
        command = [browser, *BROWSER, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        command += [f"--screenshot={temporary}", pathlib.Path(page).resolve().as_uri() + "#bare"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        if not temporary.exists():
            raise RuntimeError(f"{browser} drew nothing of {page} in a minute: open it by hand to see why")
        if trim:
            _trimmed(temporary)
    return pathlib.Path(path)


def _trimmed(path: pathlib.Path) -> None:
    """Cut off what is blank at the right of a PNG and at its foot, but for a margin as wide as a page's own."""
    from PIL import Image, ImageChops  # only where pictures are taken

    image = Image.open(path).convert("RGB")
    drawn = ImageChops.difference(image, Image.new("RGB", image.size, "#ffffff")).getbbox()
    if drawn:
        image.crop((0, 0, min(image.width, drawn[2] + 20), min(image.height, drawn[3] + 20))).save(path, "PNG")


OUTSIDE = r"https?://(?:cdn|maps|developers)[.][^ `\"'\\]+"
"""Addresses inside BokehJS (MathJax, icon fonts, Google maps) that a page must never ask."""

BROWSER = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=10000",
)  # fmt: skip

KEYS = f"<script>\n{pathlib.Path(__file__).with_name('page.js').read_text()}</script>\n"

LOADER = """<script>
document.body.classList.toggle("bare", location.hash === "#bare")
for (const item of document.querySelectorAll("script.item")) {
  Bokeh.embed.embed_item(JSON.parse(item.textContent)).then(ready)
}
</script>
"""

STYLE = pathlib.Path(__file__).with_name("page.css").read_text()
