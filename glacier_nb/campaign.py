"""A notebook over many regions: several kernels at a time on one cluster, each run by itself, all of it resumable."""

import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import distributed.system
import nbformat
import psutil
from tqdm import tqdm

from glacier_nb import batch, cluster, estimates, kernels, outcomes, overview, provenance, sketches
from glacier_nb.outcomes import Outcome
from glacier_nb.runs import Run

KERNEL = 2 * 2**30
"""Bytes that a kernel may take, about: no more start at a time than fit beside each other."""

EVERY = 15.0
"""Seconds between two writings of the index while a batch goes on."""


def run(
    runs: Sequence[Run],
    out: str | os.PathLike,
    jobs: int | None = None,
    where: str = "",
    workers: int = 1,
    limits: kernels.Limits = kernels.NONE,
    again: bool = False,
) -> list[Outcome]:
    """Run all that is not there yet in `out`, `jobs` at a time on one Dask cluster; returns what became of each.

    A run that goes well leaves `out/<name>/`: the notebook, its page, its products, report.json. One that fails leaves
    `out/failed/<name>/` with log.html and report.json, and stops no other. Either folder is there whole or not at all.
    Over them lie summary.parquet, summary.csv and index.html. A run is done again when its inputs changed (see
    `runs.Run.inputs`), when one of its files is gone, when it failed, and all are with `again`.
    `where` and `workers` are `cluster.client`'s. jobs defaults to `here`. SIGTERM and KeyboardInterrupt end every
    kernel, leave what is done, and go on as KeyboardInterrupt. Raises ValueError where `out` holds the batch of another
    notebook, RuntimeError where a batch is running in it, ConnectionError where no cluster is to be had.
    """
    out = pathlib.Path(out)
    jobs = here() if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"{jobs} kernels at a time: give at least 1")
    with _alone(out, runs[0].notebook.stem), _interruptible(), contextlib.ExitStack() as opened:
        todo = [one for one in runs if again or outcomes.of(one, out).status != outcomes.GOOD]
        shared = {}
        if todo and "client" in todo[0].defaults:
            session = opened.enter_context(cluster.client(where, workers, cluster.cores()))
            shared = {"client": session.scheduler.address}
        opened.callback(_tell, runs, out)
        batch.lean()
        _all(todo, runs, out, jobs, shared, limits)
    return [outcomes.of(one, out) for one in runs]


def here() -> int:
    """Kernels at a time that this machine, or the container that this runs in, has cores and memory for."""
    memory = min(psutil.virtual_memory().available, distributed.system.memory_limit())  # that of the cgroup too
    return max(1, min(cluster.cores(), memory // KERNEL))


def _all(
    todo: Sequence[Run], runs: Sequence[Run], out: pathlib.Path, jobs: int, shared: dict, limits: kernels.Limits
) -> None:
    """Run `todo`; when this is interrupted, every kernel is ended before it returns."""
    stop, told, failed = threading.Event(), time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(jobs, "run") as pool:
        waiting = {pool.submit(one, each, out, shared, limits, stop): each for each in todo}
        try:
            with tqdm(total=len(todo), desc=runs[0].notebook.stem, unit="run", disable=not todo) as bar:
                for done in concurrent.futures.as_completed(waiting):
                    if why := done.result():
                        failed += 1
                        bar.write(f"{waiting[done].name}: {why}")
                        bar.set_postfix(failed=failed)
                    bar.update()
                    if time.monotonic() - told > EVERY:
                        _tell(runs, out)
                        told = time.monotonic()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def one(each: Run, out: pathlib.Path, shared: dict, limits: kernels.Limits, stop: threading.Event | None = None) -> str:
    """Do one run, whatever happens to it; returns why it failed, or nothing."""
    failed, facts = out / outcomes.FAILED / each.name, {"size_mpx": round(estimates.size(each), 4)}
    try:
        with provenance.whole(out / each.name) as folder:
            folder.mkdir()
            given = {**each.parameters, **shared}
            given |= {"out": str(folder)} if "out" in each.defaults else {}
            report = kernels.run(each.notebook, given, folder, limits, stop, out / each.name)
            sketches.thumbnail(folder, each.notebook.stem)
            outcomes.write(each, folder, status=outcomes.GOOD, **report, **facts)
        shutil.rmtree(failed, ignore_errors=True)
        return ""
    except kernels.Stopped:
        return "stopped"
    except kernels.Failure as raised:
        failure = raised
    except Exception as error:  # of the disk, of a report that is no number: this run's alone, like any other
        failure = kernels.Failure(kernels.first_line(error), {}, nbformat.v4.new_notebook(), "")
    with contextlib.suppress(OSError), provenance.whole(failed) as folder:
        folder.mkdir()
        kernels.write_log(failure, folder, each.notebook.stem)
        outcomes.write(each, folder, status=outcomes.BAD, error=str(failure), **failure.report, **facts)
    return str(failure)


def _tell(runs: Sequence[Run], out: pathlib.Path) -> None:
    """Write the summary and the index of all that is known now."""
    found = [outcomes.of(one, out) for one in runs]
    overview.write(found, outcomes.summarize(found, out), out / "index.html")


@contextlib.contextmanager
def _alone(out: pathlib.Path, notebook: str) -> Iterator[None]:
    """Keep a second batch out of `out`, and clear away what one that was killed left half-written."""
    out.mkdir(parents=True, exist_ok=True)
    mark = out / "batch.json"
    known = outcomes.read(mark).get("notebook", notebook)
    if known != notebook:
        raise ValueError(f"{out} holds a batch of {known}: give {notebook} another folder with --out")
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(f"another batch is writing in {out}: wait for it, or give another --out") from None
        for left in [*out.glob(".*"), *(out / outcomes.FAILED).glob(".*")]:
            if left.is_dir() and re.fullmatch(r"\..+-[a-z0-9_]{8}", left.name):
                shutil.rmtree(left, ignore_errors=True)
        provenance.write(mark, {"notebook": notebook})
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does; outside the main thread no signal arrives."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
