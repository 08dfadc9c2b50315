"""What we speak of MMDeploy's: the files by which its SDK opens a bundle."""

from compiler.mmdeploy.files import sdk_model, write_sdk_files

__all__ = ["sdk_model", "write_sdk_files"]
