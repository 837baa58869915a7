"""A front as a line of vertices: from a mask, back to a map, and how far one line is from another.

Vertices are (batch, vertex, 2): row and column in [-1, 1], the centres of the outermost pixels; the pixel is
(v + 1) * (size - 1) / 2. Along a line the ice lies on its left, seen with the rows downwards.

Without a source, plain or ours: `distances`.
"""

import numpy as np
import torch
from skimage.measure import find_contours
from torch import Tensor
from torch.nn import functional

_FAR = 1e10  # a cost that no path takes; infinity would make NaN of gradients


def outline(mask: np.ndarray, count: int, seen: np.ndarray | None = None) -> np.ndarray | None:
    """The longest line (count, 2) about `mask` (y, x), its vertices evenly apart, what is true on its left.

    Lines run between pixel centres and not through what is not `seen`: marching squares
    (Lorensen and Cline 1987, doi:10.1145/37402.37422). None where there is no line.

    >>> mask = np.zeros((5, 5), bool); mask[:, :2] = True
    >>> outline(mask, 3).round(2).tolist()
    [[1.0, -0.25], [0.0, -0.25], [-1.0, -0.25]]
    """
    lines = find_contours(np.asarray(mask, float), 0.5, mask=seen, positive_orientation="high")
    lengths = [np.hypot(*np.diff(line, axis=0).T) for line in lines]
    if not lines or max(length.sum() for length in lengths) == 0:
        return None
    longest = int(np.argmax([length.sum() for length in lengths]))
    along = np.concatenate([[0], np.cumsum(lengths[longest])])
    at = np.linspace(0, along[-1], count)
    scale = 2 / np.maximum(np.array(mask.shape) - 1, 1)
    return np.stack([np.interp(at, along, axis) for axis in lines[longest].T], axis=1) * scale - 1


def distances(vertices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixels (batch, y, x) from a line to every pixel of a map of `size`, and +1 on its left, -1 on its right.

    Beyond its ends a line goes on as its last eighth points for the side, not for the distance. NaN vertices give NaN.

    >>> away, side = distances(torch.tensor([[[-1.0, 0.0], [1.0, 0.0]]]), (3, 5))
    >>> (away * side)[0, 0].tolist()
    [-2.0, -1.0, 0.0, 1.0, 2.0]
    """
    rows, columns = size
    x = vertices.float()
    corners = (x + 1) * (x.new_tensor([rows, columns]) - 1) / 2
    y, x = torch.meshgrid(*(torch.arange(n, device=x.device, dtype=x.dtype) for n in size), indexing="ij")
    eighth = max(1, corners.shape[1] // 8)
    shut = (corners[:, 0] - corners[:, -1]).norm(dim=1, keepdim=True) < 1.5  # pixels: a line about an island
    far = torch.where(shut, 0.0, float(rows + columns))
    before, after = (
        corners[:, at] + far * functional.normalize(corners[:, at] - corners[:, other], dim=1)
        for at, other in ((0, eighth), (-1, -1 - eighth))
    )
    path = torch.cat([before[:, None], corners, after[:, None]], dim=1)
    distance = corners.new_full((len(corners), *size), float("inf"))
    nearest, apart = distance.clone(), torch.zeros_like(distance)
    for number, (start, end) in enumerate(zip(path[:, :-1].unbind(1), path[:, 1:].unbind(1), strict=True)):
        y0, x0, dy, dx = (number[:, None, None] for pair in (start, end - start) for number in pair.unbind(1))
        length = torch.hypot(dy, dx)
        share = (((y - y0) * dy + (x - x0) * dx) / (length**2).clamp(min=1e-12)).clamp(0, 1)
        away = torch.hypot(y - y0 - share * dy, x - x0 - share * dx)
        across = ((y - y0) * dx - (x - x0) * dy) / -length.clamp(min=1e-6)
        # Two segments that meet at the nearest vertex are as near: the one seen more from the side decides.
        tie = (away - nearest).abs() < 1e-4
        taken = (away < nearest) & ~tie | tie & (across.abs() > apart.abs())
        apart = torch.where(taken, across, apart)
        nearest = torch.minimum(nearest, away)
        if 0 < number < path.shape[1] - 2:
            distance = torch.minimum(distance, away)
    return distance, apart.sign()


def soft_dtw(first: Tensor, second: Tensor, gamma: float) -> Tensor:
    """Soft dynamic time warping (batch,) of (batch, n, 2) and (batch, m, 2), by squared distance.

    The smallest sum of squared distances along any way of walking both lines forwards, the minimum softened by
    `gamma`; below it by no more than gamma times the logarithm of the number of ways. Cuturi and Blondel 2017,
    arXiv:1703.01541.

    >>> line = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]]])
    >>> round(soft_dtw(line, line + torch.tensor([0.5, 0.0]), 1e-4).item(), 3)
    0.75
    """
    cost = (first[:, :, None] - second[:, None]).square().sum(dim=-1)  # (batch, n, m)
    n, m = cost.shape[1:]
    # One step per diagonal i + j = k: all of its cells depend on the two diagonals before alone.
    i, k = torch.arange(n, device=cost.device), torch.arange(n + m - 1, device=cost.device)
    j = k[:, None] - i
    skewed = torch.where((j >= 0) & (j < m), cost[:, i, j.clamp(0, m - 1)], _FAR)  # (batch, diagonal, n)

    def down(row: Tensor) -> Tensor:
        return functional.pad(row[:, :-1], (1, 0), value=_FAR)

    before, last = torch.full_like(skewed[:, 0], _FAR), skewed[:, 0]
    for diagonal in skewed[:, 1:].unbind(1):
        ways = torch.stack([last, down(last), down(before)])
        least = ways.detach().amin(dim=0)
        soft = least - gamma * ((least - ways) / gamma).exp().sum(dim=0).log()
        before, last = last, diagonal + soft
    return last[:, -1]
