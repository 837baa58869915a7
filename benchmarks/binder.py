"""How long a notebook takes where Binder runs it: one core, 2 GB, JupyterLab beside it.

    docker run --rm --cpus 1 --memory 2g IMAGE python benchmarks/binder.py [--json] [NOTEBOOK ...]

Binder's limits are the container's: run it inside one that has them (the image that repo2docker makes of this
repository, or any control group). It starts JupyterLab, which takes memory too, and runs each notebook as a reader
does: a kernel of its own, a cluster of its own where it wants one, the demo region there already. `cores` and
`memory_mb` say what the limits really were.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import distributed.system
from nbclient.exceptions import DeadKernelError

from glacier_nb import batch, cluster, demo


@contextlib.contextmanager
def lab(folder: str) -> Iterator[bool]:
    """JupyterLab on a free port of loopback for as long as the block lasts; False where it is not installed."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    started = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(10)
        yield started.poll() is None
    finally:
        started.terminate()
        started.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", default=list(batch.TOUR), help="names; default: the tour's first five")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    demo.folder(7)  # an image has it
    limit = round(distributed.system.memory_limit() / 1e6)
    found = {"cores": cluster.cores(), "memory_mb": limit, "notebooks": {}}
    with tempfile.TemporaryDirectory() as folder, lab(folder) as found["lab"]:
        for name in given.notebooks:
            out = pathlib.Path(folder) / name
            with batch.peak_memory() as memory:
                try:
                    ran = batch.notebook(name, {"out": str(out)}, out, progress=False)
                except DeadKernelError:
                    ran = {"ended": "for want of memory"}
            numbers = {key: ran[key] for key in ("ended", "seconds", "first_map_seconds") if ran.get(key)}
            found["notebooks"][name] = numbers | {"peak_memory_mb": round(memory["mb"])}
            print(name, found["notebooks"][name], file=sys.stderr)
    print(json.dumps(found) if given.json else "\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
