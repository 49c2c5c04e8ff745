"""`golf dashboard`: saves a Weights & Biases workspace that shows a project's runs and sweeps."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from golf.errors import UserError, require
from golf.tracker import wandb_run
from golf.tracker.online import unreachable
from golf.utils.cli import exit_code, extra

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

PATIENCE = 10.0  # seconds for the server's first answer


def main() -> int:
    parser = argparse.ArgumentParser(prog="golf dashboard", description=__doc__)
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="where the runs are")
    parser.add_argument("--name", default="golf", help="of the workspace (default: golf)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be saved, without a server")
    arguments = parser.parse_args()
    return exit_code(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> int:
    entity, _, project = arguments.project.partition("/")
    slug = entity and project and "/" not in project
    require(bool(slug), f"{arguments.project}: is not a W&B project; give ENTITY/PROJECT")
    with extra("dashboard"):
        from golf.dashboard import workspace
    built = workspace.build(entity, project, arguments.name)
    if arguments.dry_run:
        print(json.dumps({"metrics": workspace.metrics(built), "workspace": built._spec}, indent=2))
    else:
        print(_save(built))
    return 0


def _save(workspace: "Workspace") -> str:
    """Save the workspace as a new view of the project; returns its address."""
    settings, key = wandb_run.own_settings()
    instead = "--dry-run prints the workspace without"
    require(key is not None, f"W&B has no key for {settings.base_url}; set WANDB_API_KEY ({instead})")
    reason = unreachable(settings.base_url, PATIENCE)
    require(reason is None, f"W&B: {reason} ({instead})")
    try:
        workspace.save()
        return str(workspace.url)
    except Exception as error:
        message = " ".join(str(error).split())
        raise UserError(f"W&B did not save the workspace ({type(error).__name__}: {message})") from error


if __name__ == "__main__":
    sys.exit(main())
