#!/usr/bin/env python3
"""Make the other forms of the miniature detector: the same weights behind other inputs and outputs.
SPDX-License-Identifier: Apache-2.0

    variants.py RUNS/detect/weights/last.pt OUT

All have batch 1 and 160 x 160 pixels.
  detect-fp16.onnx      half precision throughout, inputs and outputs too; metadata args say half: True
  detect-uint8in.onnx   the input is u8 1x3xHxW; the graph casts and divides by 255
  detect-v5.onnx        the output is laid out as YOLOv5's: 1 x anchors x (4 + 1 + classes); see v5()
  detect-nms.onnx       non-maximum suppression inside, as ultralytics exports it: 1 x 300 x (x1 y1 x2 y2 score class)
"""
import argparse
import pathlib
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

import common

SIZE = 160


def finish(model, path):
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def say_half(model):
    for entry in model.metadata_props:
        if entry.key == "args":
            entry.value = entry.value[:-1] + ", 'half': True}"


def uint8_input(model):
    graph = model.graph
    wanted = graph.input[0]
    inner = wanted.name + "_0_to_1"
    for node in graph.node:
        node.input[:] = [inner if name == wanted.name else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), "full_scale"))
    graph.node.insert(0, helper.make_node("Cast", [wanted.name], ["images_float"], "cast_input", to=TensorProto.FLOAT))
    graph.node.insert(1, helper.make_node("Div", ["images_float", "full_scale"], [inner], "divide_input"))
    wanted.type.tensor_type.elem_type = TensorProto.UINT8


def v5(model):
    """YOLOv8 has no objectness and ultralytics no longer exports YOLOv5's own head, so one is defined here: objectness is the
    highest class score and each class score is divided by it. The product of the two, which is what a reader of YOLOv5 output
    computes, is then the original class score, and the class of an anchor is the original one."""
    graph = model.graph
    out = graph.output[0]
    rows, anchors = [d.dim_value for d in out.type.tensor_type.shape.dim][1:]
    constants = {"four": np.array([4], np.int64), "zero": np.array([0], np.int64), "rows": np.array([rows], np.int64),
                 "axis": np.array([2], np.int64), "tiny": np.array(1e-7, np.float32)}
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, f"v5_{name}"))
    v8 = "v8_" + out.name
    for node in graph.node:
        node.output[:] = [v8 if name == out.name else name for name in node.output]
        node.input[:] = [v8 if name == out.name else name for name in node.input]
    graph.node.extend([
        helper.make_node("Transpose", [v8], ["v5_rows_last"], "v5_transpose", perm=[0, 2, 1]),
        helper.make_node("Slice", ["v5_rows_last", "v5_zero", "v5_four", "v5_axis"], ["v5_boxes"], "v5_boxes"),
        helper.make_node("Slice", ["v5_rows_last", "v5_four", "v5_rows", "v5_axis"], ["v5_scores"], "v5_scores"),
        helper.make_node("ReduceMax", ["v5_scores"], ["v5_objectness"], "v5_objectness", axes=[2], keepdims=1),
        helper.make_node("Max", ["v5_objectness", "v5_tiny"], ["v5_divisor"], "v5_divisor"),
        helper.make_node("Div", ["v5_scores", "v5_divisor"], ["v5_classes"], "v5_classes"),
        helper.make_node("Concat", ["v5_boxes", "v5_objectness", "v5_classes"], [out.name], "v5_output", axis=2),
    ])
    dims = out.type.tensor_type.shape.dim
    dims[1].dim_value, dims[2].dim_value = anchors, rows + 1
    for entry in model.metadata_props:
        if entry.key == "head":
            model.metadata_props.remove(entry)
            break


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        base = common.export(a.weights, pathlib.Path(folder) / "detect.onnx", imgsz=SIZE)
        half = convert_float_to_float16(onnx.load(base), keep_io_types=False)
        say_half(half)
        finish(half, a.out / "detect-fp16.onnx")
        for name, edit in (("uint8in", uint8_input), ("v5", v5)):
            model = onnx.load(base)
            edit(model)
            finish(model, a.out / f"detect-{name}.onnx")
    common.export(a.weights, a.out / "detect-nms.onnx", imgsz=SIZE, nms=True, conf=0.25, iou=0.7)


if __name__ == "__main__":
    main()
