"""A notebook that was run, as a page to read: text, figures that answer the mouse, code folded away; no network."""

import html
import json
import os
import pathlib
import re
import sysconfig
from collections.abc import Callable, Iterator

import mistune
import nbformat
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from glacier_nb import pages, provenance

FIGURE = re.compile(
    r"(?P<frame>.*?)<script.*?var docs_json = (?P<docs>.*?);\n\s*var render_items = (?P<items>.*?);\n", re.S
)
"""What HoloViews leaves in a notebook: the element, the bokeh documents, and which document goes where."""

GONE = "Dask dashboard: "
"""How a line begins that names what is no longer there when the notebook has run."""

LIVE = "panel.models."
"""Models that only answer with a kernel; a page has none."""

LABELS = {"parameters": "Parameters", "injected-parameters": "Parameters of this run"}
"""What a code cell of a tag is called; all others are "Code"."""

BESIDE = re.compile(r"!\[[^]]*\]\(\.\./[^)]*\)")
"""A picture that lies beside the notebooks, as the one under each question: the page has the figures themselves."""

HERE = {str(pathlib.Path(__file__).parents[1]), *map(sysconfig.get_path, ("purelib", "platlib", "stdlib"))}
"""Folders that this package and those it imports lie in: a traceback needs none of them to be read."""

HEADING = re.compile(r"^#+ +(.+?)\s*$", re.M)
"""A heading of a text cell."""

LOADER = """<script>
for (const script of document.querySelectorAll("script.docs")) {
  const {docs, items} = JSON.parse(script.textContent)
  Bokeh.embed.embed_items(docs, items).then(ready)
}
</script>
"""

markdown = mistune.create_markdown(plugins=["table", "strikethrough", "url"])


def write(ran: nbformat.NotebookNode, path: str | os.PathLike) -> pathlib.Path:
    """Write the run notebook `ran` as one HTML file to `path`, whole or not at all, and return the path.

    The title is the notebook's first heading. Progress bars, warnings and a dashboard that is gone are left out. A
    picture's alternative text is what the cell gave with it (`IPython.display.Image(..., alt=)`), or its own words, or
    the heading above it. Of a page over pages.LARGEST it leaves out figures, later ones first, and names each in its
    place.
    Raises ValueError where its text alone is larger.
    """
    cells = list(ran.cells)
    title, opening = "Notebook", ""
    if cells and cells[0].cell_type == "markdown":
        first, _, rest = cells.pop(0).source.partition("\n")
        title, opening = first.lstrip("# ").strip(), markdown(BESIDE.sub("", rest))
    pieces, near = [], title
    for cell in cells:
        if cell.cell_type == "markdown":
            near = (HEADING.findall(cell.source) or [near])[-1]
        pieces += _cell(cell, near)
    run = ran.metadata.get("papermill", {})
    facts = {name: run[name] for name in ("start_time", "duration", "parameters") if run.get(name)}
    ending = "</article>" + (pages.provenance_line(facts) if facts else "")

    def made(kept: set[int]) -> tuple[str, str]:
        shown = "".join(one if number in kept else _absent(one) for number, one in enumerate(pieces))
        live = "<script type=application/json class=docs>" in shown
        scripts = pages.library(["bokeh", "bokeh-widgets"]) + pages.KEYS + LOADER if live else ""
        return f"<article><div class=prose>{opening}</div>\n{shown}{ending}", scripts

    def fits(kept: set[int]) -> bool:
        return len(pages.laid(title, *made(kept)).encode()) <= pages.LARGEST

    figures = {number for number, one in enumerate(pieces) if one.startswith("<figure")}
    kept = set(range(len(pieces)))
    if not fits(kept):
        kept -= figures
        for number in sorted(figures):
            kept |= {number} if fits(kept | {number}) else set()
    body, scripts = made(kept)
    return pages.whole(title, body, path, scripts)


def _absent(figure: str) -> str:
    """The line that stands where a page has left a figure out."""
    name = html.unescape(re.search(r'(?:aria-label|alt)="([^"]*)"', figure)[1])
    said = f"Left out, to keep this page under {pages.LARGEST / 1e6:.0f} MB: “{name}”, "
    said += f"{len(figure.encode()) / 1e6:.1f} MB. The notebook itself holds it; so may the page that it saved."
    return f"<p class=lede role=note>{html.escape(said)}</p>\n"


def tidy(ran: nbformat.NotebookNode, folder: str | os.PathLike = ".") -> None:
    """Take out of a run notebook, kept in `folder`, what only this machine knows; of all it said, what `clean` takes.

    That is where it lay and ran, and the absolute paths among its parameters, wherever they stand: in the code, the
    metadata and the outputs (see `provenance.short`). All else of its code stays as it is.
    """
    run = ran.metadata.get("papermill", {})
    for key in ("input_path", "output_path"):
        run.pop(key, None)
    named = _shortener(run.get("parameters", {}), folder)
    if "parameters" in run:
        run["parameters"] = provenance.short(run["parameters"], folder)
    for cell in ran.cells:
        cell.source = named(cell.source)
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = clean(named(output.text))
            elif output.output_type == "error":
                output.evalue = clean(named(output.evalue))
                output.traceback = [clean(named(text)) for text in output.traceback]
            for kind, text in output.get("data", {}).items():
                if kind.startswith("text/") and isinstance(text, str):
                    output.data[kind] = named(text) if kind == "text/html" else provenance.short(named(text), folder)


def _shortener(parameters: dict, folder: str | os.PathLike) -> Callable[[str], str]:
    """What puts short names for the absolute paths among parameters, for `folder` and for where this runs."""
    known = {os.path.abspath(folder): ".", os.path.abspath(folder) + os.sep: "", os.getcwd() + os.sep: ""}
    waiting = list(parameters.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, list | dict):
            waiting += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and os.path.isabs(value):
            known[value] = provenance.short(value, folder)
    known = {path: name for path, name in known.items() if path.strip(os.sep) and path != name}
    for path, name in list(known.items()):  # as Python (papermill) and JSON write letters beyond ASCII
        for written in (path.encode("unicode_escape").decode(), json.dumps(path)[1:-1]):
            known.setdefault(written, name)
    paths = "|".join(re.escape(path) for path in sorted(known, key=len, reverse=True)) or "(?!)"
    find = re.compile(rf"(?<![\w.~<+-])(?:{paths})(?:(?<=/)|(?![\w-]))")

    def told(found: re.Match) -> str:
        name, after = known[found[0]], found.string[found.end() : found.end() + 1]
        return os.path.basename(found[0]) if name == after == "." else name  # out.html beside the folder out

    return lambda text: find.sub(told, text)


def clean(text: str) -> str:
    """Text without terminal colours and signatures in addresses; files by their place in a package, ~ for home.

    Other absolute paths of this machine are told by their last name.

    >>> clean("\\x1b[31mhttps://a.b/c.tif?sig=x&se=y failed\\x1b[0m")
    'https://a.b/c.tif?... failed'
    >>> clean(f"{__file__}:12: in clean")
    'glacier_nb/article.py:12: in clean'
    """
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    text = re.sub(r"(https?://[^\s\"'?]+)\?[^\s\"')]+", r"\1?...", text)
    text = re.sub(r"[^\s\"':]*[/\\]ipykernel_\d+[/\\]\d+\.py", "<cell>", text)  # where a kernel says its code lies
    home = os.path.expanduser("~")
    known = home not in ("", "~", os.sep)
    for folder in sorted(HERE, key=len, reverse=True):  # one may lie in another
        text = text.replace(folder + os.sep, "")
        if known and folder.startswith(home + os.sep):  # IPython's way to tell it
            text = text.replace("~" + folder.removeprefix(home) + os.sep, "")
    return provenance.short(text.replace(home + os.sep, "~" + os.sep) if known else text)


def line(text: str) -> str:
    """The first line of a text, as `clean` leaves it; empty where there is none.

    >>> line("no scene\\nwiden the dates"), line("")
    ('no scene', '')
    """
    return next(iter(clean(text).strip().splitlines()), "")


def _cell(cell: nbformat.NotebookNode, near: str) -> Iterator[str]:
    """The pieces of one cell, the heading `near` above it: its text, or its code folded away and below what it gave."""
    if cell.cell_type == "markdown":
        yield f"<div class=prose>{markdown(cell.source)}</div>\n"
    if cell.cell_type != "code" or not cell.source.strip():
        return
    label = next((LABELS[tag] for tag in cell.metadata.get("tags", ()) if tag in LABELS), "Code")
    code = highlight(cell.source, PythonLexer(), HtmlFormatter(nowrap=True))
    yield f"<details class=code><summary>{label}</summary><pre>{code}</pre></details>\n"
    for output in cell.outputs:
        yield from _output(output, near)


def _output(output: nbformat.NotebookNode, near: str) -> Iterator[str]:
    """The HTML of one output below the heading `near`; nothing of what only serves a running notebook."""
    if output.output_type == "stream" and output.name == "stdout":
        lines = [line.rpartition("\r")[2] for line in output.text.rstrip().split("\n")]
        if lines := [line for line in lines if not line.startswith(GONE)]:
            yield f"<pre class=said>{html.escape(chr(10).join(lines))}</pre>\n"
    if output.output_type == "error":
        yield f"<pre class=said>{html.escape(f'{output.ename}: {output.evalue}')}</pre>\n"
    data = output.get("data", {})
    if any(name.startswith("application/vnd.holoviews_load") for name in data):
        return
    if any(name.startswith("application/vnd.holoviews_exec") for name in data):
        found = FIGURE.match(data.get("text/html", ""))
        docs = json.loads(found["docs"]) if found else {}
        for doc in docs.values():
            doc["roots"] = [root for root in doc["roots"] if not root["name"].startswith(LIVE)]
        if any(doc["roots"] for doc in docs.values()):
            told = json.dumps(docs, separators=(",", ":"), ensure_ascii=False)
            both = f'{{"docs": {told}, "items": {found["items"]}}}'.replace("</", "<\\/")
            both = re.sub(pages.OUTSIDE, "data:text/css,", both)
            both = re.sub(r'("name":"Toolbar","id":"[^"]*","attributes":{)', r'\1"logo":null,', both)
            titles = re.findall(r'"name":"Title","id":"[^"]*","attributes":{[^}]*?"text":("(?:[^"\\]|\\.)+")', told)
            alt = html.escape("; ".join(map(json.loads, titles)) or "Plot", quote=True)
            drawn = f'<figure class=plot role=group aria-label="{alt}">{found["frame"]}</figure>'
            yield f"{drawn}<script type=application/json class=docs>{both}</script>\n"
    elif "text/html" in data:
        if "<style>" not in data["text/html"][:200] or "<table" in data["text/html"]:
            yield f"<div class=scroll tabindex=0>{data['text/html']}</div>\n"
    elif "text/markdown" in data:
        signed = re.sub(r"(?<![\w.-])-(?=\d)", "−", data["text/markdown"])  # as the tables have it
        yield f"<div class='prose answer'>{markdown(signed)}</div>\n"
    elif "image/png" in data:
        own = data.get("text/plain", "")
        words = output.metadata.get("image/png", {}).get("alt") or ("" if own.startswith("<") else own)  # <Figure ...>
        alt = html.escape(" ".join((words or near.replace("*", "").replace("`", "")).split()), quote=True)
        yield f'<figure><img alt="{alt}" src="data:image/png;base64,{data["image/png"].strip()}"></figure>\n'
    elif "text/plain" in data:
        yield f"<pre class=said>{html.escape(data['text/plain'])}</pre>\n"
