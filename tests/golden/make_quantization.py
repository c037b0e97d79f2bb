"""Makes quantization.tsv: what onnxruntime.quantization makes of ranges and of weights.

SPDX-License-Identifier: Apache-2.0

    python make_quantization.py > quantization.tsv      (onnxruntime 1.32, numpy 2.4)

A line is "range LOW HIGH SCALE ZERO", uint8 and asymmetric, or "weights SCALE W... Q...", four weights of one output
channel and what becomes of them: int8, symmetric, -127 to 127.
"""
import numpy as np
import onnx
from onnxruntime.quantization.quant_utils import compute_scale_zp, quantize_nparray

random = np.random.default_rng(1)
RANGES = [(-0.2785, 5.125), (-3.5, 2.25), (0.0, 6.0), (-1.0, 0.0), (-0.01, 100.0), (-7.0, 0.003)]

for low, high in RANGES:
    zero, scale = compute_scale_zp(np.float32(low), np.float32(high), np.array(0, np.uint8), np.array(255, np.uint8),
                                   symmetric=False)
    print("range", np.float32(low), np.float32(high), float(scale), int(zero), sep="\t")
for spread in (1e-3, .05, 1, 30):
    for _ in range(8):
        weights = (random.standard_normal(4) * spread).astype(np.float32)
        scale = np.float32(np.abs(weights).max() / np.float32(127))
        integers = quantize_nparray(onnx.TensorProto.INT8, weights, scale, np.int8(0), low=-127, high=127)
        print("weights", float(scale), *(float(w) for w in weights), *integers.tolist(), sep="\t")
