"""The vocabulary and the errors that guard it."""

import re

import pytest

from xfer import labels
from xfer.errors import InputError, UnknownNameError, unknown


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Anger", "anger"),
        ("angry", "anger"),
        ("HAPPY", "happiness"),
        (" sad ", "sadness"),
        ("Happily Surprised", "happily_surprised"),
        ("sadly-angry", "sadly_angry"),
        ("contempt", "contempt"),
    ],
)
def test_aliases_are_read_and_never_stored(given: str, stored: str) -> None:
    assert labels.expression(given) == stored


def test_every_alias_leads_to_an_expression_and_shadows_none() -> None:
    assert set(labels.ALIASES.values()) <= set(labels.EXPRESSIONS)
    assert not set(labels.ALIASES) & set(labels.EXPRESSIONS)
    assert len(set(labels.EXPRESSIONS)) == len(labels.EXPRESSIONS)


def test_unknown_expression_names_the_nearest() -> None:
    with pytest.raises(InputError, match=re.escape("got 'Angr' (did you mean 'anger'?)")) as caught:
        labels.expression("Angr")
    assert str(caught.value).startswith("'expression' must be one of anger, disgust, fear, ")


def test_unknown_without_a_neighbour_has_no_hint() -> None:
    assert str(unknown("colour", "qqqq", ["red"])) == "'colour' must be one of red; got 'qqqq'"


def test_unknown_name_is_a_key_error_with_a_plain_text() -> None:
    error = unknown("colour", "rad", ["red"])
    assert isinstance(error, UnknownNameError)
    assert isinstance(error, KeyError)
    assert str(error) == "'colour' must be one of red; got 'rad' (did you mean 'red'?)"


@pytest.mark.parametrize("code", ["AU1", "AU12", "AU43"])
def test_action_units_keep_their_spelling(code: str) -> None:
    assert labels.action_unit(code) == code
    assert f"AU{labels.au_number(code)}" == code


@pytest.mark.parametrize("code", ["4", "AU04", "au4", "AU", "AU4B", "AU0", ""])
def test_other_spellings_of_an_action_unit_are_refused(code: str) -> None:
    with pytest.raises(InputError, match="an Action Unit is written 'AU' and its FACS number, as in 'AU4'"):
        labels.action_unit(code)


def test_action_unit_error_suggests_the_spelling() -> None:
    with pytest.raises(InputError, match=re.escape("got 'AU04' (did you mean 'AU4'?)")):
        labels.action_unit("AU04")


def test_labels_are_brought_to_their_one_spelling() -> None:
    assert labels.expressions(["Happy", "sad", "neutral"]) == ("happiness", "sadness", "neutral")
    assert labels.expressions(["Happy", "pain"], any_labels=True) == ("happiness", "pain")
    with pytest.raises(InputError, match=re.escape("got 'hapiness' (did you mean 'happiness'?)")):
        labels.expressions(["sad", "hapiness"])


def test_two_labels_of_one_expression_are_refused() -> None:
    with pytest.raises(InputError, match=r"^labels 'happy' and 'joy' are the same expression, 'happiness'$"):
        labels.expressions(["happy", "joy"])
