#!/usr/bin/env python3
"""Zeros around numbers below zero, and the maximum of what lies side by side: the end of yolov3-tiny's backbone.

In an environment with onnx 1.18 or later:  make_pad_before_pool.py PAD_BEFORE_POOL.ONNX
An engine that leaves the zeros to the pooling, where padding is never the maximum, is wrong at the edges.
SPDX-License-Identifier: Apache-2.0
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIDE = 7, 16  # px
weights = -np.random.default_rng(7).random((CHANNELS, 3, 1, 1), np.float32)
nodes = [
    helper.make_node("Conv", ["images", "weights"], ["maps"], "conv"),
    helper.make_node("Pad", ["maps", "pads", "zero"], ["padded"], "pad"),
    helper.make_node("MaxPool", ["padded"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[1, 1]),
    helper.make_node("Reshape", ["pooled", "shape"], ["output0"], "rows"),
]
constants = [numpy_helper.from_array(value, name) for name, value in (
    ("weights", weights), ("pads", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64)), ("zero", np.float32(0)),
    ("shape", np.array([1, CHANNELS, -1], np.int64)))]
graph = helper.make_graph(
    nodes, "pad_before_pool", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
    [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, CHANNELS, SIDE * SIDE])], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="serin")
onnx.checker.check_model(model, full_check=True)
onnx.save(model, sys.argv[1])
