"""Where the modules are, and how torch runs."""

import os
import sys
import tempfile
from pathlib import Path

# transformers keeps its copies of loaders here.
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp()
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Sources" / "LeanKTransformers"), str(ROOT / "Fixtures" / "Generators")]

import torch
import transformers

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()


torch.set_grad_enabled(False)
