"""report.html: one self-contained file."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from golf.report.tables import Table
from golf.utils.atomic import atomic_write


def write_page(
    path: Path, title: str, flags: Sequence[str], first: Sequence[Table], plots: Sequence[Path], rest: Sequence[Table]
) -> None:
    """Flags, tables, plots (PNG files) and more tables, in this order, in one file at `path`."""
    environment = Environment(loader=PackageLoader("golf.report", ""), autoescape=True, undefined=StrictUndefined)
    pictures = {plot.stem: b64encode(plot.read_bytes()).decode() for plot in plots}
    template = environment.get_template("page.html")
    text = template.render(title=title, flags=flags, first=first, pictures=pictures, rest=rest)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
