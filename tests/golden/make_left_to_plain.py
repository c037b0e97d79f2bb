#!/usr/bin/env python3
"""A detector of which oneDNN's engine could compute nothing fast: its one convolution is quantized dynamically.

In an environment with onnx 1.18 or later:  make_left_to_plain.py LEFT_TO_PLAIN.ONNX
ConvInteger of 49 million multiply-adds, as `quantize_dynamic` of ONNX Runtime writes it, and pooling behind it.
SPDX-License-Identifier: Apache-2.0
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FIELDS, SIDE = 7, 512  # a box and three classes; px
weights = np.random.default_rng(7).integers(0, 256, (FIELDS, 3, 3, 3), np.uint8)
nodes = [
    helper.make_node("DynamicQuantizeLinear", ["images"], ["bytes", "scale", "zero"], "bytes"),
    helper.make_node("ConvInteger", ["bytes", "weights", "zero", "middle"], ["sums"], "conv_quant", pads=[1, 1, 1, 1]),
    helper.make_node("Cast", ["sums"], ["numbers"], "cast", to=TensorProto.FLOAT),
    helper.make_node("Mul", ["numbers", "small"], ["maps"], "rescale"),
    helper.make_node("AveragePool", ["maps"], ["pooled"], "pool", kernel_shape=[8, 8], strides=[8, 8]),
    helper.make_node("Sigmoid", ["pooled"], ["scores"], "sigmoid"),
    helper.make_node("Reshape", ["scores", "shape"], ["output0"], "rows"),
]
constants = [numpy_helper.from_array(value, name) for name, value in (
    ("weights", weights), ("middle", np.uint8(128)), ("small", np.float32(1e-5)), ("shape", np.array([1, FIELDS, -1], np.int64)))]
graph = helper.make_graph(
    nodes, "left_to_plain", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
    [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, FIELDS, SIDE // 8 * SIDE // 8])], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="serin")
helper.set_model_props(model, {"names": "{0: 'a', 1: 'b', 2: 'c'}", "task": "detect", "stride": "8", "imgsz": f"[{SIDE}, {SIDE}]"})
onnx.checker.check_model(model, full_check=False)
onnx.save(model, sys.argv[1])
