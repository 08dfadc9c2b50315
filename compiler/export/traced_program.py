"""Network -> TracedProgram: an archive of `torch.export`, or of TorchScript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from compiler.artifact import (
    Dimension,
    Tensors,
    TensorSpec,
    TorchExportProgram,
    TorchScriptProgram,
    TracedProgram,
    written_whole,
)
from compiler.errors import CompileError
from compiler.export.frozen import Pair, check_not_frozen, expected_outputs, ties_of
from compiler.export.options import Comparable, ExportOptions, RewritingContext, as_they_are
from compiler.export.sessions import TracedSession
from compiler.export.tracing import exported, exporting, traced_arguments

if TYPE_CHECKING:
    from torch import Tensor, nn

OWN_OPERATORS = "deploy_compiler"
"""The namespace of operators that are registered by the compiler: whoever opens an archive has torch alone."""
OF_ONE_MACHINE = (".debug_pkl", "/traced_inputs.pkl", "/traced_inputs/")
"""What TorchScript leaves in an archive: source paths, and what the network was traced with."""


def export_traced(
    network: nn.Module,
    example: Tensors,
    others: Iterable[Tensors],
    options: ExportOptions,
    folder: Path,
    rewriting: RewritingContext = nullcontext,
    comparable: Comparable = as_they_are,
) -> TracedProgram:
    """Trace a network into one archive with its sidecar, and check that it was not frozen to its example.

    Args:
        network: In evaluation mode; returns a flat tuple.
        example: Inputs by name. A dimension that varies must be above 1 in it, or the exporter freezes it.
        others: Other inputs that the Program takes: other values, and other sizes where sizes vary.
        options: How to export: by `dynamo` to an archive of `torch.export`, by `torchscript` to one of TorchScript.
        folder: Where the archive goes.
        rewriting: Entered around the tracing, so that function rewriters act.
        comparable: Applied to outputs before they are compared.

    Raises:
        CompileError: The exporter fails, an operator is none of torch's, or the Program gives something else than the
            network for other inputs.
    """
    kind, save = (TorchExportProgram, _by_export) if options.exporter == "dynamo" else (TorchScriptProgram, _by_script)
    path = folder / kind.FILE
    with exporting(kind.IR, options.exporter), rewriting():
        operators = save(network, traced_arguments(example, options), options, path)
    _check_operators(operators, options.exporter)
    ordered = {name: example[name] for name in options.inputs}
    pairs = list(expected_outputs(network, [ordered, *others], options, rewriting))
    program = kind(path, _input_specs(ordered, options), _output_specs(pairs, options))
    check_not_frozen(TracedSession(program).run, pairs, options, comparable, ties_of(network, options, rewriting))
    program.save()
    return program


def _by_export(network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, path: Path) -> set[str]:
    """Write an archive of `torch.export`, and return its operators."""
    import torch

    program = exported(network, arguments, options)
    program.example_inputs = None  # what it was traced with is nobody else's: a photograph, say
    graphs = [module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    nodes = [node for graph in graphs for node in graph.nodes]
    for node in nodes:
        node.meta.pop("stack_trace", None)  # paths of the source on this machine
    torch.export.save(program, path)
    return {str(node.target) for node in nodes if node.op == "call_function"}


def _by_script(network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, path: Path) -> set[str]:
    """Write an archive of TorchScript, and return its operators."""
    import torch

    module: Any = torch.jit.trace(network, arguments, check_trace=False)  # type: ignore[no-untyped-call]
    with written_whole(path) as partial:
        module.save(str(partial))
        _strip(partial, partial.with_suffix(".stripped"))
    blocks, operators = [module.inlined_graph], set()
    while blocks:
        for node in blocks.pop().nodes():
            operators.add(str(node.kind()))
            blocks.extend(node.blocks())
    return operators


def _strip(archive: Path, stripped: Path) -> None:
    """Take out of an archive what means something on this machine alone."""
    with ZipFile(archive) as old, ZipFile(stripped, "w") as new:
        for entry in old.infolist():
            if not any(part in entry.filename for part in OF_ONE_MACHINE):
                new.writestr(entry, old.read(entry))
    stripped.replace(archive)


def _check_operators(operators: Iterable[str], exporter: str) -> None:
    own = sorted(operator for operator in operators if operator.startswith(OWN_OPERATORS))
    if own:
        raise CompileError(
            "a traced Program can hold torch's own operators alone",
            where=f"export.exporter={exporter}",
            why=f"{', '.join(own)} is known to the compiler, and not to whoever opens the archive",
            fix="for a detector use tail=host; otherwise write a function rewriter for it",
        )


def _input_specs(example: Tensors, options: ExportOptions) -> tuple[TensorSpec, ...]:
    """The specs of an example, with the names of what varies."""
    varying = {name: {axis.position: axis.name for axis in axes} for name, axes in options.axes.items()}
    return tuple(
        TensorSpec(
            name,
            array.dtype.name,
            tuple(varying[name].get(position, length) for position, length in enumerate(array.shape)),
        )
        for name, array in example.items()
    )


def _output_specs(pairs: Sequence[Pair], options: ExportOptions) -> tuple[TensorSpec, ...]:
    """The specs of what came out: an archive does not say which lengths vary, but runs of several sizes do."""
    lengths = {
        tuple(tensors[name].shape[axis.position] for tensors, _ in pairs): axis.name
        for name, axes in options.axes.items()
        for axis in axes
    }
    specs = []
    for name in options.outputs:
        arrays = [outputs[name] for _, outputs in pairs]
        seen = list(zip(*(array.shape for array in arrays), strict=True))
        shape = tuple(_length(f"{name}_{position}", seen[position], lengths) for position in range(len(seen)))
        specs.append(TensorSpec(name, arrays[0].dtype.name, shape))
    return tuple(specs)


def _length(name: str, seen: tuple[int, ...], axes: Mapping[tuple[int, ...], str]) -> Dimension:
    """A length that was the same in all runs, or a name: that of the inputs' axis it follows, where it follows one."""
    return seen[0] if len(set(seen)) == 1 else axes.get(seen, name)
