"""Settings as plain values, as a study's configuration holds them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

from xfer.errors import unknown


@dataclass(frozen=True)
class Configured:
    """What frozen dataclasses of settings share; tuples of plain values are their only containers.

    Attributes
    ----------
    kind : str
        Whose settings they are, in messages.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Oven(Configured):
    ...     kind: ClassVar[str] = "oven"
    ...     degrees: int = 180
    ...     rails: tuple[int, ...] = (2,)
    >>> Oven(rails=(1, 3)).config()
    {'degrees': 180, 'rails': [1, 3]}
    >>> Oven.from_config({"rails": [1, 3]}).change(degrees=200)
    Oven(degrees=200, rails=(1, 3))
    """

    kind: ClassVar[str]

    def config(self) -> dict[str, Any]:
        """Plain values for ``study.toml``; `from_config` reads them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """What `config` wrote.

        Raises
        ------
        InputError
            If a name is unknown or a value out of range.
        """
        names = [f.name for f in fields(cls)]
        for name in config:
            if name not in names:
                raise unknown(f"{cls.kind} setting", name, names)
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in config.items()})

    def change(self, **changes: Any) -> Self:
        """The same with some values changed."""
        return replace(self, **changes)
