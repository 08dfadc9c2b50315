"""OpenMMLab's config files, read without running them: what is read, what is refused, and where."""

import os
from pathlib import Path

import pytest

from compiler.errors import CompileError, ExitCode
from compiler.openmmlab.reader import read_config


@pytest.fixture
def read(tmp_path: Path):
    """Write a config, with files beside it, and read it."""

    def write_and_read(text: str, name: str = "config.py", packages=None, **files: str) -> dict:
        for stem, content in files.items():
            (tmp_path / f"{stem}.py").write_text(content)
        (tmp_path / name).write_text(text)
        return read_config(tmp_path / name, packages)

    return write_and_read


def refused(read, text: str, *expected: str, **files: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        read(text, **files)
    for part in expected:
        assert part in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("dict(type='ResNet', depth=50)", {"type": "ResNet", "depth": 50}),
        ("{'a.b': [1, (2, None)], 3: True}", {"a.b": [1, (2, None)], 3: True}),
        ("{3, 1, 2}", [1, 2, 3]),
        ("dict([('a', 1)], b=2, **{'c': 3})", {"a": 1, "b": 2, "c": 3}),
        ("{**dict(a=1), 'a': 2}", {"a": 2}),
        ("[0, *range(1, 3), *'ab']", [0, 1, 2, "a", "b"]),
        ("0.5 * 3 + 7 // 2 - 2**3 % 5", 1.5 + 3 - 3),
        ("[1] * 3 + [2]", [1, 1, 1, 2]),
        ("-1e-3", -0.001),
        ("1 < 2 <= 2 != 3 and not 3 in [3]", False),
        ("0 or 'x' and []", []),
        ("'small' if 1 > 2 else 'large'", "large"),
        ("list(range(6))[1:-1:2]", [1, 3]),
        ("f'{1 + 1}-{0.5:.2f}-{\"x\"!r}'", "2-0.50-'x'"),
        ("'{}/{1}/{name:>3}'.format('a', 'b', name='c')", "a/b/  c"),
        ("'-'.join(x.upper() for x in ['a', 'b'] if x != 'a')", "B"),
        ("{f's{i}': i**2 for i in range(2)}", {"s0": 0, "s1": 1}),
        ("[(i, j) for i in range(2) for j in range(i)]", [(1, 0)]),
        ("max(len('abc'), int('2'), round(1.6), abs(-1), sum([1, 1]))", 3),
        ("sorted([3, 1], reverse=True)", [3, 1]),
        ("list(zip('ab', enumerate([5, 6])))", [("a", (0, 5)), ("b", (1, 6))]),
        ("sum([[1], [2]], [])", [1, 2]),
    ],
)
def test_an_expression_has_the_value_that_python_gives_it(read, expression, value):
    assert read(f"value = {expression}") == {"value": value}


@pytest.mark.parametrize(
    ("statements", "values"),
    [
        ("a = b = 1", {"a": 1, "b": 1}),
        ("a, (b, c) = 1, [2, 3]", {"a": 1, "b": 2, "c": 3}),
        ("a: int = 1", {"a": 1}),
        ("a = 2\na *= 3", {"a": 6}),
        ("a = b = [1]\na += [2]", {"a": [1, 2], "b": [1, 2]}),
        ("a = dict(b=[1, 2])\na['b'][0] = 5\ndel a['b'][1]", {"a": {"b": [5]}}),
        ("a = [1]\na.append(2)\nb = a.pop(0)", {"a": [2], "b": 1}),
        ("a = dict()\na.update(b=1)\na.update(dict(c=2))", {"a": {"b": 1, "c": 2}}),
        ("a = []\nfor i in range(3):\n    a.append(i)", {"a": [0, 1, 2], "i": 2}),
        ("if 1 > 2:\n    a = 1\nelif True:\n    a = 2\nelse:\n    pass", {"a": 2}),
        ("a = 1\ndel a\nb = 2", {"b": 2}),
        ("'''A config.'''\n__private = 1\n_kept = 2", {"_kept": 2}),
    ],
)
def test_statements_leave_their_names_behind(read, statements, values):
    if values is None:
        refused(read, statements, "this is no Python")
    else:
        assert read(statements) == values


def test_an_import_that_is_not_used_is_ignored_and_one_that_is_used_is_refused(read):
    assert read("import os\nfrom mmengine.config import Config\ndepth = 50") == {"depth": 50}
    error = refused(
        read, "import os.path as osp\n\nroot = osp.join('a', 'b')", "config.py:3", "osp is imported (line 1)"
    )
    assert "Config.fromfile(" in error.fix
    assert ".dump('mine.py')" in error.fix
    assert error.exit_code == ExitCode.USAGE


def test_custom_imports_are_a_value_like_any_other(read):
    text = "custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)\ndefault_scope = 'mmpose'"
    assert read(text)["custom_imports"]["imports"] == ["no_such_module"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("from mmengine.config import read_base\nwith read_base():\n    from .base import *", "a with statement"),
        ("from mmdet.models import *", "everything of a module is imported"),
        ("def model():\n    return 1", "a function definition"),
        ("class Model:\n    pass", "a class definition"),
        ("scale = lambda x: x", "a lambda"),
        ("x = (y := 1)", "an assignment expression"),
        ("while True:\n    pass", "a while loop"),
        ("try:\n    x = 1\nexcept:\n    pass", "a try statement"),
        ("x = open('/etc/passwd')", "open() is not called"),
        ("x = __import__('os')", "__import__() is not called"),
        ("x = eval('1')", "eval() is not called"),
        ("x = print", "the name print has no value here"),
        ("x = __file__", "the name __file__ has no value here"),
        ("x = [].__class__", "__class__ is an attribute of a list"),
        ("x = ''.__class__.__mro__", "__class__ is an attribute of a str"),
        ("x = '{0.__class__}'.format(1)", "is more than a name or a position"),
        ("x = 'a'.encode()", "the method encode of a str"),
        ("x = dict(a=1)['a']()", "is called"),
        ("x = '%s' % 1", "text is not formatted with %"),
        ("x = dict(a=1).a", "a is an attribute of a dict"),
        ("x = b'1'", "the type bytes"),
        ("x = 1j", "the type complex"),
        ("x = ...", "the type ellipsis"),
        ("x = undefined", "the name undefined has no value here"),
    ],
)
def test_what_only_running_would_tell_is_refused_with_its_line(read, text, why):
    line = 2 if text.startswith("from mmengine") else 1
    refused(read, text, f"config.py:{line}", why)


@pytest.mark.parametrize(
    "text", ["x = 1 / 0", "x = [1][2]", "x = dict(a=1)['b']", "x = 1 + 'a'", "x = {[]: 1}", "x = int('a')"]
)
def test_a_mistake_is_named_as_python_names_it(read, text):
    refused(read, f"y = 1\n{text}", "this line could not be run even by Python", "config.py:2", "Error: ")


def test_a_file_that_is_no_python_is_refused_with_its_line(read):
    refused(read, "a = 1\nb = = 2", "config.py:2", "this is no Python")


class TestBases:
    def test_the_child_stands_over_its_base(self, read):
        base = "model = dict(type='A', neck=dict(depth=1, width=2), scales=[dict(a=1)])"
        child = "_base_ = './base.py'\nmodel = dict(neck=dict(depth=3), scales=[dict(b=2)])"
        merged = {"type": "A", "neck": {"depth": 3, "width": 2}, "scales": [{"b": 2}]}
        assert read(child, base=base) == {"model": merged}

    def test_delete_replaces_a_dictionary_of_the_base(self, read):
        base = "model = dict(neck=dict(type='FPN', depth=1))"
        assert read("_base_ = ['base.py']\nmodel = dict(neck=dict(_delete_=True, type='PAFPN'))", base=base) == {
            "model": {"neck": {"type": "PAFPN"}}
        }

    def test_delete_stays_where_the_base_has_nothing_to_delete(self, read):
        # As MMEngine leaves it: its builder then complains of the key.
        assert read("_base_ = 'base.py'\nneck = dict(_delete_=True, a=1)", base="") == {
            "neck": {"_delete_": True, "a": 1}
        }

    def test_several_bases_may_not_share_a_key(self, read):
        assert read("_base_ = ['one.py', 'two.py']", one="a = 1", two="b = 2") == {"a": 1, "b": 2}
        refused(read, "_base_ = ['one.py', 'two.py']", "two bases both have a", one="a = 1", two="a = 2")

    def test_a_dictionary_does_not_merge_into_something_else(self, read):
        refused(
            read,
            "_base_ = 'base.py'\na = dict(b=dict(c=1))",
            "a.b is a dictionary here and a int",
            base="a = dict(b=1)",
        )
        assert read("_base_ = 'base.py'\na = dict(_delete_=True, b=1)", base="a = 1") == {"a": {"b": 1}}

    def test_values_of_a_base_are_read_as_attributes(self, read):
        child = (
            "_base_ = 'base.py'\nmodel = dict(depth=_base_.sizes.depth * 2, same={{ _base_.sizes }})\ndel _base_.gone"
        )
        base = "sizes = dict(depth=1)\ngone = 1"
        assert read(child, base=base) == {"sizes": {"depth": 1}, "model": {"depth": 2, "same": {"depth": 1}}}
        refused(read, "_base_ = 'base.py'\nx = _base_.size", "no size here; did you mean sizes?", base=base)
        refused(read, "_base_ = 'base.py'\nx = {{_base_.sizes.width}}", "no base has the key sizes.width", base=base)

    def test_a_placeholder_inside_a_longer_text_is_refused(self, read):
        refused(read, "_base_ = 'base.py'\nx = 'data/{{_base_.root}}'", "inside a longer text", base="root = 'a'")

    def test_a_dictionary_of_a_base_merges_when_it_is_updated_and_a_dictionary_of_the_file_does_not(self, read):
        base = "model = dict(neck=dict(a=1, b=2))"
        child = "_base_ = 'base.py'\nmodel = _base_.model\nmodel.update(dict(neck=dict(a=3)))\nmodel.pop('missing')"
        assert read(child, base=base) == {"model": {"neck": {"a": 3, "b": 2}}}
        assert read("model = dict(neck=dict(a=1, b=2))\nmodel.update(dict(neck=dict(a=3)))") == {
            "model": {"neck": {"a": 3}}
        }
        refused(read, "model = dict()\nmodel.pop('missing')", "KeyError")

    def test_what_is_set_on_a_base_holds(self, read):
        base = "loader = dict(dataset=dict(pipeline=[]))\nsteps = [dict(at=1)]"
        child = "_base_ = 'base.py'\n_base_.loader.dataset.pipeline = [dict(type='Load')]\n_base_.steps[0].at = 2"
        assert read(child, base=base) == {"loader": {"dataset": {"pipeline": [{"type": "Load"}]}}, "steps": [{"at": 2}]}

    def test_bases_have_bases(self, read):
        assert read("_base_ = 'one.py'\nc = 3", one="_base_ = 'two.py'\nb = 2", two="a = b = 1") == {
            "a": 1,
            "b": 2,
            "c": 3,
        }

    def test_the_place_of_a_refusal_is_in_the_base(self, read):
        refused(read, "_base_ = 'base.py'", "base.py:2", base="a = 1\nb = open('x')")

    def test_a_base_of_another_package_is_found_in_its_configs(self, read, tmp_path):
        configs = tmp_path / "elsewhere"
        configs.mkdir()
        (configs / "model.py").write_text(
            "model = dict(type='A', neck=dict(type='B'))\nhooks = dict(timer=dict(type='C'))"
        )
        child = "_base_ = 'mmdet::model.py'"
        assert read(child, packages={"mmdet": configs}) == {
            "model": {"type": "A", "neck": {"type": "B"}, "_scope_": "mmdet"},
            "hooks": {"timer": {"type": "C", "_scope_": "mmdet"}},
        }
        refused(read, child, "mmdet, which is not installed here")

    def test_an_installed_package_is_found_and_not_imported(self, read, tmp_path, monkeypatch):
        package = tmp_path / "site/mmlab"
        (package / ".mim/configs").mkdir(parents=True)
        (package / "__init__.py").write_text("raise AssertionError('imported')")
        (package / ".mim/configs/base.py").write_text("depth = 50")
        monkeypatch.syspath_prepend(tmp_path / "site")
        assert read("_base_ = 'mmlab::base.py'") == {"depth": 50}


class TestPlaceholders:
    def test_the_file_is_named(self, read, tmp_path):
        text = "a = '{{ fileDirname }}/x'\nb = '{{fileBasename}}'\nc = '{{ fileBasenameNoExtension }}{{fileExtname}}'"
        assert read(text) == {"a": f"{tmp_path}/x", "b": "config.py", "c": "config.py"}

    def test_the_environment_is_read(self, read, monkeypatch):
        monkeypatch.setenv("CLASSES", "3")
        monkeypatch.delenv("MISSING", raising=False)
        assert read("a = {{'$CLASSES:80'}}\nb = '{{$MISSING:data}}/x'") == {"a": 3, "b": "data/x"}
        refused(read, "a = {{$MISSING:}}", "MISSING is not set and has no default")


class TestDumps:
    CONFIG = "model = dict(depth=50, out=[1, 2.5])\nname = None"
    VALUES = {"model": {"depth": 50, "out": [1, 2.5]}, "name": None}  # noqa: RUF012

    def test_json_and_yaml_hold_the_same(self, read):
        assert read(self.CONFIG) == self.VALUES
        assert read('{"model": {"depth": 50, "out": [1, 2.5]}, "name": null}', name="config.json") == self.VALUES
        assert read("model: {depth: 50, out: [1, 2.5]}\nname: null", name="config.yaml") == self.VALUES

    def test_they_have_bases_too(self, read):
        text = '{"_base_": "base.py", "model": {"depth": 101, "copy": {{ _base_.model.depth }}}}'
        assert read(text, name="config.json", base="model = dict(depth=50)") == {"model": {"depth": 101, "copy": 50}}

    def test_the_tuples_and_references_that_mmengine_writes_are_read(self, read):
        text = "scale: &id001 !!python/tuple [1, 2]\nsame: *id001"
        assert read(text, name="config.yml") == {"scale": (1, 2), "same": (1, 2)}

    def test_nothing_is_made_from_yaml(self, read, tmp_path):
        mark = tmp_path / "mark"
        with pytest.raises(CompileError, match="cannot be parsed"):
            read(f"x: !!python/object/apply:os.mkdir ['{mark}']", name="config.yaml")
        assert not mark.exists()

    def test_a_list_is_no_config(self, read):
        with pytest.raises(CompileError, match="a config is a dictionary"):
            read("[1, 2]", name="config.json")


def test_no_file_is_run(read, tmp_path):
    mark = tmp_path / "mark"
    for text in (
        f"import pathlib\npathlib.Path('{mark}').touch()",
        f"x = __import__('os').mkdir('{mark}')",
        f"x = open('{mark}', 'w')",
        f"exec(\"open('{mark}', 'w')\")",
        f"x = [c for c in ().__class__.__base__.__subclasses__()]\nx[0]('{mark}')",
        f"class A:\n    open('{mark}', 'w')",
        f"_base_ = open('{mark}', 'w')",
        f"def f(x=open('{mark}', 'w')):\n    pass",
        f"x = f\"{{open('{mark}', 'w')}}\"",
    ):
        refused(read, text)
        assert not mark.exists()


def test_a_reserved_key_is_refused(read):
    assert read("file_name = 1") == {"file_name": 1}
    refused(read, "filename = 1", "the key filename is MMEngine's own")


def test_a_missing_file_and_another_kind_of_file_are_refused(tmp_path):
    with pytest.raises(CompileError, match="there is no such file"):
        read_config(tmp_path / "missing.py")
    with pytest.raises(CompileError, match=r"ends in one of \.py"):
        read_config(tmp_path / "config.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_refused(tmp_path):
    path = tmp_path / "config.py"
    path.touch(mode=0)
    with pytest.raises(CompileError, match="the file cannot be read"):
        read_config(path)
