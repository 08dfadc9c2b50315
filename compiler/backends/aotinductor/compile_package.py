"""Compile an archive of `torch.export` to native code, in a process of its own: run by `run_script`, never imported.

It needs PyTorch and a C++ compiler, which the variable CXX names.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def main() -> None:
    """Read the archive, and write the package."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--packages", action="append", default=[])
    options = parser.parse_args()
    sys.path.extend(options.packages)
    tell(0.0, "Reading the archive")
    import torch
    from torch import _inductor

    program = torch.export.load(options.program)
    program.example_inputs = examples(program)  # an archive of ours has none
    tell(0.1, "Compiling")
    configs = {
        "aot_inductor.check_lowerbound": False,  # traced with a batch of 2, it takes one too
        # Which costs more than one package takes, and leaves its files in a folder of its own.
        "aot_inductor.precompile_headers": False,
        "cpp_cache_precompile_headers": False,
    }
    _inductor.aoti_compile_and_package(program, package_path=options.output, inductor_configs=configs)
    tell(1.0, "compiled")


def tell(share: float, phase: str) -> None:
    """Say how far it is."""
    print(f"{share:6.1%}  {phase}", flush=True)


def examples(program: ExportedProgram) -> Any:
    """Inputs of the shapes that a program was traced with; a compiler wants them, and looks at no number in them."""
    import torch
    from torch.utils._pytree import tree_unflatten

    wanted = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    flat = [torch.zeros([traced_length(side) for side in value.shape], dtype=value.dtype) for value in values]
    return tree_unflatten(flat, program.call_spec.in_spec)


def traced_length(side: Any) -> int:
    """How long a side was that may vary."""
    return side if isinstance(side, int) else int(side.node.hint)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        print("\nfailed:", "AOTInductor cannot compile the Program", *told[:3], sep="\n", file=sys.stderr)
        sys.exit(1)
