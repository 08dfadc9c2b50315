"""The first run of an ONNX file in the process of the test: nobody's files but our own and onnx's."""

from __future__ import annotations

import json
from pathlib import Path

from compiler.graphs.trial import REQUEST, Trial, write_answer


class TrialHere(Trial):
    """Costs two seconds less than a process of its own."""

    def _start(self, folder: Path) -> int:
        write_answer(folder, json.loads((folder / REQUEST).read_text(encoding="utf-8")))
        return 0
