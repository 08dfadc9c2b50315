"""Code that somebody brings: the modules that it is in and all that they import, by what was really loaded.

What is neither Python's own, nor installed, nor ours counts by its content; what is installed, by its version. Which
modules a module imports is read in its source, whether it has imported them yet or not: so it does not matter what this
process imported before, nor how late an import comes. Where a module is loaded within `recorded_imports`, the content
that counts is the very one that it was compiled from; what it imports by a name that only running it can tell is then
known too. Where it was loaded otherwise, its file counts, once every function that is loaded is found in it.
"""

from __future__ import annotations

import ast
import functools
import importlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec, SourceFileLoader
from importlib.metadata import packages_distributions
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from compiler.artifact.digests import bytes_digest, digest, installed_version
from compiler.artifact.loaded_code import is_loaded_from
from compiler.errors import CompileError

OURS = ("compiler", "rewriters")
"""The packages whose source `compiler.stages.tools.versions()["compiler"]` is the digest of."""
INSTALLED = {"site-packages", "dist-packages"}
"""The folders that installers put packages into."""
IMPORTERS = frozenset({"import_module", "__import__"})


class RecordedSource(SourceFileLoader):
    """Loads a module, and keeps the very source that it was compiled from.

    Attributes:
        source: Empty until it is loaded.
        is_root: Whether the config names the module, and it is not one that another imports.
    """

    source: bytes = b""
    is_root: bool = False

    def get_code(self, fullname: str) -> CodeType:
        """The code; what Python compiled earlier may be of another source of the same size and second."""
        self.source = self.get_data(self.path)
        return self.source_to_code(self.source, self.path)


class _Recorder(MetaPathFinder):
    """Finds modules where Python does, and has those that somebody brings loaded as `RecordedSource`."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = _first_found(fullname, path, target)
        if spec and type(spec.loader) is SourceFileLoader and is_user_code(fullname, spec.origin):
            spec.loader = RecordedSource(spec.loader.name, str(spec.loader.path))
            spec.loader.is_root = fullname in self.roots
        return spec


@contextmanager
def recorded_imports(*roots: str) -> Iterator[None]:
    """Keep what is imported within this block by the source that it was compiled from.

    Args:
        roots: Names of the modules that a config, or an installed plug-in, names.
    """
    recorder = _Recorder(roots)
    sys.meta_path.insert(0, recorder)
    try:
        yield
    finally:
        sys.meta_path.remove(recorder)


def import_recorded(name: str) -> ModuleType:
    """The module that a config names, imported within `recorded_imports`."""
    with recorded_imports(name):
        return importlib.import_module(name)


@dataclass(frozen=True)
class _Module:
    """A module that somebody brings.

    Attributes:
        name: Its dotted name.
        content: Its source as it was loaded; else its file; None for a folder without an `__init__.py`.
        is_source: Whether that is Python, and not compiled.
        package: Where its relative imports begin.
    """

    name: str
    content: bytes | None
    is_source: bool
    package: str


def code_contents(roots: Iterable[str], unnamed: Iterable[Mapping[str, Any]] = ()) -> dict[str, str]:
    """The modules that somebody brings among these and all that they import, with their digests; and of what is
    installed the packages that they import, with their versions.

    Args:
        roots: Dotted names; ours and Python's own do not count.
        unnamed: What is in modules that were loaded from a file and that no name leads to.

    Raises:
        CompileError: A file cannot be read, or is not what was loaded.
    """
    found: dict[str, str] = {}
    waiting, seen = [*roots], set[str]()
    for namespace in unnamed:
        file = str(namespace["__file__"])
        if is_user_code("", file):
            name, package = f"{Path(file).name} as {namespace['__name__']}", str(namespace.get("__package__") or "")
            module = _of_file(name, Path(file), package, namespace)
            found[name] = bytes_digest(module.content or b"")
            waiting += _imports(module.content or b"", package) if module.is_source else ()
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] in OURS:
            continue
        seen.add(name)
        spec = _spec(name)
        if spec is None or not is_user_code(name, _origin(spec)):
            found |= _version(name, spec)
            continue
        module = _module(name, spec)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        if module.content is not None:
            found[name] = bytes_digest(module.content)
            waiting += _imports(module.content, module.package) if module.is_source else ()
    return found


def any_user_code(names: Iterable[str]) -> bool:
    """Whether one of these modules is somebody's own, and not installed; nothing is imported to find out."""
    specs = {name: _spec(name) for name in names if name.partition(".")[0] not in OURS}
    return any(spec is not None and is_user_code(name, _origin(spec)) for name, spec in specs.items())


def code_digest(roots: Iterable[str]) -> str:
    """The digest of `code_contents`; empty where all of it is ours or Python's own."""
    found = code_contents(roots)
    return digest(found) if found else ""


def imported_by_name() -> set[str]:
    """What was loaded within `recorded_imports` although no source names it: which code imported it is not known."""
    loaders = {name: getattr(module, "__loader__", None) for name, module in list(sys.modules.items())}
    recorded = {name: loader for name, loader in loaders.items() if isinstance(loader, RecordedSource)}
    roots = {name for name, loader in recorded.items() if loader.is_root}
    return recorded.keys() - code_contents(roots).keys()


def _first_found(name: str, path: Any, target: Any = None) -> ModuleSpec | None:
    """Where Python finds a module."""
    finders = [finder for finder in list(sys.meta_path) if not isinstance(finder, _Recorder)]
    found = (finder.find_spec(name, path, target) for finder in finders if hasattr(finder, "find_spec"))
    return next((spec for spec in found if spec is not None), None)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module was loaded from, or would be; nothing is imported to find out."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        spec: ModuleSpec | None = getattr(loaded, "__spec__", None)
        return spec or (ModuleSpec(name, None, origin=file) if file else None)
    parent, _, own = name.rpartition(".")
    above = _spec(parent) if parent else None
    folders = list(above.submodule_search_locations or ()) if above else []
    if not own or (parent and not folders):
        return None
    try:
        return _first_found(name, folders if parent else None)
    except KeyError:  # a namespace within a package that is not loaded
        namespace = ModuleSpec(name, None, is_package=True)
        namespace.submodule_search_locations = [str(Path(folder) / own) for folder in folders]
        return namespace
    except (ImportError, ValueError, OSError):  # no name of a module
        return None


def _origin(spec: ModuleSpec) -> str | None:
    """The file of a module, or its first folder where it has none."""
    if spec.origin not in (None, "namespace"):
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), None)


@functools.cache
def is_user_code(name: str, origin: str | None) -> bool:
    """Whether a file is neither Python's own, nor installed as part of a package that has a version, nor ours."""
    if origin is None or name.partition(".")[0] in OURS:
        return False
    path = _existing(origin)
    if path is None:  # built in, or frozen
        return False
    if INSTALLED & set(path.parts):
        return not _installed_versions(name.partition(".")[0])
    paths = sysconfig.get_paths()
    return not any(path.is_relative_to(Path(paths[key]).resolve()) for key in ("stdlib", "platstdlib"))


def _existing(origin: str) -> Path | None:
    """The file or folder of an origin, links resolved; the archive, where it lies in one."""
    path = Path(origin).resolve()
    if path.exists():
        return path
    return next((parent for parent in path.parents if parent.is_file()), None)


def _version(name: str, spec: ModuleSpec | None) -> dict[str, str]:
    """The version of the package that an installed module is in; nothing for Python's own."""
    package, origin = name.partition(".")[0], spec and _origin(spec)
    installed = origin and INSTALLED & set(Path(origin).resolve().parts)
    return {package: _installed_versions(package)} if installed else {}


@functools.cache
def _installed_versions(package: str) -> str:
    """The versions of the distributions that a package comes from; empty where there are none."""
    own = installed_version(package)
    if own:
        return own
    distributions = sorted(set(_distributions(tuple(sys.path)).get(package, ())))
    return ", ".join(f"{name} {installed_version(name)}" for name in distributions)


@functools.lru_cache(maxsize=1)
def _distributions(searched: tuple[str, ...]) -> Mapping[str, list[str]]:
    """The distributions that each installed package is in: finding them reads what every one of them installed.

    Args:
        searched: `sys.path`, for which alone that holds.
    """
    return packages_distributions()


def _module(name: str, spec: ModuleSpec) -> _Module:
    """What counts of a module.

    Raises:
        CompileError: Its file cannot be read.
    """
    is_package = spec.submodule_search_locations is not None
    package = name if is_package else name.rpartition(".")[0]
    if isinstance(spec.loader, RecordedSource) and spec.loader.source:
        return _Module(name, spec.loader.source, True, package)
    file = _existing(spec.origin or ".")
    if file is None or not file.is_file():
        return _Module(name, None, False, package)
    return _of_file(name, file, package, vars(sys.modules[name]) if name in sys.modules else {})


def _of_file(name: str, file: Path, package: str, loaded: Mapping[str, Any]) -> _Module:
    """A module by its file, which has to be what was loaded."""
    try:
        content, is_source = file.read_bytes(), file.suffix in SOURCE_SUFFIXES
    except OSError as error:
        raise CompileError(f"the module {name} cannot be read", where=str(file), why=error.strerror or "") from error
    if is_source and not is_loaded_from(content, str(loaded.get("__file__")), loaded):
        raise CompileError(
            f"{file.name} changed after it was imported",
            where=str(file),
            why="what is loaded is other code than what the file holds now",
            fix="restart Python (in a notebook: the kernel), and run again",
        )
    return _Module(name, content, is_source, package)


@functools.lru_cache(maxsize=4096)
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """The names of all modules that a source may import, anywhere in it."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):  # it cannot be imported either
        return ()
    importers = IMPORTERS.union(*map(_importers, nodes))
    return tuple(dict.fromkeys(name for node in nodes for name in _imported(node, package, importers)))


def _importers(node: ast.AST) -> Iterator[str]:
    """What a source calls a function that imports by name."""
    match node:
        case ast.ImportFrom():
            yield from (alias.asname for alias in node.names if alias.asname and alias.name in IMPORTERS)
        case ast.Assign(value=ast.Name(id=called) | ast.Attribute(attr=called)) if called in IMPORTERS:
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _imported(node: ast.AST, package: str, importers: frozenset[str]) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom():
            base = _resolved("." * node.level + (node.module or ""), package)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]):
            if called in importers and name and (found := _resolved(name, package)):
                yield found


def _resolved(name: str, package: str) -> str:
    """An absolute name; empty where a relative one leads out of its package."""
    try:
        return resolve_name(name, package)
    except (ImportError, ValueError):
        return ""
