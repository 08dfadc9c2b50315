"""LSTMs."""

from __future__ import annotations

import torch
from torch import Tensor


def lstm(
    x: Tensor,
    initial_h: Tensor,
    initial_c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    *,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    weight_ih_back: Tensor | None = None,
    weight_hh_back: Tensor | None = None,
    bias_back: Tensor | None = None,
    **others: object,
) -> tuple[Tensor, Tensor, Tensor]:
    """What an LSTM gives for a sequence `[s, b, i]`, its last output, and its last cells."""
    usual = {"recurrent_activation": "sigmoid", "cell_activation": "tanh", "activation": "tanh"}
    if strange := {name for name, value in others.items() if usual.get(name) != value}:
        raise NotImplementedError(f"lstm with another {', '.join(sorted(strange))}")
    if direction != "bidirectional":
        turned = x.flip(0) if direction == "reverse" else x
        steps, hidden, cells = _steps(turned, initial_h, initial_c, weight_ih, weight_hh, bias)
        found = (steps.flip(0) if direction == "reverse" else steps), hidden, cells
    else:
        assert weight_ih_back is not None
        assert weight_hh_back is not None
        h, c = initial_h.chunk(2, dim=1), initial_c.chunk(2, dim=1)
        ahead = _steps(x, h[0], c[0], weight_ih, weight_hh, bias)
        back = _steps(x.flip(0), h[1], c[1], weight_ih_back, weight_hh_back, bias_back)
        both = (ahead[0], back[0].flip(0)), (ahead[1], back[1]), (ahead[2], back[2])
        found = torch.cat(both[0], -1), torch.cat(both[1], -1), torch.cat(both[2], -1)
    return (found[0] if output_sequence else found[1].unsqueeze(0)), found[1], found[2]


def _steps(
    x: Tensor, hidden: Tensor, cells: Tensor, weights: Tensor, recurrent: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """One direction. MIL has the gates in the order in, forget, out, cell; torch has the last two the other way."""
    given = x @ weights.T + (0 if bias is None else bias)
    outputs = []
    for step in given:
        into, forget, out, cell = (step + hidden @ recurrent.T).chunk(4, dim=-1)
        cells = forget.sigmoid() * cells + into.sigmoid() * cell.tanh()
        hidden = out.sigmoid() * cells.tanh()
        outputs.append(hidden)
    return torch.stack(outputs), hidden, cells
