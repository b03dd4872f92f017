"""Oracles: empyrical and quantstats, imported once, without types."""
# ruff: noqa: PLC0415

from collections.abc import Sequence


def of_empyrical(figure: str, returns: Sequence[float], **more: float) -> float:
    """Return empyrical's `figure` of daily returns."""
    import empyrical  # type: ignore[import-untyped]
    import numpy as np

    with np.errstate(all="ignore"):
        return float(getattr(empyrical, figure)(np.array(returns, dtype=float), **more))


def of_quantstats(figure: str, series: Sequence[float], **more: object) -> float:
    """Return quantstats' `figure` of a series that it takes as it is."""
    import numpy as np
    import pandas as pd  # type: ignore[import-untyped]
    import quantstats.stats

    given = pd.Series(series, dtype=float)
    with np.errstate(all="ignore"):
        return float(getattr(quantstats.stats, figure)(given, **more))
