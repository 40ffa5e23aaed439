"""The figure of Action Unit attribution, read back from its artists."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from xfer.errors import InputError
from xfer.report.action_units import unit_bars
from xfer.report.canvas import BLUE, ORANGE


def means(causal: float = np.nan, label: str = "fear") -> pd.DataFrame:
    rows = []
    for expression in ("fear", "neutral"):
        players = (("background", 0.1, False), ("AU1", -0.4, True), ("AU4", np.nan, False))
        for player, phi, inside in players:
            mark = inside if expression == "fear" else pd.NA
            rows.append(
                (expression, expression if label == "fear" else label, player, mark, 5, phi, phi - 0.1, phi + 0.1)
            )
    columns = ["expression", "class", "player", "inside_codebook", "subjects", "phi", "phi_low", "phi_high"]
    table = pd.DataFrame(rows, columns=columns).astype({"inside_codebook": "boolean"})
    return table.assign(causal=causal, causal_low=np.nan, causal_high=np.nan)


def test_bars_keep_sign_order_and_marks() -> None:
    fig = unit_bars(means())
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["fear", "neutral"]
    fear, neutral = fig.axes
    assert [tick.get_text() for tick in fear.get_yticklabels()] == ["AU1", "AU4", "background"]
    np.testing.assert_allclose([bar.get_width() for bar in fear.patches], [-0.4, 0, 0.1])
    assert [to_hex(bar.get_facecolor()) for bar in fear.patches] == [BLUE, "#b5b5b5", "#b5b5b5"]
    assert [to_hex(bar.get_facecolor()) for bar in neutral.patches] == ["#b5b5b5"] * 3
    assert fear.texts[0].get_text() == "5 people"
    assert neutral.texts[0].get_text() == "5 people; not in the codebook"
    undefined = next(line for line in fear.lines if line.get_gid() == "undefined")
    assert undefined.get_ydata().tolist() == [1.5]
    assert "causal" not in " ".join(text.get_text() for text in fig.legends[0].get_texts())


def test_only_the_intervention_is_called_causal() -> None:
    fig = unit_bars(means(causal=0.2), "logit")
    assert [ax.get_xlabel() for ax in fig.axes] == ["Shapley value,\nlogit", "causal effect,\nlogit"] * 2
    assert {to_hex(bar.get_facecolor()) for bar in fig.axes[1].patches} == {ORANGE}


def test_one_class_on_every_expression() -> None:
    fig = unit_bars(means(label="anger"))
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["anger on fear", "anger on neutral"]


def test_nothing_to_draw_is_told() -> None:
    with pytest.raises(InputError, match="no Action Unit attribution to draw"):
        unit_bars(means().iloc[:0])
