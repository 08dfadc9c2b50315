"""What we speak of MMDeploy's: the files by which its SDK opens a bundle."""

from compiler.mmdeploy.files import SDK_LAYOUT, sdk_model, write_sdk_files

__all__ = [
    "SDK_LAYOUT",
    "sdk_model",
    "write_sdk_files",
]
