"""`golf` and `python -m golf`: a run or a sweep, or one of the other commands by name."""

import sys
from importlib import import_module

from golf.utils.safe_path import use_safe_path

# `golf NAME …` does what `python -m golf.NAME …` does. They are described in conf/hydra/help/golf.yaml.
COMMANDS = ("bench", "cache", "dashboard", "data", "report", "submit", "verify")


def main() -> int:
    """Run the command and return its exit code (golf.app.main, golf.utils.cli.exit_code)."""
    use_safe_path()
    name = sys.argv.pop(1) if sys.argv[1:2] and sys.argv[1] in COMMANDS else None
    command = import_module("golf.app" if name is None else f"golf.{name}.__main__")
    code: int = command.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
