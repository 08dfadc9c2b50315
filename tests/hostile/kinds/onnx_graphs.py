"""ONNX files: their structure changed, or their bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds

NAMES = ("", "x", "y", "a\nb", "\x1b[31m", "../outside/made", "/etc/passwd", "[red]", "x" * 5000, "é", "input", "batch")
OPERATORS = ("If", "Loop", "Scan", "Identity", "Constant", "Reshape", "Expand", "Tile", "NonZero", "Foo", "", "Twice")
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "mine", "../mine", "a\nb", "x" * 5000)
SIZES = (0, 1, -1, -2, 3, 2**31, 2**31 - 1, 2**40, 2**62, 2**63 - 1, -(2**63))


def onnx_file(random: Random, seeds: Seeds, folder: Path) -> Case:
    """`model=onnx` of a file from somebody."""
    seed = random.choice(seeds.onnx_files)
    (folder / "net.onnx").write_bytes(changed_graph(random, seed.read_bytes(), folder))
    words = ["plan", "model=onnx", "model.file=net.onnx"]
    if random.random() < 0.3:
        words.append(f"model.inputs.x={random.choice(('1x4', '2x3x8x8', '1x3x256x192', 'nx4', '1x100000x100000'))}")
    if random.random() < 0.2:
        words.append("shape=static")
    if random.random() < 0.2:
        words.append(random.choice(("backend=tensorrt", "precision=fp16", "backend=tensorrt_rtx")))
    return Case(words, said=seed.name)


def changed_graph(random: Random, data: bytes, folder: Path) -> bytes:
    """The file with one to three changes; files that it refers to are written into the folder."""
    import onnx

    if random.random() < 0.2:
        return mutate.content(random, data)
    model = onnx.load_from_string(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        change = random.choice(_CHANGES)
        try:
            change(random, model)
        except (IndexError, ValueError, TypeError):  # there is nothing of the kind in it any more
            continue
    if random.random() < 0.1:
        shutil.copyfile(__file__, folder / "weights.bin")
    return model.SerializeToString()


def _graph(random: Random, model: Any) -> Any:
    """The main graph, or one within it."""
    graphs = [model.graph]
    for node in model.graph.node:
        graphs.extend(attribute.g for attribute in node.attribute if attribute.HasField("g"))
    return random.choice(graphs)


def _rename(random: Random, model: Any) -> None:
    graph = _graph(random, model)
    named = random.choice((graph.input, graph.output, graph.node, graph.initializer))
    random.choice(named).name = random.choice(NAMES)


def _rewire(random: Random, model: Any) -> None:
    node = random.choice(_graph(random, model).node)
    values = random.choice((node.input, node.output))
    values[random.randrange(len(values))] = random.choice((*NAMES, *node.input, *node.output))


def _operator(random: Random, model: Any) -> None:
    node = random.choice(_graph(random, model).node)
    if random.random() < 0.5:
        node.op_type = random.choice((*OPERATORS, *NAMES))
    else:
        node.domain = random.choice(DOMAINS)


def _dimension(random: Random, model: Any) -> None:
    graph = _graph(random, model)
    shape = random.choice((*graph.input, *graph.output)).type.tensor_type.shape
    match random.randrange(4):
        case 0:
            random.choice(shape.dim).dim_value = random.choice(SIZES)
        case 1:
            random.choice(shape.dim).dim_param = random.choice(NAMES)
        case 2:
            del shape.dim[:]
        case _:
            shape.dim.add().dim_value = random.choice(SIZES)


def _type(random: Random, model: Any) -> None:
    graph = _graph(random, model)
    tensor = random.choice((*graph.input, *graph.output)).type
    if random.random() < 0.7:
        tensor.tensor_type.elem_type = random.choice((0, 1, 6, 7, 8, 9, 10, 11, 14, 16, 17, 21, 22, 99))
    else:
        tensor.sequence_type.elem_type.tensor_type.elem_type = 1


def _weight(random: Random, model: Any) -> None:
    tensor = random.choice(_graph(random, model).initializer)
    match random.randrange(5):
        case 0:
            tensor.dims[random.randrange(len(tensor.dims))] = random.choice(SIZES)
        case 1:
            tensor.data_type = random.choice((0, 1, 2, 6, 7, 8, 9, 10, 16, 17, 23, 99))
        case 2:
            tensor.raw_data = tensor.raw_data[: random.randrange(len(tensor.raw_data) + 1)]
        case 3:
            tensor.raw_data = bytes(random.randrange(256) for _ in range(min(len(tensor.raw_data), 1000)))
        case _:
            tensor.dims.append(random.choice(SIZES))


def _external(random: Random, model: Any) -> None:
    tensor = random.choice(_graph(random, model).initializer)
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = 1
    places = (*mutate.PATHS, "weights.bin", "net.onnx", "bundle/config.yaml", "config.yaml")
    values = {"location": random.choice(places).replace("\x00", "")}
    if random.random() < 0.6:
        values["offset"] = str(random.choice((0, 1, -1, 4096, 2**63, "x", "")))
        values["length"] = str(random.choice((0, 1, -1, 9, 2**40, 2**63, "x")))
    for key, value in values.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _attribute(random: Random, model: Any) -> None:
    node = random.choice([node for node in _graph(random, model).node if node.attribute])
    attribute = random.choice(node.attribute)
    match random.randrange(7):
        case 0:
            attribute.name = random.choice(NAMES)
        case 1:
            attribute.i = random.choice(SIZES)
        case 2:
            attribute.ints[:] = [random.choice(SIZES) for _ in range(random.choice((0, 1, 2, 4, 1000)))]
        case 3:
            attribute.type = random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8))
        case 4:
            attribute.s = random.choice(NAMES).encode()
        case 5:
            node.attribute.remove(attribute)
        case _:
            attribute.ref_attr_name = "x"


def _repeat(random: Random, model: Any) -> None:
    graph = _graph(random, model)
    part = random.choice(
        (graph.node, graph.input, graph.output, graph.initializer, model.opset_import, model.functions)
    )
    one = type(random.choice(part))()
    one.CopyFrom(random.choice(part))
    part.extend([one] * random.choice((1, 2, 300)))


def _remove(random: Random, model: Any) -> None:
    graph = _graph(random, model)
    part = random.choice(
        (graph.node, graph.input, graph.output, graph.initializer, model.opset_import, model.functions)
    )
    del part[random.randrange(len(part))]


def _version(random: Random, model: Any) -> None:
    if random.random() < 0.5:
        model.ir_version = random.choice((0, 1, 3, 10, 99, 2**40, -1))
    else:
        random.choice(model.opset_import).version = random.choice((0, 1, 7, 11, 99, 2**40, -1))


def _metadata(random: Random, model: Any) -> None:
    entry = random.choice((model.metadata_props, model.graph.metadata_props)).add()
    entry.key, entry.value = random.choice(NAMES), random.choice(mutate.TEXTS).encode("utf-8", "ignore").decode()
    model.producer_name, model.doc_string = random.choice(NAMES), random.choice(NAMES)


def _nest(random: Random, model: Any) -> None:
    """Graphs within graphs within graphs."""
    from onnx import TensorProto, helper

    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "g", [], [])
    for depth in range(random.choice((3, 8, 22))):
        node = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner if depth < 3 else None)
        output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
        inner = helper.make_graph([node], "g", [], [output])
    model.graph.node.extend(inner.node)


def _recursive_function(random: Random, model: Any) -> None:
    """A function that calls itself, or another that calls it."""
    from onnx import helper

    calls = helper.make_node("Twice", ["a"], ["b"], domain="mine")
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    model.functions.append(
        helper.make_function("mine", random.choice(("Twice", "Other")), ["a"], ["b"], [calls], opsets)
    )
    random.choice(model.graph.node).domain = "mine"


def _constant(random: Random, model: Any) -> None:
    """A number or a shape that something is made from."""
    from onnx import helper

    graph = _graph(random, model)
    values = [random.choice(SIZES) for _ in range(random.choice((1, 2, 4)))]
    made = helper.make_node("Constant", [], ["size"], value_ints=values)
    fills = helper.make_node(random.choice(("ConstantOfShape", "RandomNormal")), ["size"], ["filled"])
    graph.node.insert(0, fills)
    graph.node.insert(0, made)
    random.choice(graph.output).name = "filled"


_CHANGES = (
    *(_rename, _rewire, _operator, _dimension, _type, _weight, _external, _external, _attribute, _repeat, _remove),
    *(_version, _metadata, _nest, _recursive_function, _constant),
)
