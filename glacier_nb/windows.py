"""Where the windows of a network lie over a scene, what each of their lines weighs, and which go together in a task."""

import dataclasses
import itertools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Axis:
    """Windows along one axis of `size` pixels.

    starts, weights: where each window starts and what each of its lines weighs (n, window). length: `size` padded.
    cuts: the first window of each group. chunk: pixels that a group owns; groups own [k chunk, (k + 1) chunk).
    """

    starts: tuple[int, ...]
    weights: np.ndarray
    window: int
    length: int
    size: int
    cuts: tuple[int, ...]
    chunk: int


def along(
    size: int,
    window: int,
    halo: int,
    stride: int = 1,
    reach: int | None = None,
    block: int | None = None,
    fixed: bool = False,
) -> Axis:
    """Overlapping windows over `size` pixels, starting on multiples of `stride`; their weights sum to 1 everywhere.

    The scene is padded at its end to a multiple of `stride` (fixed: to a window at least). Two windows meet at a seam.
    Lines within `reach` (the network's receptive radius) of a window's inner edge weigh nothing if the `halo` is wider
    than that, so that nothing differs from a single pass; else (or with None) the weight rises over twice the halo.
    An edge of the scene is no edge. Groups of about `block` pixels meet at multiples of `chunk`, so that a product can
    be stored in chunks of one group each. ValueError: the window is smaller than the stride, or the halo leaves
    nothing of it.

    >>> axis = along(88, 40, halo=8, reach=8)
    >>> axis.starts, np.unique(axis.weights)
    ((0, 24, 48), array([0., 1.]))
    """
    if window < stride:
        raise ValueError(f"a window of {window} pixels is too small for a network that halves down to 1/{stride}")
    window = -(-window // stride) * stride
    padded = max(-(-size // stride) * stride, window if fixed else 0)
    window = min(window, padded)
    first, step = halo, (window - 2 * halo) // stride * stride
    count = 1 if window == padded else -(-(padded - window) // step) + 1 if step > 0 else 0
    each = max(1, round(block / step)) if block and count > 1 else max(count, 1)
    if count > 2 * each:  # seams on multiples of the step cost a halo, and let every group own as much
        first, step = 0, (window - halo - -(-halo // stride) * stride) // stride * stride
        count = -(-(padded - window + halo) // step) + 1 if step > 0 else 0
    if not count:
        raise ValueError(
            f"a halo of {halo} leaves nothing of a window of {window}: take a window above {2 * (halo + stride)}"
        )
    seams = [first + step * number for number in range(1, count)]
    starts = (0, *(min(max(0, (seam - halo) // stride * stride), padded - window) for seam in seams))
    blend = halo if reach is None or reach > halo else halo - reach
    place = np.arange(window) + 0.5
    weights = np.ones((count, window))
    for number, seam in enumerate(seams):  # what one side gains there the other loses
        left, right = (
            np.clip((start + place - seam + blend) / (2 * blend), 0, 1) if blend else start + place > seam
            for start in starts[number : number + 2]
        )
        weights[number] -= left
        weights[number + 1] = right
    cuts = tuple(cut for cut in range(0, count, each) if cut == 0 or seams[cut - 1] < size)
    chunk = first + step * each if len(cuts) > 1 else size
    return Axis(starts, weights, window, padded, size, cuts, chunk)


@dataclasses.dataclass(frozen=True)
class Block:
    """Neighbouring windows that one task predicts: starts and weights (n, window) along y, then along x.

    number: its place in the order of work. wanted: which windows (y, x) are asked for. owned: the pixels (y, x) that
    are this block's to write, none of them any other block's. support: those on which its windows weigh anything.
    """

    number: int
    y: tuple[int, ...]
    x: tuple[int, ...]
    y_weights: np.ndarray
    x_weights: np.ndarray
    wanted: np.ndarray
    owned: tuple[slice, slice]
    support: tuple[slice, slice]

    @property
    def extent(self) -> tuple[slice, slice]:
        """The pixels (y, x) that the windows see; may reach past the scene's end, where it is padded."""
        sides = ((self.y, self.y_weights), (self.x, self.x_weights))
        return tuple(slice(starts[0], starts[-1] + weights.shape[1]) for starts, weights in sides)


def spans(rows: Axis, columns: Axis) -> np.ndarray:
    """The pixels on which each window weighs anything (window, 4), row by row: y from, y to, x from, x to."""
    y, x = (
        np.array([_support(axis, number, number + 1) for number in range(len(axis.starts))]) for axis in (rows, columns)
    )
    return np.hstack([np.repeat(y, len(x), axis=0), np.tile(x, (len(y), 1))])


def blocks(rows: Axis, columns: Axis, chosen: np.ndarray | None = None) -> list[Block]:
    """The windows of both axes in blocks, row by row; each window is in one at most.

    chosen: which windows (y, x) to predict; None: all. A block holds its chosen windows and what lies between them,
    and there is no block without one.
    """
    if chosen is None:
        chosen = np.ones((len(rows.starts), len(columns.starts)), dtype=bool)
    found = []
    for place in itertools.product(range(len(rows.cuts)), range(len(columns.cuts))):
        groups = [
            slice(axis.cuts[k], (*axis.cuts, len(axis.starts))[k + 1])
            for axis, k in zip((rows, columns), place, strict=True)
        ]
        if not chosen[*groups].any():
            continue
        kept = [
            group.start + np.flatnonzero(chosen[*groups].any(axis=other))
            for group, other in zip(groups, (1, 0), strict=True)
        ]
        down, across = (slice(int(numbers[0]), int(numbers[-1]) + 1) for numbers in kept)
        found.append(
            Block(
                len(found),
                rows.starts[down],
                columns.starts[across],
                rows.weights[down],
                columns.weights[across],
                chosen[down, across],
                tuple(_owned(axis, k) for axis, k in zip((rows, columns), place, strict=True)),
                (slice(*_support(rows, down.start, down.stop)), slice(*_support(columns, across.start, across.stop))),
            )
        )
    return found


def _owned(axis: Axis, group: int) -> slice:
    """The pixels of a group's own; the last group owns all that is left."""
    last = group + 1 == len(axis.cuts)
    return slice(group * axis.chunk, axis.size if last else (group + 1) * axis.chunk)


def _support(axis: Axis, first: int, end: int) -> tuple[int, int]:
    """From the first to after the last pixel of the scene that one of the windows `first` to before `end` weighs."""
    start = axis.starts[first] + int(np.flatnonzero(axis.weights[first] > 0)[0])
    stop = axis.starts[end - 1] + int(np.flatnonzero(axis.weights[end - 1] > 0)[-1]) + 1
    return start, min(stop, axis.size)
