"""One notebook in a kernel of its own, watched: memory and time bounded, its end told in one line whatever it was."""

import contextlib
import dataclasses
import logging
import os
import pathlib
import signal
import subprocess
import threading
import time

import jupyter_client
import nbformat
import papermill
import psutil
from jupyter_core.utils import ensure_event_loop
from papermill.exceptions import PapermillExecutionError

from glacier_nb import article

EVERY = 0.25
"""Seconds between two looks at a kernel."""

EVENTS = pathlib.Path("/sys/fs/cgroup/memory.events")
"""Where a container counts the processes that were killed for memory (cgroup 2)."""

MARK = "papermill-error-cell-tag"
"""Cells that papermill puts beside the one that failed."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a kernel may take before it is killed."""

    memory: float | None = None
    """MiB (PSS) of it and all that it starts."""
    minutes: float | None = None


NONE = Limits()


class Failure(Exception):
    """A notebook that did not end well; str() is why, in one line."""

    def __init__(self, why: str, report: dict, ran: nbformat.NotebookNode, log: str):
        super().__init__(why)
        self.report, self.ran, self.log = report, ran, log


class Stopped(Exception):
    """A notebook that was stopped because all of them were."""


def run(
    notebook: pathlib.Path,
    parameters: dict,
    folder: pathlib.Path,
    limits: Limits = NONE,
    stop: threading.Event | None = None,
    told: pathlib.Path | None = None,
) -> dict:
    """Run a notebook; leaves `folder/<name>.ipynb` and `folder/<name>.html` and returns {"seconds", "memory_mb"}.

    told: the folder's later name, which stands in the notebook for its present one.
    memory_mb is the peak of its kernel and all that the kernel started (PSS, MiB). May be called from any thread.
    Raises Failure where a cell raises, the kernel dies (with the signal that killed it) or passes `limits`, and Stopped
    soon after `stop` is set. No process of the kernel is left in any case.
    """
    stop, ended, started = stop or threading.Event(), threading.Event(), []
    book, said = folder / f"{notebook.stem}.ipynb", folder / "kernel.log"
    seen = {"mb": 0.0, "why": ""}
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it would say is in the report

    class Manager(jupyter_client.AsyncKernelManager):
        """Hands on the process that it starts, whose raw output goes to a file."""

        async def start_kernel(self, **options) -> None:
            with said.open("wb") as file:
                await super().start_kernel(**options, stdout=file, stderr=file)
            started.append(self.provisioner.process)

    watcher = threading.Thread(target=_watch, args=(started, limits, stop, ended, seen), daemon=True)
    watcher.start()
    start, deaths, error = time.time(), _killed_for_memory(), None
    try:
        papermill.execute_notebook(
            str(notebook),
            str(book),
            parameters=parameters,
            progress_bar=False,
            kernel_manager_class=Manager,
            extra_arguments=["--log-level=CRITICAL"],
        )
    except Exception as raised:  # whatever it is, it is this run's alone
        error = raised
    finally:
        ended.set()
        watcher.join()
        loop = ensure_event_loop()  # each thread has its own, which nobody else closes
        if not loop.is_running():
            loop.close()
        for process in started:
            _end(process)
    report = {"seconds": round(time.time() - start, 2), "memory_mb": round(seen["mb"], 1)}
    if stop.is_set() and error is not None:
        raise Stopped(notebook.stem)
    if error is not None:
        ran = _renamed(book, folder, told) if book.exists() else nbformat.v4.new_notebook()
        why = seen["why"] or _why(error, started, _killed_for_memory() > deaths)
        raise Failure(why, report, ran, said.read_text(errors="replace") if said.exists() else "") from error
    said.unlink(missing_ok=True)
    ran = _renamed(book, folder, told)
    nbformat.write(ran, book)
    with contextlib.suppress(ValueError):  # too large for a page: the notebook itself is there
        article.write(ran, folder / f"{notebook.stem}.html")
    return report


def write_log(failure: Failure, folder: pathlib.Path, name: str) -> None:
    """Leave a failed notebook as far as it came in `folder`: `<name>.ipynb`, and `log.html` with how it ended."""
    ran = failure.ran
    ran.cells = [cell for cell in ran.cells if MARK not in cell.metadata.get("tags", ())]
    told = [str(failure)]
    for cell in ran.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                told.append("\n".join(output.traceback))
            elif output.output_type == "stream" and output.name == "stderr":
                told.append(output.text.rpartition("\r")[2])
    told = article.clean("\n\n".join(text.strip() for text in [*told, failure.log] if text.strip()))
    ended = nbformat.v4.new_markdown_cell(f"## How it ended\n\n````\n{told}\n````")
    nbformat.write(ran, folder / f"{name}.ipynb")
    done = [cell for cell in ran.cells if cell.cell_type != "code" or cell.get("execution_count") or cell.outputs]
    head = [cell for cell in done[:1] if cell.cell_type == "markdown"]
    page = nbformat.v4.new_notebook(metadata=ran.metadata, cells=[*head, ended, *done[len(head) :]])
    with contextlib.suppress(ValueError):
        article.write(nbformat.from_dict(page), folder / "log.html")


def first_line(error: Exception) -> str:
    """An error in one line.

    >>> first_line(ValueError("one\\ntwo"))
    'ValueError: one'
    """
    return f"{type(error).__name__}: {article.line(str(error))[:300]}"


def _renamed(book: pathlib.Path, folder: pathlib.Path, told: pathlib.Path | None) -> nbformat.NotebookNode:
    """A notebook with one folder for another in all of its text, and without what only this machine knows."""
    ran = nbformat.reads(book.read_text().replace(str(folder), str(told or folder)), as_version=4)
    article.tidy(ran, told or folder)
    return ran


def _why(error: Exception, started: list[subprocess.Popen], for_memory: bool) -> str:
    """The end of a run in one line."""
    if isinstance(error, PapermillExecutionError):
        first = article.line(str(error.evalue))[:300]
        named = "out of memory: MemoryError" if error.ename == "MemoryError" else error.ename
        return f"{named}: {first}"
    code = started[0].poll() if started else None
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        if code == -signal.SIGKILL and for_memory:
            return f"out of memory: the kernel was killed by the system ({name})"
        hint = ": out of memory, or by hand" if code == -signal.SIGKILL else ""
        return f"killed: the kernel was ended by {name}{hint}"
    if "Kernel died" in str(error):
        return f"killed: the kernel ended by itself with exit code {code}"
    return first_line(error)


def _watch(started: list, limits: Limits, stop: threading.Event, ended: threading.Event, seen: dict) -> None:
    """Look at a kernel until it ended; kill it when it takes too much or all are to stop."""
    start = time.time()
    while not ended.wait(EVERY):
        if not started:
            continue
        held = sum(map(_held, _family(started[0].pid))) / 2**20
        seen["mb"] = max(seen["mb"], held)
        if limits.memory is not None and held > limits.memory:
            seen["why"] = f"out of memory: it took {held:,.0f} MiB, {limits.memory:,.0f} were allowed"
        elif limits.minutes is not None and time.time() - start > 60 * limits.minutes:
            seen["why"] = f"out of time: it took more than {limits.minutes:g} minutes"
        if seen["why"] or stop.is_set():
            _end(started[0])
            return


def _family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def _held(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.memory_full_info().pss
    return 0


def _end(process: subprocess.Popen) -> None:
    """Kill a kernel and all that it started; a kernel leads a process group of its own."""
    family = _family(process.pid) if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()


def _killed_for_memory() -> int:
    """How many processes of this container were killed for memory so far; 0 where nobody counts."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = EVENTS.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("oom_kill ")))
    return 0
