"""Figures of one style: creating and saving. matplotlib is imported lazily."""

from pathlib import Path
from typing import TYPE_CHECKING

from golf.utils.atomic import atomic_write
from golf.utils.disk import room_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREEN, GREY = "#4477aa", "#ee6677", "#228833", "#bbbbbb"  # told apart by colour-blind eyes too


def new_figure(title: str, x: str, y: str) -> "tuple[Figure, Axes]":
    """An empty figure with a title and labelled axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: "Figure", path: Path) -> Path:
    """Save as PNG. Raises UserError if the disk is full."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with room_for(path), atomic_write(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)
    return path
