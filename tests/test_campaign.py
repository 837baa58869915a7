"""A batch over many regions: side by side, none stopped by another, done again only where it must, whole or not."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import types

import dask
import distributed.system
import lightbook
import psutil
import pytest
import traces

from glacier_nb import __main__, campaign, cluster, kernels, outcomes, runs

CLUSTERED = """import json, os, pathlib, time, distributed

folder = pathlib.Path(out)
meeting = folder.parent.parent / "meeting"
meeting.mkdir(exist_ok=True)
(meeting / folder.name).touch()
until = time.monotonic() + 60
while len(list(meeting.iterdir())) < 3:  # ends well only where the others are there at the same time
    if time.monotonic() > until:
        raise RuntimeError("alone")
    time.sleep(0.05)
with distributed.Client(client) as session:
    worker = session.submit(os.getpid, pure=False).result()
(folder / "manifest.json").write_text(json.dumps({"answer": {"worker": worker, "scheduler": client}}))
"""


def left(folder):
    """Every file of a batch with the time it was written, but the lock and what the notebooks count."""
    files = (
        path for path in (folder / "out").rglob("*") if path.is_file() and path.name not in (".lock", "started.txt")
    )
    return {path.relative_to(folder / "out").as_posix(): path.stat().st_mtime_ns for path in files}


def test_runs_go_side_by_side_on_one_cluster(tmp_path):
    parameters = lightbook.PARAMETERS + '\nclient: str = ""  # address of a Dask scheduler'
    lightbook.write(tmp_path, CLUSTERED, parameters=parameters)
    found = lightbook.batch(tmp_path, ["", "", ""], limits=kernels.NONE)
    assert [one.status for one in found] == [outcomes.GOOD] * 3, [one.error for one in found]
    assert len({one.answer["scheduler"] for one in found}) == 1
    (worker,) = {one.answer["worker"] for one in found}
    assert not psutil.pid_exists(worker), "the cluster is still there"


def test_where_a_gateway_is_set_up_and_nobody_answers_no_run_is_begun(tmp_path):
    pytest.importorskip("dask_gateway")  # leaves its defaults in Dask's settings, before these are set over them
    parameters = lightbook.PARAMETERS + '\nclient: str = ""  # address of a Dask scheduler'
    code = "import json, pathlib\npathlib.Path(out, 'manifest.json').write_text(json.dumps({'answer': {'at': client}}))"
    lightbook.write(tmp_path, code, parameters=parameters)
    with dask.config.set({"gateway.address": "http://127.0.0.1:9"}):
        asked = __main__.parser().parse_args(["batch", "a.yml", "--notebook", "light", "--out", "out"]).cluster
        with pytest.raises(ConnectionError, match=r"no cluster from the gateway .*; start one"):
            lightbook.batch(tmp_path, [""], where=asked, limits=kernels.NONE)
        assert not list((tmp_path / "out").glob("r0*")) and not (tmp_path / "out" / "failed").exists()
        (one,) = lightbook.batch(tmp_path, [""], where="local", limits=kernels.NONE)
    assert one.answer["at"].startswith("tcp://127.0.0.1:"), one.error


ON_A_HUB = """import json, os, pathlib
from glacier_nb import cluster

session = cluster.held(client)
there = session.submit(os.getpid, pure=False).result()
cluster.release()
pathlib.Path(out, "manifest.json").write_text(json.dumps({"answer": {"worker": there, "scheduler": client}}))"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what the gateway's libraries have to say to each other
def test_on_a_hub_all_runs_join_one_cluster_of_its_gateway(gateway, root, tmp_path, monkeypatch):
    """Begun by the batch, joined by each kernel by its name and left running, gone when the batch ends."""
    import dask_gateway

    who = {"username": "reader", "password": gateway["auth"].password}
    known = {"gateway.address": gateway["address"], "gateway.auth.type": "basic", "gateway.auth.kwargs": who}
    for name, value in known.items():  # as a hub has them, for the kernels; this process read its own before
        monkeypatch.setenv(f"DASK_{name.upper().replace('.', '__')}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(root))
    parameters = lightbook.PARAMETERS + '\nclient: str = ""  # address of a Dask scheduler'
    lightbook.write(tmp_path, ON_A_HUB, parameters=parameters)
    with dask.config.set(known):
        found = lightbook.batch(tmp_path, ["", "", ""], jobs=2, limits=kernels.NONE)
        with dask_gateway.Gateway() as hub:
            assert not hub.list_clusters()
    vars(hub).pop("_loop_runner", None)  # else it closes a second time when it is collected
    assert [one.status for one in found] == [outcomes.GOOD] * 3, [one.error for one in found]
    (address,) = {one.answer["scheduler"] for one in found}
    assert address.startswith("gateway://") and len({one.answer["worker"] for one in found}) == 1


def test_no_failure_stops_the_others_and_each_is_named(tmp_path, capsys):
    faults = ["", *lightbook.FAULTS, ""]
    found = lightbook.batch(tmp_path, faults)
    told = capsys.readouterr()
    for one, fault in zip(found, faults, strict=True):
        assert one.status == (outcomes.BAD if fault else outcomes.GOOD), one
        if fault:
            assert lightbook.named(one.error, fault), one.error
            assert f"{one.run.name}: {one.error}" in told.out.splitlines()
            assert one.folder == f"failed/{one.run.name}" and set(one.files) == {"log.html", "light.ipynb"}
        else:
            assert one.answer["change_percent"] == -1.5 * one.run.parameters["seed"]
            assert set(one.files) == {"light.html", "light.ipynb", "manifest.json"}
    # the one that cannot be reached says a token in stderr, in its error and in the traceback
    assert not traces.told(tmp_path / "out")
    for path in left(tmp_path):
        assert lightbook.SECRET.encode() not in (tmp_path / "out" / path).read_bytes(), path
    assert lightbook.SECRET not in told.out + told.err
    total = len(faults)  # the bar: how many are done, how long it took and has yet to take
    assert re.search(rf"light: .*\b[1-{total - 1}]/{total} \[\d\d:\d\d<\d\d:\d\d", told.err), told.err
    assert re.search(rf"light: 100%.*\b{total}/{total} \[.*failed={len(lightbook.FAULTS)}\]", told.err), told.err


def test_what_is_there_is_not_done_again(tmp_path):
    faults = ["", "empty", ""]
    lightbook.batch(tmp_path, faults)
    assert lightbook.started(tmp_path) == ["r000", "r001", "r002"]
    lightbook.batch(tmp_path, faults)
    assert lightbook.started(tmp_path) == ["r001"]  # what failed may go well now
    found = lightbook.batch(tmp_path, ["", "", ""])
    assert lightbook.started(tmp_path) == ["r001"]
    assert [one.status for one in found] == [outcomes.GOOD] * 3
    assert not (tmp_path / "out" / "failed" / "r001").exists()
    before = left(tmp_path)
    lightbook.batch(tmp_path, ["", "", ""])
    assert lightbook.started(tmp_path) == []
    after = left(tmp_path)
    assert {name for name in after if before.get(name) != after[name]} <= {
        "index.html", "summary.csv", "summary.parquet", "batch.json",
    }  # fmt: skip
    lightbook.batch(tmp_path, ["", "", ""], again=True)
    assert lightbook.started(tmp_path) == ["r000", "r001", "r002"]


def test_what_changed_is_done_again(tmp_path):
    book, outlines = lightbook.write(tmp_path), tmp_path / "rgi.gpkg"
    outlines.write_text("outlines")

    def go(third: str):
        text = "".join(f"- {{region: '7.0{n},46,7.1{n},46.1', name: r{n}, {more}}}\n" for n, more in enumerate(
            ("inventory: rgi.gpkg", "seed: 1", third)))  # fmt: skip
        (tmp_path / "regions.yml").write_text(text)
        campaign.run(runs.read(tmp_path / "regions.yml", str(book)), tmp_path / "out", 3)
        return lightbook.started(tmp_path)

    assert go("seed: 2") == ["r0", "r1", "r2"]
    assert go("seed: 3") == ["r2"]
    os.utime(outlines, ns=(1, 1))
    assert go("seed: 3") == []  # the same bytes, whenever they were written
    outlines.write_text("better outlines")
    assert go("seed: 3") == ["r0"]
    (tmp_path / "out" / "r1" / "manifest.json").unlink()
    assert go("seed: 3") == ["r1"]
    (tmp_path / "out" / "r2" / "report.json").write_text('{"inputs": ')
    assert go("seed: 3") == ["r2"]
    lightbook.write(tmp_path, lightbook.CODE + "\nprint('another')")
    assert go("seed: 3") == ["r0", "r1", "r2"]


def test_a_failure_leaves_the_good_run_from_before(tmp_path):
    (good,) = lightbook.batch(tmp_path, [""])
    before = (tmp_path / "out" / "r000" / "report.json").read_bytes()
    (bad,) = lightbook.batch(tmp_path, ["corrupt"])
    assert (good.status, bad.status) == (outcomes.GOOD, outcomes.BAD)
    assert (tmp_path / "out" / "r000" / "report.json").read_bytes() == before
    (back,) = lightbook.batch(tmp_path, [""])
    assert back.status == outcomes.GOOD and lightbook.started(tmp_path) == ["r000", "r000"]


def test_a_disk_that_fails_is_one_run_s_failure(tmp_path, monkeypatch):
    written = outcomes.write

    def full(run, folder, **facts):
        if run.name == "r001" and facts["status"] == outcomes.GOOD:
            raise OSError(28, "No space left on device")
        written(run, folder, **facts)

    monkeypatch.setattr(outcomes, "write", full)
    found = lightbook.batch(tmp_path, ["", "", ""])
    assert [one.status for one in found] == [outcomes.GOOD, outcomes.BAD, outcomes.GOOD]
    assert found[1].error == "OSError: [Errno 28] No space left on device"
    assert not (tmp_path / "out" / "r001").exists()


def test_one_batch_at_a_time_of_one_notebook(tmp_path):
    lightbook.batch(tmp_path, [""])
    other = lightbook.write(tmp_path, name="other")
    asked = runs.read(tmp_path / "regions.yml", str(other))
    with pytest.raises(ValueError, match="out holds a batch of light: give other another folder with --out"):
        campaign.run(asked, tmp_path / "out", 1)
    with campaign._alone(tmp_path / "out", "light"), pytest.raises(RuntimeError, match="another batch is writing in"):
        lightbook.batch(tmp_path, [""])
    with pytest.raises(ValueError, match="0 kernels at a time: give at least 1"):
        lightbook.batch(tmp_path, [""], jobs=0)


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(("text", "most"), [("6442450944", 3), ("1000000000", 1), ("max", 4), (str(2**63 - 4096), 4)])
def test_a_container_s_memory_bounds_the_kernels(monkeypatch, tmp_path, name, text, most):
    """Cgroup 2 and cgroup 1, on a machine of 16 cores with room for four kernels."""
    (tmp_path / "memory").mkdir()
    (tmp_path / name).write_text(text)
    there = {f"/sys/fs/cgroup/{name}": tmp_path / name}
    monkeypatch.setattr(distributed.system, "open", lambda path: there[path].open(), raising=False)
    machine = types.SimpleNamespace(available=4 * campaign.KERNEL, total=10**12)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(cluster, "cores", lambda: 16)
    assert campaign.here() == most


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sead: 3", "no parameter 'sead'"),
        ("seed: x", "Aletsch: light: seed='x' is no int"),
        ("years: [2024, 2017]", "Aletsch: light: years=[2024, 2017]: give at least one, the earliest first"),
        ("years: [x]", "Aletsch: light: years=['x'] holds 'x', which is no int"),
    ],
)
def test_all_is_checked_before_the_first_run(tmp_path, capsys, line, says):
    path = lightbook.listed(tmp_path, ["", ""])
    path.write_text(path.read_text() + f"- {{region: Aletsch, {line}}}\n")
    argv = ["batch", str(path), "--notebook", str(lightbook.write(tmp_path)), "--out", str(tmp_path / "out")]
    assert __main__.main(argv) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1, said
    assert not (tmp_path / "out").exists()


@pytest.fixture
def process(tmp_path):
    """Starts a batch of two good runs and two slow ones as a command, and waits until the slow ones are under way."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job would hand on that it is ignored
    path = lightbook.listed(tmp_path, ["", "", "slow", "slow"])
    argv = [str(path), "--notebook", str(lightbook.write(tmp_path)), "--out", str(tmp_path / "out"), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "glacier_nb", "batch", *argv], stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    counted, until = tmp_path / "out" / "started.txt", time.monotonic() + 60
    while not counted.exists() or len(counted.read_text().split()) < 4:
        assert process.poll() is None and time.monotonic() < until, "it does not start"
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()


def gone(processes) -> bool:
    """Whether all of them end within half a minute, as a kernel whose parent was killed does by itself."""
    return not psutil.wait_procs(processes, timeout=30)[1]


def resumed(tmp_path):
    """What a batch without faults does after one that was stopped: the two that were slow, and they only."""
    assert {path.name for path in (tmp_path / "out").glob("r*")} == {"r000", "r001"}, "half a run is there"
    lightbook.started(tmp_path)
    path = tmp_path / "regions.yml"
    path.write_text(path.read_text().replace("slow", ""))
    found = campaign.run(runs.read(path, str(tmp_path / "light.ipynb")), tmp_path / "out", 2)
    assert [one.status for one in found] == [outcomes.GOOD] * 4
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.name != ".lock"], "something is left"
    return lightbook.started(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_leaves_no_kernel_and_can_go_on(process, tmp_path, number):
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "glacier_nb batch: stopped" and "Traceback" not in said, said
    assert gone(family)
    assert not list((tmp_path / "out").glob(".r*")) and not (tmp_path / "out" / "failed").exists()
    page = (tmp_path / "out" / "index.html").read_text()  # of what is there by now
    assert "2 of 4 runs are good, 2 wait to be run" in page
    assert resumed(tmp_path) == ["r002", "r003"]


def test_killed_it_leaves_nothing_half(process, tmp_path):
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    assert gone(family)
    for name in ("r000", "r001"):
        report = json.loads((tmp_path / "out" / name / "report.json").read_text())
        assert all((tmp_path / "out" / name / file).exists() for file in report["files"])
    assert not (tmp_path / "out" / "summary.csv").exists()  # it is written at the end, whole
    assert resumed(tmp_path) == ["r002", "r003"]


@pytest.mark.slow
def test_a_hundred_regions_of_which_ten_fail(tmp_path):
    faults = [""] * 100
    wrong = dict(zip(range(4, 100, 10), [*lightbook.FAULTS, *lightbook.FAULTS], strict=True))
    for place, fault in wrong.items():
        faults[place] = fault
    found = lightbook.batch(tmp_path, faults, jobs=campaign.here())
    assert len(lightbook.started(tmp_path)) == 100
    assert {place: one.status for place, one in enumerate(found) if one.status != outcomes.GOOD} == dict.fromkeys(
        wrong, outcomes.BAD
    )
    for place, fault in wrong.items():
        assert lightbook.named(found[place].error, fault), found[place].error
    assert statistics.median(one.seconds for one in found if one.status == outcomes.GOOD) < 3
    mended = lightbook.batch(tmp_path, [""] * 100, jobs=campaign.here())
    assert lightbook.started(tmp_path) == [f"r{place:03d}" for place in wrong]
    assert [one.answer["change_percent"] for one in mended] == [-1.5 * seed for seed in range(100)]
    assert not list((tmp_path / "out" / "failed").iterdir())
