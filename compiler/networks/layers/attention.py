"""The gated attention unit (arXiv:2202.10447) as RTMPose uses it to relate key points to each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compiler.networks.layers.conv import build_activation


class ScaleNorm(nn.Module):
    """Divide each vector by its root mean square, then scale all by one learned factor (arXiv:1910.05895).

    Takes and gives `[..., dim]`.

    Args:
        dim: Length of the vectors.
        eps: Smallest root mean square that is divided by.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.eps = eps
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """The vectors of `x`, each normalised."""
        root_mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self.scale
        normalised: Tensor = x / root_mean_square.clamp(min=self.eps) * self.g
        return normalised


class Scale(nn.Module):
    """Multiply `[..., dim]` by a learned factor per component."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """The scaled `x`."""
        return x * self.scale


class RotaryEmbedding(nn.Module):
    """Turn the halves of each token's vector against each other by an angle that grows with the token's position.

    Takes and gives `[n, num_token, ..., dim]`. The frequencies rise from 1 to 10000, as in OpenMMLab's models: their
    exponent has the opposite sign to that of RoFormer (arXiv:2104.09864), and trained weights depend on it.

    Args:
        num_token: Number of tokens.
        dim: Even length of the vectors.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(self, num_token: int, dim: int) -> None:
        super().__init__()
        frequencies = 10000 ** (torch.arange(dim // 2) / float(dim // 2))
        angles = torch.arange(num_token)[:, None, None] * frequencies
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The rotated `x`, `[n, num_token, m, dim]`."""
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * self.cosine - second * self.sine, second * self.cosine + first * self.sine], dim=-1)


class GatedAttentionUnit(nn.Module):
    """Self-attention with squared ReLU in place of softmax, gated by a second projection of the tokens.

    Takes `[n, num_token, in_token_dims]` and gives `[n, num_token, out_token_dims]`. Parameter names are those of
    OpenMMLab's `RTMCCBlock`.

    Args:
        num_token: Number of tokens.
        in_token_dims: Length of an incoming token.
        out_token_dims: Length of an outgoing token; where it equals `in_token_dims`, the input is added.
        expansion_factor: Length of values and gates, as a multiple of `in_token_dims`.
        s: Length of queries and keys.
        act_fn: `ReLU` or `SiLU`.
        use_rel_bias: Add a learned bias per distance between two tokens to the attention.
        pos_enc: Rotate queries and keys by their position.

    Raises:
        ValueError: The activation is not supported.
    """

    def __init__(
        self,
        num_token: int,
        in_token_dims: int,
        out_token_dims: int,
        *,
        expansion_factor: float = 2,
        s: int = 128,
        act_fn: str = "SiLU",
        use_rel_bias: bool = True,
        pos_enc: bool = False,
    ) -> None:
        super().__init__()
        self.num_token = num_token
        self.query_dims = s
        self.value_dims = int(in_token_dims * expansion_factor)
        if use_rel_bias:
            self.w = nn.Parameter(torch.rand(2 * num_token - 1))
        self.use_rel_bias = use_rel_bias
        self.gamma = nn.Parameter(torch.rand(2, s))
        self.beta = nn.Parameter(torch.rand(2, s))
        self.o = nn.Linear(self.value_dims, out_token_dims, bias=False)
        self.uv = nn.Linear(in_token_dims, 2 * self.value_dims + s, bias=False)
        self.ln = ScaleNorm(in_token_dims)
        self.act_fn = build_activation({"type": act_fn})
        self.rotary = RotaryEmbedding(num_token, s) if pos_enc else nn.Identity()
        self.shortcut = in_token_dims == out_token_dims
        if self.shortcut:
            self.res_scale = Scale(in_token_dims)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens after they have attended to each other."""
        attended = self.attend(x)
        return self.res_scale(x) + attended if self.shortcut else attended

    def attend(self, x: Tensor) -> Tensor:
        """What the tokens `x` gather from each other, without the shortcut."""
        projected = self.act_fn(self.uv(self.ln(x)))
        gate, value, base = projected.split([self.value_dims, self.value_dims, self.query_dims], dim=2)
        query, key = self.rotary(base.unsqueeze(2) * self.gamma + self.beta).unbind(dim=2)
        similarity = torch.bmm(query, key.transpose(1, 2))
        if self.use_rel_bias:
            similarity = similarity + self.relative_bias()
        attention = torch.square(F.relu(similarity / math.sqrt(self.query_dims)))
        gathered: Tensor = self.o(gate * torch.bmm(attention, value))
        return gathered

    def relative_bias(self) -> Tensor:
        """The biases, `[num_token, num_token]`: at row i and column j, that of distance j - i."""
        position = torch.arange(self.num_token, device=self.w.device)
        return self.w[position[None, :] - position[:, None] + self.num_token - 1]
