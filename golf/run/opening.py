"""Opens what all stages of a job work with: the data, checked and digested, and the room that the code leaves."""

from collections.abc import Mapping
from typing import Any

from golf.build import build
from golf.cache.accounts import byte_account
from golf.data.dataset import Dataset
from golf.data.published import how_to_fetch
from golf.errors import UserError
from golf.evaluation.probe import ProbeAt
from golf.events import Listener
from golf.io.limits import TOTAL_BYTES
from golf.kernels.backend import Backend
from golf.pack.pack import pack
from golf.run.plan import Plan
from golf.runtime import dist
from golf.stages.context import StageContext, open_context


def open_job(plan: Plan, choices: Mapping[str, str], backend: Backend, events: Listener) -> StageContext:
    """Open the data, check that they fit the model and that their bytes are those of their text, and pack the code.

    choices: the option of each config group. Raises UserError.
    """
    config, model = plan.config, plan.config["model"]
    dataset = _open_data(config["data"], choices.get("data"), events)
    if dist.is_main():  # one rank reads all the shards; an error there ends the job
        dataset.check_manifest()
        dataset.check(model["vocab_size"], model["seq_len"])
    digests = dist.broadcast_object(dataset.digests() if dist.is_main() else None)
    made = {"data": digests, **backend.names}
    room = dist.broadcast_object(TOTAL_BYTES - len(pack(config, made)) if dist.is_main() else None)
    context = open_context(
        config=config,
        dataset=dataset,
        backend=backend,
        stream_account=byte_account,
        files=plan.files,
        data_digests=digests,
        room=room,
        events=events,
        probe=ProbeAt,
    )
    plan.check_tokenizer(dataset.tokenizer, digests["tokenizer"]["sha256"])
    return context


def _open_data(data: Mapping[str, Any], option: str | None, events: Listener) -> Dataset:
    try:
        dataset: Dataset = build(data).open(events)
    except UserError as error:
        if command := how_to_fetch(option, data.get("path")):
            raise UserError(f"{error}; {command} fetches it") from error
        raise
    return dataset
