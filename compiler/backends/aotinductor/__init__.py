"""AOTInductor: a package of native code that PyTorch's compiler makes."""

from compiler.backends.aotinductor.backend import AOTInductor

__all__ = ["AOTInductor"]
