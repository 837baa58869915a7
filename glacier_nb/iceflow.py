"""Ice that flows downhill: explicit shallow-ice flow whose volume is accounted for to the last cubic metre."""

import dataclasses
import itertools

import numba
import numpy as np

GLEN = 3  # exponent of Glen's flow law
SOFTNESS = 2.4e-24 * 31_556_926.0  # Pa-3 a-1, temperate ice: Cuffey & Paterson 2010, The Physics of Glaciers, table 3.4
DENSITY = 910.0  # kg m-3
GRAVITY = 9.81  # m s-2
SLIP = 5.7e-20 / 1.9e-24  # m2: sliding over deformation, Oerlemans 1997, doi:10.3189/S0260305500012489


def mobility(softness: float = SOFTNESS) -> float:
    """Gamma = 2 A (rho g)^3 / 5 in m-3 a-1: diffusivity is Gamma H^5 |grad s|^2 (Hutter 1983)."""
    return 2.0 * softness * (DENSITY * GRAVITY) ** GLEN / (GLEN + 2)


@dataclasses.dataclass(frozen=True)
class Climate:
    """Mass balance (m of ice per year) as a function of surface elevation, place and time.

    b = gradient (s - ela(t) - offset), at most `ceiling`; gains are multiplied by `gain`, losses by `loss`.
    `ela` is linear between (years, elevations). `offset` (m), `gain` and `loss` (1) are arrays (y, x).
    """

    years: np.ndarray
    ela: np.ndarray
    offset: np.ndarray
    gain: np.ndarray
    loss: np.ndarray
    gradient: float = 0.008  # a-1
    ceiling: float = 1.6  # m a-1


@dataclasses.dataclass(frozen=True)
class Front:
    """Where ice ends in water: cells with bed < 0 and `upstream` < position(t) hold no ice.

    `upstream` is an array (y, x) of metres along the fjord, growing up-glacier; `cliff` (m above the sea) is
    the height that the ice keeps above water where it breaks off.
    """

    years: np.ndarray
    position: np.ndarray
    upstream: np.ndarray
    cliff: float = 30.0


@dataclasses.dataclass(frozen=True)
class History:
    """Thickness (time, y, x) in m at `years`, and the running volume budget in m3 at the same times.

    volume = volume[0] + gained - lost - calved, each counted from the first year.
    """

    years: np.ndarray
    thickness: np.ndarray
    volume: np.ndarray
    gained: np.ndarray
    lost: np.ndarray
    calved: np.ndarray

    @property
    def residual(self) -> float:
        """Largest misfit of the budget, as a fraction of the largest volume."""
        closed = self.volume[0] + self.gained - self.lost - self.calved
        return float(np.abs(closed - self.volume).max() / max(self.volume.max(), 1.0))


@numba.njit(cache=True)
def _limited(behind: float, here: float, ahead: float) -> float:
    # Thickness at the face ahead, superbee-limited: Jarosch et al. 2013, doi:10.5194/tc-7-229-2013.
    step = ahead - here
    if step == 0.0:
        return here
    r = (here - behind) / step
    phi = max(0.0, min(2.0 * r, 1.0), min(r, 2.0))
    return max(here + 0.5 * phi * step, 0.0)


@numba.njit(cache=True, nogil=True)
def _run(
    bed,
    h,
    dx,
    t,
    end,
    gamma,
    slip,
    knots,
    ela,
    offset,
    gain,
    loss,
    gradient,
    ceiling,
    front_t,
    front_x,
    upstream,
    cliff,
):
    ny, nx = bed.shape
    s = bed + h
    fx = np.zeros((ny, nx + 1))
    fy = np.zeros((ny + 1, nx))
    gained = lost = calved = 0.0
    # Only the box that holds ice or may gain it is worked on; it grows with the ice, a cell in a step at most.
    north, south, west, east = ny, 0, nx, 0
    for i in range(ny):
        for j in range(nx):
            if h[i, j] > 0.0 or gain[i, j] > 0.0:
                north, south, west, east = min(north, i), max(south, i + 1), min(west, j), max(east, j + 1)
    while t < end:
        i0, i1, j0, j1 = max(north - 2, 0), min(south + 2, ny), max(west - 2, 0), min(east + 2, nx)
        line = np.interp(t, knots, ela)
        edge = np.interp(t, front_t, front_x)
        for i in range(i0, i1):
            for j in range(j0, j1):
                s[i, j] = bed[i, j] + h[i, j]
                if bed[i, j] < 0.0 and upstream[i, j] < edge:
                    calved += h[i, j]
                    h[i, j] = 0.0
                    s[i, j] = cliff  # the face that ice flows towards, not the sea floor
        most = 0.0
        for i in range(i0, i1):
            for j in range(j0, j1 + 1):
                fx[i, j] = 0.0
                if j == 0 or j == nx or (h[i, j - 1] == 0.0 and h[i, j] == 0.0):
                    continue
                gx = (s[i, j] - s[i, j - 1]) / dx
                up, down = max(i - 1, 0), min(i + 1, ny - 1)
                gy = (s[down, j] + s[down, j - 1] - s[up, j] - s[up, j - 1]) / (2.0 * dx * (down - up))
                if gx < 0.0:
                    face = _limited(h[i, max(j - 2, 0)], h[i, j - 1], h[i, j])
                else:
                    face = _limited(h[i, min(j + 1, nx - 1)], h[i, j], h[i, j - 1])
                d = gamma * face * face * face * (face * face + slip) * (gx * gx + gy * gy)
                most = max(most, d)
                fx[i, j] = -d * gx
        for i in range(i0, i1 + 1):
            for j in range(j0, j1):
                fy[i, j] = 0.0
                if i == 0 or i == ny or (h[i - 1, j] == 0.0 and h[i, j] == 0.0):
                    continue
                gy = (s[i, j] - s[i - 1, j]) / dx
                left, right = max(j - 1, 0), min(j + 1, nx - 1)
                gx = (s[i, right] + s[i - 1, right] - s[i, left] - s[i - 1, left]) / (2.0 * dx * (right - left))
                if gy < 0.0:
                    face = _limited(h[max(i - 2, 0), j], h[i - 1, j], h[i, j])
                else:
                    face = _limited(h[min(i + 1, ny - 1), j], h[i, j], h[i - 1, j])
                d = gamma * face * face * face * (face * face + slip) * (gx * gx + gy * gy)
                most = max(most, d)
                fy[i, j] = -d * gy
        dt = min(0.25, end - t)
        if most > 0.0:
            dt = min(dt, 0.12 * dx * dx / most)  # flux grows as slope cubed: 3 + 1 times the diffusivity decide
        # No cell gives more than it has: its outgoing fluxes shrink together, so volume is kept and h >= 0.
        for i in range(i0, i1):
            for j in range(j0, j1):
                if h[i, j] == 0.0:
                    continue
                out = max(fx[i, j + 1], 0.0) + max(-fx[i, j], 0.0) + max(fy[i + 1, j], 0.0) + max(-fy[i, j], 0.0)
                if out * dt > h[i, j] * dx:
                    share = h[i, j] * dx / (out * dt)
                    if fx[i, j + 1] > 0.0:
                        fx[i, j + 1] *= share
                    if fx[i, j] < 0.0:
                        fx[i, j] *= share
                    if fy[i + 1, j] > 0.0:
                        fy[i + 1, j] *= share
                    if fy[i, j] < 0.0:
                        fy[i, j] *= share
        for i in range(i0, i1):
            for j in range(j0, j1):
                new = h[i, j] + dt / dx * (fx[i, j] - fx[i, j + 1] + fy[i, j] - fy[i + 1, j])
                if new < 0.0:  # rounding of the share above, 1e-16 of the cell
                    lost += new
                    new = 0.0
                b = gradient * (s[i, j] - line - offset[i, j])
                b = min(b, ceiling) * gain[i, j] if b > 0.0 else b * loss[i, j]
                if bed[i, j] < 0.0 and upstream[i, j] < edge:
                    calved += new
                    new = 0.0
                elif b > 0.0:
                    new += b * dt
                    gained += b * dt
                elif new > 0.0:
                    melt = min(-b * dt, new)
                    new -= melt
                    lost += melt
                h[i, j] = new
                if new > 0.0:
                    north, south, west, east = min(north, i), max(south, i + 1), min(west, j), max(east, j + 1)
        t += dt
    return gained, lost, calved


def evolve(
    bed: np.ndarray,
    thickness: np.ndarray,
    resolution: float,
    years: np.ndarray,
    climate: Climate,
    front: Front | None = None,
    softness: float = SOFTNESS,
    slip: float = 0.0,
) -> History:
    """Ice thickness at each of `years` (growing; the first is the start), from `thickness` at the first.

    bed, thickness: (y, x) in m, cells `resolution` metres square; edges let no ice through. Shallow-ice
    approximation with n = 3, explicit in time, fluxes limited for steep beds (Jarosch et al. 2013,
    doi:10.5194/tc-7-229-2013) and to what a cell holds, so the budget closes to rounding. `slip` (m2) adds sliding:
    flux ~ H^3 (H^2 + slip) |grad s|^2; SLIP follows Budd et al. 1979 as used by Oerlemans 1997.
    ValueError: years that do not grow, or a thickness of another shape or below zero.

    >>> flat = np.zeros((9, 9))
    >>> climate = Climate(np.array([0.0]), np.array([100.0]), flat, flat + 1, flat + 1)
    >>> past = evolve(flat, flat + 5, 80.0, np.array([0.0, 2.0]), climate)
    >>> float(past.thickness[1].max().round(2)), past.residual < 1e-9
    (3.47, True)
    """
    years = np.asarray(years, float)
    if np.any(np.diff(years) <= 0):
        raise ValueError(f"years {years.tolist()} do not grow: give them in order, each once")
    bed = np.ascontiguousarray(bed, float)
    h = np.array(thickness, float, order="C")
    if h.shape != bed.shape or h.min() < 0:
        raise ValueError(f"thickness {h.shape} must have the bed's shape {bed.shape} and no negative value")
    if front is None:
        front = Front(np.array([0.0]), np.array([-np.inf]), np.zeros_like(bed))
    layers = [np.ascontiguousarray(a, float) for a in (climate.offset, climate.gain, climate.loss, front.upstream)]
    area = resolution**2
    saved, totals = [h.copy()], [(0.0, 0.0, 0.0)]
    for start, end in itertools.pairwise(years):
        terms = _run(
            bed, h, float(resolution), start, end, mobility(softness), float(slip),
            np.asarray(climate.years, float), np.asarray(climate.ela, float), *layers[:3],
            climate.gradient, climate.ceiling,
            np.asarray(front.years, float), np.asarray(front.position, float), layers[3], front.cliff,
        )  # fmt: skip
        saved.append(h.copy())
        totals.append(tuple(a + b * area for a, b in zip(totals[-1], terms, strict=True)))
    stack = np.stack(saved)
    gained, lost, calved = np.array(totals).T
    return History(years, stack, stack.sum(axis=(1, 2)) * area, gained, lost, calved)
