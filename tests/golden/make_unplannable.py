#!/usr/bin/env python3
"""A detector that reads well and cannot be planned: the shape of its answer is computed from the pixels.

In an environment with onnx 1.18 or later:  make_unplannable.py UNPLANNABLE.ONNX
Pooling and one convolution stand for the network. Its answer goes through a Reshape to [B, 7, -1] whose 7 is
7 + 0 * the largest pixel: ONNX Runtime learns it as it runs, and who plans before there is a picture cannot. Batch,
height and width are free, so that opening alone makes no plan.
SPDX-License-Identifier: Apache-2.0
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FIELDS = 7  # a box and three classes
weights = np.random.default_rng(7).normal(0, 0.1, (FIELDS, 3, 1, 1)).astype(np.float32)
nodes = [
    helper.make_node("AveragePool", ["images"], ["pooled"], "pool", kernel_shape=[8, 8], strides=[8, 8]),
    helper.make_node("Conv", ["pooled", "weights"], ["maps"], "conv"),
    helper.make_node("Sigmoid", ["maps"], ["scores"], "sigmoid"),
    helper.make_node("ReduceMax", ["images"], ["largest"], "largest", keepdims=0),
    helper.make_node("Mul", ["largest", "zero"], ["nothing"], "nothing"),
    helper.make_node("Cast", ["nothing"], ["nothing64"], "cast", to=TensorProto.INT64),
    helper.make_node("Add", ["usual_shape", "nothing64"], ["shape"], "shape"),
    helper.make_node("Reshape", ["scores", "shape"], ["output0"], "by_the_picture"),
]
constants = [numpy_helper.from_array(value, name) for name, value in (
    ("weights", weights), ("zero", np.float32(0)), ("usual_shape", np.array([0, FIELDS, -1], np.int64)))]
graph = helper.make_graph(
    nodes, "unplannable",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
    [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", FIELDS, "anchors"])], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="serin")
helper.set_model_props(model, {"names": "{0: 'a', 1: 'b', 2: 'c'}", "task": "detect", "stride": "8", "imgsz": "[64, 64]"})
onnx.checker.check_model(model, full_check=False)
onnx.save(model, sys.argv[1])
