"""Labels that fit, colours that can be read."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xfer.report import canvas

LONG = "timm:vit_base_patch16_224.augreg_in21k_ft_in1k"


def test_short_labels_stay_apart_and_short():
    names = [f"{LONG}{i}{LONG}" for i in range(3)]
    made = canvas.short_labels(names, 20)
    assert len(set(made)) == 3
    assert all(len(label) <= 20 for label in made)


def test_colours_diverge_only_around_zero():
    assert canvas.colours([-1.0, 3.0]).norm.vmin == -3
    assert canvas.colours([1.0, 3.0]).norm.vmin == 1
    assert canvas.colours([np.nan]).norm.vmax == 1
    assert canvas.colours([2.0, 2.0]).norm.vmax == 3


def test_ink_is_readable_on_every_shade():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
        return np.dot((0.2126, 0.7152, 0.0722), linear)

    for shade in canvas.SHADES(np.linspace(0, 1, 64)):
        light, dark = sorted([luminance(shade), luminance(canvas.ink_on(shade))], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.8


@pytest.mark.parametrize("name", ["名前", "a\x00b", "a\nb", "\u202egnp"])
def test_what_the_font_cannot_print_is_replaced(name):
    (label,) = canvas.short_labels([name])
    assert "\ufffd" in label
    assert label == canvas.short_labels([label])[0]


def test_wrapped_lines_fit_and_words_stay_whole():
    text = canvas.wrapped("disgustedly surprised by a fear", 0.8)
    assert text.split() == ["disgustedly", "surprised", "by", "a", "fear"]
    assert all(canvas.text_width([line]) - 0.16 <= 0.8 for line in text.split("\n"))


def test_text_width_is_that_of_the_drawn_text():
    fig = canvas.figure(4, 1)
    fig.canvas = FigureCanvasAgg(fig)
    with mpl.rc_context(canvas.STYLE):
        drawn = fig.text(0, 0, "MobileNetV3Large", size=8)
    inches = drawn.get_window_extent(fig.canvas.get_renderer()).width / fig.dpi
    assert canvas.text_width(["MobileNetV3Large", "i"]) - 0.16 == pytest.approx(inches, rel=0.05)


def test_mean_of_nothing_finite_is_undefined():
    assert canvas.finite_mean([1.0, np.nan, 3.0]) == 2.0
    assert np.isnan(canvas.finite_mean([np.nan, np.inf]))
