"""Figures for papers: any map or chart as SVG or PDF at a journal's width, its fonts embedded, by one call."""

import base64
import html
import io
import json
import os
import pathlib
import re
import subprocess
import tempfile

import holoviews as hv
from bokeh.embed import json_item
from bokeh.model import Model
from bokeh.models import Axis, ColorBar, Label, Legend, ScaleBar
from bokeh.plotting import figure as Figure
from PIL import Image, ImageFont

from glacier_nb import figures, pages, provenance

WIDTHS = {"one column": 85.0, "one and a half": 120.0, "two columns": 180.0}
"""Widths in mm on a journal's page; a journal that wants 83 or 86 mm is given that number."""

FONTS = ("LiberationSans-Regular.ttf", "Arial.ttf", "DejaVuSans.ttf")
"""Typefaces to embed, the first that this machine has; free and as wide as Arial, or Arial, or with every sign."""

DOT = 25.4 / 96
"""Millimetres of a CSS pixel."""

DRAW = """
const item = JSON.parse(document.querySelector("script.item").textContent)
await document.fonts.load("12px Figure")
await Bokeh.embed.embed_item(item)
for (const wait of Array(50)) await new Promise((done) => setTimeout(done, 20))
const [root] = [...Bokeh.index]
document.body.textContent = "glacier_nb:" + btoa(unescape(encodeURIComponent(
  root.export("svg", false).ctx.get_serialized_svg(true))))
"""
"""Draws a figure as SVG and leaves nothing but it on the page."""


def paper(
    view: hv.core.Dimensioned | Model,
    path: str | os.PathLike,
    width: float | str = "one column",
    alt: str = "",
    text: float = 7.0,
    titles: bool = False,
) -> pathlib.Path:
    """Write `view` (any figure of plots) to `path`, .svg or .pdf, `width` mm wide; returns the path.

    Shapes and text stay vectors, pictures are embedded, and so is the typeface. Maps keep scale bar, north and units.

    Args: `width` in mm, or a name in WIDTHS; `text` in points; `alt` is what a reader who cannot see it should know
    (default: the figures' titles), the title in the file's metadata beside what `contents` says; `titles` keeps the
    titles, which a caption mostly replaces.
    Raises ValueError for another suffix or a width outside 40 to 400 mm, TypeError for what is no figure,
    FileNotFoundError without a Chromium, which draws it, RuntimeError where that drew nothing within a minute,
    OSError without a typeface to embed.
    """
    path, width = pathlib.Path(path), WIDTHS.get(width, width)
    if path.suffix.lower() not in (".svg", ".pdf"):
        raise ValueError(f"{path.name}: a figure for a paper is .svg or .pdf; for a page use plots.save")
    if not isinstance(width, int | float) or not 40 <= width <= 400:
        raise ValueError(f"width={width!r}: millimetres from 40 to 400, or one of {', '.join(WIDTHS)}")
    if pages.chromium() is None:
        raise FileNotFoundError("no chromium to draw the figure with: install it (Debian: apt install chromium)")
    model = figures.drawn(view)
    alt, more = alt or "; ".join(figures.titles(model)) or path.stem, contents(model)
    model = fitted(model, width / DOT, text, titles)
    face, parts = _face(), figures.parts([model])
    item = json.dumps(json_item(model, "here")).replace("</", "<\\/")
    body = (
        f"<!doctype html><meta charset=utf-8><style>{face} body {{margin: 0; font-family: Figure}}</style>"
        f"<body><div id=here></div><script type=application/json class=item>{item}</script>"
        f"{pages.library(parts)}<script type=module>{DRAW}</script>"
    )
    with tempfile.TemporaryDirectory() as folder, provenance.whole(path) as temporary:
        page = pathlib.Path(folder) / "figure.html"
        page.write_text(body)
        found = re.search("glacier_nb:([A-Za-z0-9+/=]+)", _chromium(page, "--dump-dom"))
        if not found:
            raise RuntimeError(f"chromium drew nothing for {path.name} in a minute: try plots.save and look at it")
        svg, size = finished(base64.b64decode(found[1]).decode(), width, face, alt, more)
        if path.suffix.lower() == ".svg":
            temporary.write_text(svg)
        else:
            style = f"@page {{size: {width}mm {size:.2f}mm; margin: 0}} body {{margin: 0}} svg {{display: block}}"
            head = f"<meta charset=utf-8><title>{html.escape(alt)}</title><style>{style}</style>"
            page.write_text(f"<!doctype html><html lang=en>{head}{svg}")
            _chromium(page, f"--print-to-pdf={temporary}", "--no-pdf-header-footer")
            if not temporary.exists():
                raise RuntimeError(f"chromium printed nothing for {path.name} in a minute: write .svg instead")
    return path


def fitted(model: Model, width: float, text: float, titles: bool) -> Model:
    """`model` with its figures side by side in `width` pixels, in type of `text` points, without toolbars."""
    drawn = figures.plots(model)
    rows = [[one] for one in drawn]
    if hasattr(model, "children") and model.children and isinstance(model.children[0], tuple):
        places = [(row, one) for one, row, *_ in model.children if isinstance(one, Figure)]
        rows = [[one for at, one in places if at == row] for row in sorted({row for row, _ in places})]
    if hasattr(model, "toolbar_location"):
        model.toolbar_location = None
    beside = 7.2 * text  # an axis with its numbers and label, and air at the right
    for row in rows:
        scale = (width - beside * len(row)) / sum(one.frame_width for one in row)
        for one in row:
            one.update(frame_width=int(one.frame_width * scale), frame_height=int(one.frame_height * scale))
            one.update(
                min_border_left=int(beside - 1.2 * text), min_border_right=int(1.2 * text), toolbar_location=None
            )
    for one in drawn:
        type_ = {"text_font": "Figure", "text_font_style": "normal"}
        one.title.update(text_font_size=f"{text + 1}pt", **type_)
        one.title.visible = titles
        for axis in one.axis:
            axis.update(axis_label_text_font_size=f"{text}pt", major_label_text_font_size=f"{text - 1}pt")
            axis.update(axis_label_text_font="Figure", major_label_text_font="Figure", axis_label_standoff=2)
            if hasattr(axis.ticker, "desired_num_ticks"):
                axis.ticker.desired_num_ticks = 4
        for label in one.select({"type": Label}):
            label.update(text_font_size=f"{text}pt", **type_)
        for bar in one.select({"type": ScaleBar}):
            bar.update(label_text_font_size=f"{text - 1}pt", label_text_font="Figure", padding=3, margin=4)
        for key in one.select({"type": Legend}):
            columns = max(1, one.frame_width // int(13 * text))
            key.update(label_text_font_size=f"{text - 1}pt", label_text_font="Figure", spacing=4, label_standoff=2)
            if len(key.items) > columns:
                key.ncols = columns
        for bar in one.select({"type": ColorBar}):
            bar.update(major_label_text_font_size=f"{text - 1}pt", major_label_text_font="Figure", height=6, padding=4)
            bar.update(title_text_font_size=f"{text - 1}pt", title_text_font="Figure", width="auto")
    return model


def contents(model: Model) -> str:
    """What the axes of a figure are and what its keys name, as a sentence each."""
    labels = [axis.axis_label for axis in model.select({"type": Axis}) if axis.axis_label]
    names = [item.label.value for key in model.select({"type": Legend}) for item in key.items]
    bars = [bar.title for bar in model.select({"type": ColorBar}) if bar.title]
    told = {"Axes": labels, "Colours": bars, "Key": names}
    return " ".join(f"{what}: {', '.join(dict.fromkeys(some))}." for what, some in told.items() if some)


def finished(svg: str, width: float, face: str, alt: str, more: str = "") -> tuple[str, float]:
    """`svg` at `width` mm with its typeface, its height in mm, and pictures that every program reads.

    `alt` is its title and `more` its description.
    """
    across, down = (float(re.search(rf'<svg[^>]*?\s{side}="([\d.]+)', svg)[1]) for side in ("width", "height"))
    height = down * width / across
    svg = re.sub(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", _png, svg)
    head = f'width="{width}mm" height="{height:.2f}mm" viewBox="0 0 {across:g} {down:g}" role="img"'
    told = f"<title>{html.escape(alt)}</title><desc>{html.escape(more)}</desc>"
    opening = re.match(r"<svg[^>]*>", svg)[0]
    kept = re.sub(r'\s(width|height|viewBox|role)="[^"]*"', "", opening)[:-1]
    return f"{kept} {head}>{told}<style>{face}</style>{svg[len(opening) :]}", height


def _png(found: re.Match) -> str:
    """A WebP picture as a PNG: drawing programs do not all read the former."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(found[1]))).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _face() -> str:
    """CSS that holds the first of FONTS; OSError where there is none."""
    for name in FONTS:
        try:
            path = ImageFont.truetype(name, 10).path
        except OSError:
            continue
        data = base64.b64encode(pathlib.Path(path).read_bytes()).decode()
        return f"@font-face {{font-family: Figure; src: url(data:font/ttf;base64,{data}) format('truetype')}}"
    raise OSError(f"none of {', '.join(FONTS)} on this machine: install one (Debian: apt install fonts-liberation)")


def _chromium(page: pathlib.Path, *flags: str) -> str:
    """What chromium writes to its output about `page`; empty after a minute."""
    command = [pages.chromium(), *pages.BROWSER, f"--user-data-dir={page.parent / 'profile'}", *flags, page.as_uri()]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode(errors="replace")
