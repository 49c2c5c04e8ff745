"""The type matcher: what fits is let through, what does not is not."""

import math
from types import NoneType
from typing import Any, Literal, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golf.utils.annotations import describe, matches, show

# What YAML can say for each plain annotation.
PLAIN = {
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    bool: st.booleans(),
    str: st.text("ab1 ", max_size=3),
    NoneType: st.none(),
}
LITERALS = st.lists(st.sampled_from(["adamw", "muon", 0, 1, 2, True]), min_size=1).map(lambda names: Literal[*names])
ANNOTATIONS = st.recursive(
    st.sampled_from(list(PLAIN)) | LITERALS,
    lambda inner: st.one_of(
        inner.map(lambda item: list[item]),
        inner.map(lambda item: dict[str, item]),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: Union[*items]),
    ),
    max_leaves=5,
)


def fitting(annotation: Any) -> st.SearchStrategy[Any]:
    """Values for an annotation, written down independently of `matches`."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    arguments = annotation.__args__
    if isinstance(annotation, type(Literal["x"])):
        return st.sampled_from(arguments)
    if annotation.__origin__ is list:
        return st.lists(fitting(arguments[0]), max_size=3)
    if annotation.__origin__ is dict:
        return st.dictionaries(PLAIN[str], fitting(arguments[1]), max_size=3)
    return st.one_of(*map(fitting, arguments))


class Foreign:
    """Nothing that YAML can hold, so it fits nowhere."""


def with_one_foreign(value: Any) -> Any:
    if isinstance(value, list):
        return [*value, Foreign()]
    if isinstance(value, dict):
        return {**value, "foreign": Foreign()}
    return Foreign()


@given(st.data())
def test_drawn_to_match_passes_and_spoiled_fails(data: st.DataObject) -> None:
    annotation = data.draw(ANNOTATIONS)
    value = data.draw(fitting(annotation))
    assert matches(value, annotation)
    assert not matches(with_one_foreign(value), annotation)


@pytest.mark.parametrize("annotation", PLAIN)
@given(data=st.data())
def test_plain_types_do_not_mix(annotation: type, data: st.DataObject) -> None:
    """But for an int where a float is asked for; a bool is no number, "3" is no int, null is nothing but null."""
    other = data.draw(st.sampled_from([t for t in PLAIN if t is not annotation]))
    value = data.draw(PLAIN[other])
    assert matches(value, annotation) == (type(value) is annotation or (annotation is float and type(value) is int))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("annotation", [float, float | None, list[float], dict[str, float | int]])
def test_non_finite_floats_are_refused(annotation: Any, value: float) -> None:
    container = {list: [0.5, value], dict: {"a": 0.5, "b": value}}
    assert not matches(container.get(getattr(annotation, "__origin__", None), value), annotation)
    assert "not finite" in show(value)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, Literal[1, 2]),
        (1, Literal[True]),
        (1.0, Literal[1]),
        ("GPTQ", Literal["gptq"]),
        ([1, None], list[int]),
        ({"a": "b"}, dict[str, int]),
        ({1: 1}, dict[str, int]),
        ("abc", list[str]),
    ],
)
def test_near_misses(value: Any, annotation: Any) -> None:
    assert not matches(value, annotation)


@pytest.mark.parametrize("annotation", [bytes, tuple[int, int], list, set[int], Foreign])
def test_other_annotations_are_the_programmers_mistake(annotation: Any) -> None:
    with pytest.raises(TypeError, match="cannot be checked"):
        matches(1, annotation)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int | None, "int or null"),
        (Literal["auto", "cpu", "cuda"], "auto, cpu or cuda"),
        (list[float], "list of float"),
        (dict[str, float] | None, "mapping of str to float or null"),
    ],
)
def test_described_in_words(annotation: Any, words: str) -> None:
    assert describe(annotation) == words
