#!/usr/bin/env python3
"""Random networks of the kinds that YOLOs are made of: seeds for fuzz_engine_plan.c, or thousands for a long run.

    make_engine_plan_seeds.py FOLDER [COUNT [FIRST-SEED]]      needs onnx 1.18 or later

The tree's own are those of COUNT 24, and some with heads. For a long run: 2000 of them elsewhere, then build/tests/fuzz/replay_engine_plan
FOLDER, of a build with sanitizers. Weights are zeros, since the target overwrites them.
SPDX-License-Identifier: Apache-2.0
"""
import os
import random
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = [1, 2, 3, 4, 5, 8, 15, 16, 16, 16, 17, 24, 32, 32, 32, 48]

HEADS = [302, 340, 576, 577]  # of the tree: in these a row that is needed and left out shows


class Network:
    def __init__(self, seed, sides=(4, 6, 8, 9)):
        self.random = random.Random(seed)
        self.nodes, self.constants, self.shapes, self.order, self.used = [], [], {}, [], set()
        self.inputs = []
        batch = self.random.choice([1, 1, 2, 3])
        side = self.random.choice(sides)
        for i in range(self.random.choice([1, 1, 1, 2])):
            shape = [batch, self.random.choice(CHANNELS), side, side + i]
            self.inputs.append((self.value(shape, f"x{i}"), shape))

    def value(self, shape, name=None):
        name = name or f"v{len(self.shapes)}"
        self.shapes[name] = list(shape)
        self.order.append(name)
        return name

    def constant(self, shape, array=None):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.zeros(shape, np.float32) if array is None else array, name))
        return name

    def add(self, op, inputs, *shapes, **attributes):
        outputs = [self.value(shape) for shape in shapes]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"n{len(self.nodes)}", **attributes))
        self.used.update(inputs)
        return outputs[0]

    def pick(self, rank=4, like=None, test=None):
        found = [v for v in self.order if len(self.shapes[v]) == rank and (like is None or self.shapes[v] == like)
                 and (test is None or test(self.shapes[v]))]
        if not found:
            return None
        return self.random.choice(found[-4:] if self.random.random() < .7 else found)

    # ---- layers ----

    def conv(self, x=None):
        r = self.random
        x = x or self.pick()
        n, c, h, w = self.shapes[x]
        out, groups = r.choice(CHANNELS), 1
        if r.random() < .2:
            groups, out = c, c * r.choice([1, 1, 2])
        elif r.random() < .15 and c % 2 == 0:
            groups, out = 2, out * 2
        k, s, d = r.choice([(1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1), (5, 1, 1), (2, 2, 1), (3, 1, 2), (7, 3, 1)])
        k2 = k if r.random() < .85 else r.choice([1, 2, 3])
        pads = [k // 2 * d, k2 // 2 * d, k // 2 * d, k2 // 2 * d]
        if r.random() < .2:
            pads = [r.randrange(3) for _ in range(4)]
        shape = [n, out, (h + pads[0] + pads[2] - (k - 1) * d - 1) // s + 1, (w + pads[1] + pads[3] - (k2 - 1) * d - 1) // s + 1]
        if min(shape) < 1 or shape[2] > 20 or shape[3] > 20 or out > 64:
            return None
        inputs = [x, self.constant([out, c // groups, k, k2])] + ([self.constant([out])] if r.random() < .8 else [])
        y = self.add("Conv", inputs, shape, strides=[s, s], dilations=[d, d], pads=pads, group=groups, kernel_shape=[k, k2])
        if r.random() < .2:
            y = self.add("BatchNormalization", [y] + [self.constant([out]) for _ in range(4)], shape)
        if r.random() < .7:
            y = self.activation(y)
        if r.random() < .4:
            other = self.pick(like=shape)
            if other:
                y = self.add("Add", r.sample([y, other], 2), shape)
        return y

    def quantized(self):
        """A convolution of integers, as exporters and serin quantize write it."""
        r = self.random
        x = self.pick(test=lambda s: s[1] <= 64)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        out, k, groups = r.choice([3, 8, 16, 16, 32]), r.choice([1, 1, 3]), 1
        if r.random() < .2:
            out, groups = c, c
        type = r.choice([np.uint8, np.int8])

        def there_and_back(value, shape):
            scale = self.constant(None, np.array(r.choice([.01, .05, .3]), np.float32))
            zero = self.constant(None, np.array(r.choice([0, 0, 7]), type))
            q = self.add("QuantizeLinear", [value, scale, zero], shape)
            self.order.remove(q)  # of integers
            return self.add("DequantizeLinear", [q, scale, zero], shape)

        rng = np.random.default_rng(r.randrange(1 << 30))
        weights = self.constant(None, rng.integers(-127, 128, (out, c // groups, k, k)).astype(np.int8))
        many = () if r.random() < .3 else (out,)
        scales = [self.constant(None, np.full(many, .01, np.float32)), self.constant(None, np.zeros(many, np.int8))]
        inputs = [there_and_back(x, [n, c, h, w]), self.add("DequantizeLinear", [weights, *scales], [out, c // groups, k, k], axis=0)]
        self.order.remove(inputs[1])
        if r.random() < .7:
            inputs.append(self.constant([out]))
        shape = [n, out, h, w]
        y = self.add("Conv", inputs, shape, pads=[k // 2] * 4, kernel_shape=[k, k], group=groups)
        if r.random() < .6:
            y = self.activation(y)
        return there_and_back(y, shape) if r.random() < .7 else y

    def activation(self, x=None):
        x = x or self.pick(self.random.choice([3, 4, 4]))
        if not x:
            return None
        shape = self.shapes[x]
        kind = self.random.choice(["silu", "silu", "silu", "Sigmoid", "Relu", "LeakyRelu", "HardSwish", "hardswish", "Tanh", "Elu",
                                   "Mish", "Clip", "Softplus", "Neg", "Abs", "Exp6", "Erf"])
        if kind == "silu":
            return self.add("Mul", self.random.sample([x, self.add("Sigmoid", [x], shape)], 2), shape)
        if kind == "hardswish":
            return self.add("Mul", [x, self.add("HardSigmoid", [x], shape, alpha=1 / 6)], shape)
        if kind == "Clip":
            return self.add("Clip", [x, self.constant([], np.array(0, np.float32)), self.constant([], np.array(6, np.float32))], shape)
        if kind == "Exp6":
            return self.add("Exp", [self.add("Tanh", [x], shape)], shape)
        return self.add(kind, [x], shape)

    def binary(self):
        r = self.random
        rank = r.choice([3, 4, 4])
        x = self.pick(rank)
        if not x:
            return None
        shape = self.shapes[x]
        op = r.choice(["Add", "Add", "Mul", "Mul", "Sub", "Div", "Max", "Min"])
        other = self.pick(rank, like=shape) if r.random() < .6 and op != "Div" else None
        if not other:
            other = self.constant([d if r.random() < .5 else 1 for d in shape[r.randrange(rank):]])
        return self.add(op, r.sample([x, other], 2) if op not in ("Div", "Sub") else [x, other], shape)

    def concat(self):
        r = self.random
        x = self.pick()
        n, _, h, w = self.shapes[x]
        parts = [self.pick(test=lambda s: s[0] == n and s[2:] == [h, w]) for _ in range(r.choice([2, 2, 3, 4]))]
        channels = sum(self.shapes[p][1] for p in parts)
        if channels > 160:
            return None
        return self.add("Concat", parts, [n, channels, h, w], axis=1)

    def split(self):
        r = self.random
        x = self.pick(test=lambda s: s[1] > 1)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        first = c // 2 if c % 2 == 0 and r.random() < .6 else min(c - 1, r.choice([1, 3, 8, 16, 16]))
        if r.random() < .5:
            return self.add("Split", [x, self.constant(None, np.array([first, c - first], np.int64))],
                            [n, first, h, w], [n, c - first, h, w], axis=1)
        begin, end = r.choice([(0, first), (first, c), (r.randrange(c), c)])
        return self.add("Slice", [x] + [self.constant(None, np.array([v], np.int64)) for v in (begin, end, 1)],
                        [n, end - begin, h, w])

    def slice(self):
        x = self.pick(test=lambda s: s[2] > 3)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        begin, step = self.random.choice([(0, 2), (1, 2), (1, 1)])
        return self.add("Slice", [x] + [self.constant(None, np.array([v], np.int64)) for v in (begin, h, 2, step)],
                        [n, c, (h - begin + step - 1) // step, w])

    def pool(self):
        r = self.random
        x = self.pick(test=lambda s: min(s[2:]) >= 3)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        k, s, p = r.choice([(5, 1, 2), (2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 0), (3, 2, 0)])
        up = r.random() < .3
        out = [n, c] + [-(-(v + 2 * p - k) // s) + 1 if up else (v + 2 * p - k) // s + 1 for v in (h, w)]
        if up and any((out[2 + i] - 1) * s >= v + p for i, v in enumerate((h, w))) or min(out) < 1:
            return None
        if r.random() < .6:
            return self.add("MaxPool", [x], out, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4, ceil_mode=int(up))
        return self.add("AveragePool", [x], out, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4, ceil_mode=int(up),
                        count_include_pad=r.randrange(2))

    def resize(self):
        r = self.random
        x = self.pick(test=lambda s: max(s[2:]) <= 8)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        down, across = r.choice([(2, 2), (2, 2), (2, 2), (3, 3), (1, 2), (2, 1)])
        coordinate, nearest = r.choice([("asymmetric", "floor"), ("asymmetric", "round_prefer_floor"),
                                        ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"),
                                        ("half_pixel", "floor"), ("asymmetric", "ceil")])
        return self.add("Resize", [x, "", self.constant(None, np.array([1, 1, down, across], np.float32))],
                        [n, c, h * down, w * across], mode=r.choice(["nearest", "nearest", "nearest", "linear"]),
                        coordinate_transformation_mode=coordinate, nearest_mode=nearest)

    def transposed(self):
        r = self.random
        x = self.pick(test=lambda s: max(s[2:]) <= 8)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        out = r.choice([1, 3, 16, 16, 32])
        k, s, p = r.choice([(2, 2, 0), (2, 2, 0), (3, 2, 1), (3, 3, 0), (4, 2, 1), (1, 1, 0)])
        inputs = [x, self.constant([c, out, k, k])] + ([self.constant([out])] if r.random() < .6 else [])
        y = self.add("ConvTranspose", inputs, [n, out] + [(v - 1) * s - 2 * p + k for v in (h, w)], strides=[s, s], pads=[p] * 4)
        return self.activation(y) if r.random() < .5 else y

    def reshape(self):
        r = self.random
        x = self.pick(r.choice([3, 4, 4, 4]))
        if not x:
            return None
        shape = self.shapes[x]
        if len(shape) == 3:
            n, c, a = shape
            shape = r.choice([[n, c, 1, a], [n, 1, c, a], [n * c, 1, 1, a], [1, n * c, a, 1], [n, a, c]])
        else:
            n, c, h, w = shape
            wishes = [[n, c, h * w], [n, c * h, w], [n, h * w, c], [n, c, w, h], [n * c, 1, h, w], [1, n * c, h, w]]
            wishes += [[n * (c // k), k, h, w] for k in (2, 3, 4, 16) if c % k == 0]
            wishes += [[n * c // k, k, h, w] for k in (2, 3) if n * c % k == 0]
            shape = r.choice(wishes)
        return self.add("Reshape", [x, self.constant(None, np.array(shape, np.int64))], shape)

    def transpose(self):
        r = self.random
        x = self.pick(r.choice([3, 4]))
        if not x:
            return None
        order = list(range(len(self.shapes[x])))
        r.shuffle(order)
        return self.add("Transpose", [x], [self.shapes[x][i] for i in order], perm=order)

    def softmax(self):
        x = self.pick(self.random.choice([3, 4]))
        if not x:
            return None
        return self.add("Softmax", [x], self.shapes[x], axis=self.random.randrange(len(self.shapes[x])))

    def product(self):
        r = self.random
        x = self.pick(r.choice([3, 4]))
        if not x:
            return None
        shape = self.shapes[x]
        turned = shape[:-2] + [shape[-1], shape[-2]]
        if r.random() < .5:
            order = list(range(len(shape) - 2)) + [len(shape) - 1, len(shape) - 2]
            other = self.add("Transpose", [x], turned, perm=order)
            return self.add("MatMul", [x, other], shape[:-1] + [shape[-2]])
        out = r.choice([1, 7, 16])
        return self.add("MatMul", [x, self.constant(r.choice([[], [1] * (len(shape) - 2)]) + [shape[-1], out])], shape[:-1] + [out])

    def gemm(self):
        r = self.random
        x = self.pick()
        n, c, h, w = self.shapes[x]
        flat = self.add("Flatten", [x], [n, c * h * w])
        out = r.choice([1, 2, 3, 10])
        turned = r.randrange(2)
        bias = r.choice([[out], [1, out], [n, 1], [n, out], []])
        inputs = [flat, self.constant([out, c * h * w] if turned else [c * h * w, out])]
        if r.random() < .8:
            inputs.append(self.constant(bias))
        y = self.add("Gemm", inputs, [n, out], transB=turned, alpha=r.choice([1.0, 1.0, .5]))
        return self.add("Softmax", [y], [n, out], axis=1) if r.random() < .3 else y

    def reduce(self):
        r = self.random
        x = self.pick()
        n, c, h, w = self.shapes[x]
        if r.random() < .5:
            return self.add("GlobalAveragePool", [x], [n, c, 1, 1])
        return self.add(r.choice(["ReduceMean", "ReduceMax", "ReduceMin"]), [x], [n, 1, h, w], axes=[1], keepdims=1)

    def pad(self):
        x = self.pick(test=lambda s: max(s[2:]) <= 8)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        return self.add("Pad", [x, self.constant(None, np.array([0, 0, 1, 0, 0, 0, 0, 2], np.int64))], [n, c, h + 1, w + 2])

    def distribution(self, x=None):
        """DFL: boxes as expectations."""
        x = x or self.pick(test=lambda s: s[1] % 4 == 0 and s[1] >= 8)
        if not x:
            return None
        n, c, h, w = self.shapes[x]
        y = self.add("Reshape", [x, self.constant(None, np.array([n, 4, c // 4, h * w], np.int64))], [n, 4, c // 4, h * w])
        y = self.add("Transpose", [y], [n, c // 4, 4, h * w], perm=[0, 2, 1, 3])
        y = self.add("Softmax", [y], [n, c // 4, 4, h * w], axis=1)
        y = self.add("Conv", [y, self.constant([1, c // 4, 1, 1])], [n, 1, 4, h * w])
        return self.add("Reshape", [y, self.constant(None, np.array([n, 4, h * w], np.int64))], [n, 4, h * w])

    # ---- heads ----

    def layer(self, x, out, k, stride=1, silu=True):
        n, c, h, w = self.shapes[x]
        shape = [n, out, (h - 1) // stride + 1, (w - 1) // stride + 1]
        y = self.add("Conv", [x, self.constant([out, c, k, k]), self.constant([out])], shape, strides=[stride] * 2, pads=[k // 2] * 4,
                     kernel_shape=[k, k])
        return self.add("Mul", [y, self.add("Sigmoid", [y], shape)], shape) if silu else y

    def branch(self, x, out):
        """Some convolutions, of which sometimes somebody else uses one."""
        for k in self.random.choice([[], [3], [3, 3], [3, 3], [5, 3], [3, 1, 3]]):
            x = self.layer(x, self.random.choice([2, 3, 4]), k)
            if self.random.random() < .1:
                self.used.discard(self.add("Abs", [x], self.shapes[x]))
        return self.layer(x, out, 1, silu=False)

    def uneven(self, x):
        """From -1 to 1: weights are above zero, and scores would all be 1."""
        y = self.layer(x, 3, 3, silu=False)
        return self.add("Sin", [y], self.shapes[y])

    def joined(self, pictures):
        flat = []
        for x in pictures:
            n, c, h, w = self.shapes[x]
            flat.append(self.add("Reshape", [x, self.constant(None, np.array([n, c, h * w], np.int64))], [n, c, h * w]))
        return self.add("Concat", flat, [n, c, sum(self.shapes[x][2] for x in flat)], axis=2)

    def head(self):
        """Scores, boxes, and perhaps more, of two or three levels, as detectors end."""
        r = self.random
        levels, bins, classes = [self.layer(self.inputs[0][0], 4, 1)], r.choice([1, 1, 4]), r.choice([1, 2, 3])
        for _ in range(r.choice([1, 2])):
            levels.append(self.layer(levels[-1], r.choice([3, 4]), 3, stride=2))
        boxes = self.joined([self.branch(x, 4 * bins) for x in levels])
        scores = self.joined([self.branch(self.uneven(x), classes) for x in levels])
        n, _, places = self.shapes[boxes]
        if bins > 1:
            self.shapes[boxes] = [n, 4 * bins, 1, places]
            boxes = self.distribution(boxes)
        boxes = self.add(r.choice(["Mul", "Sub", "Add"]), [boxes, self.constant([1, places])], [n, 4, places])
        parts = [boxes, self.add("Sigmoid", [scores], [n, classes, places])]
        if r.random() < .5:
            parts.append(self.joined([self.branch(x, 3) for x in levels]))
        self.add("Concat", parts, [n, sum(self.shapes[x][1] for x in parts), places], axis=1)

    # ---- all ----

    def make(self, head=False):
        kinds = ([self.conv] * 8 + [self.quantized] * 3 + [self.concat] * 4 + [self.split] * 4 + [self.pool, self.resize, self.transposed, self.binary] * 2 +
                 [self.activation, self.reshape, self.reshape, self.transpose, self.softmax, self.product, self.gemm, self.reduce,
                  self.pad, self.slice, self.distribution])
        if head:
            self.head()
        for _ in range(0 if head else self.random.choice([2, 4, 8, 12])):
            self.random.choice(kinds)()
        loose = [v for v in self.order if v not in self.used and not v.startswith("x")]
        kept = [v for v in self.order if v in self.used and not v.startswith("x") and self.random.random() < .1]
        outputs = (loose + kept)[-12:] or [self.add("Abs", [self.inputs[0][0]], self.inputs[0][1])]
        info = helper.make_tensor_value_info
        graph = helper.make_graph(self.nodes, "g", [info(n, TensorProto.FLOAT, s) for n, s in self.inputs],
                                  [info(n, TensorProto.FLOAT, self.shapes[n]) for n in outputs], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18 if "Mish" in str(self.nodes) else 17)], ir_version=8)
        if "Mish" in str(self.nodes):  # axes became an input
            for node in model.graph.node:
                if node.op_type.startswith("Reduce"):
                    return None
        onnx.checker.check_model(model)
        return model


def main():
    folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 24
    first, made, bytes_made = int(sys.argv[3]) if len(sys.argv) > 3 else 0, 0, 0
    os.makedirs(folder, exist_ok=True)
    seed = first
    while made < count:
        model = Network(seed).make()
        seed += 1
        if model is None or count <= 100 and not 400 < model.ByteSize() < 4000:
            continue
        with open(os.path.join(folder, f"random-{seed - 1}"), "wb") as out:
            out.write(model.SerializeToString())
        made, bytes_made = made + 1, bytes_made + model.ByteSize()
    for seed in HEADS if count <= 100 else range(first, first + count // 3):
        model = Network(seed, (9, 12, 13, 16)).make(head=True)
        with open(os.path.join(folder, f"head-{seed}"), "wb") as out:
            out.write(model.SerializeToString())
        made, bytes_made = made + 1, bytes_made + model.ByteSize()
    print(made, "networks,", bytes_made, "bytes")


main()
