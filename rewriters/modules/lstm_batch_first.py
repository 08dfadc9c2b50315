"""An LSTM takes its batch first, for ncnn."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from torch import Tensor, nn

from rewriters import Call, Contract, Skip, module_rewriter

if TYPE_CHECKING:
    States = tuple[Tensor, Tensor]


@module_rewriter(nn.LSTM, backends={"ncnn"}, contract=Contract.close(1e-5))
def lstm_batch_first(call: Call, module: nn.LSTM) -> nn.Module | Skip:
    """ncnn drops the batch, and pnnx takes the wrong axis for it where two LSTMs have the steps first: nothing is said.

    Measured on CRNN with pnnx 20261020, which is wrong by 9 standard deviations without.
    """
    if module.batch_first:
        return call.skip("the batch is first")
    return BatchFirst(module)


class BatchFirst(nn.Module):
    """An LSTM with its steps first, `[t, n, c]`, computed by one with its batch first.

    Args:
        lstm: Its weights are shared, and it is not changed.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = copy(lstm)
        self.lstm.batch_first = True

    def forward(self, sequence: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """The outputs at each step, and the last states."""
        outputs, last = self.lstm(sequence.transpose(0, 1), states)
        return outputs.transpose(0, 1), last
