"""The config: its schema, the grammar of deploy names, and how it is composed. Imports no torch."""

from compiler.config.compose import compose
from compiler.config.schema import CompileConfig
from compiler.config.search import config_folder

__all__ = ["CompileConfig", "compose", "config_folder"]
