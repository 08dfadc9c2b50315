"""Signatures of bundles, in OpenSSF's format for models: who made a bundle, beside what its files were.

A signature lies beside its bundle, which it leaves as it is. Keys are files; nothing is asked of a network.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from compiler.artifact.files import written_whole
from compiler.artifact.reading import reading, reason
from compiler.errors import CompileError, UsageError

INSTALL = "pip install 'deploy-compiler[sign]'"
CURVES = "a PEM file for one of the curves P-256, P-384 and P-521, without a password"


def signature_file(bundle: Path) -> Path:
    """Where the signature of a bundle lies."""
    bundle = Path(os.path.realpath(bundle))  # "." has no name of its own
    return bundle.with_name(f"{bundle.name}.sig")


def sign(bundle: Path, private_key: Path) -> Path:
    """Sign every file of a bundle; the file that the signature is in.

    Raises:
        UsageError: There is no such key.
        CompileError: model-signing is not installed, or the signature cannot be made or written.
    """
    signing = _library("signing")
    _require_key(private_key)
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=private_key)
    except Exception as error:  # of cryptography, whose errors for a key have no common base
        raise _no_key(private_key, "private", error) from error
    final = signature_file(bundle)
    try:
        with written_whole(final) as partial:
            config.set_hashing_config(_every_file()).sign(os.path.realpath(bundle), partial)
    except (OSError, ValueError) as error:
        raise CompileError("the bundle cannot be signed", where=str(final), why=reason(error)) from error
    return final


def check_signature(bundle: Path, public_key: Path) -> None:
    """Refuse a bundle that was not signed with the private half of a key, or was changed since.

    Raises:
        UsageError: There is no such key.
        CompileError: model-signing is not installed, or the signature is missing, broken, another's or of other files.
    """
    verifying = _library("verifying")
    _require_key(public_key)
    signature = signature_file(bundle)
    if not signature.is_file():
        fix = "get the signature too; where the bundle is yours: python -m compiler sign <bundle> key=<private key>"
        raise CompileError("the bundle is not signed", where=str(signature), why="there is no such file", fix=fix)
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except Exception as error:  # see `sign`
        raise _no_key(public_key, "public", error) from error
    try:
        config.set_hashing_config(_every_file()).verify(os.path.realpath(bundle), signature)
    except Exception as error:  # the file is a stranger's, and what is wrong in it meets whatever reads it first
        raise CompileError(
            "the bundle is not what was signed with this key",
            where=str(signature),
            why=reason(error),
            fix="do not trust it; get the bundle, its signature and the key again, each from who made it",
        ) from error


def _every_file() -> Any:
    """What is signed: all files, those of git too."""
    return _library("hashing").Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _library(name: str) -> ModuleType:
    """A module of model-signing, which takes a second to import."""
    import importlib

    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        raise CompileError("model-signing is not installed", where="signature", why=str(error), fix=INSTALL) from error


def _require_key(path: Path) -> None:
    with reading(path, "the key cannot be read", where=f"key={path}"):
        is_file = path.is_file()
    if not is_file:
        raise UsageError(f"there is no key {path}", where=f"key={path}", fix=f"give {CURVES}")


def _no_key(path: Path, half: str, error: Exception) -> UsageError:
    why = "it is for no elliptic curve" if isinstance(error, AttributeError) else reason(error)
    return UsageError(f"{path.name} is no {half} key for bundles", where=f"key={path}", why=why, fix=f"give {CURVES}")
