"""A folder of plug-ins: one file and one decorator each, found on first use."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from xfer.errors import unknown

Spec = TypeVar("Spec")


class Registry(Mapping[str, Spec], Generic[Spec]):
    """Names to plug-ins, filled by importing every module of a package once.

    Parameters
    ----------
    kind : str
        What the entries are, for messages ("metric").
    package : str
        The package whose modules hold the plug-ins ("xfer.metrics").
    spec : type
        A frozen dataclass with the fields ``name`` and ``function`` and the facts a plug-in declares.
    """

    def __init__(self, kind: str, package: str, spec: type[Spec]) -> None:
        self.kind = kind
        self._package = package
        self._spec = spec
        self._entries: dict[str, Spec] = {}
        self._searched = False

    def register(self, name: str, **facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that enters a function under a name with its declared facts.

        Raises
        ------
        ValueError
            If the name is taken by another function.
        """

        def enter(function: Callable[..., Any]) -> Callable[..., Any]:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = self._spec(name=name, function=function, **facts)  # type: ignore[call-arg]
            return function

        return enter

    def _search(self) -> None:
        if not self._searched:
            self._searched = True
            package = import_module(self._package)
            for module in iter_modules(package.__path__):
                import_module(f"{self._package}.{module.name}")

    def __getitem__(self, name: str) -> Spec:
        self._search()
        if name not in self._entries:
            raise unknown(self.kind, name, self)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._search()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._search()
        return len(self._entries)

    def table(self) -> list[dict[str, Any]]:
        """The entries with their facts, for listings and README tables."""
        return [
            {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name != "function"}  # type: ignore[arg-type]
            for entry in self.values()
        ]
