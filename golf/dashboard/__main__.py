"""`python -m golf.dashboard`: saves a Weights & Biases workspace that shows a project's runs and sweeps."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from golf.errors import UserError, require
from golf.tracker import wandb_run
from golf.tracker.online import unreachable

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

PATIENCE = 10.0  # seconds for the server's first answer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m golf.dashboard", description=__doc__)
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="where the runs are")
    parser.add_argument("--name", default="golf", help="of the workspace (default: golf)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be saved, and ask nobody")
    arguments = parser.parse_args()
    try:
        entity, _, project = arguments.project.partition("/")
        slug = entity and project and "/" not in project
        require(bool(slug), f"{arguments.project}: is no project of W&B; give ENTITY/PROJECT")
        workspace, metrics = _build(entity, project, arguments.name)
        if arguments.dry_run:
            print(json.dumps({"metrics": metrics, "workspace": workspace._spec}, indent=2))
        else:
            print(_save(workspace))
    except UserError as error:
        print(f"golf: error: {error}", file=sys.stderr)
        return 2
    return 0


def _build(entity: str, project: str, name: str) -> "tuple[Workspace, dict[str, list[str]]]":
    try:
        from golf.dashboard import workspace
    except ModuleNotFoundError as error:
        if error.name != "wandb_workspaces":
            raise
        raise UserError("the dashboard needs wandb-workspaces: pip install 'golf[dashboard]'") from error
    built = workspace.build(entity, project, name)
    return built, workspace.metrics(built)


def _save(workspace: "Workspace") -> str:
    """Save it as a new view of the project; its address."""
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
