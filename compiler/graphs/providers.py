"""ONNX Runtime's execution providers: what runs a graph, and which wheel brings it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler.errors import CompileError

CPU, DIRECTML, OPENVINO = "cpu", "directml", "openvino"
OptionValue = str | int | float | bool
"""Of a provider's option: a config may write numbers as such."""


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        name: Of ONNX Runtime's own.
        wheel: What is installed for it.
        options: Of its own, unless others are given: those that compute as the graph says.
        harmless: The names of those that anybody may choose: they name no file, no library and no address.
    """

    name: str
    wheel: str
    options: Mapping[str, str] = field(default_factory=dict)
    harmless: frozenset[str] = frozenset()


PROVIDERS: Mapping[str, Provider] = {
    CPU: Provider("CPUExecutionProvider", "onnxruntime"),
    "cuda": Provider(
        "CUDAExecutionProvider",
        "onnxruntime-gpu",
        {"use_tf32": "0"},
        frozenset({"device_id", "use_tf32", "gpu_mem_limit", "cudnn_conv_algo_search", "prefer_nhwc"}),
    ),
    "tensorrt": Provider(
        "TensorrtExecutionProvider",
        "onnxruntime-gpu",
        harmless=frozenset({"device_id", "trt_max_workspace_size", "trt_fp16_enable", "trt_int8_enable"}),
    ),
    OPENVINO: Provider(
        "OpenVINOExecutionProvider",
        "onnxruntime-openvino",
        {"device_type": "CPU", "precision": "ACCURACY"},
        frozenset({"device_type", "precision", "num_of_threads", "num_streams"}),
    ),
    "coreml": Provider(
        "CoreMLExecutionProvider",
        "onnxruntime, on macOS",
        {"ModelFormat": "MLProgram"},
        frozenset({"ModelFormat", "MLComputeUnits", "RequireStaticInputShapes", "EnableOnSubgraphs"}),
    ),
    DIRECTML: Provider(
        "DmlExecutionProvider",
        "onnxruntime-directml, on Windows",
        harmless=frozenset({"device_id", "performance_preference", "device_filter"}),
    ),
}
"""By the name that a config has for them."""


def as_text(value: OptionValue) -> str:
    """The value of an option, as ONNX Runtime takes it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def available_providers() -> tuple[str, ...]:
    """The names of the providers that the installed ONNX Runtime has."""
    import onnxruntime

    here = onnxruntime.get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider.name in here)


def missing_provider(name: str) -> str:
    """Why a provider cannot be used here, and what to install; empty where it can."""
    provider = PROVIDERS[name]
    here = available_providers()
    if name in here:
        return ""
    return (
        f"the installed ONNX Runtime has no {provider.name}, but {', '.join(here)}: install {provider.wheel}, in the "
        "place of the distribution of ONNX Runtime that is there"
    )


def require_provider(session: Any, name: str) -> None:
    """Refuse a session that ONNX Runtime has opened without the provider that was asked for, on the CPU alone.

    Raises:
        CompileError: It has.
    """
    if PROVIDERS[name].name not in session.get_providers():
        raise CompileError(
            f"ONNX Runtime cannot use {PROVIDERS[name].name} here",
            where=f"backend.provider={name}",
            why="it opened the engine on the CPU instead: a library or a driver of the provider's is missing",
            fix=f"install what {PROVIDERS[name].wheel} needs, or compile with backend.provider={CPU}",
        )


def nodes_on_the_cpu(session: Any) -> str:
    """The nodes of an open graph that the CPU runs in place of another provider; empty where ONNX Runtime keeps no
    account of it, as older ones."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return ""
    assigned = session.get_provider_graph_assignment_info()
    nodes = [node for part in assigned if part.ep_name == PROVIDERS[CPU].name for node in part.get_nodes()]
    return ", ".join(f"{node.name or 'a node'} ({node.op_type})" for node in nodes)
