"""The config: its schema, the grammar of deploy names, and how it is composed. Imports no torch."""

from compiler.config.compose import compose, config_folder
from compiler.config.deploy_name import DeployName, Shape
from compiler.config.schema import CompileConfig

__all__ = ["CompileConfig", "DeployName", "Shape", "compose", "config_folder"]
