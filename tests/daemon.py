"""A server program on loopback for the length of a test."""

import contextlib
import pathlib
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence


def ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as open_:
        probes = [open_.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def running(
    command: Sequence[str], folder: pathlib.Path, health: str, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """`command`, its output in folder/log, from when its address `health` answers 200; ended afterwards."""
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env)
    try:
        end, there = time.monotonic() + 90, False
        while not there and time.monotonic() < end and server.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5) as answer:
                there = answer.status == 200
            time.sleep(0.2)
        assert there, (folder / "log").read_text()[-2000:]
        yield
    finally:
        server.terminate()
        server.wait(60)
