"""Each Triton kernel against its plain twin, forward and backward: in float32 by Triton's interpreter on the CPU; on a
GPU compiled, and in bfloat16 against the twin in float32."""

from importlib import import_module

import pytest
import torch
from torch import Tensor

from golf.errors import UserError
from golf.kernels import plain
from golf.kernels.backend import kernels_module
from golf.kernels.compute import choose_kernels
from golf.kernels.residual import Skip
from golf.kernels.rotary import rotary_tables

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
from golf.kernels import triton as fused  # noqa: E402

pytestmark = [pytest.mark.gpu] if DEVICE == "cuda" else []

TYPES = [
    torch.float32,
    torch.bfloat16 if DEVICE == "cuda" else torch.float16,
]  # the interpreter rounds others its own way
BIG = pytest.param(4, 2, 64, marks=pytest.mark.slow)
# Of the largest entry: what float32 sums round, and what one rounding of bfloat16 per_query_head way does.
BOUND = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 5e-3}


def agree(
    function: str, inputs: dict, dtype: torch.dtype, vectors: tuple[str, ...] = (), kernels=fused, **fixed: object
) -> None:
    """Outputs, and gradients under random weights, of both twins; the plain one computes in float32. `vectors` are
    parameters, which are float32 always."""

    def run(module, kind: torch.dtype) -> list[Tensor]:
        own = {
            name: value.to(DEVICE, torch.float32 if name in vectors else kind).requires_grad_()
            for name, value in inputs.items()
        }
        outputs = [out for out in CALLS[function](module, own, fixed) if out is not None]
        weights = torch.Generator().manual_seed(1)
        total = sum((out.float() * torch.randn(out.shape, generator=weights).to(DEVICE)).sum() for out in outputs)
        return [*outputs, *torch.autograd.grad(total, list(own.values()))]

    inputs = {name: value.to(dtype).float() if name not in vectors else value for name, value in inputs.items()}
    expected = run(plain, torch.float32)
    for found, right in zip(run(kernels, dtype), expected, strict=True):
        assert found.isfinite().all()
        assert (found.float() - right).abs().max() <= BOUND[dtype] * right.abs().max() + 1e-7


def heads(module, own: dict[str, Tensor], tables: tuple[Tensor, Tensor], per_query_head: bool) -> list[Tensor]:
    """Of either twin k and v for per_query_head query head, if `per_query_head`: one gives them as they are."""
    q, k, v, again = module.heads(*own.values(), *tables, per_query_head)
    if per_query_head:
        group = q.size(2) // again.size(2)
        k, v = (t if t.dim() == 5 else t.unsqueeze(3).expand(-1, -1, -1, group, -1) for t in (k, v))
    return [q, k, v, again]


CALLS = {
    "residual": lambda module, own, fixed: module.residual(
        [own[name] for name in ("a", "b", "c") if name in own],
        0.7,
        own.get("mix"),
        own.get("x0"),
        Skip(own.get("state"), own["w"], own.get("g")) if "w" in own else None,
        **fixed,
    ),
    "heads": lambda module, own, fixed: heads(module, own, **fixed),
    "exclude_self": lambda module, own, fixed: [module.exclude_self(*own.values())],
    "linear": lambda module, own, fixed: [module.linear(*own.values())],
    "mlp": lambda module, own, fixed: [module.mlp(*own.values())],
    "cross_entropy": lambda module, own, fixed: [module.cross_entropy(*own.values(), **fixed)],
}


def draw(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


PARTS = ["a", "ab", "abc", "a mix x0", "ab mix x0", "abc mix x0 skip state", "a mix x0 gate state", "ab gate state"]
PARTS += ["a mix", "ab mix x0 gate", "a skip", "a mix gate"]  # without a first state or a state: they are the sum


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [64, 96])
@pytest.mark.parametrize("want_total", [False, True])
@pytest.mark.parametrize("parts", PARTS)
def test_residual(parts, want_total, width, dtype):
    x = (1, 5, width)  # of two rows at a time the last is alone
    terms, *others = parts.split()
    shapes = dict.fromkeys([*terms, *(name for name in ("x0", "state") if name in others)], x)
    if "mix" in others:
        shapes["mix"] = (2, width)
    if "skip" in others or "gate" in others:
        shapes["w"] = (width,)
    if "gate" in others:
        shapes["g"] = (width,)
    agree("residual", draw(**shapes), dtype, vectors=("mix", "w", "g"), want_total=want_total)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("per_query_head", [False, True])
@pytest.mark.parametrize(("heads", "kv_heads", "size"), [BIG, (6, 2, 24), (2, 2, 16)])
def test_heads(heads, kv_heads, size, per_query_head, dtype):
    width, length = 48, 70
    shapes = {"x": (2, length, width), "q": (heads * size, width), "k": (kv_heads * size, width)}
    shapes |= {"v": (kv_heads * size, width), "gain": (heads,)}
    tables = rotary_tables(length, 8, 10000.0, length, torch.device(DEVICE))
    agree("heads", draw(**shapes), dtype, vectors=("gain",), tables=tables, per_query_head=per_query_head)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("heads", "kv_heads", "size"), [BIG, (4, 2, 24), (2, 2, 16)])
def test_exclude_self(heads, kv_heads, size, dtype):
    agree("exclude_self", draw(y=(2, 37, heads, size), v=(2, 37, kv_heads, size)), dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_linear(dtype):
    agree("linear", draw(x=(2, 5, 64), weight=(32, 64), scale=(32,)), dtype, vectors=("weight", "scale"))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("rows", "width", "hidden"), [(37, 48, 96), (300, 128, 512)])
@pytest.mark.parametrize("name", ["triton", "quack"])
def test_mlp(name, rows, width, hidden, dtype):
    kernels = fused
    if name == "quack":
        try:
            kernels = import_module(kernels_module(choose_kernels(name, torch.device(DEVICE))))
        except UserError as missing:
            pytest.skip(str(missing))
    shapes = {"x": (1, rows, width), "fc": (hidden, width), "proj": (width, hidden), "scale": (width,)}
    agree("mlp", draw(**shapes), dtype, vectors=("fc", "proj", "scale"), kernels=kernels)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("cap", [3.0, 30.0, 100.0])
@pytest.mark.parametrize("vocabulary", [320, 1000])
def test_cross_entropy(vocabulary, cap, dtype):
    targets = torch.randint(vocabulary, (2, 9), generator=torch.Generator().manual_seed(2)).to(DEVICE)
    inputs = draw(hidden=(2, 9, 48), embedding=(vocabulary, 48))
    agree("cross_entropy", inputs, dtype, vectors=("embedding",), targets=targets, cap=cap)


@pytest.mark.parametrize(("rows", "cols", "bits"), [(40, 32, 6), (17, 20, 8)])
def test_gptq_block(rows, cols, bits):
    inputs = draw(weight=(rows, cols), factor=(cols, cols))
    weight, factor = inputs["weight"].to(DEVICE), (0.1 * inputs["factor"].triu() + torch.eye(cols)).to(DEVICE)
    scale = weight.std(1) * 6 / 31
    scale[3] = 0
    wider = torch.cat([weight, weight], dim=1)  # a block of a wider matrix
    found, expected = (
        module.gptq_block(wider[:, :cols], scale, factor.T.contiguous().T, bits) for module in (fused, plain)
    )
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5)
    assert torch.equal(wider[:, :cols], weight)
    weight[5] = torch.nan
    for module in (fused, plain):
        codes, _ = module.gptq_block(weight, scale, factor, bits)
        assert codes.isnan().any(dim=1).nonzero().flatten().tolist() == [5]
