"""Measure what pnnx and ncnn make of operators of torch, each alone: `python -m tests.backends.measure_ncnn`.

`compiler/backends/facts/ncnn.yaml` holds what came out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from compiler.artifact import Engine, TensorSpec, TorchScriptProgram
from compiler.backends import BuildRequest, Profile, build_backend
from compiler.config import compose
from compiler.errors import CompileError

IMAGE = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
ROWS = torch.arange(8).reshape(1, 1, 1, 8).expand(1, 4, 8, 8).contiguous()

OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "aten::topk": lambda x: x.topk(3, dim=-1).values,
    "aten::sort": lambda x: x.sort(dim=-1).values,
    "aten::argmax": lambda x: x.argmax(dim=1).float(),
    "aten::gather": lambda x: x.gather(-1, ROWS),
    "aten::index_select": lambda x: x.index_select(1, torch.tensor([2, 0])),
    "aten::index": lambda x: x[:, torch.tensor([2, 0])],
    "aten::where": lambda x: torch.where(x > 0, x, x * 2),
    "aten::gt": lambda x: (x > 0).float(),
    "aten::cumsum": lambda x: x.cumsum(-1),
    "aten::index_put": lambda x: x.clone().index_put((torch.tensor([0]),), torch.ones(4, 8, 8)),
    "aten::scatter": lambda x: torch.zeros_like(x).scatter(-1, ROWS, x),
    "aten::masked_fill": lambda x: x.masked_fill(x > 0, 1.0),
    "aten::roll": lambda x: x.roll(1, -1),
    "aten::erfinv": lambda x: torch.erfinv(x.tanh()),
    "aten::grid_sampler": lambda x: nn.functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False),
    "aten::pixel_unshuffle": lambda x: nn.functional.pixel_unshuffle(x, 2),
    "aten::pixel_shuffle": lambda x: nn.functional.pixel_shuffle(x, 2),
    "aten::channel_shuffle": lambda x: nn.functional.channel_shuffle(x, 2),
    "aten::hardswish": nn.functional.hardswish,
    "aten::hardsigmoid": nn.functional.hardsigmoid,
    "aten::gelu": nn.functional.gelu,
    "aten::linalg_vector_norm": lambda x: x.norm(dim=-1, keepdim=True),
    "aten::amax": lambda x: x.amax(dim=2),
    "aten::softmax": lambda x: x.softmax(-1),
    "aten::upsample_nearest2d": lambda x: nn.functional.interpolate(x, scale_factor=2.0),
    "aten::upsample_bilinear2d": lambda x: nn.functional.interpolate(x, (11, 13), mode="bilinear"),
    "aten::adaptive_avg_pool2d": lambda x: nn.functional.adaptive_avg_pool2d(x, (3, 5)),
    "aten::max_pool2d": lambda x: nn.functional.max_pool2d(x, 3, 2, 1),
    "aten::einsum": lambda x: torch.einsum("nchw,ncvw->nhv", x, x),
}


@dataclass(frozen=True)
class Measured:
    """What became of an operator: `right`, `wrong`, or why not."""

    operator: str
    outcome: str


class One(nn.Module):
    """A network that computes one operator."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, image: Tensor) -> Tensor:
        """What the operator gives."""
        return self.compute(image)


def measure(operator: str, compute: Callable[[Tensor], Tensor]) -> Measured:
    """Convert, open and run one operator, and compare it with torch's."""
    expected = compute(IMAGE).numpy()
    with TemporaryDirectory() as name:
        folder = Path(name)
        torch.jit.trace(One(compute), (IMAGE,), check_trace=False).save(str(folder / "program.pt"))
        specs = (TensorSpec("image", "float32", tuple(IMAGE.shape)),), (TensorSpec("y", "float32", expected.shape),)
        shapes = {"image": tuple(IMAGE.shape)}
        program = TorchScriptProgram(folder / "program.pt", *specs)
        (folder / "engine").mkdir()
        profile = Profile(shapes, shapes, shapes)
        request = BuildRequest(program, folder / "engine", "fp32", (profile,), folder, lambda share, phase: None)
        backend = build_backend(compose(["backend=ncnn"]).backend)
        try:
            engine: Engine = backend.build(request)
            found = backend.open(engine).run({"image": IMAGE.numpy()})["y"]
        except CompileError as error:
            return Measured(operator, f"{error.what}: {error.where} {error.why}".replace("\n", " | "))
    is_right = found.shape == expected.shape and np.allclose(found, expected, atol=1e-4)
    return Measured(operator, "right" if is_right else "wrong")


if __name__ == "__main__":
    for operator, compute in OPERATORS.items():
        print(measure(operator, compute), flush=True)
