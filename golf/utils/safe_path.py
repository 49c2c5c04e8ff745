"""Nothing is imported from the working directory, which may be somebody else's submission."""

import os  # this and what is below come from the interpreter itself, wherever it looks for modules first
import sys
from importlib.machinery import PathFinder


def is_sought() -> bool:
    """Whether Python is on its way to the module of `python -m golf…`, and has put the working directory first."""
    return sys.argv[:1] == ["-m"] and not sys.flags.safe_path


def use_safe_path() -> None:
    """Take away the working directory that `python -m` has put first on the import path, as `python -P` would have.

    So it is for the processes that this one starts. What Python itself imports to find this package has been imported
    from there by then. A checkout that is not installed is its own working directory and stays.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    if not is_sought():
        return
    package = os.path.dirname(os.path.dirname(__file__))
    installed = PathFinder.find_spec(os.path.basename(package), sys.path[1:])
    if installed is not None and installed.origin and os.path.samefile(os.path.dirname(installed.origin), package):
        del sys.path[0]
    else:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(package), *([before] if before else [])])
