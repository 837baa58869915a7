"""Mountains without ice and with many rock glaciers, known as exactly as a landscape, to learn from.

Without a source, plain or ours: `landscape`.
"""

import numpy as np
import xarray as xr
from odc.geo.xr import wrap_xr

from glacier_nb import relief, truth
from glacier_nb.synthetic import DATES, ELA, WHOLE
from glacier_nb.truth import OCEAN, ROCK_GLACIER, Landscape


def landscape(seed: int, share: float = 0.7) -> Landscape:
    """Mountains of one date without ice, a rock glacier in about `share` of their valleys: many to learn from.

    It has arrays and no tables. Rock glaciers are 0.6 to 1.6 km long, as wide as their valley's floor, above the sea.
    """
    rng = np.random.default_rng([seed, 2])
    valleys = relief.plan(rng)
    bed, _, _ = relief.mountains(rng, valleys, valleys[0].floor[-2][:2])
    creeping = np.zeros(bed.shape, bool)
    for valley in valleys:
        length = relief.length(valley.floor)
        long = min(rng.uniform(0.6, 1.6), 0.9 * length)
        start, wide = rng.uniform(0.0, length - long), valley.half_width * rng.uniform(0.8, 1.3)
        if rng.random() < share:
            raised, mask = relief.lobe(bed, valley.floor, (start / length, (start + long) / length), wide)
            bed, creeping = np.where(bed > 5.0, raised, bed), creeping | (mask & (bed > 5.0))
    zones = np.where(bed < 0.0, OCEAN, np.where(creeping, ROCK_GLACIER, truth.ROCK)).astype("uint8")
    surface = np.maximum(bed, 0.0).astype("float32")
    late = DATES[-1:]
    return Landscape(
        seed, wrap_xr(bed.astype("float32"), WHOLE), wrap_xr(surface[None], WHOLE, time=late),
        wrap_xr(zones[None], WHOLE, time=late), wrap_xr(np.zeros(bed.shape, "int16"), WHOLE),
        xr.DataArray([ELA + 330.0], {"time": late}, "time", attrs={"units": "m"}), *[None] * 7,
    )  # fmt: skip
