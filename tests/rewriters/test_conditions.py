import pytest

from rewriters import Conditions, RewriterError, Target

TARGET = Target("onnxruntime", algo="simcc", opset=18, versions={"onnxruntime": "1.31.0", "torch": "2.13.0.dev1"})


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        (Conditions(), ""),
        (Conditions(backends={"onnxruntime", "tensorrt"}), ""),
        (Conditions(backends={"tensorrt"}), "backend is onnxruntime, not tensorrt"),
        (Conditions(backends={"tensorrt", "ncnn"}), "backend is onnxruntime, not ncnn or tensorrt"),
        (Conditions(irs={"torchscript"}), "IR is onnx, not torchscript"),
        (Conditions(precisions={"int8"}), "precision is fp32, not int8"),
        (Conditions(algos={"dbnet"}), "algo is simcc, not dbnet"),
        (Conditions(opsets=">=17,<19"), ""),
        (Conditions(opsets="<18"), "opset is 18, not <18"),
        (Conditions(versions={"onnxruntime": ">=1.20"}), ""),
        (Conditions(versions={"onnxruntime": "<1.20"}), "onnxruntime is 1.31.0, not <1.20"),
        (Conditions(versions={"torch": ">=2.12"}), ""),
        (Conditions(versions={"openvino": ">=2026"}), "the version of openvino is unknown, and >=2026 is needed"),
    ],
)
def test_the_first_condition_that_is_not_met_is_the_reason(conditions, reason):
    assert conditions.unmet(TARGET) == reason


def test_a_target_without_an_algo_says_so():
    assert Conditions(algos={"dbnet"}).unmet(Target("onnxruntime")) == "algo is not set, not dbnet"


def test_specificity_counts_the_conditions_and_not_the_names_in_them():
    assert Conditions().specificity == 0
    assert Conditions(backends={"a", "b", "c"}, opsets=">=18").specificity == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backends": "tensorrt"}, "takes a set of names"),
        ({"algos": set()}, "algos is empty"),
        ({"precisions": {8}}, "takes a set of names"),
        ({"opsets": "eighteen"}, "not a version specifier"),
        ({"opsets": 18}, "not a version specifier"),
        ({"versions": {"torch": "new"}}, r"versions\['torch'\]"),
        ({"versions": {}}, "versions is empty"),
    ],
)
def test_a_wrong_condition_is_an_error_at_once(wrong, message):
    with pytest.raises(RewriterError, match=message):
        Conditions(**wrong)
