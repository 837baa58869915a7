"""What became of glaciers between two dates: appeared, disappeared, split, merged.

Without a source, plain or ours: `happened`, `counted`, `compared`, `hidden`, `common`, `within`.
"""

import numpy as np
import pandas as pd
import shapely

from glacier_nb import basins


def happened(shapes: np.ndarray, compared: np.ndarray, min_part: float = 10_000.0) -> tuple[np.ndarray, np.ndarray]:
    """Number of parts, and what happened since the date before, of each glacier (row) and date (column).

    `shapes` (glacier, date) polygons, empty where there is no ice; `compared` (glacier, date): whether all of both
    dates' ice was seen at both, without which nothing is said. Parts under `min_part` (m2) are not counted. A split is
    one part that became several ("split into n": parts that there are now), a merger several that became one, told
    by whether they overlap: parts that come and go apart are neither.

    >>> one, two = shapely.box(0, 0, 400, 100), shapely.box(0, 0, 100, 100) | shapely.box(300, 0, 400, 100)
    >>> happened(np.array([[one, two]]), np.array([[True, True]]))[1].tolist()
    [['', 'split into 2']]
    """
    parts, owner = shapely.get_parts(shapes.ravel(), return_index=True)
    big = shapely.area(parts) >= min_part
    parts, owner = parts[big], owner[big]
    count = np.bincount(owner, minlength=shapes.size).reshape(shapes.shape)
    events = np.full(shapes.shape, "", dtype=object)
    there = ~shapely.is_empty(shapes)
    was, now = there[:, :-1], there[:, 1:]
    since, clear = events[:, 1:], compared[:, 1:]  # a view: what is written there stands in events
    since[clear & ~was & now], since[clear & was & ~now] = "appeared", "disappeared"
    row, date = np.nonzero(clear & was & now & (count[:, :-1] != count[:, 1:]))
    first = np.searchsorted(owner, np.arange(shapes.size + 1))
    at = row * shapes.shape[1] + date
    old, new = first[at], first[at + 1]  # where the parts of either date begin
    many, more = count[row, date], count[row, date + 1]
    pair = np.repeat(np.arange(len(at)), many * more)  # every old part with every new one
    turn = np.arange(len(pair)) - np.repeat(np.cumsum(many * more) - many * more, many * more)
    left, right = old[pair] + turn // more[pair], new[pair] + turn % more[pair]
    meet = shapely.intersects(parts[left], parts[right])
    split, merged = (np.bincount(side[meet], minlength=len(parts)) > 1 for side in (left, right))
    for name, several, side in (("merged", merged, right), ("split", split, left)):  # a split is told first
        which = np.unique(pair[meet & several[side]])
        since[row[which], date[which]] = [f"{name} into {n}" for n in more[which]]
    return count, events


def counted(events: np.ndarray) -> str:
    """A region's events in words.

    >>> counted(np.array(["", "split into 2", "split into 3", "disappeared"], dtype=object))
    '2 split, 1 disappeared'
    """
    words = pd.Series([event.split()[0] for event in events if event], dtype=str).value_counts()
    return ", ".join(f"{n} {word}" for word, n in words.items())


def compared(shapes: np.ndarray, mapped: np.ndarray, views: list[shapely.Geometry | None]) -> np.ndarray:
    """Which glaciers (row) were mapped at a date (column) and at the one before, and all their ice seen at both.

    `shapes` as in `happened`, in metres; `mapped` likewise, boolean; `views`: what each date saw, None for all.
    """
    clear = np.zeros(shapes.shape, dtype=bool)
    for n in range(1, shapes.shape[1]):
        sides = ((shapes[:, n - 1], views[n]), (shapes[:, n], views[n - 1]))
        lost = sum(shapely.area(a) - shapely.area(within(a, v)) for a, v in sides if v is not None)
        clear[:, n] = mapped[:, n - 1] & mapped[:, n] & (lost < 1)
    return clear


def hidden(shapes: np.ndarray, mapped: np.ndarray, views: list[shapely.Geometry | None]) -> np.ndarray:
    """Ice of all dates together on ground that a date (column) did not see, of each glacier (row): m2 of the map.

    Arguments as those of `compared`; where a glacier was not mapped all of its ice is hidden.

    >>> one, half = shapely.box(0, 0, 10, 10), shapely.box(0, 0, 10, 5)
    >>> hidden(np.array([[half, one, one]]), np.full((1, 3), True), [half, None, one]).tolist()
    [[50.0, 0.0, 0.0]]
    """
    lost = np.zeros(shapes.shape)
    ask = ~mapped.all(axis=1) | any(view is not None for view in views)
    ever = shapely.union_all(shapes[ask], axis=1)
    whole = shapely.area(ever)
    seen = [whole if view is None else shapely.area(within(ever, view)) for view in views]
    lost[ask] = whole[:, None] - np.where(mapped[ask], np.stack(seen, axis=1), 0)
    return lost


def common(first: shapely.Geometry | None, second: shapely.Geometry | None) -> shapely.Geometry | None:
    """What both views hold, polygons of one CRS; None holds everything."""
    return second if first is None else first if second is None else _meet(np.array([first]), second)[0]


def within(shapes: np.ndarray, view: shapely.Geometry | None) -> np.ndarray:
    """The parts of polygons (of any shape of array) that lie in a view of the same CRS; None holds everything."""
    if view is None:
        return shapes
    shapely.prepare(view)
    cut, shapes = ~shapely.covers(view, shapes), shapes.copy()
    shapes[cut] = _meet(shapes[cut], view)
    return shapes


def _meet(shapes: np.ndarray, view: shapely.Geometry) -> np.ndarray:
    """Areas that each shape shares with the view; the lines and points where they only touch are none.

    GEOS leaves those in a collection, and no collection of areas and lines can be intersected again.
    """
    found = shapely.intersection(shapes, view)
    mixed = ~np.isin(shapely.get_type_id(found), (3, 6))  # neither polygon nor multipolygon
    found[mixed] = basins.gather(found[mixed], np.arange(mixed.sum()))
    return found
