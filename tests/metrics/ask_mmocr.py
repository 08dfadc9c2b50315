"""Ask MMOCR's own metrics what `tests/data/text_scores.json` holds, in an environment of its own.

    python -m venv /tmp/kit
    /tmp/kit/bin/pip install numpy scipy shapely rapidfuzz pyclipper
    pip download --no-deps mmocr==1.0.1 && unzip mmocr-1.0.1-*.whl -d /tmp/mmocr
    PYTHONPATH=. /tmp/kit/bin/python tests/metrics/ask_mmocr.py /tmp/mmocr

Of MMEngine and PyTorch the metrics need names alone.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np

from tests.metrics.text_images import WORDS, images

GOLDEN = Path(__file__).parents[1] / "data/text_scores.json"
LOOSE = {"match_iou_thr": 0.3, "ignore_precision_thr": 0.8}


class BaseMetric:
    """What the metrics need of MMEngine's: a list of results."""

    def __init__(self, *_: object, **__: object) -> None:
        self.results: list[dict] = []


def module(root: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, root / f"{name.replace('.', '/')}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def metrics(root: Path) -> tuple[ModuleType, ModuleType]:
    """Return the modules of both metrics."""
    registry = SimpleNamespace(register_module=lambda: lambda kind: kind)
    engine = MagicMock(is_seq_of=lambda values, kind: all(isinstance(one, kind) for one in values))
    for name in ("mmengine", "mmengine.logging", "mmengine.utils", "mmocr", "mmocr.utils.check_argument"):
        sys.modules[name] = engine
    sys.modules["mmocr.utils.typing_utils"] = MagicMock()
    sys.modules["mmocr.utils"] = MagicMock()
    sys.modules["mmengine.evaluator"] = SimpleNamespace(BaseMetric=BaseMetric)
    sys.modules["mmocr.registry"] = SimpleNamespace(METRICS=registry)
    sys.modules["torch"] = SimpleNamespace(Tensor=type("Tensor", (), {}))
    sys.modules["mmocr.evaluation.functional"] = module(root, "mmocr.evaluation.functional.hmean")
    sys.modules["mmocr.utils"] = module(root, "mmocr.utils.polygon_utils")
    return module(root, "mmocr.evaluation.metrics.hmean_iou_metric"), module(
        root, "mmocr.evaluation.metrics.recog_metric"
    )


def detected(detection: ModuleType, **settings: object) -> dict[str, float]:
    metric = detection.HmeanIOUMetric(**settings)
    for true, found in images():
        truth = {
            "polygons": [np.array(polygon).ravel() for polygon, _ in true],
            "ignored": np.array([ignored for _, ignored in true]),
        }
        texts = {"polygons": [np.array(polygon).ravel() for polygon, _ in found], "scores": [one for _, one in found]}
        metric.process([], [{"gt_instances": truth, "pred_instances": texts}])
    return {key: float(value) for key, value in metric.compute_metrics(metric.results).items()}


def read(metric: BaseMetric) -> dict[str, float]:
    samples = [{"gt_text": {"item": truth}, "pred_text": {"item": found}} for truth, found in WORDS]
    metric.process([], samples)
    return metric.compute_metrics(metric.results)


def main() -> None:
    """Write what MMOCR says."""
    detection, recognition = metrics(Path(sys.argv[1]))
    modes = ["exact", "ignore_case", "ignore_case_symbol"]
    said = {
        "vanilla": detected(detection),
        "max_matching": detected(detection, strategy="max_matching"),
        "finer": detected(detection, pred_score_thrs={"start": 0.3, "stop": 1, "step": 0.05}),
        "loose": detected(detection, **LOOSE),
        "loose_max_matching": detected(detection, **LOOSE, strategy="max_matching"),
        "words": read(recognition.WordMetric(mode=modes)),
        "characters": read(recognition.CharMetric()),
        "distance": read(recognition.OneMinusNEDMetric()),
    }
    GOLDEN.write_text(json.dumps(said, indent=1) + "\n")
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
