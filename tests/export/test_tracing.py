"""What a network is traced with."""

import numpy as np

from compiler.export import ExportOptions
from compiler.export.tracing import traced_arguments


def test_an_axis_of_one_that_numpy_has_put_in_is_like_any_other_to_a_trace():
    """Its stride is zero, to which AOTInductor would hold every input: CRNN's, in grey, has such an axis."""
    grey = np.arange(12, dtype=np.float32).reshape(3, 4)[None][:, None]
    assert 0 in grey.strides
    (argument,) = traced_arguments({"input": grey}, ExportOptions("dynamo", 18, {"input": ()}, ("output",)))
    assert argument.stride() == (12, 12, 4, 1)
    np.testing.assert_array_equal(argument.numpy(), grey)
