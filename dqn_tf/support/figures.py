"""Matplotlib's figures, drawn into files and never into a window.

A notebook names a backend of its own in MPLBACKEND. Programs that it starts inherit the variable,
and Matplotlib is not imported where it does not know the backend. No backend is needed here.
"""

import os

_backend = os.environ.pop("MPLBACKEND", None)
try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend

__all__ = ["Axes", "Figure", "FigureCanvasAgg"]
