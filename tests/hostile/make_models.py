#!/usr/bin/env python3
"""make_models.py - writes models/*.onnx, each of which is wrong in one way, and models.tsv, which says in which.
SPDX-License-Identifier: Apache-2.0

    tests/hostile/make_models.py        (Python 3 only; gives the same bytes every time)

The protobuf is put together by hand, since no library would write most of these. Every file is a variation of one valid
model of 1 KB: an fp32 input [1,3,32,32] that is not used, and a constant output [1,6,21], which is what YOLOv8 gives for
32 px and two classes.

A row of models.tsv: file, stage, code, and a part of the sentence, separated by tabs. Stages: "probe" fails in onnx_probe
already, "open" in serin_yolo_open (its warm-up included), "run" at the first picture, "fine" opens and predicts. The sources of
the field numbers and of the rules that are broken are onnx/onnx.proto3 and docs/IR.md.
"""

import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
FLOAT, STRING, DOUBLE, COMPLEX64, INT64 = 1, 8, 11, 14, 7
ANCHORS = 21  # 16 + 4 + 1 at strides 8, 16, 32


# ---- protobuf ----

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, *parts):
    payload = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(field << 3 | 2) + varint(len(payload)) + payload


# ---- ONNX ----

def tensor(name, dims, values=None, dtype=FLOAT, raw=None, more=b"", field=5):
    """An initializer (field 5 of a graph), or a value for another field."""
    if values is not None:
        raw = struct.pack("<%d%s" % (len(values), "q" if dtype == INT64 else "f"), *values)
    body = b"".join(number(1, d) for d in dims) + number(2, dtype) + message(8, name)
    return message(field, body, message(9, raw) if raw is not None else b"", more)


def value(field, name, dims, dtype=FLOAT):
    """An input (11) or output (12). A dimension that is text is free."""
    shape = b"".join(message(1, message(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return message(field, message(1, name), message(2, message(1, number(1, dtype), message(2, shape))))


def node(operator, inputs, outputs, *attributes, domain="", name=""):
    return message(1, *[message(1, i) for i in inputs], *[message(2, o) for o in outputs],
                   message(3, name) if name else b"", message(4, operator) if operator else b"", *attributes,
                   message(7, domain) if domain else b"")


def attribute(name, field, payload, kind):
    return message(5, message(1, name), message(field, payload) if isinstance(payload, bytes) else number(field, payload),
                   number(20, kind))


METADATA = {"task": "detect", "names": "{0: 'cat', 1: 'dog'}", "stride": "32", "imgsz": "[32, 32]", "batch": "1",
            "channels": "3"}


def model(graph, metadata=None, more=b"", **changes):
    pairs = dict(METADATA if metadata is None else metadata, **changes)
    return (number(1, 8) + message(2, "make_models.py") + message(8, message(1, ""), number(2, 17))
            + message(7, graph) + more + b"".join(message(14, message(1, k), message(2, v)) for k, v in pairs.items()))


IMAGES = value(11, "images", [1, 3, 32, 32])
OUTPUT = value(12, "output0", [1, 6, ANCHORS])


def boxes(change=None):
    """The values of [1,6,21]: boxes of 8 px along the diagonal, the first with a score of .9. change: {index: value}."""
    rows = [[4.0 + a for a in range(ANCHORS)]] * 2 + [[8.0] * ANCHORS] * 2 + [[0.9] + [0.01] * (ANCHORS - 1), [0.0] * ANCHORS]
    flat = [v for row in rows for v in row]
    for index, v in (change or {}).items():
        flat[index] = v
    return flat


def constant(values, dims=(1, 6, ANCHORS)):
    """A graph's middle: an initializer that an Identity makes into the output."""
    return tensor("boxes", dims, values) + node("Identity", ["boxes"], ["output0"])


def detector(middle=None, images=IMAGES, output=OUTPUT, **changes):
    return model((constant(boxes()) if middle is None else middle) + images + output, **changes)


VALID = detector()
SCORE0 = 4 * ANCHORS  # of the first class
NAN, INF = float("nan"), float("inf")


def subgraphs(depth):
    """If within If, depth times."""
    graph = node("Constant", [], ["v"], attribute("value_int", 3, 0, 2)) + value(12, "v", [])
    for _ in range(depth):
        graph = node("If", ["boxes"], ["v"], attribute("then_branch", 6, graph, 5)) + value(12, "v", [])
    return graph


def pairs(count):
    return b"".join(message(14, message(1, "k%d" % i)) for i in range(count))


def external(location):
    return tensor("boxes", [1, 6, ANCHORS], raw=None,
                  more=message(13, message(1, "location"), message(2, location)) + number(14, 1))


IDENTITY = node("Identity", ["boxes"], ["output0"])
FREE = value(12, "output0", ["b", "c", "a"])
FREE_ANCHORS = value(12, "output0", ["b", 6, "a"])


def runtime_shape(dims, output=FREE_ANCHORS, fill=0.0):
    """An output that comes out as dims. They depend on the picture as far as an engine can tell: dims + 0 * max(images)."""
    return detector(tensor("dims", [len(dims)], dims, INT64) + tensor("zero", [1], [0.0]) + tensor("one", [1], [fill])
                    + node("ReduceMax", ["images"], ["max"], attribute("keepdims", 3, 0, 2))
                    + node("Mul", ["max", "zero"], ["nothing"])
                    + node("Cast", ["nothing"], ["nothing64"], attribute("to", 3, INT64, 2))
                    + node("Add", ["dims", "nothing64"], ["shape"]) + node("Expand", ["one", "shape"], ["output0"]),
                    output=output)


def rows_of_height(output):
    """Two classes at the height that it is opened with, 64 px, and one on a square picture, which is run at 32 px."""
    def one(name, *values):
        return tensor(name, [len(values)], values, INT64)
    return detector(one("at", 2) + one("stride", 32) + one("four", 4) + one("first", 1) + one("last", ANCHORS)
                    + tensor("one", [1], [0.0]) + node("Shape", ["images"], ["size"]) + node("Gather", ["size", "at"], ["height"])
                    + node("Div", ["height", "stride"], ["times"]) + node("Add", ["times", "four"], ["rows"])
                    + node("Concat", ["first", "rows", "last"], ["shape"], attribute("axis", 3, 0, 2))
                    + node("Expand", ["one", "shape"], ["output0"]),
                    images=value(11, "images", ["b", 3, "h", "w"]), output=output, imgsz="[64, 32]")


def asks_for(floats):
    """Boxes, and beside them so many floats (half of it on a grey picture), which no shape in the file shows."""
    return detector(tensor("boxes", [1, 6, ANCHORS], boxes()) + tensor("times", [1], [float(floats)])
                    + node("ReduceMean", ["images"], ["mean"], attribute("keepdims", 3, 0, 2))
                    + node("Mul", ["mean", "times"], ["count"])
                    + node("Cast", ["count"], ["shape"], attribute("to", 3, INT64, 2))
                    + node("ConstantOfShape", ["shape"], ["many"])
                    + node("ReduceMax", ["many"], ["nothing"], attribute("keepdims", 3, 0, 2))
                    + node("Add", ["boxes", "nothing"], ["output0"]))


def filled(name, dims, fill):
    """Nodes that make name of dims, all of it fill."""
    return (tensor(name + ".dims", [len(dims)], dims, INT64) + tensor(name + ".fill", [1], [fill])
            + node("Expand", [name + ".fill", name + ".dims"], [name]))


def end2end(rows, **changes):
    flat = [v for row in rows for v in row]
    return detector(tensor("boxes", [1, len(rows), 6], flat) + IDENTITY, output=value(12, "output0", [1, len(rows), 6]),
                    end2end="True", **changes)


def named(**changes):
    return detector(**changes)


CORRUPT, UNSUPPORTED, LIMIT, ENGINE, MODEL, OK = "CORRUPT", "UNSUPPORTED", "LIMIT", "ENGINE", "MODEL", "OK"
half, n = len(VALID) // 2, len(VALID)

CASES = [
    ("valid", "fine", OK, "", VALID),

    # not ONNX at all
    ("empty", "probe", CORRUPT, "it is empty", b""),
    ("text", "probe", CORRUPT, "byte", b"This is not a model.\n"),
    ("lfs-pointer", "probe", UNSUPPORTED, "git lfs pull", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"),
    ("jpeg", "probe", UNSUPPORTED, "a picture (JPEG)", bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb")),
    ("zeros", "probe", CORRUPT, "byte 0 begins no protobuf field", bytes(64)),

    # cut off
    ("cut-1", "probe", CORRUPT, "has no end", VALID[:1]),
    ("cut-half", "probe", CORRUPT, "are left", VALID[:half]),
    ("cut-in-metadata", "probe", CORRUPT, "are left", VALID[:n - 20]),
    ("cut-last-byte", "probe", CORRUPT, "are left", VALID[:n - 1]),
    ("cut-before-graph", "probe", CORRUPT, "no graph", VALID[:VALID.index(message(7, constant(boxes()) + IMAGES + OUTPUT))]),

    # protobuf that lies
    ("varint-overlong", "probe", CORRUPT, "has no end within 64 bits", VALID + b"\x28" + b"\x80" * 11 + b"\x00"),
    ("varint-65-bits", "probe", CORRUPT, "has no end within 64 bits", VALID + b"\x28" + b"\xff" * 9 + b"\x02"),
    ("length-beyond-end", "probe", CORRUPT, "says 64 bytes, but only 3 are left", VALID + b"\x3a\x40abc"),
    ("length-2-63", "probe", CORRUPT, "says 9223372036854775808 bytes", VALID + b"\x32" + varint(1 << 63)),
    ("length-negative", "probe", CORRUPT, "says 18446744073709551615 bytes", VALID + b"\x32" + varint(-1)),
    ("group", "probe", CORRUPT, "wire type 3", VALID + b"\xfb\x01\xfc\x01"),
    ("wire-type-7", "probe", CORRUPT, "wire type 7", VALID + b"\xff\x01"),
    ("field-0", "probe", CORRUPT, "begins no protobuf field", VALID + b"\x00\x00"),
    ("graph-as-number", "probe", CORRUPT, "'graph' at byte", number(7, 5)),
    ("two-graphs", "probe", CORRUPT, "a second 'graph'", VALID + message(7, IMAGES)),

    # graphs
    ("no-outputs", "probe", CORRUPT, "the graph has no outputs", detector(output=b"")),
    ("cycle", "probe", CORRUPT, "out of order, or form a cycle",
     detector(node("Relu", ["b"], ["a"]) + node("Relu", ["a"], ["b"]) + node("Relu", ["b"], ["output0"]))),
    ("self-reference", "probe", CORRUPT, "node 'me' (Relu) takes 'output0'",
     detector(node("Relu", ["output0"], ["output0"], name="me"))),
    ("out-of-order", "fine", OK, "", # as half=True of Ultralytics is
     detector(tensor("boxes", [1, 6, ANCHORS], boxes()) + node("Relu", ["x"], ["output0"]) + node("Relu", ["boxes"], ["x"]))),
    ("output-twice", "probe", CORRUPT, "'output0' at byte", detector(constant(boxes()) + node("Relu", ["images"], ["output0"]))),
    ("output-is-input", "probe", CORRUPT, "that name is taken already",
     detector(constant(boxes()) + node("Relu", ["images"], ["images"]))),
    ("initializer-twice", "probe", CORRUPT, "initializer 'boxes'", detector(constant(boxes()) + tensor("boxes", [1], [1]))),
    ("output-nobody-makes", "probe", CORRUPT, "no node makes the output 'ghost'",
     detector(output=value(12, "ghost", [1, 6, ANCHORS]))),
    ("name-out-of-sub-graph", "probe", CORRUPT, "takes 'v', which nothing before it makes",
     detector(tensor("boxes", [1, 6, ANCHORS], boxes())
              + node("If", ["boxes"], ["w"], attribute("then_branch", 6, subgraphs(0), 5)) + node("Relu", ["v"], ["output0"]))),
    ("sub-graphs-1000", "probe", LIMIT, "deeper than 8",
     detector(tensor("boxes", [1], [1]) + subgraphs(1000) + node("Identity", ["v"], ["output0"]))),
    ("no-operator", "probe", CORRUPT, "has no operator", detector(constant(boxes()) + node("", [], ["x"]))),
    ("foreign-domain", "probe", UNSUPPORTED, "needs the operator domain 'evil.example'",
     detector(constant(boxes()) + node("Backdoor", ["images"], ["x"], domain="evil.example"))),
    ("ep-context", "probe", UNSUPPORTED, "loads what is not in the model",
     detector(constant(boxes()) + node("EPContext", ["images"], ["x"],
                                       attribute("ep_cache_context", 4, b"/etc/passwd", 3), domain="com.microsoft"))),
    ("functions", "probe", UNSUPPORTED, "functions of its own", detector(more=message(25, message(1, "f")))),
    ("training", "probe", UNSUPPORTED, "a training graph", detector(more=message(20, b""))),

    # tensors
    ("dims-1e17", "probe", CORRUPT, "100000000000000000 elements of float need",
     detector(constant(boxes()) + tensor("huge", [10**17]))),
    ("dims-1e18", "probe", CORRUPT, "1000000000000000000 elements are beyond 64 bits of size",
     detector(constant(boxes()) + tensor("huge", [10**18]))),
    ("dims-overflow", "probe", CORRUPT, "beyond 64 bits", detector(constant(boxes()) + tensor("huge", [10**18, 10**18]))),
    ("dims-1e18-bytes-overflow", "probe", CORRUPT, "beyond 64 bits",
     detector(constant(boxes()) + tensor("huge", [4 * 10**18], raw=b""))),
    ("dims-negative", "probe", CORRUPT, "dimension 1 is negative (-4)",
     detector(constant(boxes()) + tensor("minus", [2, -4], raw=b""))),
    ("raw-too-short", "probe", CORRUPT, "126 elements of float need 504 bytes, but there are 500",
     detector(constant(boxes()[:-1]))),
    ("raw-too-long", "probe", CORRUPT, "but there are 508", detector(constant(boxes() + [0]))),
    ("values-in-wrong-field", "probe", CORRUPT, "some in another type's field",
     detector(constant(boxes()) + tensor("odd", [2], more=message(7, b"\x01\x02")))),
    ("external-data", "probe", UNSUPPORTED, "weights in another file ('/etc/passwd') are not loaded",
     detector(external("/etc/passwd") + IDENTITY)),
    ("external-data-relative", "probe", UNSUPPORTED, "('../../weights.bin')", detector(external("../../weights.bin") + IDENTITY)),
    ("external-location-only", "probe", UNSUPPORTED, "weights in another file",
     detector(tensor("boxes", [1, 6, ANCHORS], boxes(), more=number(14, 1)) + IDENTITY)),
    ("external-in-constant", "probe", UNSUPPORTED, "('/etc/shadow')",
     detector(node("Constant", [], ["output0"], message(5, message(1, "value"), tensor(
         "c", [1], more=message(13, message(1, "location"), message(2, "/etc/shadow")), field=5), number(20, 4))))),
    ("sparse-initializer", "probe", UNSUPPORTED, "a sparse initializer", detector(constant(boxes()) + message(15, number(3, 10**18)))),
    ("unknown-element-type", "probe", UNSUPPORTED, "unknown element type 99",
     detector(constant(boxes()) + tensor("x", [1], [1], dtype=99))),

    # inputs and outputs
    ("input-string", "probe", UNSUPPORTED, "'images' is of type string", detector(images=value(11, "images", [1, 3, 32, 32], STRING))),
    ("input-complex", "probe", UNSUPPORTED, "is of type complex64", detector(images=value(11, "images", [1, 3, 32, 32], COMPLEX64))),
    ("input-sequence", "probe", UNSUPPORTED, "is no plain tensor",
     detector(images=message(11, message(1, "images"), message(2, message(4, message(1, b"")))))),
    ("input-rank-7", "probe", UNSUPPORTED, "more than 6 dimensions", detector(images=value(11, "images", [1] * 7))),
    ("input-negative", "probe", CORRUPT, "a dimension of -7", detector(images=value(11, "images", [1, 3, -7, 32]))),
    ("inputs-9", "probe", UNSUPPORTED, "more than 8 inputs", detector(images=b"".join(value(11, "i%d" % i, [1]) for i in range(9)))),
    ("input-name-200", "probe", UNSUPPORTED, "longer than 127 bytes", detector(images=value(11, "i" * 200, [1, 3, 32, 32]))),
    ("input-fp64", "open", UNSUPPORTED, "fp32, fp16 and uint8 are known", detector(images=value(11, "images", [1, 3, 32, 32], DOUBLE))),
    ("no-input", "open", UNSUPPORTED, "has 0", detector(images=b"")),
    ("inputs-2", "open", UNSUPPORTED, "has 2", detector(images=IMAGES + value(11, "other", [1]))),
    ("input-rank-2", "open", UNSUPPORTED, "a YOLO takes [B,3,H,W]", detector(images=value(11, "images", [1, 3072]))),
    ("input-70000-px", "open", UNSUPPORTED, "px a side", detector(images=value(11, "images", [1, 3, 70000, 70000]))),
    ("input-batch-1e9", "open", UNSUPPORTED, "a batch of 1000000000", detector(images=value(11, "images", [10**9, 3, 32, 32]))),
    ("input-4-channels", "open", UNSUPPORTED, "a YOLO takes [B,3,H,W]", detector(images=value(11, "images", [1, 4, 32, 32]))),

    # metadata
    ("metadata-65", "probe", LIMIT, "more than 64 metadata entries", detector(more=pairs(65))),
    ("metadata-1000", "probe", LIMIT, "more than 64 metadata entries", detector(more=pairs(1000))),
    ("metadata-twice", "probe", CORRUPT, "the metadata 'task' is there twice", detector(more=message(14, message(1, "task"), message(2, "obb")))),
    ("metadata-nul", "probe", CORRUPT, "a NUL byte in the metadata 'task'", detector(task="detect\0")),
    ("names-without-1", "open", CORRUPT, "class 1 has no name and there is a class 2", named(names="{0: 'cat', 2: 'dog'}")),
    ("names-10-million", "open", CORRUPT, "there is a class 9999999", named(names="{0: 'cat', 9999999: 'dog'}")),
    ("names-unterminated", "open", CORRUPT, "has no end", named(names="{0: 'cat, 1: dog}")),
    ("names-code", "open", CORRUPT, "nothing is evaluated", named(names="{0: open('/etc/passwd').read(), 1: 'dog'}")),
    ("names-control", "open", CORRUPT, "control character", named(names="{0: '\\x1b]0;cat', 1: 'dog'}")),
    ("names-not-utf8", "open", CORRUPT, "byte 5 is 0xff", detector(metadata={"task": "detect"}, more=message(14, message(1, "names"), message(2, b"{0: '\xff', 1: 'dog'}")))),
    ("names-long", "open", LIMIT, "longer than 256 bytes", named(names="{0: '%s', 1: 'dog'}" % ("c" * 257))),
    ("names-brackets", "open", LIMIT, "nested deeper than 8", named(names="[" * 3000)),
    ("names-3-for-2", "open", UNSUPPORTED, "", named(names="['cat', 'dog', 'bird']")),
    ("imgsz-3", "open", CORRUPT, "expected [height, width]", named(imgsz="[1,2,3]")),
    ("imgsz-0", "open", LIMIT, "0 is not from 1 to", named(imgsz="0")),
    ("imgsz-70000", "open", LIMIT, "70000 is not from 1 to", named(imgsz="[70000, 640]")),
    ("stride-code", "open", CORRUPT, "'__import__' at byte 0 is not a literal", named(stride='__import__("os").system("id")')),
    ("stride-0", "open", LIMIT, "0 is not from 1 to 512", named(stride="0")),
    ("stride-minus", "open", LIMIT, "-1 is not from 1 to 512", named(stride="-1")),
    ("stride-1e9", "open", LIMIT, "1000000000 is not from 1 to 512", named(stride="1000000000")),
    ("task-unknown", "open", UNSUPPORTED, "'detcet' is none of detect", named(task="detcet")),
    ("channels-4", "open", UNSUPPORTED, "4 channels", named(channels="4")),
    ("kpt-shape-huge", "open", LIMIT, "1000000000 is not from 1 to 512", named(task="pose", kpt_shape="[1000000000, 3]")),
    ("pose-without-keypoints", "open", UNSUPPORTED, "", named(task="pose")),
    ("segment-without-masks", "open", UNSUPPORTED, "", named(task="segment")),

    # the engine refuses
    ("unknown-operator", "open", CORRUPT, "No Op registered for Frobnicate",
     detector(constant(boxes()) + node("Frobnicate", ["images"], ["x"]))),
    ("conv-of-4-inputs", "open", CORRUPT, "has input size 4", detector(node("Conv", ["images"] * 4, ["output0"]))),
    ("types-that-differ", "open", CORRUPT, "",
     detector(tensor("i", [1], [1], INT64) + node("Add", ["images", "i"], ["x"]) + constant(boxes()))),

    # no YOLO
    ("features-4d", "open", UNSUPPORTED, "not a YOLO that is known",
     detector(tensor("boxes", [1, 2, 3, 3], [0.0] * 18) + IDENTITY, output=value(12, "output0", [1, 2, 3, 3]))),
    ("output-rank-1", "open", UNSUPPORTED, "not a YOLO that is known",
     detector(tensor("boxes", [5], [0.0] * 5) + IDENTITY, output=value(12, "output0", [5]))),
    ("output-int64", "open", UNSUPPORTED, "not a YOLO that is known",
     detector(tensor("boxes", [1, 6, ANCHORS], [0] * 126, INT64) + IDENTITY, output=value(12, "output0", [1, 6, ANCHORS], INT64))),
    ("too-few-rows", "open", UNSUPPORTED, "not a YOLO that is known",
     detector(tensor("boxes", [1, 4, ANCHORS], [0.0] * 84) + IDENTITY, output=value(12, "output0", [1, 4, ANCHORS]))),

    # runs, and misbehaves
    ("loop-without-end", "probe", UNSUPPORTED, "may run without end",
     detector(tensor("trips", [], [2**62], INT64) + tensor("boxes", [1, 6, ANCHORS], boxes())
              + node("Loop", ["trips", "", "boxes"], ["output0"], attribute("body", 6, subgraphs(0), 5)))),
    ("nan-score", "open", MODEL, "NaN as a score", detector(constant(boxes({SCORE0 + 3: NAN})))),
    ("nan-all", "open", MODEL, "NaN as a score", detector(constant([NAN] * 126))),
    ("nan-box", "open", MODEL, "NaN as a box", detector(constant(boxes({0: NAN})))),
    ("nan-made-by-division", "open", MODEL, "NaN as a score",
     detector(tensor("boxes", [1, 6, ANCHORS], [0.0] * 126) + node("Div", ["boxes", "boxes"], ["output0"]))),
    ("nan-weights", "open", MODEL, "NaN as a score",
     detector(tensor("boxes", [1, 6, ANCHORS], boxes()) + tensor("w", [1], [NAN]) + node("Mul", ["boxes", "w"], ["output0"]))),
    ("inf-box", "fine", OK, "", detector(constant(boxes({0: INF})))),
    ("inf-size", "fine", OK, "", detector(constant(boxes({2 * ANCHORS: INF})))),
    ("huge-boxes", "fine", OK, "", detector(constant(boxes({0: 3e38, 1: -3e38, 2 * ANCHORS: 3e38})))),
    ("inf-score", "open", MODEL, "an infinite score", detector(constant(boxes({SCORE0: INF})))),
    ("score-1e30", "fine", OK, "", detector(constant(boxes({SCORE0: 1e30})))),
    ("minus-inf-score", "fine", OK, "", detector(constant(boxes({SCORE0: -INF})))),
    ("shape-other-than-declared", "open", MODEL, "came as fp32[1,9,21] for a batch of 1, the model says fp32[1,6,21]",
     runtime_shape([1, 9, ANCHORS], OUTPUT)),
    ("shape-free-other-rows", "open", MODEL, "came as fp32[1,9,21]", runtime_shape([1, 9, ANCHORS])),
    ("shape-free-rank-4", "open", UNSUPPORTED, "no output of rank 2 or 3", runtime_shape([1, 6, ANCHORS, 1])),
    ("shape-free-other-batch", "open", MODEL, "came as fp32[3,6,21]", runtime_shape([3, 6, ANCHORS])),
    ("shape-free-no-anchors", "open", MODEL, "came as fp32[1,6,0]", runtime_shape([1, 6, 0])),
    ("shape-free-11-million-anchors", "open", MODEL, "came as fp32[1,6,11000000]", runtime_shape([1, 6, 11000000])),
    ("shape-free-1e14-anchors", "open", ENGINE, "Failed to allocate memory", runtime_shape([1, 6, 10**14])),
    ("shape-free-all", "fine", OK, "", runtime_shape([1, 6, ANCHORS], FREE)),
    ("shape-free-all-other-rows", "open", UNSUPPORTED, "its outputs are fp32[?,9,21]", runtime_shape([1, 9, ANCHORS], FREE)),
    ("shape-free-all-no-rows", "open", UNSUPPORTED, "its outputs are fp32[?,0,21]", runtime_shape([1, 0, ANCHORS], FREE)),
    ("shape-free-all-other-batch", "open", MODEL, "came as fp32[3,6,21]", runtime_shape([3, 6, ANCHORS], FREE)),
    ("shape-free-all-1e14-rows", "open", ENGINE, "Failed to allocate memory", runtime_shape([1, 10**14, ANCHORS], FREE)),
    ("shape-free-rows-of-height", "run", MODEL, "came as fp32[1,5,21]", rows_of_height(FREE_ANCHORS)),
    ("shape-free-all-rows-of-height", "run", MODEL, "came as fp32[1,5,21]", rows_of_height(FREE)),
    ("expand-1e14", "open", ENGINE, "Failed to allocate memory", detector(filled("output0", [1, 6, 10**14], 1.0), output=FREE)),
    ("constant-of-shape-1e10", "open", ENGINE, "Failed to allocate memory", asks_for(10**10)),
    ("segment-nan-masks", "open", MODEL, "NaN in a mask",
     detector(filled("protos", [1, 32, 8, 8], NAN) + filled("part", [1, 38, ANCHORS], 0.9) + node("Identity", ["part"], ["output0"]),
              output=value(12, "output0", [1, 38, ANCHORS]) + value(12, "protos", [1, 32, 8, 8]), task="segment")),
    ("pose-nan-keypoints", "open", MODEL, "NaN",
     detector(filled("scores", [1, 6, ANCHORS], 0.9) + filled("keypoints", [1, 6, ANCHORS], NAN)
              + node("Concat", ["scores", "keypoints"], ["output0"], attribute("axis", 3, 1, 2)),
              output=value(12, "output0", [1, 12, ANCHORS]), task="pose", kpt_shape="[2, 3]")),
    ("obb-nan-angle", "open", MODEL, "NaN",
     detector(filled("scores", [1, 6, ANCHORS], 0.9) + filled("angles", [1, 1, ANCHORS], NAN)
              + node("Concat", ["scores", "angles"], ["output0"], attribute("axis", 3, 1, 2)),
              output=value(12, "output0", [1, 7, ANCHORS]), task="obb")),
    ("end2end-nan", "open", MODEL, "NaN as a score", end2end([[1, 1, 9, 9, NAN, 0]])),
    ("end2end-nan-box", "open", MODEL, "NaN as a box", end2end([[NAN, 1, 9, 9, .9, 0]])),
    ("end2end-inf-box", "fine", OK, "", end2end([[1, 1, INF, 9, .9, 0]])),
    ("end2end-inf-minus-inf", "open", MODEL, "NaN as a box", end2end([[-INF, 1, INF, 9, .9, 0]])),
    ("end2end-class-7", "open", MODEL, "class 7", end2end([[1, 1, 9, 9, .9, 7]])),
    ("end2end-class-minus", "open", MODEL, "class -1", end2end([[1, 1, 9, 9, .9, -1]])),
    ("end2end-class-nan", "open", MODEL, "class nan", end2end([[1, 1, 9, 9, .9, NAN]])),
    ("classify-nan", "open", MODEL, "NaN as the probability of class 0",
     detector(tensor("boxes", [1, 2], [NAN, NAN]) + IDENTITY, output=value(12, "output0", [1, 2]), task="classify")),
    ("reshape-impossible", "open", ENGINE, "Reshape",
     detector(tensor("s", [3], [1, 6, ANCHORS], INT64) + node("Reshape", ["images", "s"], ["output0"]), output=FREE)),
    ("gather-out-of-range", "open", ENGINE, "Gather",
     detector(tensor("boxes", [1, 6, ANCHORS], boxes()) + tensor("i", [3], [0, 1, 99], INT64)
              + node("Gather", ["boxes", "i"], ["output0"], attribute("axis", 3, 2, 2)), output=value(12, "output0", [1, 6, 3]))),
]


def main():
    rows = []
    for old in os.listdir(os.path.join(HERE, "models")):
        os.remove(os.path.join(HERE, "models", old))
    for name, stage, code, part, content in CASES:
        with open(os.path.join(HERE, "models", name + ".onnx"), "wb") as out:
            out.write(content)
        rows.append("\t".join([name + ".onnx", stage, code, part]))
    with open(os.path.join(HERE, "models.tsv"), "w", encoding="utf-8") as out:
        out.write("# Written by make_models.py: file, stage, expected code, part of the sentence.\n" + "\n".join(rows) + "\n")
    print("%d models, %d bytes" % (len(CASES), sum(len(c[4]) for c in CASES)))


if __name__ == "__main__":
    main()
