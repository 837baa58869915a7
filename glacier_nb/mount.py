"""Files that a Python object reads, under a path by which GDAL opens them in any thread."""

import atexit
import contextvars
import functools
import io
import itertools
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import rasterio
import rasterio.abc
from rasterio.io import MemoryFile


class Source(Protocol):
    """What reads a file. Neither method may raise: GDAL's plugins take no exception."""

    total: int
    """Length in bytes."""

    def some(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on, fewer at the end."""

    def several(self, wanted: list[tuple[int, int]]) -> list[bytes]:
        """(start, size) each."""


def opened(source: Source, suffix: str, action: Callable[[str], Any]) -> Any:
    """What `action` returns for a path, ending in `suffix`, by which rasterio opens the source."""
    context, folder = _mount(os.getpid())
    name = f"{next(_numbers)}{suffix}"
    _files[name] = source
    try:
        with rasterio.Env(GDAL_NUM_THREADS="1"):  # rasterio knows the folder in this thread only
            return context.copy().run(action, f"{folder}/{name}")
    finally:
        del _files[name]


_files: dict[str, Source] = {}
_numbers = itertools.count()
_mounting = threading.Lock()
_seeds: dict[int, rasterio.DatasetReader] = {}


class _Bytes:
    """A file that is all here."""

    def __init__(self, body: bytes) -> None:
        self.body, self.total = body, len(body)

    def some(self, start: int, size: int) -> bytes:
        return self.body[start : start + size]


class _Handle(io.RawIOBase):
    """An open file, as GDAL's plugin wants it."""

    def __init__(self, source) -> None:
        self.source, self.place = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset + (0, self.place, self.source.total)[whence]
        return self.place

    def read(self, size: int = -1) -> bytes:
        body = self.source.some(self.place, size if size >= 0 else self.source.total)
        self.place += len(body)
        return body

    def get_byte_ranges(self, offsets: list[int], sizes: list[int]) -> list[bytes]:
        return self.source.several(list(zip(offsets, sizes, strict=True)))


class _Folder(rasterio.abc.MultiByteRangeResourceContainer):
    """The folder in which all of them lie for GDAL."""

    def open(self, path: str, mode: str = "r", **more: Any) -> io.RawIOBase:
        return _Handle(_files[pathlib.PurePath(path).name])

    def isfile(self, path: str) -> bool:
        return pathlib.PurePath(path).name in _files

    def isdir(self, path: str) -> bool:
        return False

    def ls(self, path: str) -> list[str]:
        return []

    def mtime(self, path: str) -> int:
        return 0

    def size(self, path: str) -> int:
        return _files[pathlib.PurePath(path).name].total

    def rm(self, path: str) -> None:
        raise OSError("these files are only read")


def _mount(process: int) -> tuple[contextvars.Context, str]:
    """The context in which rasterio knows our folder, and the folder's name in GDAL."""
    with _mounting:
        return _mounted(process)


@functools.cache
def _mounted(process: int) -> tuple[contextvars.Context, str]:
    """rasterio installs a file system with each opener and takes it away with its dataset: one stays open for all."""
    context = contextvars.copy_context()

    def first() -> str:
        with MemoryFile() as memory:
            profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 1, "width": 1}
            with memory.open(crs="EPSG:4326", transform=rasterio.Affine(2, 0, 0, 0, -2, 0), **profile) as dst:
                dst.write(np.zeros((1, 1, 1), "uint8"))
            body = memory.read()
        _files["seed.tif"] = _Bytes(body)
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            _seeds[process] = rasterio.open("glacier_nb/seed.tif", opener=_Folder())
            atexit.register(context.run, _seeds[process].close)  # while rasterio still knows it
        return _seeds[process].name

    return context, context.run(first).rpartition("/")[0]
