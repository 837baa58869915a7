"""What a training cut may be put through, each step drawn with its own probability.

Symmetries of the square that are drawn evenly are the recipe's `symmetries`; `mirrored` and `turned` are for others.

A recipe names steps in order: (function, probability, options). A step takes the parts of one cut, x (channel, y, x)
normalised, truth, seen and front (y, x), and a generator, and returns the parts. Where a cut is moved, ground from
beyond its edge is unseen; classes and fronts go to the nearest pixel.

Without a source, plain or ours: `applied`, `mirrored`, `turned`, `rotated`, `scaled`, `toned`, `inverted`, `noisy`,
`sharpened`.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Parts = dict[str, Tensor]
Steps = Sequence[tuple[Callable[..., Parts], float, Mapping]]


def applied(steps: Steps, parts: Parts, rng: np.random.Generator) -> Parts:
    """Each step in turn, where its chance falls; no number is drawn where there are no steps."""
    for step, probability, options in steps:
        if rng.random() < probability:
            parts = step(parts, rng, **options)
    return parts


def mirrored(parts: Parts, rng: np.random.Generator, axes: Sequence[str] = ("x",)) -> Parts:
    """West for east ("x") or north for south ("y"): one of `axes`, drawn evenly."""
    axis = {"y": -2, "x": -1}[str(rng.choice(list(axes)))]
    return {name: part.flip(axis) for name, part in parts.items()}


def turned(parts: Parts, rng: np.random.Generator, by: Sequence[int] = (1, 2, 3)) -> Parts:
    """By a number of quarter turns out of `by`, drawn evenly; exact, unlike `rotated`. A cut is square."""
    number = int(rng.choice(list(by)))
    return {name: torch.rot90(part, number, (-2, -1)) for name, part in parts.items()}


def rotated(parts: Parts, rng: np.random.Generator, most: float = 0.0, by: Sequence[float] = ()) -> Parts:
    """Turned about its middle by one of `by`, or by up to `most` either way; degrees."""
    angle = math.radians(rng.choice(by) if len(by) else rng.uniform(-most, most))
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return _sampled(parts, _grid(parts, turn))


def scaled(parts: Parts, rng: np.random.Generator, low: float = 0.8, high: float = 1.0) -> Parts:
    """A square of `low` to `high` times the cut's side, somewhere in it, brought to the cut's size.

    Above 1 the cut becomes smaller and lies anywhere in ground that is unseen.
    """
    share = rng.uniform(low, high)
    shift = torch.tensor(rng.uniform(-1, 1, 2) * abs(1 - share), dtype=torch.float32)
    return _sampled(parts, _grid(parts, torch.eye(2) * share) + shift)


def warped(parts: Parts, rng: np.random.Generator, most: float = 8.0, knots: int = 4) -> Parts:
    """Every pixel is taken from up to `most` pixels away, smoothly: shifts at knots x knots places, cubic between.

    Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    side = torch.tensor(parts["x"].shape[:0:-1])  # x, y
    shifts = torch.tensor(rng.uniform(-1, 1, (1, 2, knots, knots)), dtype=torch.float32)
    shifts = functional.interpolate(shifts, parts["x"].shape[1:], mode="bicubic", align_corners=True)
    return _sampled(parts, _grid(parts, torch.eye(2)) + shifts[0].permute(1, 2, 0).clamp(-1, 1) * 2 * most / side)


def toned(parts: Parts, rng: np.random.Generator, gain: float = 0.2, lift: float = 0.2) -> Parts:
    """Each channel times up to 1 +- `gain`, plus up to `lift`, in standard deviations; unseen pixels stay 0."""
    x = parts["x"]
    shape = (len(x), 1, 1)
    factor, more = rng.uniform(1 - gain, 1 + gain, shape), rng.uniform(-lift, lift, shape)
    return {**parts, "x": torch.where(parts["seen"], x * x.new_tensor(factor) + x.new_tensor(more), x)}


def inverted(parts: Parts, rng: np.random.Generator, about: float = 0.0) -> Parts:
    """Bright for dark: `about` - x; unseen pixels stay 0."""
    return {**parts, "x": torch.where(parts["seen"], about - parts["x"], parts["x"])}


def noisy(parts: Parts, rng: np.random.Generator, spread: float = 0.1) -> Parts:
    """Gaussian noise of up to `spread` standard deviations on seen pixels, each by itself."""
    x = parts["x"]
    noise = rng.normal(0, rng.uniform(0, spread), tuple(x.shape))
    return {**parts, "x": torch.where(parts["seen"], x + x.new_tensor(noise), x)}


def sharpened(parts: Parts, rng: np.random.Generator, most: float = 1.0) -> Parts:
    """What a mean over 3 x 3 pixels takes away is added again, up to `most` times."""
    x = parts["x"]
    mean = functional.avg_pool2d(functional.pad(x[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
    return {**parts, "x": x + rng.uniform(0, most) * (x - mean)}


def _grid(parts: Parts, matrix: Tensor) -> Tensor:
    """(1, y, x, 2): where each pixel is taken from, of the cut's own size, -1 to 1 along both sides."""
    theta = torch.cat([matrix, torch.zeros(2, 1)], dim=1)[None]
    return functional.affine_grid(theta, [1, 1, *parts["x"].shape[1:]], align_corners=False)


def _sampled(parts: Parts, grid: Tensor) -> Parts:
    """The parts at the places of a grid: x bilinear, everything else the nearest pixel's."""

    def at(values: Tensor, mode: str) -> Tensor:
        planes = values.reshape(1, -1, *values.shape[-2:]).float()
        return functional.grid_sample(planes, grid, mode=mode, align_corners=False).reshape(values.shape)

    seen = at(parts["seen"], "nearest").bool()
    front = at(parts["front"], "nearest").bool()
    return {
        "x": at(parts["x"], "bilinear"),
        "truth": at(parts["truth"], "nearest").long(),
        "seen": seen,
        "front": front,
    }
