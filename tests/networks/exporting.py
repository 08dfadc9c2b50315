"""Exporting a network whose batch, height and width vary, and running what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.export import Dim


@dataclass(frozen=True)
class Exported:
    """An exported network of one input and one output.

    Attributes:
        session: Runs it.
        operators: The types of its nodes.
    """

    session: onnxruntime.InferenceSession
    operators: list[str]

    def __call__(self, image: Tensor) -> np.ndarray:
        (output,) = self.session.run(None, {self.session.get_inputs()[0].name: image.numpy()})
        return output


def exported(network: nn.Module) -> Exported:
    """Export a network that takes three channels, and heights and widths that are multiples of 32."""
    sizes = {0: Dim("batch"), 2: 32 * Dim("height"), 3: 32 * Dim("width")}
    program = torch.onnx.export(
        network.eval(),
        (torch.randn(2, 3, 64, 96),),
        dynamo=True,
        opset_version=18,
        dynamic_shapes=(sizes,),
        verbose=False,
    )
    model = program.model_proto
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return Exported(session, [node.op_type for node in model.graph.node])


class TinyBackbone(nn.Module):
    """Gives feature maps at a quarter of the input's height and width, an eighth, and so on.

    Args:
        channels: Of each map.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths = pairwise([3, *channels])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(*width, 4 if level == 0 else 2, 4 if level == 0 else 2) for level, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = [x]
        for convolution in self.convolutions:
            maps.append(convolution(maps[-1]))
        return tuple(maps[1:])
