"""What configs of an earlier layout say is understood: classes that moved, and the tail that became a rewriter."""

from dataclasses import asdict, replace

import pytest
from omegaconf import OmegaConf

from compiler.artifact import write_json
from compiler.cli import plan
from compiler.config import compose
from compiler.config.moved import MOVED, PLUGIN, PLUGIN_BACKEND, PLUGIN_REWRITER, present_config, present_target
from compiler.config.search import config_loader
from compiler.errors import UsageError
from compiler.events import Warned
from compiler.networks import with_tail
from compiler.pipeline.job import read_job
from compiler.pipeline.stages import select_rewriters
from compiler.runtime import read_config
from compiler.tasks import build_task
from rewriters import discover
