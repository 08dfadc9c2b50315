"""Reads OpenMMLab's config files without running them and without OpenMMLab."""

from compiler.openmmlab.reader.files import read_config

__all__ = ["read_config"]
