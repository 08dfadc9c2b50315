"""A traced network -> ONNX, by torch's exporter without the work that this network does not need.

What torch does for every network anew, and what is spared here: it reads the source of all five hundred of its
translations (here those that are used), decomposes by tracing the network twice more (`decomposition.py`), and tries
each of its fifty rewrite rules at each node (here those for that operator). The file that comes out is the same. The
first and the last lean on parts of torch and onnxscript that are not public; where a version has them no longer, the
public way is taken.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from onnxscript import ir, rewriter
from torch.export import ExportedProgram
from torch.onnx import ONNXProgram

from compiler.export.options import ExportOptions

Translations = Mapping[Callable[..., Any], Callable[..., Any]]
"""By operator of torch: what it becomes in ONNX."""

OLDEST_OPSET = 18
"""What torch's translations are written in; an older one is converted to afterwards."""
MISSING = (ImportError, AttributeError, TypeError)
"""What is raised where a version has a part no longer, or another in its place."""


def translated(program: ExportedProgram, options: ExportOptions, translations: Translations) -> ONNXProgram:
    """A traced network in ONNX."""
    registry = lean_registry(max(options.opset, OLDEST_OPSET))
    with lean_rules():
        if registry is None:
            return by_public_exporter(program, options, translations)
        for operator, function in translations.items():
            registry.register_op(operator, function)
        from torch.onnx._internal.exporter import _core

        return _core.export(
            program,
            registry=registry,
            input_names=options.inputs,
            output_names=options.outputs,
            opset_version=options.opset,
            verbose=False,
        )


def by_public_exporter(program: ExportedProgram, options: ExportOptions, translations: Translations) -> ONNXProgram:
    """The same, by what torch promises to keep."""
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=options.opset,
        input_names=options.inputs,
        output_names=options.outputs,
        custom_translation_table=dict(translations),
    )
    assert exported is not None
    return exported


def lean_registry(opset: int) -> Any | None:
    """Torch's translations for an opset, whose signatures are read where they are used; None where torch has other
    parts."""
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        registry: Any = ONNXRegistry()
        registry._opset_version = opset
        for entry in _entries():
            registry._register(entry.fx_target, entry)
        registry._cleanup_registry_based_on_opset_version()
    except MISSING:
        return None
    return registry


def _entries() -> tuple[Any, ...]:
    """What torch and onnxscript register, in the order in which torch takes it.

    Which operators there are is looked up each time: a library that is imported later brings more.
    """
    from torch.onnx._internal.exporter import _registration
    from torch.onnx._internal.exporter._torchlib._torchlib_registry import get_torchlib_ops

    found = ((_registration._get_overload(name), function, is_complex) for name, function, is_complex in _named())
    lazily = (
        _registration.OnnxDecompMeta(function, target, None, is_complex=is_complex, skip_signature_inference=True)
        for target, function, is_complex in found
        if target is not None
    )
    return (*get_torchlib_ops(), *lazily)


@functools.cache
def _named() -> tuple[tuple[str, Any, bool], ...]:
    """Onnxscript's translations: the name of an operator, what it becomes, and whether that is for complex numbers."""
    from onnxscript.function_libs.torch_lib import ops, registration  # noqa: F401  (they register themselves)

    return tuple(
        (name, function, is_complex)
        for name, overloaded in registration.default_registry.items()
        if not name.startswith("internal::")
        for is_complex, functions in ((False, overloaded.overloads), (True, overloaded.complex))
        for function in functions
    )


@contextmanager
def lean_rules() -> Iterator[None]:
    """Let onnxscript's optimiser try its rules only at nodes of the operator that they begin with."""
    rules = getattr(rewriter, "_DEFAULT_REWRITE_RULES", None)
    guarded = _guarded_rules()
    if rules is None or guarded is None:
        yield
        return
    rewriter._DEFAULT_REWRITE_RULES = guarded
    try:
        yield
    finally:
        rewriter._DEFAULT_REWRITE_RULES = rules


@functools.cache
def _guarded_rules() -> tuple[Any, ...] | None:
    try:
        return tuple(
            GuardedRule(rule, rule._target_pattern.output_nodes[0].op_identifier())
            for rule in rewriter._DEFAULT_REWRITE_RULES
        )
    except MISSING:
        return None


@dataclass(frozen=True)
class GuardedRule:
    """A rule of onnxscript that is tried at nodes of one operator.

    Attributes:
        rule: The rule.
        operator: What a match begins with; None where that may be several.
    """

    rule: Any
    operator: ir.OperatorIdentifier | None

    def try_rewrite(self, model: ir.Model, graph: Any, node: ir.Node, **options: Any) -> Any:
        """What the rule puts in the place of a node; None where it does not match."""
        if self.operator is not None and node.op_identifier() != self.operator:
            return None
        return self.rule.try_rewrite(model, graph, node, **options)

    def __getattr__(self, name: str) -> Any:
        """All else is the rule's own."""
        return getattr(self.rule, name)
