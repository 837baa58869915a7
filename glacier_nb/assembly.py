"""Sums of overlapping blocks put together to the chunks of a product, each pixel once, the same bits in any order."""

import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from glacier_nb.windows import Block

Hidden = Callable[[tuple[slice, slice]], np.ndarray] | None
"""Takes pixels (y, x) and tells which of them were not asked for (bool, y, x)."""


class Assembly:
    """Sums of blocks become finished chunks; what waits for its neighbours waits in memory or in `folder`.

    Blocks weigh on each other's pixels by a halo's width where seams are blended. Sums are added in the order of the
    blocks' numbers, so that the same blocks give the same bits whichever came first.
    """

    def __init__(self, blocks: Sequence[Block], hidden: Hidden = None, folder: pathlib.Path | None = None):
        self.blocks, self.hidden, self.folder = blocks, hidden, folder
        self._sums: dict[int, np.ndarray | None] = {}
        self.written: set[int] = set()
        self.givers: dict[int, list[int]] = {block.number: [] for block in blocks}
        self.takers: dict[int, list[int]] = {}
        owners = _Grid(blocks)
        for block in blocks:
            self.takers[block.number] = owners.touched(block.support)
            for owner in self.takers[block.number]:
                self.givers[owner].append(block.number)

    def finished(self, block: Block) -> bool:
        """Whether nothing of this block has to be predicted any more."""
        return block.number in self._sums or self.written.issuperset(self.takers[block.number])

    def recall(self, written: set[int]) -> None:
        """Go on from chunks that were written and sums that wait in the folder."""
        self.written |= written
        for path in self.folder.glob("*.npy"):
            number = int(path.stem)
            if self.written.issuperset(self.takers[number]):
                path.unlink()
            else:
                self._sums[number] = None

    def put(self, block: Block, values: np.ndarray) -> Iterator[tuple[Block, np.ndarray]]:
        """Take a block's sums (score, y, x) over its support; yields every chunk that this finishes, with its block."""
        if self.takers[block.number] == [block.number] == self.givers[block.number]:
            yield from self._chunk(block, lambda number: values)
            return
        self._sums[block.number] = self._kept(block.number, values)
        yield from self.ready(self.takers[block.number])

    def ready(self, owners: Sequence[int] | None = None) -> Iterator[tuple[Block, np.ndarray]]:
        """The chunks of these blocks (None: of all) for which everything is there, and which are not written yet."""
        for owner in self.givers if owners is None else owners:
            if owner not in self.written and all(giver in self._sums for giver in self.givers[owner]):
                yield from self._chunk(self.blocks[owner], self._found)

    def _chunk(self, block: Block, sums: Callable[[int], np.ndarray]) -> Iterator[tuple[Block, np.ndarray]]:
        """One finished chunk, of what `sums` has of each giver; it counts as written when the caller comes for more."""
        total = None
        for number in sorted(self.givers[block.number]):  # one at a time: what is mapped counts as memory
            values = sums(number)
            if total is None:
                shape = [side.stop - side.start for side in block.owned]
                total = np.zeros((values.shape[0], *shape), dtype="float32")
            target, source = [], []
            for own, given in zip(block.owned, self.blocks[number].support, strict=True):
                low, high = max(own.start, given.start), min(own.stop, given.stop)
                target.append(slice(low - own.start, high - own.start))
                source.append(slice(low - given.start, high - given.start))
            total[:, *target] += values[:, *source]
            del values
        if self.hidden is not None:
            total[:, self.hidden(block.owned)] = np.nan
        yield block, total
        self.written.add(block.number)
        for giver in self.givers[block.number]:
            if giver in self._sums and self.written.issuperset(self.takers[giver]):
                del self._sums[giver]
                if self.folder is not None:
                    self._path(giver).unlink(missing_ok=True)

    def _kept(self, number: int, values: np.ndarray) -> np.ndarray | None:
        if self.folder is None:
            return values
        temporary = self._path(number).with_suffix(".part")
        with open(temporary, "wb") as file:
            np.save(file, values)
        os.replace(temporary, self._path(number))
        return None

    def _found(self, number: int) -> np.ndarray:
        values = self._sums[number]
        return np.load(self._path(number), mmap_mode="r") if values is None else values

    def _path(self, number: int) -> pathlib.Path:
        return self.folder / f"{number}.npy"


class _Grid:
    """Which blocks own pixels, by place."""

    def __init__(self, blocks: Sequence[Block]):
        self.starts = [sorted({block.owned[axis].start for block in blocks}) for axis in (0, 1)]
        self.stops = [{b.owned[axis].start: b.owned[axis].stop for b in blocks} for axis in (0, 1)]
        self.numbers = {tuple(side.start for side in block.owned): block.number for block in blocks}

    def touched(self, support: tuple[slice, slice]) -> list[int]:
        """Numbers of the blocks that own pixels in `support`, in their order."""
        near = []
        for side, starts, stops in zip(support, self.starts, self.stops, strict=True):
            first, last = np.searchsorted(starts, (side.start, side.stop - 1), side="right") - 1
            near.append([s for s in starts[max(first, 0) : last + 1] if stops[s] > side.start])
        return sorted(self.numbers[y, x] for y in near[0] for x in near[1] if (y, x) in self.numbers)
