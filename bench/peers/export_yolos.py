"""The networks that bench_engines.py lacks, in an environment with ultralytics 8.4 and onnx: export_yolos.py FOLDER

From Ultralytics' own descriptions, with a free batch and random weights, which cost an engine what trained ones do as long as numbers
neither die out nor explode: their variance lasts through the layers (He et al., "Delving Deep into Rectifiers", 2015).
SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import sys

from torch import nn
from ultralytics import YOLO

SIZES_PX = {"yolov8n": 640, "yolov8s": 640, "yolov8n-seg": 640, "yolov8n-pose": 640, "yolov8n-cls": 224, "yolov8n-obb": 640}


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, size_px in SIZES_PX.items():
        made = YOLO(f"{name}.yaml")
        for layer in made.model.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.weight.shape != (1, 16, 1, 1):  # that one is DFL's: 0 to 15
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        shutil.move(made.export(format="onnx", imgsz=size_px, dynamic=True), os.path.join(sys.argv[1], f"{name}-dynamic.onnx"))


main()
