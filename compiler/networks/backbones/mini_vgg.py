"""The backbone of CRNN (arXiv:1507.05717): a small VGG (arXiv:1409.1556) that turns a line of text into one row."""

from __future__ import annotations

from torch import Tensor, nn

_CHANNELS = (64, 128, 256, 256, 512, 512, 512)
_NORMALISED = (2, 4, 6)
# What follows a convolution, by its index. The first two halve height and width, the others only the height.
_POOLINGS = {0: (2, 2), 1: (2, 2), 3: (2, 1), 5: (2, 1)}


class MiniVGG(nn.Module):
    """Seven convolutions, of which four are followed by a max-pooling.

    Takes `[n, input_channels, 32, w]`, w at least 4, and gives `[n, 512, 1, w // 4 + 1]`.

    Args:
        leaky_relu: Whether the activations let a fifth of negative values through.
        input_channels: Channels of the input.
    """

    def __init__(self, leaky_relu: bool = True, input_channels: int = 3) -> None:
        super().__init__()
        self.cnn = nn.Sequential()
        in_channels = input_channels
        last = len(_CHANNELS) - 1
        for index, channels in enumerate(_CHANNELS):
            # Two rows are left for the last convolution, which makes one of them.
            kernel, padding = (2, 0) if index == last else (3, 1)
            self.cnn.add_module(f"conv{index}", nn.Conv2d(in_channels, channels, kernel, padding=padding))
            if index in _NORMALISED:
                self.cnn.add_module(f"batchnorm{index}", nn.BatchNorm2d(channels))
            self.cnn.add_module(f"relu{index}", nn.LeakyReLU(0.2) if leaky_relu else nn.ReLU())
            if index in _POOLINGS:
                stride = _POOLINGS[index]
                # Without a step, a window of two would make a row one shorter: a column on each side makes it longer.
                pooling = nn.MaxPool2d(2, stride, padding=(0, 2 - stride[1]))
                self.cnn.add_module(f"pooling{list(_POOLINGS).index(index)}", pooling)
            in_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """The one feature map of `x`."""
        features: Tensor = self.cnn(x)
        return features
