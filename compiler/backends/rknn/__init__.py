"""RKNN: the NPUs of Rockchip's chips, through a toolkit that lives in an environment of its own."""

from compiler.backends.rknn.backend import RKNN

__all__ = ["RKNN"]
