"""Registries find their plug-ins by themselves and refuse doubles and typos."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xfer.errors import InputError
from xfer.registry import Registry


@dataclass(frozen=True)
class Fruit:
    name: str
    function: Any
    colour: str


@pytest.fixture
def orchard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Fruit]:
    """A package `orchard` with two plug-in files, found through the path."""
    package = tmp_path / "orchard"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from dataclasses import dataclass\nfrom typing import Any\nfrom xfer.registry import Registry\n"
        "@dataclass(frozen=True)\nclass Fruit:\n    name: str\n    function: Any\n    colour: str\n"
        "FRUIT = Registry('fruit', 'orchard', Fruit)\n"
    )
    for name, colour in (("plum", "blue"), ("apple", "red")):
        (package / f"{name}_file.py").write_text(
            f"from orchard import FRUIT\n@FRUIT.register({name!r}, colour={colour!r})\ndef eat():\n"
            f"    return {name!r}\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [m for m in sys.modules if m.split(".")[0] == "orchard"]:
        monkeypatch.delitem(sys.modules, module)
    from orchard import FRUIT  # type: ignore[import-not-found]

    return FRUIT


def test_a_new_file_is_found_on_first_use_without_an_edit(orchard: Registry[Fruit]) -> None:
    assert list(orchard) == ["apple", "plum"]
    assert orchard["plum"].function() == "plum"
    assert len(orchard) == 2


def test_facts_are_kept_and_listed_without_the_function(orchard: Registry[Fruit]) -> None:
    assert orchard.table() == [{"name": "apple", "colour": "red"}, {"name": "plum", "colour": "blue"}]


def test_typos_are_answered_with_the_nearest_name(orchard: Registry[Fruit]) -> None:
    with pytest.raises(InputError) as caught:
        orchard["aple"]
    assert str(caught.value) == "'fruit' must be one of apple, plum; got 'aple' (did you mean 'apple'?)"
    assert "aple" not in orchard
    assert orchard.get("aple") is None


def test_a_name_is_registered_once(orchard: Registry[Fruit]) -> None:
    assert "plum" in orchard
    with pytest.raises(ValueError, match="fruit 'plum' is registered twice"):
        orchard.register("plum", colour="green")(lambda: None)


def test_the_decorator_returns_the_function_itself(orchard: Registry[Fruit]) -> None:
    def pear() -> int:
        return 1

    assert orchard.register("pear", colour="green")(pear) is pear
