"""Plots with their captions and numbers, drawn into one page that opens without a network."""

import dataclasses
import html
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import holoviews as hv
import pandas as pd
import panel as pn
from bokeh.embed import json_item
from bokeh.model import Model
from bokeh.models import Plot, Toolbar

from glacier_nb import pages, tables


@dataclasses.dataclass(frozen=True)
class Section:
    """One figure of a page with what belongs to it."""

    view: hv.core.Dimensioned | Model | pn.pane.Bokeh
    """A HoloViews object, a bokeh model, or one in a pane of panel."""
    caption: str = ""
    """What it shows and what follows from it."""
    table: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None
    """Its numbers; several tables by what each is called."""
    alt: str = ""
    """What a reader who cannot see it should know; empty: what `described` says."""
    folded: bool = False
    """Whether the numbers unfold at a click: those that stand on the page already, or are many."""


def drawn(view) -> Model:
    """The bokeh model of `view`; TypeError for what is neither a HoloViews object nor a bokeh model."""
    view = view.object if isinstance(view, pn.pane.Bokeh) else view
    if isinstance(view, hv.core.Dimensioned):
        view = hv.render(view, backend="bokeh")
    if not isinstance(view, Model):
        raise TypeError(f"{type(view).__name__} cannot be drawn in a page: give a HoloViews object or a bokeh model")
    for toolbar in view.select({"type": Toolbar}):
        toolbar.logo = None
    for plot in view.select({"type": Plot}):  # HoloViews says "fixed" and gives the frame's size, not the figure's
        plot.sizing_mode = None
    return view


def parts(models: Sequence[Model]) -> list[str]:
    """The parts of BokehJS that draw `models`."""
    homes = {reference.__module__ for model in models for reference in model.references()}
    widgets = any(home.startswith("bokeh.models.widgets") for home in homes)
    tabled = "bokeh.models.widgets.tables" in homes
    return ["bokeh"] + ["bokeh-widgets"] * widgets + ["bokeh-tables"] * tabled


def plots(model: Model) -> list[Plot]:
    """The figures of a bokeh `model`, a figure or a layout, in reading order."""
    if isinstance(model, Plot):
        return [model]
    inner = [child if isinstance(child, Model) else child[0] for child in getattr(model, "children", ())]
    return [plot for child in inner for plot in plots(child)]


def titles(model: Model) -> list[str]:
    """The titles of the figures of `model` that have one."""
    return [" ".join(plot.title.text.split()) for plot in plots(model) if plot.title and plot.title.text]


def described(section: Section, model: Model) -> str:
    """What is seen, in a sentence: the titles of its figures and the number that its table is about; else the caption.

    The caption itself stands below the figure and is read there.
    """
    first = next(iter(section.table.values())) if isinstance(section.table, Mapping) else section.table
    numbers = "" if first is None else tables.spoken(first)
    names = "; ".join(dict.fromkeys(titles(model)))  # the two scenes of a swipe have one
    return " ".join(filter(None, [names and f"{names}.", numbers])) or section.caption


def figure(section: Section, model: Model, number: int) -> str:
    """The HTML of one `section` whose view is `model`."""
    data = json.dumps(json_item(model, f"plot-{number}"), separators=(",", ":")).replace("</", "<\\/")
    alt = html.escape(section.alt or described(section, model) or "Plot", quote=True)
    numbers = ""
    if section.table is not None:
        several = section.table if isinstance(section.table, Mapping) else {"": section.table}
        told = "".join(tables.table(one, name).data for name, one in several.items())
        numbers = f"<div class=scroll tabindex=0 role=region aria-label=Numbers>{told}</div>\n"
        numbers = f"<details><summary>Numbers</summary>\n{numbers}</details>\n" if section.folded else numbers
    return (
        f'<figure role=group aria-label="{alt}"><div class=plot id=plot-{number}></div>'
        f"<figcaption>{html.escape(section.caption)}</figcaption></figure>\n"
        f"<script type=application/json class=item>{data}</script>\n{numbers}"
    )


def page(
    title: str, sections: Sequence[Section], path: str | os.PathLike, text: str = "", manifest: Mapping | None = None
) -> pathlib.Path:
    """Write `sections` as one HTML page to `path`, whole or not at all, and return the path.

    Of a page over pages.LARGEST it leaves out sections and names them: folded ones before others, later ones first.
    Args: `text` is a paragraph under the title; `manifest` (provenance.manifest) is shown as a line that unfolds.
    Raises ValueError where each section alone is too large.
    """
    models = [drawn(section.view) for section in sections]
    told = [figure(*one, number) for number, one in enumerate(zip(sections, models, strict=True))]
    facts = pages.provenance_line(manifest) if manifest else ""

    def fits(body: str, scripts: str) -> bool:
        return len(pages.laid(title, body, scripts, text).encode()) <= pages.LARGEST

    def made(kept: set[int]) -> tuple[str, str]:
        body = "".join(f"<section>{told[number]}</section>\n" for number in sorted(kept))
        body += absent([(sections[number], told[number]) for number in range(len(told)) if number not in kept])
        shown = parts([models[number] for number in sorted(kept)])
        return body + facts, pages.library(shown) + pages.KEYS + pages.LOADER

    kept = set(range(len(told)))
    if not fits(*made(kept)):
        kept = set()
        for number in sorted(range(len(told)), key=lambda number: sections[number].folded):
            kept |= {number} if fits(*made(kept | {number})) else set()
    body, scripts = made(kept or set(range(len(told))))
    return pages.whole(title, body, path, scripts, text)


def absent(left: Sequence[tuple[Section, str]]) -> str:
    """The line of a page that names what it has `left` out, sections and their HTML; empty for none."""
    if not left:
        return ""
    names = "; ".join(f"“{one.caption or one.alt}” ({len(text.encode()) / 1e6:.1f} MB)" for one, text in left)
    said = f"Left out, to keep this page under {pages.LARGEST / 1e6:.0f} MB: {names}. "
    said += "Take a smaller region or fewer dates, or save each as a page of its own: plots.save(view, path, title)."
    return f"<p class=lede role=note>{html.escape(said)}</p>\n"


def save(
    obj,
    path: str | os.PathLike,
    title: str,
    table: pd.DataFrame | None = None,
    text: str | None = None,
    caption: str = "",
    alt: str = "",
    manifest: Mapping | None = None,
) -> pathlib.Path:
    """Write one plot `obj` with its numbers (`table`) as a page that opens offline; returns the path.

    Args: as `page` and `Section`.
    """
    return page(title, [Section(obj, caption, table, alt)], path, text or "", manifest)
