"""What became of glaciers between two dates: appeared, disappeared, split, merged.

Without a source, plain or ours: `happened`, `counted`.
"""

import numpy as np
import pandas as pd
import shapely


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
