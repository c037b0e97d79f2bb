#!/usr/bin/env python3
"""Print the table of examples/models/README.md: file, task, classes, input, output, parameters, bytes, SHA-256.
SPDX-License-Identifier: Apache-2.0
"""
import ast
import hashlib
import pathlib
import sys

import numpy as np
import onnx


def shape(value):
    kind = {1: "f32", 2: "u8", 10: "f16"}[value.type.tensor_type.elem_type]
    return f"{kind} " + " x ".join(str(d.dim_param or d.dim_value) for d in value.type.tensor_type.shape.dim)


print("| file | task | classes | input | outputs | weights | bytes | sha256 |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
for path in map(pathlib.Path, sys.argv[1:]):
    model = onnx.load(path)
    notes = {p.key: p.value for p in model.metadata_props}
    names = list(ast.literal_eval(notes["names"]).values())
    weights = sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type in (1, 10))
    print(f"| {path.parent.name}/{path.name} | {notes['task']} | {', '.join(names)} | {shape(model.graph.input[0])} | "
          f"{'; '.join(map(shape, model.graph.output))} | {weights:,} | {path.stat().st_size:,} | "
          f"{hashlib.sha256(path.read_bytes()).hexdigest()[:12]} |")
