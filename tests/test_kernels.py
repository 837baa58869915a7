"""One notebook in its own kernel: its limits, how its end is told, and what it leaves of this machine."""

import pathlib
import signal
import tempfile
import threading

import lightbook
import psutil
import pytest

from glacier_nb import batch, campaign, kernels, runs

FAMILY = """import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=open(out + "/child.txt", "w"))
time.sleep(600)"""


@pytest.fixture
def run(tmp_path):
    """Runs a light notebook with one cell of code; the folder it is left in is `tmp_path`."""

    def runner(code: str, limits: kernels.Limits = kernels.NONE, stop: threading.Event | None = None):
        book = lightbook.write(tmp_path, code, "small")
        (tmp_path / "out").mkdir()
        return kernels.run(book, {"out": str(tmp_path / "out")}, tmp_path / "out", limits, stop)

    return runner


@pytest.fixture
def child(tmp_path):
    """The process that the kernel of FAMILY started, once it is there; None where it is gone already."""

    def process() -> psutil.Process | None:
        path = tmp_path / "out" / "child.txt"
        while not (path.exists() and path.read_text().strip()):
            threading.Event().wait(0.05)
        pid = int(path.read_text())
        return psutil.Process(pid) if psutil.pid_exists(pid) else None

    return process


def ended(process: psutil.Process | None) -> bool:
    """Whether a process is gone, or about to be: one that nobody waits for stays a zombie in a container."""
    return process is None or not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_kernel_that_takes_too_long_is_ended_with_all_it_started(run, child):
    with pytest.raises(kernels.Failure, match=r"^out of time: it took more than 0\.05 minutes$") as caught:
        run(FAMILY, kernels.Limits(minutes=0.05))
    assert caught.value.report["seconds"] >= 3
    assert ended(child())


def test_a_child_s_memory_counts(run):
    code = FAMILY.replace("import time; time", "import time; held = bytearray(b'x' * (300 * 2**20)); time")
    with pytest.raises(kernels.Failure, match=r"^out of memory: it took [\d,]+ MiB, 250 were allowed$") as caught:
        run(code, kernels.Limits(memory=lightbook.LIMIT))
    assert caught.value.report["memory_mb"] > lightbook.LIMIT


def test_all_are_stopped_together(run, child):
    stop = threading.Event()

    def later():
        child()
        stop.set()

    threading.Thread(target=later).start()
    with pytest.raises(kernels.Stopped):
        run(FAMILY, stop=stop)
    assert ended(child())


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"killed: the kernel was ended by SIGSEGV"),
        ("import os; os._exit(3)", r"killed: the kernel ended by itself with exit code 3"),
        ("raise MemoryError('2 GiB for an array')", r"out of memory: MemoryError: 2 GiB for an array"),
        ("raise ValueError('one\\ntwo')", r"ValueError: one"),
        ("1 +", r"SyntaxError: invalid syntax .*"),
    ],
)
def test_every_end_is_told_in_one_line(run, code, says):
    with pytest.raises(kernels.Failure, match=f"^{says}$"):
        run(code)


def test_a_limit_of_this_size_does_no_harm(run, tmp_path):
    report = run("held = bytearray(b'x' * (100 * 2**20))\nprint('done')", kernels.Limits(memory=1000, minutes=5))
    assert report["seconds"] > 0 and {path.name for path in (tmp_path / "out").iterdir()} == {
        "small.ipynb",
        "small.html",
    }
    assert "done" in (tmp_path / "out" / "small.html").read_text()


def test_nothing_that_is_left_names_a_folder_of_this_machine(tmp_path, root, monkeypatch):
    """With paths given relative to where it is called; tracebacks tell files by their package."""
    monkeypatch.setenv("PYTHONPATH", str(root))  # kernels start elsewhere and are to have this very package
    monkeypatch.chdir(tmp_path)
    warns = "import warnings\nwarnings.warn('thin ice')\n"
    lightbook.write(tmp_path, warns + lightbook.CODE)
    here = pathlib.Path()
    lightbook.batch(here, ["", *lightbook.FAULTS])
    library = "from glacier_nb import regions\nimport statistics\n"
    for name, code in (("ours", "regions.place('Atlantis')"), ("theirs", "statistics.mean([])")):
        book = lightbook.write(here, library + code, name)
        (one,) = campaign.run(runs.read(lightbook.listed(here, [""]), str(book)), here / "deep" / name, 1)
        assert one.status == "failed"
    assert "glacier_nb/regions.py" in (here / "deep" / "ours" / "failed" / "r000" / "log.html").read_text()
    assert "statistics.py" in (here / "deep" / "theirs" / "failed" / "r000" / "log.html").read_text()
    batch.notebook(str(lightbook.write(here, warns, "alone")), {}, here / "one", progress=False)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rgi.gpkg").write_text("outlines")
    code = "print(inventory, out, file=sys.stderr)\nassert pathlib.Path(inventory).exists()\n"
    book = lightbook.write(
        tmp_path, lightbook.CODE + "\n" + code + "if fault: raise ValueError(out + inventory)", "full"
    )
    rows = "\n".join(f"- {{region: '7,46,7.1,46.1', name: r{n}, fault: '{n or ''}'}}" for n in range(2))
    (tmp_path / "in" / "full.yml").write_text(f"each: {{inventory: [rgi.gpkg]}}\nregions:\n{rows}\n")
    asked = runs.read(tmp_path / "in" / "full.yml", str(book))  # with absolute paths
    assert asked[0].parameters["inventory"] == str(tmp_path / "in" / "rgi.gpkg")
    found = campaign.run(asked, tmp_path / "deep" / "full", 1)
    assert [one.status for one in found] == ["good", "failed"] and found[1].error.startswith("ValueError: ")
    assert (tmp_path / "deep" / "full" / found[0].folder / "full.ipynb").exists()
    again = campaign.run(runs.read(tmp_path / "in" / "full.yml", str(book)), tmp_path / "deep" / "full", 1)
    started = (tmp_path / "deep" / "full" / "started.txt").read_text().split()
    assert started == [asked[0].name, asked[1].name, asked[1].name] and again[0] == found[0]  # by the true parameters
    left = [path for path in (*here.glob("out/**/*"), *here.glob("deep/**/*"), *here.glob("one/*")) if path.is_file()]
    kinds = {path.suffix for path in left if path.name != "started.txt"}
    assert {".ipynb", ".html", ".json", ".csv"} <= kinds
    home, mark = str(pathlib.Path.home()), ("", "/", "~")
    folders = {str(tmp_path), str(root), tempfile.gettempdir() + "/", *([home] if home not in mark else [])}
    for path in left:
        found = path.read_bytes().decode(errors="replace")
        assert not [folder for folder in folders if folder in found], path
        assert not list(path.parent.glob("*.log"))


def test_the_system_s_signal_is_named(monkeypatch):
    """A kernel that the system killed for memory, by what a container counts; without it, no more than is known."""

    class Ended:
        def poll(self):
            return -signal.SIGKILL

    error = RuntimeError("Kernel died")
    assert kernels._why(error, [Ended()], True) == "out of memory: the kernel was killed by the system (SIGKILL)"
    assert kernels._why(error, [Ended()], False) == "killed: the kernel was ended by SIGKILL: out of memory, or by hand"
