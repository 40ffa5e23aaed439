"""The facts in masks/: Action Units and codebooks against their sources, and what a slip in a file is told."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xfer import labels, tables
from xfer.errors import InputError
from xfer.masks import codebooks, facs, regions

BOOKS = {name: codebooks.load(name) for name in codebooks.names()}
BLENDS = {"happily": "happiness", "sadly": "sadness", "fearfully": "fear", "angrily": "anger",
          "disgustedly": "disgust", "surprised": "surprise", "disgusted": "disgust", "fearful": "fear",
          "angry": "anger"}  # fmt: skip

HEAD = 'format = 1\nname = "mine"\ntitle = "Mine"\nreference = "me"\n'
ANGER = '[expressions.anger]\nevidence = "memory"\naus = { AU4 = 1.0 }\n'


@pytest.fixture(scope="module")
def notes(shared: Path) -> str:
    return (shared / "reference" / "facs.md").read_text(encoding="utf-8")


def weights(book: str) -> dict[str, dict[int, float]]:
    expressions = BOOKS[book].expressions.values()
    return {e.name: {labels.au_number(code): w for code, w in e.weights.items()} for e in expressions}


def column(notes: str, number: int) -> dict[str, str]:
    """One column of the table of expressions, without the notes in its cells."""
    rows = re.findall(r"^\|(Happiness|Sadness|Surprise|Fear|Anger|Disgust|Contempt|Neutral)\|(.*)\|$", notes, re.M)
    cells = {name.lower(): row.split("|")[number] for name, row in rows}
    return {name: re.sub(r"\(.*?\)", "", cell).strip() for name, cell in cells.items() if cell not in ("-", "none")}


def plus(cell: str) -> dict[int, float]:
    return {int(re.sub(r"\D", "", part)): 1.0 for part in cell.split("+")}


def core_and_variants(text: str) -> dict[int, float]:
    core, _, rest = text.partition("[")
    variants = {int(au): int(share) / 100 for au, share in re.findall(r"(\d+) (\d+)", rest)}
    return {int(au): 1.0 for au in re.findall(r"\d+", core)} | variants


def test_every_action_unit_is_there_with_its_name(notes: str) -> None:
    rows = re.findall(r"^\|(\d+)\|([^|(]+)", notes, re.M)
    assert {f"AU{number}": name.strip() for number, name in rows} == {c: u.name for c, u in facs.action_units().items()}
    assert len(rows) == 24


def test_action_units_are_in_order_and_name_muscles() -> None:
    numbers = [labels.au_number(code) for code in facs.action_units()]
    assert numbers == sorted(numbers)
    assert all(unit.muscles and all(unit.muscles) for unit in facs.action_units().values())
    assert facs.action_units()["AU12"].muscles == ("zygomaticus major",)


def test_every_fact_carries_evidence_and_reference() -> None:
    facts: list[Any] = list(facs.action_units().values())
    facts += [entry for book in BOOKS.values() for entry in book.expressions.values()]
    facts += [region for name in regions.names() for region in regions.load(name).action_units.values()]
    assert {fact.evidence for fact in facts} <= set(tables.EVIDENCE)
    assert all(fact.reference.strip() for fact in facts)


@pytest.mark.parametrize("name", codebooks.names())
def test_a_codebook_is_named_as_its_file_and_speaks_the_vocabulary(name: str) -> None:
    book = BOOKS[name]
    assert book.name == name
    assert set(book.expressions) <= set(labels.EXPRESSIONS)
    assert set(book.action_units) <= set(facs.action_units())
    assert "neutral" not in book.masked


@pytest.mark.parametrize("name", regions.names())
def test_a_region_source_is_named_as_its_file(name: str) -> None:
    assert regions.load(name).name == name


@pytest.mark.parametrize(("name", "number"), [("emfacs", 0), ("facs1978", 1)])
def test_combinations_are_those_of_the_source(name: str, number: int, notes: str) -> None:
    found = {expression: w for expression, w in weights(name).items() if w}
    assert found == {expression: plus(cell) for expression, cell in column(notes, number).items()}


def test_belharbi2024_is_the_figure_and_the_code_swaps_one_unit(notes: str) -> None:
    cells = {name: cell.split(",") for name, cell in column(notes, 3).items()}
    figure = {name: {int(au): 1.0 for au in cell} for name, cell in cells.items()}
    assert "9,10(code 5),16,17,25,26" in notes
    assert weights("belharbi2024") == {**figure, "neutral": {}}
    figure["disgust"] = dict.fromkeys((5, 9, 16, 17, 25, 26), 1.0)
    assert weights("belharbi2024_code") == {**figure, "neutral": {}}


def test_du2014_has_cores_at_one_and_variants_at_their_share(notes: str) -> None:
    expected = {name: core_and_variants(cell) for name, cell in column(notes, 2).items()}
    paragraph = next(line for line in notes.splitlines() if line.startswith("Happily surprised 1,2,12,25"))
    paragraph = re.sub(r"\(EmotioNet[^)]*\)", "", paragraph).split(". Note")[0]
    for part in paragraph.split(";"):
        name, found = re.match(r"\s*([A-Za-z ]+?) (\d.*)", part).groups()  # type: ignore[union-attr]
        expected[labels.expression(name)] = core_and_variants(found)
    assert len(expected) == 21
    assert weights("du2014") == {**expected, "neutral": {}}


def test_du2014_without_the_notes_at_hand() -> None:
    book = weights("du2014")
    assert len(book) == 22
    assert book["happily_disgusted"] == {10: 1.0, 12: 1.0, 25: 1.0, 4: 0.32, 6: 0.61, 9: 0.59}
    cores = [name for name, units in book.items() if {au for au, w in units.items() if w == 1} == {4, 10}]
    assert cores == ["sadly_disgusted", "appalled", "hatred"]


def test_an_asterisk_in_du2014_marks_what_neither_basic_emotion_has() -> None:
    book = BOOKS["du2014"].expressions
    for name, entry in book.items():
        parents = [BLENDS[word] for word in name.split("_") if word in BLENDS]
        if len(parents) == 2:
            own = {code for parent in parents for code in book[parent].weights}
            marked = re.search(r"asterisk: ([AU0-9, ]+)", entry.note)
            variants = {code for code, weight in entry.weights.items() if weight < 1}
            assert variants - own == (set(marked[1].split(", ")) if marked else set()), name


def test_rafdb_compounds_are_dus_in_label_order() -> None:
    assert list(BOOKS["rafdb_compound"].expressions) == [
        "happily_surprised", "happily_disgusted", "sadly_fearful", "sadly_angry", "sadly_surprised",
        "sadly_disgusted", "fearfully_angry", "fearfully_surprised", "angrily_surprised", "angrily_disgusted",
        "disgustedly_surprised",
    ]  # fmt: skip
    du = weights("du2014")
    assert all(units == du[name] for name, units in weights("rafdb_compound").items())


def test_investigator_variants_of_anger_are_its_prototypes_less_one_unit() -> None:
    anger = BOOKS["facs_investigator"].expressions["anger"]
    whole = [set(facs.parse(p, "here")) for p in anger.prototypes]
    fewer = [p - {code} for p in whole for code in ("AU4", "AU5", "AU7", "AU10") if code in p]
    found = [set(facs.parse(v, "here")) for v in anger.variants]
    assert all(v in found for v in fewer if v not in whole)
    assert all(v in fewer and v not in whole for v in found)
    assert len(found) == len({frozenset(v) for v in found}) == 32


def test_investigator_prototypes() -> None:
    book = BOOKS["facs_investigator"].expressions
    assert book["surprise"].prototypes == ("AU1+AU2+AU5B+AU26", "AU1+AU2+AU5B+AU27")
    assert dict(book["happiness"].weights) == {"AU6": 0.5, "AU12": 1.0}
    assert book["fear"].weights["AU20"] == 0.5
    assert book["fear"].weights["AU27"] == pytest.approx(1 / 3, rel=1e-15)
    assert {name: entry.evidence for name, entry in book.items() if entry.evidence != "source"} == {"disgust": "memory"}


def test_contempt_keeps_its_side_and_intensity() -> None:
    contempt = BOOKS["emfacs"].expressions["contempt"]
    assert contempt.prototypes == ("RAU12A+RAU14A",)
    assert dict(contempt.weights) == {"AU12": 1.0, "AU14": 1.0}
    assert "one side" in contempt.note


def test_ck_plus_is_from_memory() -> None:
    assert {entry.evidence for entry in BOOKS["ck_plus"].expressions.values()} == {"memory"}
    assert dict(BOOKS["ck_plus"].expressions["anger"].weights) == {"AU23": 1.0, "AU24": 1.0}


@given(st.lists(st.lists(st.sampled_from(list(facs.action_units())), min_size=1, unique=True), min_size=1, max_size=6))
def test_shares_count_the_prototypes_that_contain_a_unit(prototypes: list[list[str]]) -> None:
    found = facs.shares(["+".join(p) for p in prototypes], "here")
    assert set(found) == {code for p in prototypes for code in p}
    for code, share in found.items():
        assert 0 < share <= 1
        assert round(share * len(prototypes), 9) == len([p for p in prototypes if code in p])


SLIPS = {
    "format = 2": "mine.toml: the first line must be 'format = 1'; got 2",
    "format = true": "mine.toml: the first line must be 'format = 1'; got True",
    "": "mine.toml: the first line must be 'format = 1'; there is none",
    "format = 1\nname = mine": "mine.toml: not TOML: Invalid value (at line 2, column 8)",
    HEAD: "mine.toml: no expression has a mask; write [expressions.anger] with 'aus' or 'prototypes'",
    HEAD + "[expressions.neutral]\nevidence = 'memory'\naus = {}":
        "mine.toml: no expression has a mask; write [expressions.anger] with 'aus' or 'prototypes'",
    HEAD + "[expression.anger]": "mine.toml: unknown key 'expression' (did you mean 'expressions'?)",
    "format = 1\n" + ANGER: "mine.toml: 'reference' is missing",
    HEAD.replace('"mine"', '""') + ANGER: "mine.toml: 'name' must be text; got ''",
    HEAD + "merge = 'maximum'\n" + ANGER:
        "mine.toml: 'merge' must be one of max, mean, noisy_or; got 'maximum' (did you mean 'max'?)",
    HEAD + ANGER.replace("evidence", "evidense"):
        "mine.toml: [expressions.anger]: unknown key 'evidense' (did you mean 'evidence'?)",
    HEAD + ANGER.replace('"memory"', '"memories"'): "mine.toml: [expressions.anger]: 'evidence' must be one of "
        "source, memory, derived; got 'memories' (did you mean 'memory'?)",
    HEAD + ANGER.replace("AU4 =", "AU04 ="): "mine.toml: [expressions.anger]: an Action Unit is written 'AU' and its "
        "FACS number, as in 'AU4'; got 'AU04' (did you mean 'AU4'?)",
    HEAD + ANGER.replace("AU4 =", "AU3 ="): "mine.toml: [expressions.anger]: 'action unit' must be one of "
        f"{', '.join(facs.action_units())}; got 'AU3' (did you mean 'AU43'?)",
    HEAD + ANGER.replace("1.0", "0.0"):
        "mine.toml: [expressions.anger]: the weight of AU4 must be above 0 and at most 1; got 0.0",
    HEAD + ANGER.replace("1.0", "1.01"):
        "mine.toml: [expressions.anger]: the weight of AU4 must be above 0 and at most 1; got 1.01",
    HEAD + ANGER.replace("1.0", "nan"): "mine.toml: [expressions.anger]: 'AU4' must be a number; got nan",
    HEAD + ANGER.replace("1.0", "true"): "mine.toml: [expressions.anger]: 'AU4' must be a number; got True",
    HEAD + ANGER.replace("{ AU4 = 1.0 }", "3"): "mine.toml: [expressions.anger]: 'aus' must be a table; got 3",
    HEAD + ANGER + "prototypes = ['AU4']":
        "mine.toml: [expressions.anger]: needs 'aus' or 'prototypes', one of them",
    HEAD + ANGER + "variants = ['AU4']": "mine.toml: [expressions.anger]: 'variants' need 'prototypes' beside them",
    HEAD + ANGER.replace("aus = { AU4 = 1.0 }", "prototypes = ['4+5']"):
        "mine.toml: [expressions.anger]: cannot read '4+5'; a combination is written as in 'AU1+AU2+AU5B'",
    HEAD + ANGER.replace("aus = { AU4 = 1.0 }", "prototypes = ['AU4+AU5+AU4']"):
        "mine.toml: [expressions.anger]: 'AU4+AU5+AU4' names an Action Unit twice",
    HEAD + ANGER.replace("aus = { AU4 = 1.0 }", "prototypes = 'AU4'"):
        "mine.toml: [expressions.anger]: 'prototypes' must be a list of text; got 'AU4'",
    HEAD + ANGER.replace("aus = { AU4 = 1.0 }", "prototypes = ['AU4']\nvariants = ['AU5F']"):
        "mine.toml: [expressions.anger]: cannot read 'AU5F'; a combination is written as in 'AU1+AU2+AU5B'",
    HEAD + ANGER + ANGER.replace("anger", "angry"): "mine.toml: [expressions.angry]: 'anger' is there twice",
    HEAD + ANGER.replace("anger", "angr"): "mine.toml: [expressions.angr]: 'expression' must be one of "
        f"{', '.join(labels.EXPRESSIONS)}; got 'angr' (did you mean 'anger'?)",
    HEAD + "points = 70\n" + ANGER: "mine.toml: 'points' must be one of 68, 89, 468; got 70",
    HEAD + "points = 68\n" + ANGER: "mine.toml: [expressions.anger]: unknown key 'aus'; known are evidence, reference, "
        "note, shapes",
    HEAD + "points = 68\nmerge = 'mean'\n" + ANGER:
        "mine.toml: 'merge' must be 'max' in a codebook that draws its shapes; got 'mean'",
    HEAD + "points = 68\nsoftness = -1\n" + ANGER: "mine.toml: 'softness' must not be negative; got -1",
    HEAD + "points = 68\nunit = 'px'\n" + ANGER:
        "mine.toml: 'unit' must be one of inter_ocular, inner_canthi; got 'px'",
}  # fmt: skip


@pytest.mark.parametrize("text", SLIPS)
def test_a_slip_in_a_codebook_is_told_in_one_line(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        codebooks.read("mine.toml")
    assert str(raised.value) == SLIPS[text]


PLACES = HEAD + "points = 68\n"
REGION_SLIPS = {
    PLACES: "mine.toml: no Action Unit has a region; write [AU1] with 'shapes'",
    PLACES + "[au4]\n": "mine.toml: an Action Unit is written 'AU' and its FACS number, as in 'AU4'; got 'au4' "
        "(did you mean 'AU4'?)",
    PLACES + "[AU4]\nevidence = 'memory'\n": "mine.toml: [AU4]: 'shapes' is missing",
    PLACES + "[AU4]\nevidence = 'memory'\nshape = []\n":
        "mine.toml: [AU4]: unknown key 'shape' (did you mean 'shapes'?)",
    PLACES + "[AU4]\nevidence = 'memory'\nshapes = [{ kind = 'ellipse', centre = 3, radius = [1, 1] }]\n":
        "mine.toml: [AU4] shape 1: unknown key 'centre' (did you mean 'center'?)",
    PLACES + "axis = 'face'\n[AU4]\n": "mine.toml: unknown key 'axis' (did you mean 'axes'?)",
    HEAD + "[AU4]\n": "mine.toml: 'points' must be one of 68, 89, 468; got None",
}  # fmt: skip


@pytest.mark.parametrize("text", REGION_SLIPS)
def test_a_slip_in_a_region_file_is_told_in_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        regions.read("mine.toml")
    assert str(raised.value) == REGION_SLIPS[text]


def test_files_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(InputError, match=re.escape(f"{path}: no such file") + "$"):
        codebooks.load(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"mine\.toml: not TOML, which is UTF-8 text$"):
        codebooks.load(str(path))
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(InputError, match=r"mine\.toml: larger than 1 MB; a file of masks or frames is some kB$"):
        codebooks.load(str(path))


def test_unknown_names_are_told() -> None:
    with pytest.raises(InputError) as raised:
        codebooks.load("emfac")
    assert str(raised.value) == (
        f"'codebook' must be one of {', '.join(codebooks.names())}; got 'emfac' (did you mean 'emfacs'?)"
    )
    with pytest.raises(InputError) as raised:
        regions.load("belharbi")
    assert str(raised.value) == (
        f"'regions' must be one of {', '.join(regions.names())}; got 'belharbi' (did you mean 'belharbi2024'?)"
    )
