"""OpenVINO on the CPU, run whenever it is told to: openvino_turns.py THREADS BATCH PIXELS MODEL.onnx NAME...

The protocol of bench/engine_turns.c. A name is openvino-fp32, openvino-bf16 or openvino-int8; the last takes the file as it is, which
then is a quantized one. One stream, all threads to one inference, shapes fixed before compiling, no pinning (the bench pins the process).
SPDX-License-Identifier: Apache-2.0
"""
import sys
import time

import numpy
import openvino

# What OpenVINO may do in the layers that the file has in fp32.
PRECISIONS = {"openvino-fp32": "f32", "openvino-bf16": "bf16", "openvino-int8": "f32"}


def compiled(core, path, threads, free, name):
    model = core.read_model(path)
    wanted = model.inputs[0].get_partial_shape()
    shape = [length.get_length() if length.is_static else free[place] for place, length in enumerate(wanted)]
    model.reshape({model.inputs[0].any_name: shape})
    made = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": PRECISIONS[name], "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False})
    request = made.create_infer_request()
    noise = numpy.random.default_rng(1).random(shape, numpy.float32)
    request.set_input_tensor(openvino.Tensor(noise.astype(made.inputs[0].element_type.to_dtype())))
    return made, request


def main():
    threads, batch, pixels, path = *map(int, sys.argv[1:4]), sys.argv[4]
    core, ready = openvino.Core(), {}
    for name in sys.argv[5:]:
        try:
            ready[name] = compiled(core, path, threads, (batch, 3, pixels, pixels), name)
            print("ready", name)
        except Exception as error:  # pylint: disable=broad-exception-caught
            print(f"without {name}: {str(error).strip().splitlines()[-1]}")
    print("go", flush=True)
    for line in sys.stdin:
        request = ready[line.strip()][1]
        processor, clock = time.process_time(), time.perf_counter()
        request.infer()
        print(f"{1e3 * (time.process_time() - processor):.4f} {1e3 * (time.perf_counter() - clock):.4f}", flush=True)


main()
