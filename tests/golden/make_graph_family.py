#!/usr/bin/env python3
"""The family of YOLOs as small ONNX files, for graph_models_test: nothing of it is kept in the repository.

In an environment with ultralytics 8.4, onnx and onnxruntime:

    make_graph_family.py FOLDER
    build/tests/graph_models_test --size 96 FOLDER/*.onnx          (those with half: --tolerance 2e-3)

Networks are built from Ultralytics' own descriptions and get random weights whose variance lasts through the layers (He
et al., "Delving Deep into Rectifiers", 2015), so that a fault in one layer is seen at the end. YOLO12's attention makes
of a rounding some percent of its scores with such weights (ONNX Runtime's optimised and plain forms differ as much),
and in a head that sorts (-end2end) equal scores change places: these two are compared with what was trained.
SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from ultralytics import YOLO

SIZES = ["yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"]
TASKS = ["-seg", "-pose", "-cls", "-obb"]
FORMS = {
    "static": dict(), "dynamic": dict(dynamic=True), "raw": dict(simplify=False), "opset12": dict(opset=12),
    "half": dict(half=True),
}
rng = np.random.default_rng(3)


def revive(path):
    model = onnx.load(path)
    weights = {node.input[1] for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm")}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.name in weights and array.ndim > 1 and array.shape != (1, 16, 1, 1):  # that one is DFL's: 0 to 15
            scale = np.sqrt(2 / np.prod(array.shape[1:]))
            tensor.CopyFrom(numpy_helper.from_array((rng.normal(0, scale, array.shape)).astype(array.dtype), tensor.name))
    onnx.save(model, path)


def export(folder, name, form):
    path = os.path.join(folder, f"{name}-{form}.onnx")
    shutil.move(YOLO(name + ".yaml").export(format="onnx", imgsz=96, **FORMS[form]), path)
    revive(path)


os.makedirs(sys.argv[1], exist_ok=True)
for name in SIZES:
    for form in FORMS:
        export(sys.argv[1], name, form)
for name in SIZES[1:2] + SIZES[4:]:
    for task in TASKS:
        export(sys.argv[1], name + task, "static")
