"""Notebooks run by papermill: parameters checked first, one cluster for all of them, each turned into a page."""

import ast
import contextlib
import math
import os
import pathlib
import re
import threading
import time
from collections.abc import Iterator, Sequence

import nbformat
import papermill
import psutil
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from glacier_nb import article, cluster, provenance
from glacier_nb.nothing import Nothing

HERE = pathlib.Path(__file__).resolve().parent
NOTEBOOKS = next(p for p in (HERE / "notebooks", HERE.parent / "notebooks") if p.exists() or p.parent == HERE.parent)
"""Where the notebooks lie: inside an installed package, or beside it in the repository."""

TOUR = ("00_start_here", "01_explore_region", "02_map_outlines", "03_area_change", "04_calving_fronts")
"""The notebooks that scenes of any place are enough for, in reading order."""

KINDS = {"str": str, "int": int, "float": (int, float), "list": list, "bool": bool}

RULES = {
    ("years", "list"): (lambda value: value and value == sorted(value), "give at least one, the earliest first"),
    ("resolution", "float"): (lambda value: 0 < value < math.inf, "give metres above 0"),
    ("missing", "str"): (lambda value: value in ("raise", "report"), 'give "raise" or "report"'),
}
"""What parameters of these names and types must be, whatever the notebook; its own default may be any."""


def find(name: str) -> pathlib.Path:
    """Path of a notebook of the suite by name, or of any `.ipynb` file; FileNotFoundError lists the names."""
    path = pathlib.Path(name) if name.endswith(".ipynb") else NOTEBOOKS / f"{name}.ipynb"
    if not path.exists():
        names = ", ".join(sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")))
        raise FileNotFoundError(f"no notebook {name!r}: name one of {names}, or give the path of an .ipynb file")
    return path


def check(notebook: pathlib.Path, parameters: dict, known: dict | None = None) -> None:
    """Refuse parameters that the notebook does not have, of another type or against `RULES`, before anything runs.

    What a list holds has the type of what its default holds, or, where that is empty, the example in its comment.
    papermill itself only logs a misspelt name and then runs the default. `known` is what its inspect_notebook says,
    where that was asked already. Raises ValueError in one line.
    """
    known = papermill.inspect_notebook(str(notebook)) if known is None else known
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f"{notebook.stem} has no parameter {name!r}: it has {', '.join(known)}")
        kind = known[name]["inferred_type_name"]
        if not _is(value, kind):
            raise ValueError(f"{notebook.stem}: {name}={value!r} is no {kind}")
        kinds = _held(known[name]) if isinstance(value, list) else []
        if wrong := [one for one in value if not any(_is(one, each) for each in kinds)] if kinds else []:
            raise ValueError(f"{notebook.stem}: {name}={value!r} holds {wrong[0]!r}, which is no {' or '.join(kinds)}")
        holds, rule = RULES.get((name, kind), (None, ""))
        if holds and repr(value) != known[name]["default"] and not holds(value):
            raise ValueError(f"{notebook.stem}: {name}={value!r}: {rule}")


def _is(value, kind: str) -> bool:
    """Whether a value is of a type, by its name; to Python true is 1, and any value is of a type that nobody knows."""
    return kind not in KINDS or (isinstance(value, KINDS[kind]) and (kind == "bool" or not isinstance(value, bool)))


def _held(known: dict) -> list[str]:
    """Names of the types that a list's default holds, or the example in its comment; none where neither tells."""
    for text in (known["default"], *re.findall(r"\[[^]]*\]", known["help"])):
        with contextlib.suppress(ValueError, SyntaxError):
            if isinstance(found := ast.literal_eval(text), list) and found:
                return sorted({type(one).__name__ for one in found})
    return []


def notebook(name: str, parameters: dict, out: pathlib.Path, progress: bool = True) -> dict:
    """Run one notebook; leaves `out/<name>.ipynb` and `out/<name>.html`, both whole or not at all.

    Returns {"notebook", "seconds", "first_map_seconds" (None where no cell is tagged first-map)}.
    Raises RuntimeError with the notebook's own error in one line, regions.Nothing where that is the notebook's; the
    run up to the error stays in `out/<name>.failed.ipynb` to look at.
    """
    path = find(name)
    check(path, parameters)
    out.mkdir(parents=True, exist_ok=True)
    failed = out / f"{path.stem}.failed.ipynb"
    start = time.time()
    try:
        ran = papermill.execute_notebook(
            str(path),
            str(failed),
            parameters=parameters,
            cwd=str(pathlib.Path.cwd()),
            progress_bar=progress,
            log_output=False,
            extra_arguments=["--log-level=CRITICAL"],  # advice on transport, and that its end interrupts it: not news
        )
    except PapermillExecutionError as error:
        kind = Nothing if error.ename == Nothing.__name__ else RuntimeError
        ran = nbformat.read(failed, as_version=4)
        article.tidy(ran, out)
        nbformat.write(ran, failed)
        raise kind(f"{path.stem}: {error.ename}: {article.line(str(error.evalue))} (see {failed})") from None
    seconds = time.time() - start
    article.tidy(ran, out)
    with provenance.whole(out / f"{path.stem}.ipynb") as temporary:
        nbformat.write(ran, temporary)
    article.write(ran, out / f"{path.stem}.html")
    failed.unlink()
    return {"notebook": path.stem, "seconds": round(seconds, 2), "first_map_seconds": _first_map(ran, start)}


def _first_map(ran: nbformat.NotebookNode, start: float) -> float | None:
    """Seconds from the start of the run to the end of the cell tagged `first-map`."""
    import datetime

    for cell in ran.cells:
        if "first-map" in cell.metadata.get("tags", ()):
            ended = datetime.datetime.fromisoformat(cell.metadata.papermill.end_time)
            return round(ended.replace(tzinfo=ended.tzinfo or datetime.UTC).timestamp() - start, 2)
    return None


def tour(names: Sequence[str], parameters: dict, out: pathlib.Path, workers: int = 1, threads: int = 2) -> list[dict]:
    """Run notebooks one after another on one Dask cluster, each with `out/<name>` as its folder of products.

    Returns one report per notebook, as `notebook` gives it. Each is given those of the parameters that it has; they are
    checked for all before the first run, and one that no notebook has is a ValueError.
    One after the first that finds nothing to show (regions.Nothing), as where no glacier ends in water, is reported by
    "nothing", why, and the others run all the same. Any other error, also a LookupError of a wrong name, is raised.
    """
    known = {name: papermill.inspect_notebook(str(find(name))) for name in names}
    if strange := sorted(parameters.keys() - set().union(*known.values())):
        raise ValueError(f"no parameter {strange[0]!r} in any of {', '.join(names)}: see papermill --help-notebook")
    given = {name: {key: value for key, value in parameters.items() if key in known[name]} for name in names}
    for name in names:
        check(find(name), given[name], known[name])
    reports = []
    lean()  # before the worker starts, which then keeps 30 MB less
    with cluster.client(workers=workers, threads=threads) as client:
        shared = {"client": client.scheduler.address}
        for name in tqdm(names, desc="notebooks", unit="notebook"):
            try:
                reports.append(notebook(name, {**given[name], **shared, "out": str(out / name)}, out, progress=False))
            except Nothing as why:
                if not reports:
                    raise
                reports.append({"notebook": name, "nothing": str(why)})
            cluster.trim()  # pages leave holes behind
    return reports


def lean() -> None:
    """Have the processes that start from now on give freed memory back; what the user set stands."""
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # glibc keeps freed memory in one arena a thread
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "16777216")  # and gives none back below a threshold that it raises


@contextlib.contextmanager
def peak_memory(every: float = 0.5) -> Iterator[dict]:
    """Watch the proportional set size (PSS) of this process and all its descendants while the block runs.

    Yields a dict whose `mb` (MiB) holds the peak so far. PSS counts a page shared by n processes as 1/n in each.
    """
    seen, stop = {"mb": 0.0}, threading.Event()
    me = psutil.Process()

    def watch() -> None:
        while not stop.wait(every):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_full_info().pss
            seen["mb"] = max(seen["mb"], total / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()
