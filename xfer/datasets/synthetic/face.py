"""One drawn face: who it is, which Action Units it shows, how it is held, lit and framed."""

from dataclasses import dataclass, field, replace

from xfer.datasets.synthetic.action_units import CODES
from xfer.errors import InputError, unknown


@dataclass(frozen=True)
class Light:
    """Light from one side.

    Attributes
    ----------
    azimuth, elevation : float
        Degrees; 0, 0 is the camera, positive azimuth the viewer's right, positive elevation above.
    ambient : float
        Share of light that comes from everywhere, in [0, 1].
    exposure : float
        Brightness of the whole picture; 1 is neutral.
    warmth : float
        -1 blue to 1 yellow.
    """

    azimuth: float = -20.0
    elevation: float = 35.0
    ambient: float = 0.55
    exposure: float = 1.0
    warmth: float = 0.0


@dataclass(frozen=True)
class Face:
    """Everything that a picture is drawn from; equal faces give equal pictures.

    Attributes
    ----------
    identity : int
        The person; see `identity.identity`.
    subject : str
        The person's name in a data set.
    expression : str
        The label.
    action_units : dict of str to float
        FACS codes to intensities in [0, 1]; what is absent is 0.
    yaw, pitch, roll : float
        Degrees; positive turns to the viewer's right, up, and clockwise, as the landmarkers measure.
    scale : float
        Inter-ocular distance of a frontal mean face as a share of the picture's side.
    shift : tuple of float
        Where the face's middle lies, (x, y), as shares of the side from the picture's middle.
    light : Light
        The light.
    gaze : tuple of float
        Iris offset in units of its free play, each in [-1, 1].
    scene : int
        Seed of background and noise.
    noise : float
        Standard deviation of the picture's noise in grey levels.
    patch, backdrop : int, optional
        Planted cues: the code of a coloured patch on the cheek, of a background colour (see `cues`).
    """

    identity: int
    subject: str = ""
    expression: str = "neutral"
    action_units: dict[str, float] = field(default_factory=dict)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 0.34
    shift: tuple[float, float] = (0.0, 0.0)
    light: Light = Light()
    gaze: tuple[float, float] = (0.0, 0.0)
    scene: int = 0
    noise: float = 3.0
    patch: int | None = None
    backdrop: int | None = None

    def __post_init__(self) -> None:
        """Check the Action Units."""
        for code, intensity in self.action_units.items():
            if code not in CODES:
                raise unknown("action unit", code, CODES)
            if not 0 <= intensity <= 1:
                raise InputError(f"the intensity of {code} must lie in [0, 1]; got {intensity}")


def with_action_unit(face: Face, code: str, intensity: float) -> Face:
    """The same face with one Action Unit changed.

    >>> with_action_unit(Face(3), "AU12", 0.5).action_units
    {'AU12': 0.5}

    Raises
    ------
    InputError
        If the code cannot be drawn or the intensity lies outside [0, 1].
    """
    return replace(face, action_units={**face.action_units, code: intensity})
