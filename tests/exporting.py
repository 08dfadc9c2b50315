"""Other inputs than a Program was exported with, made from its example."""

import numpy as np

from compiler.export import export_onnx


def export(network, example, options, folder, **named):
    """Export, and check the Program on inputs of other values and sizes."""
    return export_onnx(network, example, other_inputs(example, options), options, folder, **named)


def other_inputs(example, options):
    """Yield other values; where sizes vary, of the smallest size, and of one that differs along every axis."""
    for longer in (0, 1) if options.dynamic else (0,):
        yield {
            name: _other_values(
                example[name],
                {axis.position: axis.smallest + longer * (2 + index) * axis.stride for index, axis in enumerate(axes)},
            )
            for name, axes in options.axes.items()
        }


def _other_values(tensor, lengths):
    shape = [lengths.get(position, length) for position, length in enumerate(tensor.shape)]
    return np.resize(np.roll(tensor, 1, axis=-1), shape)
