"""The page over a batch: where the runs are, which failed and why, what each of the others found."""

import html
import math
import pathlib
import re
from collections.abc import Sequence

import geopandas as gpd

from glacier_nb import outcomes, pages, provenance, sketches, tables
from glacier_nb.outcomes import Outcome

LISTED = 60
"""Names of waiting runs that are listed."""


LATER = {outcomes.BAD: "failed", outcomes.WAITING: "wait to be run"}
"""What is said of those that are not good."""


def write(found: Sequence[Outcome], table: gpd.GeoDataFrame, path: pathlib.Path) -> pathlib.Path:
    """Write the index of `found` (whose `table` is `outcomes.table`'s) to `path`, a row a run; links are
    relative to it.
    """
    count = {status: sum(one.status == status for one in found) for status in (outcomes.GOOD, *LATER)}
    bad = [one for one in found if one.status == outcomes.BAD]
    good = [one for one in found if one.status == outcomes.GOOD]
    waiting = [one for one in found if one.status == outcomes.WAITING]
    tiles = {status: f"{number:,}" for status, number in count.items() if number or status == outcomes.GOOD}
    if good:
        tiles["median time"] = _time(float(table.seconds[table.status == outcomes.GOOD].median()))
        tiles["most memory"] = f"{table.memory_mb.max() / 1024:.1f} GiB"
    body = f"<style>{STYLE}</style><dl class=tiles>{''.join(map(_tile, tiles.items()))}</dl>{_map(found)}\n"
    if bad:
        rows = "".join(
            f"<tr id='{one.run.name}'><th scope=row class=name>{_linked(one, f'{one.folder}/log.html')}"
            f"<td><span class='pill failed'>{one.status}</span><td class=why>{html.escape(one.error)}"
            f"<td class=number>{_time(one.seconds)}<td class=links>{_link(f'{one.folder}/log.html', 'log')}"
            for one in bad
        )
        body += _table("Failed", ("Region", "Status", "Why", "Time", ""), rows)
    if good:
        body += _good(good)
    if waiting:
        names = ", ".join(html.escape(one.run.name) for one in waiting[:LISTED])
        more = f" and {len(waiting) - LISTED} more" if len(waiting) > LISTED else ""
        body += f"<div class=tools><h2>Waiting</h2></div><p class=lede>{names}{more}</p>\n"
    files = ", ".join(f"<a href={name}>{name}</a>" for name in ("summary.csv", "summary.parquet"))
    body += f"<p class=lede>The same as tables: {files}.</p>"
    notebook = found[0].run.notebook.stem.replace("_", " ").lstrip("0123456789 ").capitalize()
    said = f"{count[outcomes.GOOD]} of {len(found)} runs are good"
    said += "".join(f", {number} {LATER[status]}" for status, number in count.items() if number and status in LATER)
    facts = provenance.manifest(notebook=found[0].run.notebook.stem, runs=len(found))
    return pages.whole(f"{notebook}, {len(found)} runs", body + pages.provenance_line(facts), path, SCRIPT, f"{said}.")


def _good(good: Sequence[Outcome]) -> str:
    """The table of those that went well, with their key numbers."""
    keys = list(dict.fromkeys(key for one in good for key in one.answer))
    bounds = {key: (_bound(key, "lower", keys), _bound(key, "upper", keys)) for key in keys}
    inner = {bound for pair in bounds.values() for bound in pair if bound}
    keys = [key for key in keys if key not in inner]
    columns = {key: tables.column(key) for key in keys}
    numeric = {key for key in keys if all(isinstance(one.answer.get(key, 0.0), int | float) for one in good)}
    first = next((key for key in keys if key in numeric), None)
    drawn = [key for key in (first, *bounds.get(first, ())) if key]
    every = [one.answer[key] for one in good for key in drawn if _number(one, key)]
    span = (min(every, default=0.0), max(every, default=0.0))
    varied = list(good[0].run.varied)
    rows = []
    for one in good:
        cells = [f"<td class=varied>{html.escape(outcomes.text(one.run.varied[key]))}" for key in varied]
        if first:
            value, *ends = [one.answer[key] if _number(one, key) else math.nan for key in drawn]
            whole = any(span) and math.isfinite(value)
            cells.append(f"<td>{sketches.bar(value, [e for e in ends if e == e], span) if whole else ''}")
        for key in keys:
            shown = tables.cell(one.answer.get(key), columns[key])
            low, high = (one.answer.get(bound) if bound else None for bound in bounds[key])
            if low is not None and high is not None:
                shown += f"<br><small>{tables.cell(low, columns[key])} to {tables.cell(high, columns[key])}</small>"
            cells.append(f"<td{_kind(key in numeric)} data-value='{_sortable(one.answer.get(key))}'>{shown}")
        main = _main(one)
        links = _link(f"{one.folder}/{one.run.notebook.stem}.html", "notebook") + _link(f"{one.folder}/", "files")
        rows.append(
            f"<tr id='{one.run.name}'><td class=thumb>{_thumb(one)}<th scope=row class=name>{_linked(one, main)}"
            f"{''.join(cells)}<td><span class='pill good'>{one.status}</span>"
            f"<td class=number data-value={one.seconds}>{_time(one.seconds)}<br><small>{one.memory_mb:,.0f} MiB</small>"
            f"<td class=links>{links}"
        )
    heads = ["", "Region", *(tables.column(key).label for key in varied)]
    heads += [""] * bool(first) + [columns[key].label for key in keys] + ["Status", "Time", ""]
    return _table("Good", heads, "".join(rows), numeric={columns[key].label for key in numeric} | {"Time"})


def _table(title: str, heads: Sequence[str], rows: str, numeric: Sequence[str] = ("Time",)) -> str:
    """A list of runs with a field to search it and headings that sort it."""
    cells = "".join(
        f"<th scope=col{_kind(head in numeric)}>{f'<button>{head}</button>' if head else ''}" for head in heads
    )
    return (
        f"<div class=tools><h2>{title}</h2><input type=search placeholder='Find a region' aria-label='Find a region in "
        f"{title}'></div><div class=list><table><thead><tr>{cells}<tbody>{rows}</table></div>\n"
    )


def _map(found: Sequence[Outcome]) -> str:
    """Where the runs are, those that failed on top."""
    found = sorted(found, key=lambda one: one.status == outcomes.BAD)
    return sketches.where(
        [(one.run.name, one.status, f"{one.run.name}: {one.error or one.status}", one.run.geometry) for one in found]
    )


def _thumb(one: Outcome) -> str:
    """A picture of what was found, or the region's outline; the row's name and numbers say it, so it has no words."""
    if sketches.PICTURE in one.files:
        return f"<img alt='' role=presentation loading=lazy src='{one.folder}/{sketches.PICTURE}'>"
    return sketches.outline(one.run.geometry)


def _main(one: Outcome) -> str:
    """The page of a run to open first: of its products, else the notebook."""
    book = f"{one.run.notebook.stem}.html"
    made = [name for name in one.files if name.endswith(".html") and "/" not in name and name != book]
    return f"{one.folder}/{(made or [book])[0]}"


def _bound(key: str, side: str, keys: Sequence[str]) -> str | None:
    """The key of a number's lower or upper bound: `change_lower_m2` for `change_m2`."""
    return next((other for other in keys if other != key and re.sub(f"_{side}(?=_|$)", "", other) == key), None)


def _number(one: Outcome, key: str | None) -> bool:
    value = one.answer.get(key)
    return isinstance(value, int | float) and math.isfinite(value)


def _sortable(value) -> str:
    return html.escape(str(value), quote=True) if value is not None else ""


def _kind(numeric: bool) -> str:
    return " class=number" if numeric else ""


def _tile(pair: tuple[str, str]) -> str:
    return f"<div><dt>{html.escape(pair[0])}<dd>{html.escape(pair[1])}</div>"


def _link(href: str, text: str) -> str:
    return f"<a href='{html.escape(href, quote=True)}'>{text}</a>"


def _linked(one: Outcome, href: str) -> str:
    return _link(href, html.escape(one.run.name))


def _time(seconds: float | None) -> str:
    """Seconds for a reader: `8 s`, `3.5 min`."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


STYLE = pathlib.Path(__file__).with_name("overview.css").read_text()

SCRIPT = """<script>
for (const field of document.querySelectorAll(".tools input")) {
  const rows = field.parentElement.nextElementSibling.querySelectorAll("tbody tr")
  field.addEventListener("input", () => {
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(field.value.toLowerCase())
  })
}
for (const button of document.querySelectorAll(".list thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0]
    const down = head.getAttribute("aria-sort") === "ascending"
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort")
    head.setAttribute("aria-sort", down ? "descending" : "ascending")
    const value = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent
    const order = (a, b) => value(a).localeCompare(value(b), "en", {numeric: true})
    const numbers = (a, b) => value(a) - value(b) || isNaN(value(a)) - isNaN(value(b))
    const rows = [...body.rows].sort(head.classList.contains("number") ? numbers : order)
    body.append(...(down ? rows.reverse() : rows))
  })
}
</script>
"""
