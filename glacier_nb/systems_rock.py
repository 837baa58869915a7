"""Systems that map rock glaciers, one row each."""

from glacier_nb.recipes import System

ROWS: tuple[System, ...] = ()
"""In the order that tables show them."""
