"""The stages in a straight line: a composed config goes in, a proven engine comes out."""

from compiler.pipeline.run import build_bundle, compile_bundle, find_obstacles

__all__ = ["build_bundle", "compile_bundle", "find_obstacles"]
