"""The Action Unit explorer: toggles, intensities, the mask they make and the codebooks that hold them."""

import numpy as np
import pytest

from xfer import geometry, masks
from xfer.masks import regions
from xfer.report.widgets import action_unit_explorer
from xfer.report.widgets.action_unit_explorer import unit_map
from xfer.report.widgets.explorer import plain


@pytest.fixture
def explorer():
    return action_unit_explorer({"AU6": 1.0, "AU12": 1.0}, region_source="xfer")


def covered(explorer) -> int:
    return int(explorer.told.split()[3].rstrip("%"))


def test_toggling_an_action_unit_changes_mask_picture_and_table(explorer):
    before = covered(explorer), explorer.png, explorer.table.value
    explorer.units["AU4"].value = True
    assert covered(explorer) > before[0]
    assert explorer.png != before[1]
    assert explorer.table.value != before[2]
    assert explorer.intensities["AU4"] in explorer.on.children
    explorer.units["AU4"].value = False
    assert explorer.png == before[1]
    assert explorer.intensities["AU4"] not in explorer.on.children


def test_intensity_changes_the_face_and_the_mask(explorer):
    before, whole = explorer.png, covered(explorer)
    explorer.intensities["AU12"].value = 0.3
    assert explorer.png != before
    assert covered(explorer) < whole, "a map no higher than 0.3 reaches no region"


def test_the_mask_is_the_merge_of_the_sources_maps(explorer):
    frame = geometry.load_frame()
    whole = masks.action_units("xfer", frame.points, height=frame.height, width=frame.width)
    order = list(regions.load("xfer").action_units)
    made = np.maximum(whole[order.index("AU6")], whole[order.index("AU12")])
    assert covered(explorer) == round(100 * (made[frame.support] >= 0.5).mean())


@pytest.mark.parametrize("source", regions.names())
def test_every_source_draws_and_says_what_it_does_not_place(explorer, source):
    explorer.units["AU43"].value = True
    explorer.regions.value = source
    told = f"AU43 has no region in {source}"
    assert (told in explorer.told) == ("AU43" not in regions.load(source).action_units)
    assert explorer.png


def test_the_codebooks_named_hold_all_of_them(explorer):
    listed = plain(explorer.table.value)
    assert "happiness emfacs AU6 AU12" in listed
    assert "sadness" not in listed


def test_what_no_codebook_holds_together_names_the_nearest():
    explorer = action_unit_explorer({"AU12": 1.0, "AU15": 1.0, "AU9": 1.0, "AU27": 1.0})
    assert ": none; " in plain(explorer.table.value)
    assert "comes nearest" in plain(explorer.table.value)


def test_without_any_the_face_is_neutral_and_the_mask_empty():
    explorer = action_unit_explorer({})
    assert explorer.told == "The mask covers 0% of the face (values of 0.5 or more)"
    assert "Switch Action Units on" in explorer.table.value


def test_another_person_another_face(explorer):
    before = explorer.png
    explorer.person.value += 1
    assert explorer.png != before


@pytest.mark.parametrize(
    ("units", "source", "told"),
    [
        ({"AU99": 1.0}, "xfer", "'action unit' must be one of AU1, AU2"),
        ({"AU4": 0.0}, "xfer", "the intensity of AU4 must lie in (0, 1]; got 0.0"),
        ({"AU4": 1.0}, "meshes", "'regions' must be one of belharbi2024, jaanet, mesh, xfer; got 'meshes'"),
    ],
)
def test_bad_input_is_one_line(units, source, told):
    assert action_unit_explorer(units, region_source=source).told.startswith(told)


def test_a_map_lies_on_the_frame():
    drawn = unit_map("mesh", "AU4")
    assert drawn.shape == (275, 224)
    assert 0 < (drawn >= 0.5).sum() < drawn.size / 4
