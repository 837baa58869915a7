"""Where the windows of a network lie over a scene, what each of their lines weighs, and which go together in a task."""

import dataclasses
import itertools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Axis:
    """Windows along one axis: where they start, the weight of each of their lines, and the padded length."""

    starts: tuple[int, ...]
    weights: np.ndarray
    window: int
    length: int


def along(length: int, window: int, halo: int, stride: int = 1, reach: int | None = None) -> Axis:
    """Overlapping windows over `length` pixels, starting on multiples of `stride`; their weights sum to 1 everywhere.

    The scene is padded at its end to a multiple of `stride`. Lines within `reach` (the network's receptive radius) of
    a window's inner edge weigh nothing if the `halo` is wider than that, so that nothing differs from a single pass;
    else (or with None) the weight rises from the window's edge over twice the halo. An edge of the scene is no edge.
    ValueError: the window is smaller than the stride, or the halo leaves nothing of it.

    >>> axis = along(88, 40, halo=8, reach=8)
    >>> axis.starts, np.unique(axis.weights)
    ((0, 24, 48), array([0., 1.]))
    """
    if window < stride:
        raise ValueError(f"a window of {window} pixels is too small for a network that halves down to 1/{stride}")
    padded = -(-length // stride) * stride
    window = min(-(-window // stride) * stride, padded)
    step = (window - 2 * halo) // stride * stride
    if step < 1 and window < padded:
        raise ValueError(
            f"a halo of {halo} leaves nothing of a window of {window}: take a window above {2 * halo + stride}"
        )
    starts = (*range(0, padded - window, max(step, 1)), padded - window)
    place = np.arange(window) + 0.5
    weights = np.empty((len(starts), window))
    blend = halo if reach is None or reach > halo else halo - reach
    for row, start in zip(weights, starts, strict=True):
        inside = np.minimum(place if start > 0 else np.inf, window - place if start + window < padded else np.inf)
        row[:] = np.clip((inside - halo + blend) / (2 * blend), 0, 1) if blend else inside > halo
    total = np.zeros(padded)
    for row, start in zip(weights, starts, strict=True):
        total[start : start + window] += row
    for row, start in zip(weights, starts, strict=True):
        row /= total[start : start + window]
    return Axis(starts, weights, window, padded)


@dataclasses.dataclass(frozen=True)
class Block:
    """Neighbouring windows that one task predicts: starts and weights (n, window) along y, then along x."""

    y: tuple[int, ...]
    x: tuple[int, ...]
    y_weights: np.ndarray
    x_weights: np.ndarray

    @property
    def extent(self) -> tuple[slice, slice]:
        """The pixels (y, x) that the windows see; may reach past the scene's end, where it is padded."""
        sides = ((self.y, self.y_weights), (self.x, self.x_weights))
        return tuple(slice(starts[0], starts[-1] + weights.shape[1]) for starts, weights in sides)


def blocks(rows: Axis, columns: Axis, size: int) -> list[Block]:
    """All windows of both axes in blocks of about `size` pixels a side, row by row; each window is in exactly one."""
    groups = []
    for axis in (rows, columns):
        step = axis.starts[1] - axis.starts[0] if len(axis.starts) > 1 else axis.window
        count = max(1, round(size / step))
        cuts = range(0, len(axis.starts), count)
        groups.append([(axis.starts[cut : cut + count], axis.weights[cut : cut + count]) for cut in cuts])
    return [Block(y, x, y_weights, x_weights) for (y, y_weights), (x, x_weights) in itertools.product(*groups)]
