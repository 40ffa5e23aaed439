"""Which triangle holds a pixel where several could."""

import numpy as np
import torch

from xfer import geometry, warping
from xfer.warping import location

FRAME = geometry.load_frame("xfer")
TEMPLATE = torch.tensor(FRAME.points[None, :68])


def test_in_a_fold_a_pixel_belongs_to_the_face_and_not_to_what_lies_beside_it():
    face = TEMPLATE.clone()
    face[0, :5, 0] += 40
    placed = warping.frame_points(face, FRAME, (275, 224))
    ordered = location.face_first(FRAME.triangles)
    of_face = (ordered < 85).all(axis=1)
    cover = {True: np.zeros((275, 224), bool), False: np.zeros((275, 224), bool)}
    for triangle, here in zip(ordered, of_face, strict=True):
        if geometry.doubled_areas(placed[0], triangle[None]) > 0:
            cover[bool(here)] |= geometry.inside(placed[0, triangle].numpy(), 275, 224)
    holder = location.locate(placed, ordered, 275, 224)[0].numpy()
    assert (cover[True] & cover[False]).sum() > 100
    assert of_face[holder[cover[True]]].all()


def test_a_sliver_takes_no_pixel_from_its_neighbours():
    corners = [[0, 0], [4, 0], [4, 4], [0, 4], [2.0001, 1.9999]]
    triangles = np.array([[0, 4, 2], [0, 1, 4], [1, 2, 4], [0, 2, 3]])
    holder = location.locate(torch.tensor([corners]).double(), triangles, 6, 5)[0]
    assert holder.diagonal().tolist() == [1, 3, 3, 3, 2]
    assert holder[:5].unique().tolist() == [1, 2, 3]
    assert holder[5].tolist() == [-1] * 5
