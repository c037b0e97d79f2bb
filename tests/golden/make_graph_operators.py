#!/usr/bin/env python3
"""One small model an operator, and what ONNX Runtime makes of it: graph_operators.ndjson for src/engine/graph_test.c.

In an environment with onnx 1.18 or later and onnxruntime:  make_graph_operators.py GRAPH_OPERATORS.NDJSON CORPUS-FOLDER
A line is {"name", "model" (the ONNX file, in hex), "inputs", "outputs"}, each a list of {"shape", "values"}; or, where
a graph must refuse the model, "error": what its sentence must have in it. The models that are no larger than
600 bytes become seeds of the fuzz target, too, one of each operator.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import onnxruntime

rng = np.random.default_rng(5)
lines, seeds = [], {}
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8}


def f32(*shape):
    return rng.normal(0, 1, shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def f16(*shape):
    return f32(*shape).astype(np.float16)


def bits(low, high, *shape, type=np.uint8):
    return rng.integers(low, high, shape).astype(type)


def build(nodes, inputs, constants, outputs, opset, typed):
    def value(name, array):
        return helper.make_tensor_value_info(name, TYPES[str(array.dtype)], array.shape)

    initializers = []
    for key, array in constants.items():
        if typed and array.dtype != np.float16:  # the values in float_data, int64_data ...
            initializers.append(helper.make_tensor(key, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape,
                                                   array.flatten().tolist()))
        else:
            initializers.append(numpy_helper.from_array(array, key))
    graph = helper.make_graph(nodes, "g", [value(k, v) for k, v in inputs.items()],
                              [helper.make_empty_tensor_value_info(name) for name in outputs], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 21 else 10)


def infer_outputs(model, inputs, outputs):
    """Outputs need a type; their shape is left free."""
    shaped = onnx.shape_inference.infer_shapes(model)
    types = {v.name: v.type.tensor_type.elem_type for v in list(shaped.graph.value_info) + list(shaped.graph.output)}
    for output in model.graph.output:
        element = types.get(output.name) or TensorProto.FLOAT
        output.CopyFrom(helper.make_tensor_value_info(output.name, element, None))


def values(array):
    if array.dtype == np.float32:
        return [float(np.format_float_scientific(x, unique=True)) if np.isfinite(x) else str(x) for x in array.flatten()]
    return [int(x) for x in array.flatten()]


def describe(array):
    return {"shape": list(array.shape), "values": values(array)}


def case(name, nodes, inputs, constants=None, outputs=("y",), opset=17, typed=False, error=None, expected=None):
    if isinstance(nodes, onnx.NodeProto):
        nodes = [nodes]
    model = build(nodes, inputs, constants or {}, outputs, opset, typed)
    infer_outputs(model, inputs, outputs)
    line = {"name": name, "model": model.SerializeToString().hex()}
    line["inputs"] = [describe(array) for array in inputs.values()]
    if error:
        line["error"] = error
    else:
        if expected is None:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
            expected = session.run(list(outputs), inputs)
        line["outputs"] = [describe(np.asarray(array)) for array in expected]
    lines.append(json.dumps(line, separators=(",", ":")))
    if model.ByteSize() <= 600:
        seeds.setdefault(nodes[-1].op_type if not error else name, model.SerializeToString())


def node(op, inputs, outputs=("y",), **attributes):
    name = "n" if outputs == ("y",) else "n " + outputs[0]
    return helper.make_node(op, list(inputs), list(outputs), name=name, **attributes)


def as_float(op, inputs, name, type=TensorProto.FLOAT, **attributes):
    """For operators of integers and truths: their inputs come as floats, their output leaves as one."""
    nodes, given = [], []
    for i, array_type in enumerate(inputs):
        nodes.append(helper.make_node("Cast", [f"x{i}"], [f"c{i}"], to=array_type))
        given.append(f"c{i}")
    nodes.append(helper.make_node(op, given, ["r"], **attributes))
    nodes.append(helper.make_node("Cast", ["r"], ["y"], to=type))
    return nodes


# ---- convolutions ----
for title, x, w, b, attributes in [
    ("plain", (2, 3, 5, 6), (4, 3, 3, 3), True, dict(pads=[1, 1, 1, 1])),
    ("stride", (1, 3, 7, 7), (4, 3, 3, 3), True, dict(pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])),
    ("uneven", (1, 2, 6, 7), (2, 2, 2, 3), True, dict(pads=[0, 1, 1, 0], strides=[1, 2], dilations=[2, 1])),
    ("depthwise", (1, 4, 5, 5), (4, 1, 3, 3), True, dict(pads=[1, 1, 1, 1], group=4)),
    ("groups", (1, 4, 4, 4), (6, 2, 1, 1), False, dict(group=2)),
    ("same upper", (1, 1, 5, 6), (2, 1, 3, 2), False, dict(auto_pad="SAME_UPPER", strides=[2, 2])),
    ("same lower", (1, 1, 6, 5), (2, 1, 2, 3), False, dict(auto_pad="SAME_LOWER", strides=[2, 1])),
    ("valid", (1, 1, 5, 5), (1, 1, 3, 3), False, dict(auto_pad="VALID")),
    ("wide pad", (1, 1, 2, 2), (1, 1, 3, 3), False, dict(pads=[4, 3, 2, 5])),
]:
    constants = {"w": f32(*w)}
    if b:
        constants["b"] = f32(w[0])
    case("Conv " + title, node("Conv", ["x", *constants], **attributes), {"x": f32(*x)}, constants,
         typed=title == "plain")
case("Conv fp16 weights", [node("Cast", ["w"], ["v"], to=1), node("Conv", ["x", "v"])], {"x": f32(1, 2, 3, 3)},
     {"w": f16(2, 2, 2, 2)})
for title, x, w, attributes in [
    ("2x2", (1, 3, 3, 4), (3, 2, 2, 2), dict(strides=[2, 2])),
    ("overlap", (1, 2, 3, 3), (2, 3, 3, 3), dict(strides=[2, 1], pads=[1, 0, 0, 1], output_padding=[1, 0])),
    ("groups", (2, 4, 2, 3), (4, 1, 3, 2), dict(group=2, dilations=[2, 1])),
]:
    case("ConvTranspose " + title, node("ConvTranspose", ["x", "w", "b"], **attributes), {"x": f32(*x)},
         {"w": f32(*w), "b": f32(w[1] * attributes.get("group", 1))})
case("ConvInteger", [node("ConvInteger", ["x", "w", "xz", "wz"], ["r"], pads=[1, 1, 1, 1]), node("Cast", ["r"], to=1)],
     {"x": bits(0, 256, 1, 2, 4, 4)}, {"w": bits(0, 256, 3, 2, 3, 3), "xz": np.uint8(131), "wz": np.uint8(120)})

# ---- products ----
case("MatMul", node("MatMul", "ab"), {"a": f32(3, 4), "b": f32(4, 5)})
case("MatMul stack", node("MatMul", "ab"), {"a": f32(2, 1, 3, 4), "b": f32(3, 4, 2)})
case("MatMulInteger", [node("MatMulInteger", ["x", "w", "xz", "wz"], ["r"]), node("Cast", ["r"], to=1)],
     {"x": bits(0, 256, 3, 5)}, {"w": bits(-128, 128, 5, 4, type=np.int8), "xz": np.uint8(7), "wz": np.int8(-3)})
case("MatMulInteger columns", [node("MatMulInteger", ["x", "w", "xz", "wz"], ["r"]), node("Cast", ["r"], to=1)],
     {"x": bits(0, 256, 2, 3)}, {"w": bits(0, 256, 3, 2), "xz": np.uint8(7), "wz": bits(0, 256, 2)})
case("Gemm", node("Gemm", "abc", alpha=.5, beta=2.0, transB=1), {"a": f32(2, 3)}, {"b": f32(4, 3), "c": f32(4)})
case("Gemm transposed", node("Gemm", "abc", transA=1), {"a": f32(3, 2)}, {"b": f32(3, 4), "c": f32(2, 1)})
case("BatchNormalization", node("BatchNormalization", "xsbmv", epsilon=1e-3), {"x": f32(2, 3, 2, 2)},
     {"s": f32(3), "b": f32(3), "m": f32(3), "v": np.abs(f32(3))})

# ---- pools and resizing ----
case("MaxPool", node("MaxPool", "x", kernel_shape=[5, 5], pads=[2, 2, 2, 2]), {"x": f32(1, 2, 6, 5)})
case("MaxPool stride", node("MaxPool", "x", kernel_shape=[2, 3], strides=[2, 2]), {"x": f32(1, 1, 5, 7)})
case("MaxPool ceil", node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {"x": f32(1, 1, 6, 8)})
case("AveragePool", node("AveragePool", "x", kernel_shape=[2, 2], count_include_pad=1), {"x": f32(1, 2, 4, 4)})
case("AveragePool pad", node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), {"x": f32(1, 1, 4, 5)})
case("AveragePool pad counted", node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 0, 1, 0], strides=[2, 2],
                                     count_include_pad=1), {"x": f32(1, 1, 5, 5)})
case("AveragePool ceil", node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
     {"x": f32(1, 1, 5, 5)})
case("GlobalAveragePool", node("GlobalAveragePool", "x"), {"x": f32(2, 3, 4, 3)})
case("GlobalMaxPool", node("GlobalMaxPool", "x"), {"x": f32(2, 3, 4, 3)})
for coordinate in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]:
    for mode, nearest in [("nearest", "floor"), ("nearest", "ceil"), ("nearest", "round_prefer_floor"),
                          ("nearest", "round_prefer_ceil"), ("linear", "floor")]:
        if mode == "nearest" and coordinate == "align_corners" and nearest != "round_prefer_ceil":
            continue
        sizes = (7, 3) if nearest == "ceil" else (8, 10)
        case(f"Resize {coordinate} {mode} {nearest}",
             node("Resize", ["x", "", "", "s"], coordinate_transformation_mode=coordinate, mode=mode,
                  nearest_mode=nearest), {"x": f32(1, 2, 4, 5)}, {"s": i64(1, 2, *sizes)})
case("Resize scales", node("Resize", "xrs", mode="nearest", coordinate_transformation_mode="asymmetric",
                           nearest_mode="floor"), {"x": f32(1, 1, 3, 2)}, {"r": f32(0), "s": np.float32([1, 1, 2, 2])}, opset=11)
case("Resize scale that rounds", node("Resize", ["x", "", "s"], mode="linear"), {"x": f32(1, 1, 10, 10)},
     {"s": np.float32([1, 1, .7, 1.26])})

# ---- softmax, reductions, order ----
case("Softmax", node("Softmax", "x", axis=1), {"x": f32(2, 5, 3)})
case("Softmax default", node("Softmax", "x"), {"x": f32(2, 3, 4) * 30})
case("Softmax flattened", node("Softmax", "x", axis=1), {"x": f32(2, 3, 4)}, opset=12)
for op in ["ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum"]:
    if op != "ReduceSum":
        case(op + " axes", node(op, "x", axes=[-1], keepdims=0), {"x": f32(2, 3, 4)}, opset=11)
    case(op + " all", node(op, "x"), {"x": f32(2, 3)}, opset=13)
    case(op + " input", node(op, "xa", keepdims=1), {"x": f32(2, 3, 2, 4)}, {"a": i64(0, 2)}, opset=18)
case("ReduceMax int64", node("ReduceMax", "xa", keepdims=0), {"x": i64(-3, 7, 2, 9).reshape(2, 2)}, {"a": i64(1)}, opset=18)
case("ArgMax", node("ArgMax", "x", axis=-1, keepdims=0), {"x": f32(2, 3, 5)})
case("ArgMax ties", node("ArgMax", "x", axis=1), {"x": np.float32([[1, 3, 3, 2, 3]])})
case("ArgMax last", node("ArgMax", "x", axis=1, select_last_index=1), {"x": np.float32([[1, 3, 3, 2, 3, 0]])})
case("TopK", node("TopK", "xk", "vy", axis=1), {"x": f32(2, 9)}, {"k": i64(4)}, "vy")
case("TopK ties", node("TopK", "xk", "vy"), {"x": np.float32([[2, 1, 2, 3, 1, 3, 2]])}, {"k": i64(5)}, "vy")
case("TopK smallest", node("TopK", "xk", "vy", axis=1, largest=0), {"x": f32(2, 5, 2)}, {"k": i64(3)}, "vy")
case("TopK int64", node("TopK", "xk", "vy"), {"x": i64(5, 2, 2**60, 2**60 + 1)}, {"k": i64(2)}, "vy")

# ---- moving ----
case("Concat", node("Concat", "abc", axis=1), {"a": f32(2, 1, 3), "b": f32(2, 4, 3), "c": f32(2, 2, 3)})
case("Concat last", node("Concat", "ab", axis=-1), {"a": f32(2, 3), "b": f32(2, 1)})
case("Split sizes", node("Split", "xs", "abc", axis=1), {"x": f32(2, 6, 2)}, {"s": i64(1, 3, 2)}, "abc")
case("Split attribute", node("Split", "x", "ab", axis=-1, split=[1, 3]), {"x": f32(2, 4)}, {}, "ab", opset=12)
case("Split equal", node("Split", "x", "ab", axis=0), {"x": f32(4, 2)}, {}, "ab")
case("Split last is less", node("Split", "x", "abc", axis=1, num_outputs=3), {"x": f32(1, 7)}, {}, "abc", opset=18)
for title, begin, end, axes, steps in [
    ("middle", [1], [3], [1], [1]), ("negative", [-3, -2], [-1, 2**62], [2, 0], [1, 1]),
    ("backwards", [-1, 2**62], [-100, 0], [1, 2], [-1, -2]), ("wide step", [0], [2**63 - 1], [2], [3]),
    ("empty", [3], [1], [1], [1]), ("one backwards", [2], [1], [1], [-1]),
]:
    case("Slice " + title, node("Slice", "xbeas"), {"x": f32(2, 4, 5)},
         {"b": i64(*begin), "e": i64(*end), "a": i64(*axes), "s": i64(*steps)})
case("Slice without axes", node("Slice", "xbe"), {"x": f32(3, 4)}, {"b": i64(1, 0), "e": i64(3, 2)}, typed=True)
case("Pad", node("Pad", "xpv"), {"x": f32(1, 2, 3)}, {"p": i64(0, 1, 2, 1, 0, 1), "v": np.float32(.5)})
case("Pad cuts", node("Pad", "xp"), {"x": f32(3, 4)}, {"p": i64(-1, 1, 0, -2)})
case("Pad reflect", node("Pad", "xp", mode="reflect"), {"x": f32(1, 3, 4)}, {"p": i64(0, 2, 1, 0, 1, 3)})
case("Pad edge axes", node("Pad", ["x", "p", "", "a"], mode="edge"), {"x": f32(2, 3)}, {"p": i64(1, 2), "a": i64(-1)},
     opset=18)
case("Pad int64", node("Pad", "xpv"), {"x": i64(1, 2, 3)}, {"p": i64(1, 1), "v": np.int64(9)})
case("Reshape", node("Reshape", "xs"), {"x": f32(2, 3, 4)}, {"s": i64(0, -1)})
case("Reshape zero", node("Reshape", "xs", allowzero=1), {"x": f32(2, 3)}, {"s": i64(3, 2)})
case("Flatten", node("Flatten", "x", axis=2), {"x": f32(2, 3, 4)})
case("Flatten negative", node("Flatten", "x", axis=-1), {"x": f32(2, 3, 4)})
case("Squeeze", node("Squeeze", "xa"), {"x": f32(1, 3, 1, 2)}, {"a": i64(0)})
case("Squeeze all", node("Squeeze", "x"), {"x": f32(1, 3, 1, 2)})
case("Squeeze attribute", node("Squeeze", "x", axes=[-2]), {"x": f32(1, 3, 1, 2)}, opset=11)
case("Unsqueeze", node("Unsqueeze", "xa"), {"x": f32(3, 2)}, {"a": i64(0, -1)})
case("Unsqueeze attribute", node("Unsqueeze", "x", axes=[1]), {"x": f32(3, 2)}, opset=11)
case("Transpose", node("Transpose", "x", perm=[2, 0, 1]), {"x": f32(2, 3, 4)})
case("Transpose default", node("Transpose", "x"), {"x": f32(2, 3, 4)})
case("Expand", node("Expand", "xs"), {"x": f32(3, 1)}, {"s": i64(2, 1, 4)})
case("Tile", node("Tile", "xr"), {"x": f32(2, 3)}, {"r": i64(2, 3)})
case("Gather", node("Gather", "xi", axis=1), {"x": f32(2, 4, 3), "i": i64(3, -1, 0, -4).reshape(2, 2)})
case("Gather one", node("Gather", "xi"), {"x": f32(3, 2)}, {"i": np.int64(1)})
case("GatherElements", node("GatherElements", "xi", axis=1), {"x": f32(2, 4), "i": i64(3, -1, 0, 2, 1, -2).reshape(2, 3)})
case("GatherND", node("GatherND", "xi"), {"x": f32(3, 4, 2), "i": i64(2, 1, 0, -1).reshape(2, 2)})
case("GatherND batch", node("GatherND", "xi", batch_dims=1), {"x": f32(2, 3, 2), "i": i64(1, 2).reshape(2, 1)})

# ---- elements ----
for op, attributes in [("Sigmoid", {}), ("Relu", {}), ("LeakyRelu", dict(alpha=.1)), ("LeakyRelu", {}),
                       ("HardSigmoid", {}), ("HardSigmoid", dict(alpha=.3, beta=.6)), ("HardSwish", {}),
                       ("Elu", dict(alpha=1.5)), ("Softplus", {}), ("Tanh", {}), ("Erf", {}), ("Exp", {}), ("Sin", {}),
                       ("Cos", {}), ("Neg", {}), ("Abs", {}), ("Floor", {}), ("Ceil", {}), ("Reciprocal", {})]:
    case(op + (" set" if attributes else ""), node(op, "x", **attributes), {"x": f32(3, 5) * 3})
case("Round", node("Round", "x"), {"x": np.float32([-2.5, -1.5, -.5, .5, 1.5, 2.5, .4999, 7.7])})
case("Mish", node("Mish", "x"), {"x": f32(3, 5) * 10}, opset=18)
for op in ["Log", "Sqrt"]:
    case(op, node(op, "x"), {"x": np.abs(f32(3, 5)) + np.float32(.01)})
case("Clip", node("Clip", ["x", "a", "b"]), {"x": f32(8)}, {"a": np.float32(-.5), "b": np.float32(.7)})
case("Clip above", node("Clip", ["x", "", "b"]), {"x": f32(8)}, {"b": np.float32(.1)})
case("Neg int64", node("Neg", "x"), {"x": i64(1, -2, 0, 2**62)})
case("Abs int64", node("Abs", "x"), {"x": i64(1, -2, 0, -2**62)})
case("Not", as_float("Not", [TensorProto.BOOL], "Not"), {"x0": np.float32([0, 1, -2])})
for op in ["Add", "Sub", "Mul", "Div"]:
    case(op, node(op, "ab"), {"a": f32(2, 1, 3), "b": f32(4, 1)})
    case(op + " int64", node(op, "ab"), {"a": i64(-7, 7, 2**40, -1), "b": i64(2, -2, 3, -1)})
case("Pow", node("Pow", "ab"), {"a": np.abs(f32(2, 3)), "b": f32(3)})
case("Min", node("Min", "ab"), {"a": f32(2, 3), "b": f32(3)})
case("Max", node("Max", "ab"), {"a": f32(2, 3), "b": f32(2, 1)})
case("Mod", node("Mod", "ab"), {"a": i64(7, -7, 7, -7, 6, 5), "b": i64(3, 3, -3, -3, -2, -1)})
case("Mod fmod", node("Mod", "ab", fmod=1), {"a": f32(6) * 5, "b": f32(6)})
case("Mod fmod int64", node("Mod", "ab", fmod=1), {"a": i64(7, -7, 7, -7), "b": i64(3, 3, -3, -3)})
case("PRelu", node("PRelu", "ab"), {"a": f32(2, 3, 2)}, {"b": f32(3, 1)})
truths = {"x0": np.float32([0, 0, 1, 1]), "x1": np.float32([0, 1, 0, 1])}
for op in ["And", "Or"]:
    case(op, as_float(op, [TensorProto.BOOL] * 2, op), truths)
for op in ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]:
    case(op, as_float(op, [TensorProto.FLOAT] * 2, op), {"x0": np.float32([1, 2, 2, 3]), "x1": np.float32([2])})
    case(op + " int64", as_float(op, [TensorProto.INT64] * 2, op), {"x0": np.float32([1, 2, 2, 3]), "x1": np.float32([2])})
case("Where", [node("Cast", "c", "d", to=9), node("Where", "dab")],
     {"c": np.float32([[1], [0]]), "a": f32(3), "b": f32(2, 1, 3)})
numbers = np.float32([-1.7, -1.2, -.5, 0, .5, 1.5, 2.7, 100.2])
for type in ["INT64", "INT32", "BOOL"]:
    case("Cast " + type, [node("Cast", "x", "c", to=getattr(TensorProto, type)), node("Cast", "c", to=1)], {"x": numbers})
case("Cast uint8", node("Cast", "x", to=1), {"x": bits(0, 256, 6)})
case("Cast to fp16 and back", [node("Cast", "x", "c", to=10), node("Cast", "c", to=1)],
     {"x": numbers.round(0)})

# ---- quantisation ----
halves = np.float32([-3.5, -2.5, -.5, .5, 1.5, 2.5, 200, -300, 130.2, 60])
for title, zero in [("uint8", np.uint8(128)), ("int8", np.int8(-5))]:
    case("QuantizeLinear " + title, [node("QuantizeLinear", "xsz", "q"), node("Cast", "q", to=1)], {"x": halves},
         {"s": np.float32(1), "z": zero})
case("QuantizeLinear channels", [node("QuantizeLinear", "xsz", "q", axis=1), node("DequantizeLinear", "qsz", axis=1)],
     {"x": f32(2, 3, 2) * 50}, {"s": np.float32([.5, .25, 1]), "z": np.uint8([100, 128, 3])})
case("DequantizeLinear int8", node("DequantizeLinear", "qsz", axis=0), {},
     {"q": bits(-128, 128, 3, 4, type=np.int8), "s": np.float32([.1, .2, .3]), "z": np.int8([0, 0, 0])})
case("DequantizeLinear int32", node("DequantizeLinear", "qs"), {}, {"q": bits(-999, 999, 5, type=np.int32), "s": np.float32(.01)})
case("DynamicQuantizeLinear", [node("DynamicQuantizeLinear", "x", "qsz"), node("Cast", "q", to=1),
                               helper.make_node("Cast", ["z"], ["w"], to=1)], {"x": f32(3, 5)}, {}, "ysw")
case("DynamicQuantizeLinear of zeros", [node("DynamicQuantizeLinear", "x", "qsz"), node("Cast", "q", to=1)],
     {"x": np.zeros(4, np.float32)}, {}, "ys")

# ---- what is constant ----
case("shapes", [node("Shape", "x", "s"), node("Gather", ["s", "i"], "h"), node("Range", ["o", "h", "l"], "r"),
                node("Cast", "r", "f", to=1), node("Add", ["f", "x"])], {"x": f32(2, 5)},
     {"i": np.int64(1), "o": np.int64(0), "l": np.int64(1)})
case("Shape part", [helper.make_node("Shape", ["x"], ["y"], start=-2, end=9)], {"x": f32(2, 5, 3)})
case("Range floats", [node("Range", "abc", "r"), node("Add", "rx")], {"x": f32(1)},
     {"a": np.float32(3), "b": np.float32(.5), "c": np.float32(-.75)})
case("ConstantOfShape", [node("ConstantOfShape", "s", "c", value=helper.make_tensor("", 1, [1], [2.5])), node("Mul", "cx")],
     {"x": f32(3)}, {"s": i64(2, 3)})
case("ConstantOfShape default", [node("ConstantOfShape", "s", "c"), node("Add", "cx")], {"x": f32(3)}, {"s": i64(2, 3)})
case("Constant", [node("Constant", [], "c", value_floats=[1.0, 2.0]), node("Constant", [], "d", value_float=3.0),
                  node("Mul", "cd", "e"), node("Mul", "ex")], {"x": f32(2)})
case("Constant int64", [node("Constant", [], "c", value_ints=[1, -1]), node("Reshape", "xc")], {"x": f32(2, 3)})
case("Identity and Dropout", [node("Identity", "x", "a"), node("Dropout", "a", "b"), node("Identity", "b")], {"x": f32(4)})
case("an output is a constant", [node("Add", "ab"), helper.make_node("Neg", ["x"], ["z"])], {"x": f32(2)},
     {"a": f32(3), "b": f32(3)}, "yz")
case("a chain", [node("Abs", "x", "a"), node("Sigmoid", "a", "b"), node("Neg", "b")], {"x": f32(50)})
case("out of order", [node("Neg", "b"), node("Sigmoid", "a", "b"), node("Abs", "x", "a")], {"x": f32(5)})
case("dead nodes", [node("Exp", "x", "d"), node("Neg", "d", "e"), node("Abs", "x")], {"x": f32(3)})

# ---- what must be refused ----
x = {"x": f32(2, 3)}
case("NonZero", node("NonZero", "x"), x, error="node 'n': the operator NonZero is not known here")
case("size of the data", [node("ArgMax", "x", "i", axis=1, keepdims=0), node("Expand", "xi")], {"x": f32(2, 2)},
     error="node 'n' (Expand): input 1 is not known before the picture is")
case("range of the data", [node("ReduceMax", "x", "m", keepdims=0), node("Range", ["z", "m", "o"])], x,
     {"z": np.float32(0), "o": np.float32(1)}, error="node 'n' (Range): what it makes is only known when")
case("cubic", node("Resize", ["x", "", "s"], mode="cubic"), x, {"s": np.float32([2, 2])},
     error="the attribute 'mode' is 'cubic': known are nearest linear")
case("noop axes", node("ReduceSum", "x", noop_with_empty_axes=1), x, error="'noop_with_empty_axes' is not at its default")
case("index beyond", node("Gather", "ci"), x, {"c": f32(2), "i": i64(2)}, error="node 'n' (Gather): index 2 of 2")
case("integer by 0", node("Div", "ab"), x, {"a": i64(1), "b": i64(0)}, error="divided by 0")
case("no fit", node("Add", "xb"), x, {"b": f32(2)}, error="node 'n' (Add): 2x3 and 2 do not fit each other")
case("channels", node("Conv", "xw"), {"x": f32(1, 3, 4, 4)}, {"w": f32(2, 2, 1, 1)}, error="3 channels in 1 groups")
case("window", node("MaxPool", "x", kernel_shape=[9, 9]), {"x": f32(1, 1, 4, 4)}, error="a window of 9 on 4")
case("huge", node("Expand", "xs"), x, {"s": i64(2**20, 2**20, 2, 3)}, error="the limit is 4294967296 bytes")
case("huge constant", node("ConstantOfShape", "s"), x, {"s": i64(2**10, 2**15)}, error="beyond 67108864 bytes")
case("one-dimensional", node("Conv", "xw"), {"x": f32(1, 3, 4)}, {"w": f32(2, 3, 1)}, error="input 0 has 3 dimensions: known is 4")
case("double", node("Cast", "x", to=11), x, error="the type double, number 11, is not known here")
for scale in (0, np.nan, np.inf, 1e-45, -.5):
    case(f"a scale of {scale}", [node("QuantizeLinear", "xsz", "q"), node("DequantizeLinear", "qsz")], x,
         {"s": np.float32(scale), "z": np.uint8(0)},
         error=f"node 'n q' (QuantizeLinear): scale 1 of 1 is {float(np.float32(scale)):g}: it has to be finite")
case("a scale of a channel", node("DequantizeLinear", "qsz", axis=0), {},
     {"q": bits(-128, 128, 3, 4, type=np.int8), "s": np.float32([.1, 0, .3]), "z": np.int8([0, 0, 0])},
     error="node 'n' (DequantizeLinear): scale 2 of 3 is 0: it has to be finite and above 1.17549e-38")
case("unknown attribute", node("Abs", "x", speed=3), x, error="the attribute 'speed' is not known here")
case("opset", node("Abs", "x"), x, opset=10, error="opset 10: known are 11 to 24")

with open(sys.argv[1], "w") as out:
    out.write("\n".join(lines) + "\n")
os.makedirs(sys.argv[2], exist_ok=True)
for name, model in seeds.items():
    with open(os.path.join(sys.argv[2], name.replace(" ", "-").lower()), "wb") as out:
        out.write(model)
print(len(lines), "cases,", len(seeds), "seeds")
