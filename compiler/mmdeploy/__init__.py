"""What we speak of MMDeploy's."""

from compiler.mmdeploy.sdk import write_sdk_files

__all__ = ["write_sdk_files"]
