"""Oracles: empyrical, quantstats and scipy, imported once, without types."""
# ruff: noqa: PLC0415

from collections.abc import Sequence


def of_empyrical(figure: str, returns: Sequence[float], *factors: Sequence[float], **more: float) -> float:
    """Return empyrical's `figure` of daily returns, or of those and the benchmark's."""
    import empyrical  # type: ignore[import-untyped]
    import numpy as np

    with np.errstate(all="ignore"):
        series = (np.array(one, dtype=float) for one in (returns, *factors))
        return float(getattr(empyrical, figure)(*series, **more))


def of_quantstats(figure: str, series: Sequence[float], **more: object) -> float:
    """Return quantstats' `figure` of a series that it takes as it is."""
    import numpy as np
    import pandas as pd  # type: ignore[import-untyped]
    import quantstats.stats

    given = pd.Series(series, dtype=float, index=pd.date_range("2026-01-01", periods=len(series)))
    with np.errstate(all="ignore"):
        return float(getattr(quantstats.stats, figure)(given, **more))


def of_scipy(figure: str, series: Sequence[float]) -> float:
    """Return scipy's `figure` of a series, such as its skewness."""
    import numpy as np
    import scipy.stats  # type: ignore[import-untyped]

    return float(getattr(scipy.stats, figure)(np.array(series, dtype=float)))
