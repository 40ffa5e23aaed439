"""Errors: what a user can mend, in one line that says how, and what ends the work on one network."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input. The command line prints the message on one line and exits with 2."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the line alone."""
        return [f"{type(self).__name__}: {self}"]


class UnknownNameError(InputError, KeyError):
    """A name that is not in a vocabulary; a `KeyError` too, so that mappings behave."""

    __str__ = ValueError.__str__


def unknown(what: str, value: object, allowed: Iterable[str]) -> UnknownNameError:
    """The error for a value outside a vocabulary, with the nearest allowed name.

    >>> str(unknown("expression", "angr", ["anger", "fear"]))
    "'expression' must be one of anger, fear; got 'angr' (did you mean 'anger'?)"
    """
    names = list(allowed)
    near = get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return UnknownNameError(f"{what!r} must be one of {', '.join(names)}; got {str(value)!r}{hint}")


class TrainingError(RuntimeError):
    """One network cannot be trained or explained: what happened and where; the others go on."""
