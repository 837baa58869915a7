"""Whether stored values are physically possible under the scale and offset that were decided for them.

Without a source, plain or ours: `settle`.
"""

import concurrent.futures
import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pystac
from tqdm import tqdm

from glacier_nb import reads
from glacier_nb.scaling import Encoding
from glacier_nb.sensors import Sensor

SHARE = 0.05
"""Of the values seen, that may lie outside their band's range before a decision is doubted."""
LEAST = 1000
"""Values from which a share is told."""
DARK = ("swir22", "swir16", "red")
"""Bands asked before others of their range: over ice these are the darkest, where a false offset shows."""
TRIES = 3
"""Items asked, one after another, where the first ones show too little or cannot be read."""


def settle(
    items: Sequence[pystac.Item],
    row: Sensor,
    known: dict[str, dict[str, Encoding]],
    names: Sequence[str],
    read: Callable[[pystac.Item, str], np.ndarray],
    missing: str = "raise",
) -> dict[str, str]:
    """What a few values (`read`: item, band -> stored values, 1-D) say of each decision; item id -> one line.

    Asked is one item per range, scale, offset and reason, and every item whose provider's word has been wrong. Where
    values of such an item lie below their range (Sentinel-2: with 1000 counts added, hardly a pixel is below 700), the
    offset was taken off already, and `known` (item id -> band -> encoding) is changed. Any other contradiction warns.
    A failed read is told in the line; `reads.ReadError` where missing="raise" and nothing can be decided without it.
    """
    decisions: dict[tuple, list] = {}
    for item in items:
        for name in _asked(row, known[item.id], names):
            one = known[item.id][name]
            about = (row.band(name).within, one.scale, one.offset, one.power, one.why, one.doubtful and item.id)
            decisions.setdefault(about, []).append((item, name))

    def ask(tasks: list) -> tuple:
        """Item, band, shares of the values below and above the range (None: too few seen), and what went wrong."""
        for item, name in tasks[:TRIES]:
            try:
                below, above, wrong = *_outside(read(item, name), known[item.id][name], row.band(name).within), None
            except reads.ReadError as error:
                below, above, wrong = None, None, error
                if missing == "raise" and known[item.id][name].doubtful:
                    raise
            if below is not None or (wrong and missing == "raise"):  # which the cube will raise where it reads
                break
        return item, name, below, above, wrong

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(tqdm(pool.map(ask, decisions.values()), "asking values", len(decisions), delay=2, leave=False))
    said: dict[str, list] = {}
    for item, name, below, above, wrong in answers:
        said.setdefault(item.id, []).append(_judged(item, name, below, above, wrong, row, known))
    return {key: "; ".join(lines) for key, lines in said.items()}


def _asked(row: Sensor, found: dict[str, Encoding], names: Sequence[str]) -> list[str]:
    """A band for each range among those that are read, the darkest that the item has; none where no offset was added.

    (Of Sentinel-2 as stored before baseline 04.00 nothing was decided that values could tell.)
    """
    chosen = {}
    for name in (*DARK, *names):
        if name in found and (within := row.band(name).within) and not (row.added and not found[name].offset):
            chosen.setdefault(within, name)
    ranges = {row.band(name).within for name in names}
    return [name for within, name in chosen.items() if within in ranges]


def _outside(stored: np.ndarray, one: Encoding, within: tuple[float, float]) -> tuple[float | None, float | None]:
    """Shares of the values below and above a range; None where too few were seen."""
    values = (stored[np.isfinite(stored)].astype("float64") * one.scale + one.offset) ** one.power
    if values.size <= LEAST:
        return None, None
    return float((values < within[0]).mean()), float((values > within[1]).mean())


def _judged(
    item: pystac.Item, name: str, below: float | None, above: float | None, wrong: Exception | None, row: Sensor, known
) -> str:
    """One line; changes `known` where the provider's word was wrong."""
    one, band = known[item.id][name], row.band(name)
    if below is None:
        return f"{name}: nothing could be asked, {wrong}" if wrong else f"{name}: too little seen to tell"
    if one.doubtful and one.offset < 0 and below >= SHARE:
        why = f"{one.why}, but {below:.0%} of the values lie below it: it was taken off already"
        known[item.id] = {
            key: dataclasses.replace(each, offset=0.0, why=why, doubtful=False) for key, each in known[item.id].items()
        }
        return f"{name} contradicts the provider"
    if below + above >= SHARE:
        low, high = band.within
        warnings.warn(
            f"{item.id}: {below + above:.0%} of {name} lies outside {low:g} to {high:g} ({band.units}) with scale "
            f"{one.scale:g} and offset {one.offset:g} ({one.why}): look at it, or write raster:bands into the item",
            stacklevel=4,
        )
        return f"{name} contradicts scale and offset"
    return f"{name} agrees"
