"""Reads that were tried again or lost: noted where they happen, found again by their cube."""

import contextlib
import getpass
import json
import os
import pathlib
import re
import sys
import tempfile
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd
import xarray as xr
from tqdm import tqdm
from tqdm.dask import TqdmCallback

KEY = "reads"
"""Attribute of a cube, and of what is made of it, that names its reads."""

BAR = {"desc": "reading", "delay": 2, "leave": False}
"""The bar of what is computed: where it takes over two seconds, and gone at the end."""


@dataclass(frozen=True)
class ReadReport:
    """What became of one window of one asset that was not simply read."""

    item: str
    asset: str
    window: str
    """CRS and west, south, east, north of the block in it."""
    attempts: int
    """Tries of its most contested request."""
    seconds: float
    error: str
    """Why it was lost; empty where it was read in the end."""


class ReadError(OSError):
    """A read that failed for good; `report` holds what else was tried again or lost, this one last."""

    def __init__(self, message: str, report: tuple[ReadReport, ...] = ()) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.report)


def note(cube: str, row: ReadReport) -> None:
    """Write a row down: in a file of this machine and, on a Dask worker, in the scheduler's log too.

    One of the two outlives a worker that is killed, and reaches whoever asks. OSError where no file can be written,
    LookupError for what is no key.
    """
    path = _file(cube)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, (json.dumps(asdict(row)) + "\n").encode())  # one write: lines of several processes stay whole
    finally:
        os.close(handle)
    if "distributed" in sys.modules:
        with contextlib.suppress(ValueError):  # no worker here
            # a topic holds a thousand events: one of each item, so that none pushes another out
            sys.modules["distributed"].get_worker().log_event(f"glacier_nb-{cube}-{row.item}", asdict(row))


def rows(cubes: str) -> list[ReadReport]:
    """The rows of cubes by their keys (words), each once; a scheduler is asked once for all of them.

    LookupError: a word is no key.
    """
    found, keys = [], cubes.split()
    for key in keys:
        with contextlib.suppress(FileNotFoundError):
            found += [json.loads(line) for line in _file(key).read_text().splitlines()]
    if "distributed" in sys.modules:
        with contextlib.suppress(ValueError):  # no client here
            for topic, events in sys.modules["distributed"].get_client().get_events().items():
                if str(topic).startswith(tuple(f"glacier_nb-{key}-" for key in keys)):
                    found += [event for _, event in events]
    names = [one.name for one in fields(ReadReport)]  # an event also tells its worker
    return list(dict.fromkeys(ReadReport(*(row[name] for name in names)) for row in found))


def report(cube: xr.Dataset | str) -> pd.DataFrame:
    """Reads of a cube that took more than one try, or were lost (`error` says why): one row each, after computing.

    Columns item, asset, window (CRS and bounds of the block), attempts, seconds, error. `cube` is what `load.cube`
    gave or what was made of it, or its attrs["reads"]. What several computations of it met is all there. Under a
    Dask client, ask while it lives. LookupError where there is no such key.
    """
    keys = cube if isinstance(cube, str) else cube.attrs.get(KEY)
    if not keys:
        raise LookupError(f"no attribute {KEY!r}: give the Dataset that load.cube or composite made")
    return pd.DataFrame([asdict(row) for row in rows(keys)], columns=[one.name for one in fields(ReadReport)])


def settle(made: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """A scene, cube or layer, computed, with what it lost in its attrs: `lost` (how many windows), manifest["lost"].

    Of the reads that its attrs and those of its variables (elevation, radar) name, where these name items too: of
    these items, so that each summer of a stack tells its own.
    """
    layers = made.variables.values() if isinstance(made, xr.Dataset) else ()
    holders = {one.attrs[KEY]: one.attrs for one in (made, *layers) if KEY in one.attrs}  # vv and vh were read as one
    lost = {}
    for attrs in holders.values() or [made.attrs]:
        items = ",".join(map(str, attrs.get("items", ()))).split(",")  # a day's are in one text
        for row in report(attrs.get(KEY, "")).query("error != ''").to_dict("records"):
            if items == [""] or row["item"] in items:
                lost[row["item"], row["asset"], str(row["window"])] = row
    listed = {"lost": list(lost.values())} if lost else {}
    manifest: dict[str, Any] = {**made.attrs.get("manifest", {}), **listed}
    return made.assign_attrs(lost=len(lost), manifest=manifest)


def loaded(made: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """A lazy scene, cube or layer in memory: on the Dask client there is, else by threads. Errors as of its reads.

    A bar tells how many of its blocks (by threads: tasks) are done, and when the others will be.
    """
    distributed = sys.modules.get("distributed")  # without it there is no client
    try:
        there = distributed and distributed.default_client()
    except ValueError:
        there = None
    if not there:
        with TqdmCallback(tqdm_class=tqdm, unit="task", **BAR):
            return made.compute()
    made = made.persist()
    blocks = distributed.futures_of(made)
    for _ in tqdm(distributed.as_completed(blocks), total=len(blocks), unit="block", **BAR):
        pass
    return made.compute()


def computed(made: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """A lazy scene, cube or layer `loaded`, and told what it lost by `settle`. Errors as of its reads."""
    return settle(loaded(made))


def _file(cube: str) -> pathlib.Path:
    """Where the rows of a cube are written down on this machine."""
    if not re.fullmatch(r"[0-9a-f]{8,64}", cube):
        raise LookupError(f"{cube!r} is no key of reads: give attrs[{KEY!r}] of a cube")
    return pathlib.Path(tempfile.gettempdir()) / f"glacier_nb-reads-{getpass.getuser()}" / f"{cube}.jsonl"
