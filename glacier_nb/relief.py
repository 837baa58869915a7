"""Mountains from a seed: valleys to a plan, a fjord, cirques, spurs, lakes and a rock glacier, on a 10 m grid.

Without a source, plain or ours: `plan`, `along`, `grid`, `mountains`, `hollow`, `length`, `lobe`, `lakes`.
"""

import dataclasses
import itertools

import numpy as np
from scipy import ndimage

SIDE = 1024  # pixels of the whole landscape
PIXEL = 10.0  # m


@dataclasses.dataclass(frozen=True)
class Valley:
    """A valley: its floor from head to mouth as (x km, y km, elevation m), its walls, and the ice it may hold.

    `lower` (m) is how far the local climate is shifted: below 0 snow drifts in or shade protects; `melt` multiplies the
    melt (thin dusty ice between warm rocks melts faster). Valleys of one name hold one glacier.
    """

    name: str
    floor: tuple[tuple[float, float, float], ...]
    half_width: float = 0.2  # km of flat floor to each side
    lower: float = 0.0
    glacier: bool = True
    melt: float = 1.0


# The plan before jitter, turning and mirroring: a massif whose fjord opens to the west, ringed by dry valleys.
PLAN = (
    Valley("tidewater", ((9.0, 6.1, 960), (8.2, 5.5, 740), (7.2, 5.2, 520), (6.2, 5.3, 300), (5.2, 5.3, 80),
                         (4.4, 5.2, -60), (3.4, 5.2, -130), (-1.5, 5.2, -190)), 0.33, -170),
    Valley("tidewater", ((7.3, 7.2, 940), (6.8, 6.6, 680), (6.3, 5.9, 420), (5.9, 5.4, 240)), 0.22, -170),
    Valley("tidewater", ((8.8, 4.0, 960), (8.0, 4.4, 740), (7.2, 4.9, 520)), 0.2, -170),
    Valley("debris", ((6.0, 8.6, 960), (5.2, 8.5, 720), (4.3, 8.3, 520), (3.4, 7.9, 400), (2.4, 7.6, 300),
                      (1.5, 7.5, 220), (0.9, 7.5, 170), (-1.5, 7.6, 120)), 0.3, 0),
    Valley("debris", ((4.6, 6.9, 880), (4.2, 7.5, 620), (3.7, 8.0, 430)), 0.18, 0),
    Valley("split", ((9.0, 2.3, 960), (8.1, 2.4, 760), (7.2, 2.5, 600), (6.3, 2.4, 470), (5.4, 2.3, 370),
                     (4.4, 2.3, 260), (2.6, 2.2, 150), (-1.5, 2.0, 80)), 0.2, 0),
    Valley("split", ((8.0, 0.8, 930), (7.3, 0.9, 790), (6.6, 1.15, 640), (5.9, 1.6, 500), (5.2, 2.2, 350)), 0.22, -30),
    Valley("vanishing", ((2.9, 3.75, 640), (2.6, 3.35, 560), (2.4, 2.8, 330)), 0.16, 0, melt=1.6),
    Valley("north", ((7.4, 8.7, 880), (8.2, 8.9, 640), (8.9, 9.15, 380), (9.5, 9.5, 200), (11.5, 10.4, 60)), 0.18, 40),
    Valley("east", ((9.1, 7.3, 880), (9.5, 7.45, 560), (9.9, 7.6, 330), (11.5, 8.0, 100)), 0.18, 40),
    Valley("talus", ((2.6, 6.5, 620), (2.1, 6.75, 480), (1.7, 7.1, 300)), 0.14, 0, False),
    Valley("rim", ((-0.6, -0.7, 60), (3.5, -0.7, 240), (7.0, -0.7, 320), (10.9, -0.7, 200), (10.9, 3.4, 300),
                   (10.9, 6.0, 300), (10.9, 10.9, 100), (6.0, 10.9, 330), (2.0, 10.9, 240), (-0.9, 10.9, 60)), 0.3,
           0, False),
)  # fmt: skip


def noise(rng: np.random.Generator, hurst: float, longest: float, size: int = SIDE, pixel: float = PIXEL) -> np.ndarray:
    """Fractal field (size, size) of unit variance: amplitude k^-(hurst + 1) for waves shorter than `longest` metres.

    Spectral synthesis: Saupe 1988, in The Science of Fractal Images.
    """
    k = np.hypot(np.fft.fftfreq(size, pixel)[:, None], np.fft.rfftfreq(size, pixel)[None])
    power = np.where(k < 0.5 / longest, 0.0, np.maximum(k, 1.0 / longest) ** (-hurst - 1.0))
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * power, s=(size, size))
    return field / field.std()


def plan(rng: np.random.Generator) -> tuple[Valley, ...]:
    """PLAN moved, jittered, turned and mirrored: floors become (column km, row km, elevation m) of one map."""
    shift, scale = rng.uniform(-0.2, 0.2, 2), rng.uniform(0.95, 1.05)
    lean = np.radians(rng.uniform(-8.0, 8.0))
    turn, mirror = rng.integers(4), rng.integers(2)
    swing = {"debris": rng.uniform(0.0, 1.2), "split": -rng.uniform(0.0, 1.2)}  # km that mouths turn from the fjord
    half = SIDE * PIXEL / 2000.0
    drawn = []
    for valley in PLAN:
        floor = np.array(valley.floor)
        move = np.clip(rng.normal(0.0, 0.11, (len(floor), 2)), -0.2, 0.2)
        move[floor[:, 0] < (4.5 if valley.name == "tidewater" else 0.0)] = 0.0  # the fjord's last reach is straight
        floor[:, :2] += shift + move * (valley.name != "rim")
        floor[:, 1] += swing.get(valley.name, 0.0) * np.clip((5.0 - floor[:, 0]) / 5.0, 0.0, 1.2) ** 2
        floor[:, 2] *= np.where(floor[:, 2] > 0, scale, 1.0)
        x, y = floor[:, 0] - half, (half - floor[:, 1]) * (1 - 2 * mirror)
        if valley.name != "rim":
            x, y = x * np.cos(lean) - y * np.sin(lean), x * np.sin(lean) + y * np.cos(lean)
        for _ in range(turn):
            x, y = -y, x
        points = tuple(map(tuple, np.column_stack([x + half, y + half, floor[:, 2]])))
        drawn.append(dataclasses.replace(valley, floor=points))
    return tuple(drawn)


def along(floor: tuple, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For points (km): distance from a floor line, elevation (m) of its nearest point, and km down-valley to it."""
    best, height, arc, start = np.full(x.shape, np.inf), np.zeros(x.shape), np.zeros(x.shape), 0.0
    for (x0, y0, z0), (x1, y1, z1) in itertools.pairwise(floor):
        dx, dy = x1 - x0, y1 - y0
        length = np.hypot(dx, dy)
        part = np.clip(((x - x0) * dx + (y - y0) * dy) / length**2, 0.0, 1.0)
        distance = np.hypot(x - x0 - part * dx, y - y0 - part * dy)
        nearer = distance < best
        height, arc = np.where(nearer, z0 + part * (z1 - z0), height), np.where(nearer, start + part * length, arc)
        best, start = np.minimum(best, distance), start + length
    return best, height, arc


def grid(step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Column and row (km) of the centres of every cell of `step` pixels."""
    rows, columns = (np.mgrid[: SIDE // step, : SIDE // step] + 0.5) * step * PIXEL / 1000.0
    return columns, rows


def mountains(rng: np.random.Generator, valleys: tuple[Valley, ...], still: tuple[float, float]) -> tuple:
    """Bed elevation (m), height above the valley floor (m) and number of the valley that each pixel drains to, all
    (SIDE, SIDE); valleys meander except at `still` (km). Between valleys the lower of their walls counts, so that
    interfluves are sharp."""
    half = SIDE // 2
    columns, rows = grid(2)
    at = tuple(int(np.clip(k * 1000 / PIXEL / 2, 0, half - 1)) for k in (still[1], still[0]))
    warp = [noise(rng, 1.6, 3500.0, half, 2 * PIXEL) for _ in range(2)]
    shifted = [a + 0.17 * (w - w[at]) for a, w in zip((columns, rows), warp, strict=True)]
    walls, floors = [], []
    for valley in valleys:
        distance, floor, _ = along(valley.floor, *shifted)
        q = np.maximum(distance - valley.half_width, 0.0)
        floors.append(floor)
        walls.append(floor + 860.0 * q**2 / (q + 0.35) + 40.0 * np.minimum(distance / valley.half_width, 1.0) ** 2)
    walls = np.array(walls)
    owner = walls.argmin(axis=0)
    low = walls.min(axis=0)
    smooth = low - 25.0 * np.log(np.exp(-(walls - low) / 25.0).sum(axis=0))
    above = low - np.take_along_axis(np.array(floors), owner[None], 0)[0]
    bed, above = (ndimage.zoom(ndimage.gaussian_filter(a, 2.0), 2, order=1) for a in (smooth, above))
    rough = np.clip((above - 40.0) / 400.0, 0.0, 1.0)
    sizes = ((1.0, 1600.0), (0.55, 700.0), (0.2, 300.0))
    spurs = sum(share * (0.7 - np.abs(noise(rng, 1.5, longest))) for share, longest in sizes)
    bed = bed + rough * 85.0 * spurs + (1.0 + 3.0 * rough) * noise(rng, 0.9, 300.0)
    return bed, above, ndimage.zoom(owner, 2, order=0)


def hollow(rng: np.random.Generator, bed: np.ndarray, centre: tuple, radii: tuple, angle: float, depth: float) -> tuple:
    """`bed` with a basin (centre, radii in km; angle of the first axis) scoured `depth` m under a low point of its
    rim and dammed to there, and the level (m) that its lake reaches, NaN outside it."""
    columns, rows = grid()
    x, y = columns - centre[0], rows - centre[1]
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    turn = np.arctan2(v, u)
    shore = 1.0 + sum(rng.uniform(0.04, 0.13) * np.sin(n * turn + rng.uniform(0.0, 6.28)) for n in (2, 3, 5))
    r = np.hypot(u / radii[0], v / radii[1]) / shore
    rim = (r > 1.0) & (r < 1.2)
    level = np.percentile(bed[rim], 25.0)
    scoured = np.where(r < 1.0, np.minimum(bed, level - depth * (1.0 - r**2) - 0.3), bed)
    scoured = np.where(rim, np.maximum(scoured, level + 2.0 * np.sin((r - 1.0) * np.pi / 0.2)), scoured)
    shelf = np.clip((r - 1.0) / 0.7, 0.0, 1.0)  # no cliff where the basin cuts into the slope above it
    scoured = np.where((r >= 1.0) & (scoured > level), level + shelf * (scoured - level), scoured)
    return scoured, np.where((scoured < level) & (r < 1.0), level, np.nan)


def length(floor: tuple) -> float:
    """Length of a floor line in km, as the map has it."""
    return float(np.hypot(*np.diff(np.array(floor)[:, :2], axis=0).T).sum())


def lobe(bed: np.ndarray, floor: tuple, share: tuple[float, float] = (0.1, 0.9), half_width: float = 0.17) -> tuple:
    """`bed` with a rock glacier laid along `floor` between two shares of its length: a bulging lobe, its front
    steep, its back furrowed every 50 m. Also its mask."""
    columns, rows = grid()
    distance, _, arc = along(floor, columns, rows)
    start, end = (part * length(floor) for part in share)
    width = half_width * np.sqrt(np.clip((arc - start) / 0.25, 0.0, 1.0) * np.clip((end - arc) / 0.12, 0.0, 1.0))
    inside = distance < width
    bulge = np.sqrt(np.clip(1.0 - (distance / np.maximum(width, 0.01)) ** 2, 0.0, 1.0))
    furrows = 1.6 * np.sin((arc + 0.3 * distance**2 / half_width) * 2 * np.pi / 0.05)
    return np.where(inside, bed + bulge * (20.0 + furrows), bed), inside


def lakes(rng: np.random.Generator, bed: np.ndarray, valleys: tuple[Valley, ...], icy: np.ndarray) -> tuple:
    """`bed` with lakes: before the tongues of two glaciers, growing as these retreat, and farther down the valleys;
    and their levels (m), NaN elsewhere. icy (SIDE, SIDE): ice at the first date."""
    level = np.full(bed.shape, np.nan)
    columns, rows = grid()
    for name, gaps in (("debris", (0.2, 1.0)), ("split", (0.25, 1.2, 2.2))):
        distance, _, arc = along(next(v for v in valleys if v.name == name).floor, columns, rows)
        end = arc[icy & (distance < 0.1)].max()
        for gap in gaps:
            here = np.unravel_index(np.argmin(np.hypot(distance, arc - end - gap - rng.uniform(0.0, 0.1))), bed.shape)
            centre = columns[here], rows[here]
            if min(centre) < 0.3 or max(centre) > SIDE * PIXEL / 1000.0 - 0.3 or bed[here] < 10.0:
                continue
            gy, gx = np.gradient(arc)
            radii = rng.uniform(0.2, 0.32), rng.uniform(0.11, 0.17)
            bed, more = hollow(rng, bed, centre, radii, np.arctan2(gy[here], gx[here]), rng.uniform(6.0, 14.0))
            level = np.where(np.isnan(level), more, level)
    return bed, level
