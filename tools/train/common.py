"""What the training scripts share: a quiet, repeatable, offline ultralytics.
SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "0")
os.environ.setdefault("YOLO_VERBOSE", "true")

import onnx  # noqa: E402
import torch  # noqa: E402
from ultralytics import YOLO  # noqa: E402

SEED = 8


def train(model, out, threads, **options):
    """Trains model (a YAML or weights file) and returns the path of the last epoch's weights (averaged over the run)."""
    torch.set_num_threads(threads)
    settings = dict(device="cpu", seed=SEED, deterministic=True, amp=False, plots=False, workers=0, cache="ram", val=False,
                    pretrained=str(model).endswith(".pt"), project=str(out.parent.resolve()), name=out.name, exist_ok=True, verbose=False)
    settings.update(options)
    yolo = YOLO(str(model), task=settings.pop("task", None))
    yolo.train(**settings)
    return out / "weights" / "last.pt"


def export(weights, target, **options):
    """Exports weights as ONNX, opset 17, to target. Changed afterwards: the description, which would name a local path, and the
    inferred shapes of inner values, which are a quarter of such a small file and which a runtime infers again."""
    settings = dict(format="onnx", opset=17, simplify=True, device="cpu")
    settings.update(options)
    made = pathlib.Path(YOLO(str(weights)).export(**settings))
    model = onnx.load(made)
    for entry in model.metadata_props:
        if entry.key == "description":
            entry.value = f"Ultralytics {pathlib.Path(target).stem} model trained on Serin's example data"
    del model.graph.value_info[:]
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target)
    made.unlink()
    return target
