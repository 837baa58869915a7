"""A landscape whose answers are known: ice, fronts, outlines and elevation change that belong together."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from scipy import ndimage

from glacier_nb import iceflow, relief, truth
from glacier_nb.overpass import coarser
from glacier_nb.relief import PIXEL, SIDE
from glacier_nb.truth import DEBRIS, GLACIER, LAKE, MELANGE, OCEAN, ROCK_GLACIER, Fjord, Landscape

COARSE = 8  # pixels in a cell of the flow grid: 80 m
# East Greenland's alpine coast, 66 N: glaciers, fjords and rock glaciers are at home there
WHOLE = GeoBox((SIDE, SIDE), rasterio.Affine(PIXEL, 0.0, 530_000.0, 0.0, -PIXEL, 7_340_000.0), "EPSG:32624")
DATES = np.array(["2017-08-21", "2019-08-22", "2021-08-20", "2023-08-23", "2025-08-21"], "datetime64[ns]")
AGE = np.array([0.0, 2.0, 4.0, 6.0, 8.0])  # years since the first date
ELA = 690.0  # m, equilibrium line before the warming
THINNEST = 3.0  # m; thinner is a snow patch, no glacier
SPECK = 100  # pixels (0.01 km2): smaller ice is no glacier, Paul et al. 2009, doi:10.3189/172756410790595778
DEBRIS_SHARE = 0.125  # of all glacier area under debris,
DEBRIS_REACH = 0.78  # but no more than this share of the glacier that bears it


@dataclasses.dataclass(frozen=True)
class Ground:
    """The land before there is ice, (SIDE, SIDE): bed (m), height above the valley floor (m), number of the valley
    that each pixel drains to, rock glacier; the valleys and the fjord."""

    bed: np.ndarray
    above: np.ndarray
    owner: np.ndarray
    creeping: np.ndarray
    valleys: tuple[relief.Valley, ...]
    fjord: Fjord

    def each(self, what: str) -> np.ndarray:
        """A field of its valley for each pixel."""
        return np.array([getattr(valley, what) for valley in self.valleys])[self.owner]

    def floor(self, name: str) -> tuple:
        """The floor of the first valley of that name."""
        return next(valley.floor for valley in self.valleys if valley.name == name)


def on_map(step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Easting and northing (m) of the centres of every cell of `step` pixels."""
    columns, rows = relief.grid(step)
    return WHOLE.affine.c + 1000.0 * columns, WHOLE.affine.f - 1000.0 * rows


def to_map(floor: tuple) -> np.ndarray:
    """Easting and northing (n, 2) in m of a valley's floor, given in km."""
    points = np.array(floor)
    return np.column_stack([WHOLE.affine.c + 1000.0 * points[:, 0], WHOLE.affine.f - 1000.0 * points[:, 1]])


def zoom(a: np.ndarray, order: int = 3) -> np.ndarray:
    """Cells of the flow grid to pixels, by splines of that order through the cell centres."""
    return ndimage.zoom(a, COARSE, order=order, mode="nearest", grid_mode=True)


def climate(land: Ground, lower: dict, warming: float, step: int, only: tuple[str, ...]) -> iceflow.Climate:
    """Local climate on the flow grid: little snow stays on steep walls and crests, debris halves the melt below it.

    lower: metres that the climate of a glacier is shifted; warming: metres that the equilibrium line rises until the
    last date, 0.45 of it in the 35 years before the first; only: names of the glaciers that exist (empty: all).
    """
    bed, above = coarser(land.bed, step), coarser(land.above, step)
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(ndimage.gaussian_filter(bed, 1.0), PIXEL * step))))
    height = bed - ndimage.gaussian_filter(bed, 480.0 / (PIXEL * step))
    each = {
        what: land.each(what)[step // 2 :: step, step // 2 :: step] for what in ("name", "glacier", "lower", "melt")
    }
    holds = each["glacier"] & (np.isin(each["name"], only) if only else True)
    gain = holds * np.clip((420.0 - above) / 120.0, 0.0, 1.0)
    gain = gain * np.clip((48.0 - slope) / 16.0, 0.0, 1.0) * np.clip(0.9 - height / 80.0, 0.0, 1.25)
    inside = np.minimum.reduce([a for g in relief.grid(step) for a in (g, SIDE * PIXEL / 1000.0 - g)])
    offset = each["lower"] + 1500.0 * np.clip(0.6 - inside, 0.0, 0.5)  # no glacier is cut by the map's edge
    for name, shift in lower.items():
        offset = offset + shift * (each["name"] == name)
    _, _, arc = relief.along(land.floor("debris"), *relief.grid(step))
    covered = (each["name"] == "debris") * np.clip((arc - 2.6) / 0.6, 0.0, 1.0)
    ela = ELA + warming * np.array([0.0, 0.0, 0.45, 1.0])
    melt = each["melt"] * (1.0 - 0.5 * covered)
    return iceflow.Climate(np.array([-400.0, -35.0, 0.0, AGE[-1]]), ela, offset, gain, melt)


def flow(land: Ground, lower: dict, warming: float, only: tuple[str, ...] = ()) -> iceflow.History:
    """Thickness on the 80 m grid at the dates: spun up on 160 m, then carried through the warming on 80 m."""
    past = None
    for step, years in ((2 * COARSE, np.array([-260.0, -60.0])), (COARSE, np.r_[-60.0, AGE])):
        bed = coarser(land.bed, step)
        start = np.zeros_like(bed) if past is None else np.kron(past.thickness[-1], np.ones((2, 2)))
        upstream, _ = land.fjord.coordinates(*on_map(step))
        front = iceflow.Front(AGE, land.fjord.positions, upstream)
        local = climate(land, lower, warming, step, only)
        past = iceflow.evolve(bed, start, PIXEL * step, years, local, front, slip=0.5 * iceflow.SLIP)
    return past


def meet(bed: np.ndarray, thickness: np.ndarray) -> np.ndarray:
    """Ice surface (m) over the 10 m relief: the flow grid's surface, smooth, continued past its margin by falling
    thickness so that the edge comes to lie where it cuts the fine relief, and over water at its own height."""
    coarse, icy = coarser(bed, COARSE), thickness > 1.0
    weight = np.maximum(ndimage.gaussian_filter(icy * 1.0, 1.0), 1e-3)
    near = ndimage.gaussian_filter(np.where(icy, thickness, 0.0), 1.0) / weight
    level = ndimage.gaussian_filter(np.where(icy, coarse + thickness, 0.0), 1.0) / weight
    beyond = np.where(coarse < 0.0, level, coarse - np.clip(near, 6.0, 50.0))
    reach = zoom(ndimage.gaussian_filter(icy * 1.0, 0.8), 1) > 0.08  # hollows away from flowing ice hold none
    return np.where(reach, zoom(np.where(icy, coarse + thickness, beyond)), -np.inf)


def without_specks(mask: np.ndarray, smallest: int) -> np.ndarray:
    """`mask` without its components of fewer than `smallest` pixels (4-neighbours)."""
    labels, _ = ndimage.label(mask)
    return (np.bincount(labels.ravel()) >= smallest)[labels] & mask


def ice(bed: np.ndarray, top: np.ndarray, edge: np.ndarray, upstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask and surface (m) of the ice: thicker than THINNEST, no specks, no pin-holes, ending in water at `edge`."""
    water, behind = bed < 0.0, upstream - edge
    near = ndimage.binary_dilation(water & (behind > 0.0), iterations=6) & (behind > 0.0)
    top = np.where(near, np.maximum(top, 22.0 + 0.04 * np.clip(behind, 0.0, 300.0)), top)  # an ice cliff
    mask = (top - bed > THINNEST) & ~(water & (behind < 0.0))
    mask = ndimage.binary_opening(mask, iterations=2) | (mask & water)
    mask = ~without_specks(~without_specks(mask, SPECK), 30)
    return mask, np.where(mask, np.maximum(top, bed + THINNEST), bed)


def parts(mask: np.ndarray, smallest: float) -> int:
    """Number of connected pieces of at least `smallest` km2."""
    areas = np.bincount(ndimage.label(mask)[0].ravel())[1:] * PIXEL**2 / 1e6
    return int((areas >= smallest).sum())


def divide(land: Ground, icy: np.ndarray, surface: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Basins of the glaciers and their roles, from the ice of the first date: see truth.divide."""
    planned = list(dict.fromkeys(valley.name for valley in land.valleys if valley.glacier))
    return truth.divide(icy, surface, land.each("name"), land.above, planned)


def kept(land: Ground, first: np.ndarray, last: np.ndarray, surface: np.ndarray) -> bool:
    """Whether the ice of the first and last date keeps the promises inside its ice divides too: one glacier splits, one
    vanishes, one is large enough to bear the debris, and none is cut by the map's edge."""
    basins, roles = divide(land, first, surface)
    mine = {role: basins == number for number, role in enumerate(roles, 1) if role in ("split", "vanishing", "debris")}
    splits = parts(first & mine["split"], 0.18) == 1 and parts(last & mine["split"], 0.18) > 1
    bears = min((mask & mine["debris"]).sum() / mask.sum() for mask in (first, last)) > 0.1 / DEBRIS_REACH
    whole = not any(edge.any() for edge in (first[0], first[-1], first[:, 0], first[:, -1]))
    return splits and bears and whole and not (last & mine["vanishing"]).any()


def settle(land: Ground) -> iceflow.History | None:
    """The ice history in which one glacier splits, one vanishes and the whole loses a tenth or more: the local
    climates of the two and the warming are sought by halving, with the two alone until they fit. None if not found."""
    names = land.each("name")
    split, vanishing = names == "split", names == "vanishing"
    low, high, warming = {"split": -120.0, "vanishing": -420.0}, {"split": 200.0, "vanishing": -40.0}, 470.0
    upstream, _ = land.fjord.coordinates(*on_map())
    lower = {name: (low[name] + high[name]) / 2.0 for name in low}
    for _ in range(12):
        for only in (tuple(low), ()):
            past = flow(land, lower, warming, only)
            ends = [(meet(land.bed, past.thickness[k]), land.fjord.positions[k - 1]) for k in (1, -1)]
            (first, surface), (last, _) = (ice(land.bed, top, edge, upstream) for top, edge in ends)
            cold = {"split": parts(last & split, 0.18) < 2, "vanishing": bool((last & vanishing).any())}
            warm = {"split": parts(first & split, 0.18) != 1, "vanishing": parts(first & vanishing, 0.06) == 0}
            fits = not any((*cold.values(), *warm.values()))
            if not fits:
                break
        else:
            if not kept(land, first, last, surface):
                return None
            if last.sum() < 0.885 * first.sum():
                return past
            warming += 80.0
        for name in low:
            low[name] = lower[name] if cold[name] and not warm[name] else low[name]
            high[name] = lower[name] if warm[name] else high[name]
            lower[name] = (low[name] + high[name]) / 2.0 if cold[name] or warm[name] else lower[name]
            if high[name] - low[name] < 2.0:
                return None
    return None


@functools.lru_cache(maxsize=1)
def draw(seed: int) -> tuple[int, Ground, iceflow.History]:
    """Number, land and ice of the first attempt whose ice keeps every promise; the same for the same seed. The last
    one is kept, so that windows of one landscape cost little. ValueError: none in 30 attempts."""
    for attempt in range(30):
        rng = np.random.default_rng([seed, attempt])
        valleys = relief.plan(rng)
        last = to_map(valleys[0].floor)[-2:]
        up = (last[0] - last[1]) / np.hypot(*(last[0] - last[1]))
        steps = rng.uniform(90, 200), rng.uniform(60, 160), -rng.uniform(35, 75), rng.uniform(110, 220)
        shape = {"bay": rng.uniform(25.0, 70.0), "waves": rng.normal(0.0, 9.0, len(AGE))}
        fjord = Fjord(last[0], up, np.r_[0.0, np.cumsum(steps)].round(1), **shape)
        bed, above, owner = relief.mountains(rng, valleys, valleys[0].floor[-2][:2])
        bed, creeping = relief.lobe(bed, next(v for v in valleys if v.name == "talus").floor)
        land = Ground(bed, above, owner, creeping, valleys, truth.centred(fjord, bed, WHOLE))
        past = settle(land)
        if past is not None:
            return attempt, land, past
    raise ValueError(f"seed {seed} gave no landscape in 30 attempts: take another seed")


def debris(icy: np.ndarray, mine: np.ndarray, arc: np.ndarray, wobble: np.ndarray) -> np.ndarray:
    """Masks (time, y, x) of debris on the glacier `mine`: its lowest part, reaching up-glacier date by date, so large
    that DEBRIS_SHARE of all ice is covered (or DEBRIS_REACH of the glacier, if that is less)."""
    margin = ndimage.distance_transform_edt(icy[0]) * PIXEL / 1000.0
    place = arc + 0.12 * wobble + 0.5 * np.exp(-margin / 0.1)  # moraines lead farther up along the margins
    reach, covered = np.inf, []
    for mask in icy:
        on = np.sort(place[mask & mine])[::-1]
        reach = min(reach, on[min(int(DEBRIS_SHARE * mask.sum()), int(DEBRIS_REACH * on.size))]) - 0.01
        covered.append(mask & without_specks(mask & mine & (place >= reach), 25))
    return np.array(covered)


def classify(
    land: Ground, icy: np.ndarray, covered: np.ndarray, edges: np.ndarray, level: np.ndarray, choked: np.ndarray
) -> np.ndarray:
    """Zones (time, y, x) uint8. edges (time, y, x): m up-glacier of the front; choked (time, y, x): m of melange."""
    upstream, aside = land.fjord.coordinates(*on_map())
    waters, _ = ndimage.label(land.bed < 0.0)
    sea = waters == waters[np.unravel_index(np.argmin(np.hypot(upstream + 100.0, aside)), waters.shape)]
    zones = np.zeros(icy.shape, "uint8")
    for k in range(len(zones)):
        zones[k][land.creeping] = ROCK_GLACIER
        zones[k][sea] = OCEAN
        zones[k][sea & (upstream > edges[k] - choked[k])] = MELANGE
        zones[k][without_specks(~np.isnan(level) & ~icy[k], 20)] = LAKE
        zones[k][icy[k]] = GLACIER
        zones[k][covered[k]] = DEBRIS
    return zones


def landscape(seed: int, size: int = SIDE) -> Landscape:
    """The landscape of `seed`; `size` pixels a side (multiple of 8): smaller is a window of it about the front.

    The whole (1024) keeps these promises for every seed: area falls by a tenth or more over eight years; the
    tidewater glacier's front moves by `fronts.position_m`; debris covers about an eighth of all ice; one glacier
    splits, one vanishes; lakes, a rock glacier and melange (two dates) exist. A window keeps those that lie in it.
    Glacier is ice of any cover thicker than THINNEST in pieces of SPECK pixels or more.
    ValueError: another size.
    """
    if size % COARSE or not 16 * COARSE <= size <= SIDE:
        raise ValueError(f"size {size} is not a multiple of {COARSE} from {16 * COARSE} to {SIDE} pixels")
    attempt, land, past = draw(int(seed))
    rng = np.random.default_rng([seed, attempt, 1])
    fjord, bed, times = land.fjord, land.bed, range(len(DATES))
    upstream, aside = fjord.coordinates(*on_map())
    edges = np.array([fjord.front(k, aside) for k in times])
    tops = [meet(bed, thickness) for thickness in past.thickness[1:]]
    bed, level = relief.lakes(rng, bed, land.valleys, ice(bed, tops[0], edges[0], upstream)[0])
    land = dataclasses.replace(land, bed=bed)
    icy, surface = (np.array(a) for a in zip(*(ice(bed, tops[k], edges[k], upstream) for k in times), strict=True))
    basins, roles = divide(land, icy[0], surface[0])
    _, _, arc = relief.along(land.floor("debris"), *relief.grid())
    covered = debris(icy, basins == 1 + roles.index("debris"), arc, relief.noise(rng, 1.0, 400.0))
    melange = np.isin(times, rng.choice(times[1:], 2, replace=False))
    ragged = 60.0 * relief.noise(rng, 0.8, 600.0)
    choked = np.array([melange[k] * (rng.uniform(350.0, 700.0) + ragged) for k in times])
    zones = classify(land, icy, covered, edges, level, choked)
    still = np.isin(zones, (OCEAN, MELANGE))
    surface = np.where(icy, np.fmax(surface, level + 0.5), surface)  # ice that ends in a lake stands out of it
    surface = np.where(still, 0.0, np.where(zones == LAKE, level, surface)).astype("float32")
    budget = pd.DataFrame({"time": DATES, "volume_m3": past.volume[1:], "gained_m3": past.gained[1:]})
    budget = budget.assign(lost_m3=past.lost[1:], calved_m3=past.calved[1:])
    budget["fine_volume_m3"] = [float((s - bed)[i].sum() * PIXEL**2) for s, i in zip(surface, icy, strict=True)]
    budget.attrs = {"start_m3": float(past.volume[0]), "residual": past.residual}
    column, row = ~WHOLE.affine * tuple(fjord.origin + 250.0 * fjord.up)  # the middle of the window, if the map allows
    y, x = (int(np.clip((a - size / 2) // COARSE * COARSE, 0, SIDE - size)) for a in (row, column))
    part = (slice(y, y + size), slice(x, x + size))
    arrays = {
        "bed": wrap_xr(bed.astype("float32"), WHOLE), "basins": wrap_xr(basins, WHOLE),
        "surface": wrap_xr(surface, WHOLE, time=DATES), "zones": wrap_xr(zones, WHOLE, time=DATES),
    }  # fmt: skip
    crs = "EPSG:32624"
    floors = {n: to_map(land.floor(role)) for n, role in enumerate(roles, 1) if role != "niche"}
    tables = {
        "outlines": truth.outlines(arrays["zones"], basins, seed, roles),
        "divides": truth.named(truth.polygons(basins, WHOLE), seed, roles),
        "fronts": truth.fronts(arrays["zones"], fjord, melange, seed),
        "centrelines": truth.centrelines(floors, fjord, seed, roles, crs),
        "boxes": truth.box(fjord, seed, crs),
        "rock_glaciers": truth.rock_glaciers(arrays["zones"], seed, SPECK * PIXEL**2),
    }
    if size < SIDE:
        tables = {name: truth.cut(table, WHOLE[part]) for name, table in tables.items()}
    arrays = {name: array[(..., *part)] for name, array in arrays.items()}
    snowline = xr.DataArray(ELA + np.linspace(120.0, 330.0, len(DATES)), {"time": DATES}, "time", attrs={"units": "m"})
    return Landscape(seed, **arrays, snowline=snowline, **tables, budget=budget)
