"""The stages in a straight line: a composed config goes in, a proven engine comes out."""

from compiler.pipeline.automatic import compile_fastest
from compiler.pipeline.deferred_build import build_bundle
from compiler.pipeline.run import compile_bundle, find_obstacles

__all__ = ["build_bundle", "compile_bundle", "compile_fastest", "find_obstacles"]
