"""What became of each run of a batch, as the disk has it: reports, and the summary of all of them."""

import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import geopandas as gpd

from glacier_nb import provenance
from glacier_nb.runs import Run

REPORT = "report.json"
FAILED = "failed"
"""Folder of those that failed, in the folder of a batch."""

GOOD, BAD, WAITING = "good", "failed", "waiting"
"""What a run may be."""


@dataclass(frozen=True)
class Outcome:
    """One run, and what is known of it."""

    run: Run
    status: str
    """GOOD, BAD or WAITING."""
    folder: str = ""
    """Where it lies, in the folder of the batch."""
    error: str = ""
    """Why it failed, in one line."""
    seconds: float | None = None
    memory_mb: float | None = None
    """Peak of its kernel and all that it started (PSS, MiB)."""
    answer: dict = field(default_factory=dict)
    """Its key numbers: what the notebook wrote as `answer` in manifest.json."""
    files: tuple[str, ...] = ()
    """What it left in its folder."""


def of(run: Run, out: pathlib.Path) -> Outcome:
    """The outcome of a run with the inputs it has now: whole products there, or how it failed, or neither."""
    for status, folder in ((GOOD, run.name), (BAD, f"{FAILED}/{run.name}")):
        found = read(out / folder / REPORT)
        if found.get("inputs") == run.inputs and all((out / folder / name).exists() for name in found["files"]):
            told = {key: found[key] for key in ("error", "seconds", "memory_mb", "answer") if key in found}
            return Outcome(run, status, folder, **told, files=tuple(found["files"]))
    return Outcome(run, WAITING)


def write(run: Run, folder: pathlib.Path, **facts) -> None:
    """Leave the report of a run in `folder`, beside all that it made."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    known = {"run": run.name, "notebook": run.notebook.stem, "inputs": run.inputs, "parameters": run.parameters}
    answer = read(folder / "manifest.json").get("answer") or {}
    facts = provenance.manifest(**known, **facts, answer=answer, files=files)
    provenance.write(folder / REPORT, facts)


def reports(out: pathlib.Path) -> list[dict]:
    """The reports of all that went well in a folder, whatever list of regions they came from."""
    return [found for path in sorted(out.glob(f"*/{REPORT}")) if (found := read(path))]


def table(outcomes: Sequence[Outcome]) -> gpd.GeoDataFrame:
    """What became of each run, a row each: columns run, region, what was varied, status, error (one line), seconds,
    memory_mb, its key numbers (units in their names), geometry (the region's outline, lon/lat).

    A number that a run does not have is missing.
    """
    rows = [
        {
            "run": one.run.name,
            "region": one.run.region.name,
            **{key: text(value) for key, value in one.run.varied.items()},
            "status": one.status,
            "error": one.error,
            "seconds": one.seconds,
            "memory_mb": one.memory_mb,
            **{key: value for key, value in one.answer.items() if isinstance(value, int | float | str)},
            "geometry": one.run.geometry,
        }
        for one in outcomes
    ]
    found = gpd.GeoDataFrame(rows, crs="EPSG:4326")
    return found.astype({"seconds": float, "memory_mb": float})


def summarize(outcomes: Sequence[Outcome], out: pathlib.Path) -> gpd.GeoDataFrame:
    """Write `out/summary.parquet` (GeoParquet) and `out/summary.csv` (with west, south, east, north); returns `table`.

    A row a run, its region as geometry. Each is written whole or not at all.
    """
    found = table(outcomes)
    with provenance.whole(out / "summary.parquet") as temporary:
        found.to_parquet(temporary)
    flat = found.drop(columns="geometry")
    for place, edge in enumerate(("west", "south", "east", "north")):
        flat.insert(2 + place, edge, [one.run.region.bbox[place] for one in outcomes])
    with provenance.whole(out / "summary.csv") as temporary:
        flat.to_csv(temporary, index=False)
    return found


def text(value) -> str:
    """A parameter's value as a table shows it, files by their name."""
    value = provenance.short(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def read(path: pathlib.Path) -> dict:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
