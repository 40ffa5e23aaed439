"""Which point is which: the 68 iBUG points, the frame's 89, and where they lie on MediaPipe's mesh."""

HEIGHT, WIDTH = 275, 224
"""The canvas of a frame, in px."""

IBUG_MIRROR = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)  # fmt: skip
"""For each of the 68 points, the point that takes its place when the face is mirrored."""

FRAME_MIRROR = (*IBUG_MIRROR, *range(84, 67, -1), 87, 88, 85, 86)
"""The same for a frame's 89 points: 68 iBUG, 17 forehead points above the jaw's, 4 corners of the canvas."""

FIRST_CORNER = 85
"""The corners: 85 top left, 86 bottom left, 87 top right, 88 bottom right."""

INNER_LIPS = range(60, 68)

OUTLINE = (*range(17), *range(84, 67, -1))
"""Jaw and forehead arch, once around the face."""

FEATURES = (
    tuple(range(17, 22)), tuple(range(22, 27)), tuple(range(27, 31)), tuple(range(31, 36)), (*range(36, 42), 36),
    (*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60),
)  # fmt: skip
"""Brows, nose, eyes and lips as lines from point to point; one that closes ends where it began."""

MESH_POINTS = 468

IBUG_FROM_MESH = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""The MediaPipe mesh point nearest to each iBUG point, chosen by position on annotated photographs."""

FOREHEAD_ARC = (127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356)
"""The upper arc of MediaPipe's face oval, from the viewer's left temple to the right one."""
