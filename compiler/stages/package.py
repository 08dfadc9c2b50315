"""The bundle: a folder that stands on its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from compiler.artifact import Engine, copy_files, files_in, write_text
from compiler.config import CompileConfig
from compiler.config.plain_yaml import dump_yaml
from compiler.mmdeploy import write_sdk_files
from compiler.proof.recording import RECORDED_FILE
from compiler.report import Report, write_report
from compiler.runtime import CONFIG_FILE
from compiler.stages.stage import DONE, Artifact, Stage
from compiler.tasks import AnyTask

LOG_FILE = "compile.log"


@dataclass(frozen=True)
class Package(Stage):
    """Everything that opening, running and judging an engine needs, in one folder.

    Attributes:
        config: What was compiled; written in full.
        task: Pre- and post-processing.
        engine: What was built.
        proof: The proof, with its pictures and its recording.
        report: What the run found out.
        log: Of the run.
    """

    NAME: ClassVar[str] = "package"

    config: CompileConfig
    task: AnyTask
    engine: Artifact
    proof: Artifact
    report: Report
    log: Path = field(compare=False)

    def run(self, folder: Path) -> str:
        """Write the bundle, all of it but the lock."""
        files = files_in(self.engine.folder)
        del files[DONE]  # the cache's record, not the engine's
        copy_files(files, folder)
        write_text(folder / CONFIG_FILE, config_yaml(self.config))
        write_sdk_files(folder, self.config, self.task, Engine.load(self.engine.folder))
        recorded = [RECORDED_FILE] if (self.proof.folder / RECORDED_FILE).is_file() else []
        copy_files({name: self.proof.folder / name for name in (*self.report.pictures, *recorded)}, folder)
        write_report(folder, self.report)
        shutil.copyfile(self.log, folder / LOG_FILE)
        return f"{sum(1 for path in folder.rglob('*') if path.is_file())} files"


def config_yaml(config: CompileConfig) -> str:
    """The whole config as YAML, in which every text is itself."""
    return dump_yaml(config.values)
