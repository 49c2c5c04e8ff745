"""The sweeper behind `sweep=ttt_search` and its like: Optuna's, by Hydra's plugin, which goes on with its study."""

import warnings
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from golf.config.composed import checked, without_hydra
from golf.errors import Stopped, require
from golf.io.run_directory import MULTIRUN
from golf.sweep import status
from golf.sweep.conclusion import conclude
from golf.sweep.interrupts import after_jobs
from golf.sweep.job_name import NOT_ASKED, NOT_SAID, without
from golf.sweep.jobs import directory_of, require_apart, require_own
from golf.sweep.sweep import sweep_of, sweeping


class Search(Sweeper):
    """Runs trials until `n_trials` of the study have given their objectives, those of a sweep that is resumed included.

    The parameters are those of the plugin's OptunaSweeper. At the end all jobs are listed; Ended is raised with the
    code 1 if one failed. A failed job is a failed trial, from which Optuna learns nothing.
    """

    def __init__(self, *, n_trials: int, direction: Any, storage: str | None, **others: Any):
        self.n_trials = n_trials
        self.storage = storage
        self.directions = direction if OmegaConf.is_list(direction) else [direction]
        self.others = {"direction": direction, **others}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        # Not at the top: every start of Hydra imports this module, with or without the plugin.
        from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
        from optuna.exceptions import ExperimentalWarning
        from optuna.trial import TrialState

        assert self.config is not None
        assert self.hydra_context is not None
        objectives = sweep_of(self.config).objectives
        self._check(arguments, objectives)
        directory = Path(self.config.hydra.sweep.dir)
        with sweeping(directory), after_jobs(self.config.hydra.launcher, directory):
            require_own((self._load(job["overrides"]), path) for path, job in status.found(directory))
            storage = self.storage or _storage_in(directory)
            study = self._study(storage, without(NOT_ASKED + NOT_SAID, arguments), objectives)
            OmegaConf.save(self.config, directory / MULTIRUN)
            before = study.trials
            for trial in before:
                if trial.state == TrialState.RUNNING:  # it was cut off, and goes on in its directory
                    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                        study.enqueue_trial(trial.params)
                    study.tell(trial.number, state=TrialState.FAIL)
            if before and hasattr(self.others["sampler"], "reseed_rng"):
                self.others["sampler"].reseed_rng()  # from its seed it would ask for the same trials again
            missing = self.n_trials - sum(trial.state == TrialState.COMPLETE for trial in before)
            sweeper = OptunaSweeper(n_trials=missing, storage=storage, **self.others)
            sweeper.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
            try:
                sweeper.sweep(arguments)
            except (Exception, KeyboardInterrupt, Stopped) as error:
                # Where all trials failed, and that is said anyway, the plugin misses the best one.
                states = {trial.state for trial in study.trials[len(before) :]}
                missed = isinstance(error, Exception) and states == {TrialState.FAIL}
                conclude(directory, objectives, stopped=None if missed else error)
                raise
            conclude(directory, objectives)

    def _check(self, arguments: list[str], objectives: list[str]) -> None:
        """Raise for what can be seen before the first trial."""
        count = len(self.directions)
        require(count == len(objectives), f"{count} hydra.sweeper.direction for the {len(objectives)} sweep.objectives")
        params = [f"{key}={value}" for key, value in (self.others["params"] or {}).items()]
        overrides = OverridesParser.create().parse_overrides(params + arguments)
        self.validate_batch_is_legal([[_one_value(override) for override in overrides]])
        # Of one number, since numbers begin anew when the search goes on.
        trials = [[_one_value(override, last) for override in overrides] for last in (False, True)]
        for cfg in map(self._load, trials):
            checked(without_hydra(cfg), cfg.hydra)
        if trials[0] != trials[1]:
            require_apart((cfg, directory_of(cfg, 0)) for cfg in map(self._load, trials))

    def _load(self, overrides: list[str]) -> DictConfig:
        assert self.config is not None
        assert self.hydra_context is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)

    def _study(self, storage: str, command: list[str], objectives: list[str]) -> Any:
        """The study, new or from the storage; there it must be of the same command."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name=self.others["study_name"],
            storage=storage,
            directions=[getattr(direction, "name", direction) for direction in self.directions],
            load_if_exists=True,
        )
        for name, value in {"sweep.objectives": objectives, "command line": command}.items():
            before = study.user_attrs.get(name, value)
            other = f"hydra.sweeper.study_name={study.study_name}: this study has the {name} {' '.join(before)}"
            require(before == value, f"{other}; give the same, or another name")
            study.set_user_attr(name, value)
        return study


def _storage_in(directory: Path) -> str:
    """The URL of a study in a file there. Optuna fills in what stands in braces in a URL, and SQLAlchemy cuts it at a
    question mark, but SQLite takes a URI, in which these are escaped."""
    return f"sqlite:///{(directory / 'study.db').absolute().as_uri()}?uri=true"


def _one_value(override: Override, last: bool = False) -> str:
    """The override, with its first or last value where it has several."""
    if not override.is_sweep_override():
        return override.input_line or ""
    values = override.value()
    if isinstance(values, IntervalSweep):
        value: Any = values.end if last else values.start
    else:
        value = list(override.sweep_string_iterator())[-1 if last else 0]
    return f"{override.get_key_element()}={value}"
