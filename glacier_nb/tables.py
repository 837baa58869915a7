"""Tables as people read them: headings with units, dates, dashes for what is missing; walked by a screen reader too."""

import dataclasses
import html

import numpy as np
import pandas as pd
from IPython.display import HTML


@dataclasses.dataclass(frozen=True)
class Column:
    """How a table's column reads to a person."""

    label: str
    """Heading, with the unit."""
    scale: float = 1.0
    """What a value is multiplied by for that unit."""
    form: str = ".4g"
    """Format of a number that is not whole."""


COLUMNS = {
    "rgi_id": Column("Glacier"),
    "time": Column("Date"),
    "since": Column("Since"),
    "system": Column("System"),
    "sensor": Column("Sensor"),
    "area_m2": Column("Area (km²)", 1e-6, ",.3f"),
    "lower_m2": Column("at least (km²)", 1e-6, ",.3f"),
    "upper_m2": Column("at most (km²)", 1e-6, ",.3f"),
    "unseen_m2": Column("Unseen (km²)", 1e-6, ",.3f"),
    "hidden_m2": Column("Hidden on this date (km²)", 1e-6, ",.3f"),
    "change_m2": Column("Change (km²)", 1e-6, "+z,.3f"),
    "change_lower_m2": Column("at least (km²)", 1e-6, "+z,.3f"),
    "change_upper_m2": Column("at most (km²)", 1e-6, "+z,.3f"),
    "change_percent": Column("Change (%)", 1.0, "+z.1f"),
    "debris_m2": Column("of it by debris (km²)", 1e-6, "+z,.3f"),
    "snowline_m": Column("Snowline (m)", 1.0, ",.0f"),
    "accumulation_ratio": Column("Accumulation area (%)", 100.0, ".0f"),
    "rate_km2_a": Column("Rate (km² a⁻¹)", 1.0, "+z,.4f"),
    "rate_lower_km2_a": Column("at least (km² a⁻¹)", 1.0, "+z,.4f"),
    "rate_upper_km2_a": Column("at most (km² a⁻¹)", 1.0, "+z,.4f"),
    "rate_percent_a": Column("Rate (% a⁻¹)", 1.0, "+z.2f"),
    "area_first_m2": Column("Area, first (km²)", 1e-6, ",.3f"),
    "area_second_m2": Column("Area, second (km²)", 1e-6, ",.3f"),
    "dh_m": Column("Elevation change (m)", 1.0, "+z.2f"),
    "dh_dt_m_a": Column("Elevation change (m a⁻¹)", 1.0, "+z.2f"),
    "dh_dt_lower_m_a": Column("at least (m a⁻¹)", 1.0, "+z.2f"),
    "dh_dt_upper_m_a": Column("at most (m a⁻¹)", 1.0, "+z.2f"),
    "volume_m3": Column("Volume change (km³)", 1e-9, "+z,.4f"),
    "volume_lower_m3": Column("at least (km³)", 1e-9, "+z,.4f"),
    "volume_upper_m3": Column("at most (km³)", 1e-9, "+z,.4f"),
    "mass_balance_m_we_a": Column("Mass balance (m w.e. a⁻¹)", 1.0, "+z.2f"),
    "mass_balance_lower_m_we_a": Column("at least (m w.e. a⁻¹)", 1.0, "+z.2f"),
    "mass_balance_upper_m_we_a": Column("at most (m w.e. a⁻¹)", 1.0, "+z.2f"),
    "mass_gt_a": Column("Mass (Gt a⁻¹)", 1.0, "+z.4f"),
    "mass_lower_gt_a": Column("at least (Gt a⁻¹)", 1.0, "+z.4f"),
    "mass_upper_gt_a": Column("at most (Gt a⁻¹)", 1.0, "+z.4f"),
    "void_percent": Column("Not measured (%)", 1.0, ".1f"),
    "fixed_first_percent": Column("By the first area alone (%)", 1.0, "+z.1f"),
    "fixed_second_percent": Column("By the second area alone (%)", 1.0, "+z.1f"),
    "position_m": Column("Position (m)", 1.0, "+z,.0f"),
    "uncertainty_m": Column("± (m)", 1.0, ",.0f"),
    "pixel_error_m": Column("of it pixels (m)", 1.0, ",.1f"),
    "georeferencing_error_m": Column("georeferencing (m)", 1.0, ",.1f"),
    "method_error_m": Column("method (m)", 1.0, ",.1f"),
    "width_m": Column("Width (m)", 1.0, ",.0f"),
    "swept_area_m2": Column("Swept area (km²)", 1e-6, "+z,.3f"),
    "rate_m_a": Column("Rate (m a⁻¹)", 1.0, "+z,.0f"),
    "uncertainty_m_a": Column("± (m a⁻¹)", 1.0, ",.0f"),
    "trend_m_a": Column("Trend (m a⁻¹)", 1.0, "+z,.0f"),
    "trend_lower_m_a": Column("at least (m a⁻¹)", 1.0, "+z,.0f"),
    "trend_upper_m_a": Column("at most (m a⁻¹)", 1.0, "+z,.0f"),
    "amplitude_m": Column("Season (± m)", 1.0, ",.0f"),
    "amplitude_lower_m": Column("at least (m)", 1.0, ",.0f"),
    "amplitude_upper_m": Column("at most (m)", 1.0, ",.0f"),
    "swept_m2": Column("Swept (km²)", 1e-6, "+z,.3f"),
    "clear_fraction": Column("Clear (%)", 100.0, ".0f"),
    "snow_fraction": Column("Snow or ice (%)", 100.0, ".0f"),
    "coverage": Column("Shown (%)", 100.0, ".0f"),
    "sun_elevation": Column("Sun (°)", 1.0, ".0f"),
    "days_off": Column("Days off season", 1.0, ".0f"),
    "score": Column("Score", 1.0, ".2f"),
    "used_fraction": Column("Used (%)", 100.0, ".0f"),
    "iou": Column("IoU", 1.0, ".2f"),
    "iou_all": Column("IoU, all glaciers", 1.0, ".3f"),
    "one_less_iou": Column("1 − IoU", 1.0, ".3f"),
    "area_error_percent": Column("Area error (%)", 1.0, "+z.1f"),
    "mean_px": Column("Distance (pixels)", 1.0, ".2f"),
    "wrong": Column("Wrong pixels (share)", 1.0, ".3f"),
    "low": Column("at least", 1.0, ".3f"),
    "high": Column("at most", 1.0, ".3f"),
    "spread": Column("Spread over seeds", 1.0, ".3f"),
    "to_best": Column("To best", 1.0, "+z.3f"),
    "to_best_low": Column("at least", 1.0, "+z.3f"),
    "to_best_high": Column("at most", 1.0, "+z.3f"),
    "p": Column("p", 1.0, ".2g"),
    "seconds": Column("Seconds a training", 1.0, ",.1f"),
    "parameters": Column("Parameters (million)", 1e-6, ",.2f"),
    "found_in": Column("Summers that find it"),
    "seen_in": Column("that saw it"),
    "probability": Column("Probability", 1.0, ".2f"),
    "zmin_m": Column("Lowest (m)", 1.0, ",.0f"),
    "zmax_m": Column("Highest (m)", 1.0, ",.0f"),
    "slope_deg": Column("Slope (°)", 1.0, ".0f"),
    "aspect_deg": Column("Aspect (°)", 1.0, ".0f"),
    "lmax_m": Column("Length (m)", 1.0, ",.0f"),
}
"""Headings of the columns that this package writes; any other column is headed by its name."""


UNITS = {
    "_m_we_a": "m w.e. a⁻¹", "_km2_a": "km² a⁻¹", "_m_a": "m a⁻¹", "_m3": "m³", "_m2": "m²", "_m": "m", "_percent": "%",
    "_px": "px", "_mb": "MB", "_km2": "km²", "_deg": "°",
}  # fmt: skip
"""Units by how our names end, longer endings first."""


def column(name: str) -> Column:
    """How a column of this name reads, whether COLUMNS knows it or not.

    >>> column("area_m2").label, column("method").label
    ('Area (km²)', 'Method')
    """
    return COLUMNS.get(name, Column(headed(str(name))))


def headed(name: str) -> str:
    """The heading of a column that COLUMNS does not know: its name as words, and its unit.

    >>> headed("trend_lower_m_a"), headed("method")
    ('Trend lower (m a⁻¹)', 'Method')
    """
    end = next((end for end in UNITS if name.endswith(end)), "")
    words = name.removesuffix(end).replace("_", " ")
    return html.escape(words[:1].upper() + words[1:] + (f" ({UNITS[end]})" if end else ""))


def cell(value, column: Column) -> str:
    """`value` as a table shows it; what is missing is a dash.

    >>> cell(12_345_678.0, COLUMNS["area_m2"]), cell(float("nan"), COLUMNS["area_m2"]), cell("a<b", Column("x"))
    ('12.346', '–', 'a&lt;b')
    >>> cell(2025, column("year")), cell(24_444_785, column("parameters"))
    ('2025', '24.44')
    """
    if pd.isna(value):
        return "–"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float) or (isinstance(value, int | np.integer) and column.scale != 1.0):
        return format(value * column.scale, column.form).replace("-", "−")
    return html.escape(str(value))


LEADS = {
    "change_percent": (),
    "mass_balance_m_we_a": ("mass_balance_lower_m_we_a", "mass_balance_upper_m_we_a"),
    "dh_dt_m_a": ("dh_dt_lower_m_a", "dh_dt_upper_m_a"),
    "dh_m": (),
    "one_less_iou": (),
    "iou": (),
    "position_m": (),
    "trend_m_a": ("trend_lower_m_a", "trend_upper_m_a"),
    "clear_fraction": (),
    "area_m2": ("lower_m2", "upper_m2"),
}
"""Columns that a table may be about, the first that it has, and the ends of their intervals."""


def spoken(frame: pd.DataFrame) -> str:
    """The number that `frame` is about as a sentence, for who cannot see its figure; empty without any number.

    A column of LEADS, else its first of numbers: of the region at its last date, by each system; else from the least
    to the most of all rows.

    >>> spoken(pd.DataFrame({"rgi_id": ["a", "region"], "area_m2": [2e6, 3e6], "lower_m2": 2e6, "upper_m2": 4e6}))
    'Region: area 3.000 km² (2.000 to 4.000).'
    >>> spoken(pd.DataFrame({"rgi_id": "region", "system": ["a", "ndsi"], "change_percent": [-9.0, 2.0]}))
    'Region: change −9.0 % by a, +2.0 % by ndsi.'
    >>> spoken(pd.DataFrame({"step": [0, 10], "loss": [0.9, 0.25]})), spoken(pd.DataFrame({"item": ["a"]}))
    ('Loss 0.25 to 0.9 in 2 rows.', '')
    """
    numbers = [name for name in frame if frame[name].dtype.kind == "f" and frame[name].notna().any()]
    name = next((name for name in (*LEADS, *numbers) if name in numbers), None)
    if name is None:
        return ""
    about = column(name)
    words, _, unit = about.label.removesuffix(")").partition(" (")
    words, unit = words[:1].lower() + words[1:], f" {unit}" if unit else ""
    region = frame[frame["rgi_id"] == "region"].dropna(subset=[name]) if "rgi_id" in frame else frame[:0]
    if len(region):
        date = f", {cell(region['time'].max(), COLUMNS['time'])}" if "time" in frame else ""
        told = []
        for _, row in (region[region["time"] == region["time"].max()] if date else region).iterrows():
            ends = [cell(row[end], about) for end in LEADS.get(name, ()) if end in frame]
            interval = f" ({' to '.join(ends)})" if len(ends) == 2 else ""
            by = f" by {row['system']}" if "system" in frame else ""
            told.append(f"{cell(row[name], about)}{unit}{interval}{by}")
        return f"Region{date}: {words} {', '.join(dict.fromkeys(told))}."
    least, most = (cell(float(end), about) for end in (frame[name].min(), frame[name].max()))
    spread = least if least == most else f"{least} to {most}"
    return f"{words[:1].upper()}{words[1:]} {spread}{unit} in {len(frame)} row{'s' * (len(frame) > 1)}."


def table(frame: pd.DataFrame, caption: str = "") -> HTML:
    """`frame` as an HTML table that a screen reader can walk: headings with units (COLUMNS), first column as row names.

    >>> "<th scope=col class=number>Area (km²)" in table(pd.DataFrame({"rgi_id": ["a"], "area_m2": [2e6]})).data
    True
    """
    frame = pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))
    columns = [column(name) for name in frame]
    kinds = [" class=number" if frame[name].dtype.kind in "iuf" else "" for name in frame]
    heads = "".join(f"<th scope=col{kind}>{column.label}" for column, kind in zip(columns, kinds, strict=True))
    body = []
    for values in frame.itertuples(index=False, name=None):
        cells = [cell(value, column) for value, column in zip(values, columns, strict=True)]
        rest = "".join(f"<td{kind}>{text}" for text, kind in zip(cells[1:], kinds[1:], strict=True))
        strong = " class=total" if values[:1] == ("region",) else ""
        body.append(f"<tr{strong}><th scope=row{kinds[0]}>{cells[0]}{rest}" if cells else "<tr>")
    head = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return HTML(f"<table class=numbers>{head}<thead><tr>{heads}<tbody>{''.join(body)}</table>")
