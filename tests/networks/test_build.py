"""A config node becomes a network, or an error that says which key is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from compiler.errors import CompileError
from compiler.networks import build


@pytest.fixture
def node(model):
    return OmegaConf.to_container(model("rtmpose-t").network, resolve=True)


def test_the_network_is_ready_for_inference(node):
    network = build(node)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_composed_config_and_a_plain_mapping_give_the_same_network(model, node):
    composed, plain = build(model("rtmpose-t").network), build(node)
    assert composed.state_dict().keys() == plain.state_dict().keys()


def test_the_node_is_left_as_it_was(node):
    before = OmegaConf.create(node)
    build(node)
    assert OmegaConf.create(node) == before


def test_rebuilding_gives_a_network_of_the_same_weights_after_loading(node):
    first, second = build(node), build(node)
    second.load_state_dict(first.state_dict(), strict=True)
    image = torch.rand(1, 3, 256, 192)
    for one, other in zip(first(image), second(image), strict=True):
        assert torch.equal(one, other)


class WithoutConstructor(nn.Module):
    pass


class WithAnyKey(nn.Module):
    def __init__(self, width, **others):
        super().__init__()
        self.others = others


def test_a_class_needs_no_more_than_it_names():
    assert isinstance(build({"_target_": f"{__name__}.WithoutConstructor"}), WithoutConstructor)
    assert build({"_target_": f"{__name__}.WithAnyKey", "width": 4, "depth": 2}).others == {"depth": 2}
    with pytest.raises(CompileError, match="the network cannot be built") as caught:
        build({"_target_": f"{__name__}.WithoutConstructor", "depth": 2})
    assert "takes no argument 'depth'" in caught.value.why
    with pytest.raises(CompileError, match="the network cannot be built") as caught:
        build({"_target_": f"{__name__}.WithAnyKey", "depth": 2})
    assert "needs the argument 'width'" in caught.value.why


@pytest.mark.parametrize(
    ("path", "value", "where", "said"),
    [
        ("head.in_chanels", 384, "network.head.in_chanels", "did you mean in_channels"),
        ("head.in_channels", None, "network.head.in_channels", "needs the argument"),
        ("backbone._target_", "compiler.networks.backbones.cspnext.CSPNext", "network.backbone._target_", "CSPNeXt"),
        ("backbone._target_", "compiler.networks.nowhere.CSPNeXt", "network.backbone._target_", "nowhere"),
        ("backbone._target_", "CSPNeXt", "network.backbone._target_", "full path"),
        ("backbone._target_", ".cspnext.CSPNeXt", "network.backbone._target_", "full path"),
        ("backbone.arch", "P7", "network.backbone", "P5, P6"),
        ("backbone.frozen_stages", 2, "network.backbone.frozen_stages", "no argument 'frozen_stages'"),
        ("backbone.out_indices", 4, "network.backbone", "not iterable"),
        ("head.gau_cfg.attn_type", "cross-attn", "network.head", "attn_type"),
        ("neck", {"_target_": "os.system", "command": "true"}, "network.neck._target_", "no nn.Module"),
        ("_target_", None, "network", "no _target_"),
    ],
)
def test_a_wrong_key_is_named(node, path, value, where, said):
    config = OmegaConf.create(node)
    if value is None:
        parent, _, key = path.rpartition(".")
        (OmegaConf.select(config, parent) if parent else config).pop(key)
    else:
        OmegaConf.update(config, path, value, force_add=True)
    with pytest.raises(CompileError) as caught:
        build(config)
    assert caught.value.where == where
    assert said in str(caught.value)
    assert caught.value.fix


def test_importing_the_package_does_not_import_torch():
    code = "import sys, compiler.networks; sys.exit('torch' in sys.modules or 'hydra' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
