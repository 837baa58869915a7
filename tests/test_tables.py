"""Tables tell units, dates and gaps."""

import numpy as np
import pandas as pd

from glacier_nb import plots


def test_a_table_tells_units_and_gaps():
    text = plots.table(pd.DataFrame({"rgi_id": ["a"], "position_m": [np.nan], "area_m2": [1.5e6]}), "Numbers").data
    assert "<caption>Numbers" in text and "Position (m)" in text and ">–<" in text and ">1.500" in text
