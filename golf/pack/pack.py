"""One script that stands alone: the modules that a run's configuration needs, minified, compressed, self-extracting."""

import ast
import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from glob import escape
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from golf.build import module_of
from golf.cache.entries import cached, user_cache
from golf.errors import UserError
from golf.kernels.backend import open_backend, own_modules
from golf.pack import script
from golf.pack.self_extracting import self_extracting
from golf.pack.shake import shaken
from golf.quantizer.quantizer import SDClipQuantizer
from golf.runtime.cuda_graph import CudaGraphed
from golf.runtime.finite_check import FiniteCheck, NoFiniteCheck
from golf.utils.import_closure import closure, source_of
from golf.utils.safe_path import is_sought

GROUPS = ("model", "optimizer", "trainer", "quantizer", "codec", "evaluation", "ttt")
MODULES = "modules.json"
PATIENCE = 60.0  # seconds for another process that packs the same
# What a script does without: where a number that is not finite first appeared, the framework has shown; and nothing
# starts it by `python -m golf`.
CHECKS = (NoFiniteCheck, FiniteCheck, FiniteCheck.look_at, FiniteCheck.require_finite)
NEVER = [part.__name__ for part in (is_sought, *CHECKS)]
# Finds the modules M by their names. `get_source` is for whoever wants the text of a function, as Triton does; of a
# file <name> nobody would ask for it. The end is golf.runtime.dist.leave's, for its reason; all is flushed by then.
LOADER = """\
import os,sys
from importlib.util import spec_from_loader
class L:
 def find_spec(s,n,*_):
  if n in M:return spec_from_loader(n,s,is_package=any(m.startswith(n+'.')for m in M))
 def create_module(*_):0
 def get_source(s,n):return M[n]
 def exec_module(s,m):n=m.__name__;exec(compile(M[n],n,'exec'),m.__dict__)
sys.meta_path.insert(0,L())
from golf.pack.script import main
main(C,F)
os._exit(0)
"""
JSON_NAMES = "true,false,null=True,False,None"  # with them, JSON is Python: whoever verifies a script reads data only


def pack(config: Mapping[str, Any], provenance: Mapping[str, Any]) -> bytes:
    """The script. config: a run's resolved configuration. provenance: of it, the digests of the data and the names of
    what computed (attention, kernels), with which the script computes too.

    The script holds no more than the run needs, reads no environment variable but torchrun's, and needs torch, numpy,
    sentencepiece and the package of the codec.
    """
    packed = packed_config(config, provenance)
    return self_extracting(program(modules(packed), packed))


def program(sources: Mapping[str, str], packed: Mapping[str, Any]) -> str:
    """What the script runs once it has extracted itself."""
    return f"{JSON_NAMES}\nM={_json(sources)}\nC={_json(packed)}\n{LOADER}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def packed_config(config: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's configuration the script holds: its data are shards in any directory, found by their names."""
    seed, data = config["data"]["seed"], provenance["data"]
    shards = {
        "_target_": "golf.data.shards.Shards",
        "path": None,
        "tokenizer": data["tokenizer"]["file"],
        "train_glob": config["data"].get("train_glob") or _glob([shard["file"] for shard in data["train"]]),
        "val_glob": config["data"].get("val_glob") or _glob([shard["file"] for shard in data["val"]]),
        "val_tokens": config["data"]["val_tokens"],
        "seed": script.SEEDED if seed == config["seed"] else seed,
        "order": config["data"]["order"],
    }
    kept = {key: dict(config[key]) for key in ("compute", *GROUPS)}
    compute = {key: value for key, value in kept["compute"].items() if key != "_target_"}
    names = {key: provenance[key] for key in ("attention", "kernels")}
    kept["compute"] = {"_target_": f"{open_backend.__module__}.{open_backend.__name__}", **compute, **names}
    return {"seed": config["seed"], **kept, "data": shards, "evaluation": {**config["evaluation"], "probes": 0}}


def modules(config: Mapping[str, Any]) -> dict[str, str]:
    """Source by name of the modules that a packed configuration needs, remembered in the user's cache."""
    parts = [config[group] for group in ("compute", *GROUPS, "data")]
    targets = {module_of(part) for part in parts} | own_modules(config["compute"])
    # What is looked up by a name of the configuration: classes, and such as torch.bfloat16.
    names = {str(value).rpartition(".")[2] for part in parts for value in part.values() if isinstance(value, str)}
    off = set(NEVER)
    if not config["quantizer"].get("fit_bytes"):
        off.add(SDClipQuantizer.is_to_fit.__name__)
    if config["compute"]["kernels"] == "plain":  # compiled, or on the CPU
        off.add(CudaGraphed.is_captured.__name__)
    reached = closure({script.__name__, *targets}, lambda module: module.partition(".")[0] == "golf")

    kept = {"main", *names}

    def build(directory: Path) -> None:
        bare = {module: _minify(source_of(module), rename_locals=False) for module in reached}
        needed = shaken(bare, script.__name__, targets, kept, off)
        small = {module: _minify(source, rename_locals=True) for module, source in needed.items()}
        (directory / MODULES).write_text(json.dumps(small), encoding="utf-8")

    makers = (
        [source_of(module) for module in (__name__, shaken.__module__)],
        version("python-minifier"),
        sys.version,
    )
    digest = hashlib.sha256(
        repr((sorted(reached.items()), sorted(targets), sorted(names), sorted(off), makers)).encode()
    )
    try:
        directory = cached(user_cache(None, "code"), digest.hexdigest()[:32], build, PATIENCE)
        small: dict[str, str] = json.loads((directory / MODULES).read_text(encoding="utf-8"))
    except (OSError, UserError):  # a cache that cannot be written is no reason to have no size
        with TemporaryDirectory() as temporary:
            build(Path(temporary))
            small = json.loads((Path(temporary) / MODULES).read_text(encoding="utf-8"))
    return small


@cache  # most modules are the same in all scripts
def _minify(source: str, rename_locals: bool) -> str:
    import python_minifier  # after the cache has been looked into
    from python_minifier import RemoveAnnotationsOptions

    # Compilers read the text of kernels; to Triton annotations say which parameters are constant.
    has_kernels = "@triton.jit" in source or "@cute.jit" in source
    small = python_minifier.minify(
        source,
        remove_annotations=RemoveAnnotationsOptions(
            remove_argument_annotations=not has_kernels,
            remove_class_attribute_annotations=False,  # they say what its fields are
        ),
        remove_literal_statements=True,
        remove_asserts=True,
        rename_locals=rename_locals and not has_kernels,
        hoist_literals=False,  # it would compress worse
    )
    spaced = re.sub(r"^\t+", lambda tabs: " " * len(tabs[0]), small, flags=re.MULTILINE)  # JSON writes \t for a tab
    return spaced if ast.dump(ast.parse(spaced)) == ast.dump(ast.parse(small)) else small  # in a text, a tab stays


def _glob(names: Sequence[str]) -> str:
    """Matches the names."""
    prefix = os.path.commonprefix(list(names))  # noqa: RUF071 — of characters, as it says
    return escape(prefix) if len(names) == 1 else f"{escape(prefix)}*"
