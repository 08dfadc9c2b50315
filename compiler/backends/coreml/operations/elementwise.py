"""Operations that act on each number alone, or on two that lie at one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Number = float | int | bool


def tensor(value: Tensor | Number) -> Tensor:
    """A tensor, also of a single number."""
    return value if isinstance(value, Tensor) else torch.tensor(value)


def _with_one(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def run(x: Tensor) -> Tensor:
        return function(tensor(x))

    return run


def _with_two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def run(x: Tensor, y: Tensor) -> Tensor:
        return function(tensor(x), tensor(y))

    return run


def real_div(x: Tensor, y: Tensor) -> Tensor:
    """A quotient; of whole numbers, towards zero."""
    x, y = tensor(x), tensor(y)
    whole = not x.is_floating_point() and not y.is_floating_point()
    return torch.div(x, y, rounding_mode="trunc") if whole else x / y


def clip(x: Tensor, alpha: Number, beta: Number) -> Tensor:
    """Numbers no smaller than alpha and no larger than beta."""
    return x.clamp(float(alpha), float(beta))


def sigmoid_hard(x: Tensor, alpha: Number = 0.2, beta: Number = 0.5) -> Tensor:
    """A line between zero and one."""
    return (x * float(alpha) + float(beta)).clamp(0, 1)


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """By the error function, or by an approximation of it."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return functional.gelu(x, approximate="tanh" if mode == "TANH_APPROXIMATION" else "none")


def leaky_relu(x: Tensor, alpha: Number) -> Tensor:
    """Negative numbers times alpha."""
    return functional.leaky_relu(x, float(alpha))


def elu(x: Tensor, alpha: Number = 1.0) -> Tensor:
    """Negative numbers along an exponential."""
    return functional.elu(x, float(alpha))


def thresholded_relu(x: Tensor, alpha: Number = 1.0) -> Tensor:
    """Numbers of alpha and more; zero in the place of others."""
    return torch.where(x >= float(alpha), x, 0.0)


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """Negative numbers times the alpha of their channel."""
    return functional.prelu(x, alpha)


def rsqrt(x: Tensor, epsilon: Number = 1e-12) -> Tensor:
    """One over the root of x and epsilon."""
    return torch.rsqrt(x + float(epsilon))


def inverse(x: Tensor, epsilon: Number = 1e-4) -> Tensor:
    """One over x and epsilon."""
    return 1 / (x + float(epsilon))


def log(x: Tensor, epsilon: Number = 1e-45) -> Tensor:
    """Of x and epsilon."""
    return torch.log(x + float(epsilon))


def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """What is in a where the condition holds, else what is in b."""
    return torch.where(tensor(cond).bool(), tensor(a), tensor(b))


def cast(x: Tensor, dtype: str) -> Tensor:
    """Numbers of another type; fp16 is rounded where a result is stored."""
    x = tensor(x)
    if dtype.startswith("fp"):
        return x.float()
    return x.bool() if dtype == "bool" else x.long()


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Shares of one along an axis."""
    return x.softmax(axis)


ONE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "erf": torch.erf,
    "exp": torch.exp,
    "floor": torch.floor,
    "identity": torch.clone,
    "logical_not": lambda x: ~x.bool(),
    "relu": torch.relu,
    "relu6": functional.relu6,
    "round": torch.round,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": functional.silu,
    "sin": torch.sin,
    "softplus": functional.softplus,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tanh": torch.tanh,
}
TWO: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "equal": torch.eq,
    "floor_div": torch.floor_divide,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "not_equal": torch.ne,
    "pow": torch.pow,
    "sub": torch.sub,
}
ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    **{name: _with_one(function) for name, function in ONE.items()},
    **{name: _with_two(function) for name, function in TWO.items()},
    "cast": cast,
    "clip": clip,
    "elu": elu,
    "gelu": gelu,
    "inverse": inverse,
    "leaky_relu": leaky_relu,
    "log": log,
    "prelu": prelu,
    "real_div": real_div,
    "rsqrt": rsqrt,
    "select": select,
    "sigmoid_hard": sigmoid_hard,
    "softmax": softmax,
    "thresholded_relu": thresholded_relu,
}
