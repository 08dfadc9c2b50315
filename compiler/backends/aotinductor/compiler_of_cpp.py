"""The C++ compiler of this machine, by the rules that PyTorch looks for it by."""

from __future__ import annotations

import os
import shutil
import sys

USUAL = {"darwin": ("clang++",), "win32": ("cl",)}
ELSEWHERE = ("g++", "clang++")
INSTALL = {
    "darwin": "xcode-select --install",
    "win32": "install the Build Tools for Visual Studio, and run in their prompt",
}


def cpp_compiler() -> str:
    """The path of the compiler, the one that CXX names where it is set; empty where there is none."""
    named = os.environ.get("CXX")
    names = (named,) if named else USUAL.get(sys.platform, ELSEWHERE)
    return next(filter(None, map(shutil.which, names)), "")


def compiler_problem() -> str:
    """Why nothing can be compiled here; empty where it can."""
    if cpp_compiler():
        return ""
    if named := os.environ.get("CXX"):
        return f"CXX is {named}, and there is no such compiler: set it to one, or unset it"
    names = " or ".join(USUAL.get(sys.platform, ELSEWHERE))
    return f"there is no C++ compiler ({names}): {INSTALL.get(sys.platform, 'apt install g++')}, or set CXX to one"
