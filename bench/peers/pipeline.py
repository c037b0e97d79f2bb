"""The detector behind each of the other servers: a JPEG's bytes in, the boxes out, by OpenCV, ONNX Runtime and numpy.

What a careful engineer writes who wants speed from the usual libraries: no PyTorch, one pass over the scores, OpenCV's own non-maximum
suppression. It does what ultralytics' predict does by default (conf .25, IoU .7, 300 boxes, letterbox to the model's square with grey 114),
so that every server gives the same boxes; bench_peers.py checks that they do before it measures.
SPDX-License-Identifier: Apache-2.0
"""
import ast
import os

MODEL = os.environ.get("PEER_MODEL", "")
CONF, IOU, MOST = .25, .7, 300


def one_thread(onnxruntime):
    """The settings that serin gives ONNX Runtime: one thread, which does not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class Lean:
    """OpenCV, ONNX Runtime and numpy."""

    def __init__(self):
        import cv2  # pylint: disable=import-outside-toplevel
        import numpy  # pylint: disable=import-outside-toplevel
        import onnxruntime  # pylint: disable=import-outside-toplevel
        self.cv2, self.numpy = cv2, numpy
        cv2.setNumThreads(1)
        self.session = onnxruntime.InferenceSession(MODEL, one_thread(onnxruntime), providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.names = ast.literal_eval(self.session.get_modelmeta().custom_metadata_map["names"])

    def __call__(self, jpeg):
        cv2, numpy = self.cv2, self.numpy
        picture = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
        high, wide = picture.shape[:2]
        rows, columns = self.input.shape[2:]
        gain = min(rows / high, columns / wide)
        new_wide, new_high = round(wide * gain), round(high * gain)
        if (new_wide, new_high) != (wide, high):
            picture = cv2.resize(picture, (new_wide, new_high), interpolation=cv2.INTER_LINEAR)
        left, top = round((columns - new_wide) / 2 - .1), round((rows - new_high) / 2 - .1)
        picture = cv2.copyMakeBorder(picture, top, rows - new_high - top, left, columns - new_wide - left, cv2.BORDER_CONSTANT,
                                     value=(114, 114, 114))
        tensor = cv2.dnn.blobFromImage(picture, 1 / 255, swapRB=True)
        output = self.session.run(None, {self.input.name: tensor})[0][0]
        places = numpy.flatnonzero(output[4:].max(0) > CONF)
        scores = output[4:, places]
        classes, best = scores.argmax(0), scores.max(0)
        middle_x, middle_y, box_wide, box_high = output[:4, places]
        boxes = numpy.stack((middle_x - box_wide / 2, middle_y - box_high / 2, box_wide, box_high), 1)
        kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), best.tolist(), classes.tolist(), CONF, IOU)[:MOST] if len(places) else []
        found = []
        for i in kept:
            x, y, box_w, box_h = boxes[i].tolist()
            corners = zip(("x1", "y1", "x2", "y2"), ((x - left) / gain, (y - top) / gain, (x + box_w - left) / gain, (y + box_h - top) / gain),
                          (wide, high, wide, high))
            found.append({"name": self.names[int(classes[i])], "class": int(classes[i]), "confidence": round(float(best[i]), 5),
                          "box": {name: round(min(max(value, 0), most), 5) for name, value, most in corners}})
        return found


class Ultralytics:
    """The package itself, as its documentation has it: YOLO(file)(picture), on the same ONNX file.

    It has no option for the threads of ONNX Runtime, and two that spin on one core cost it two thirds more CPU time: so it gets the
    settings of the others from behind.
    """

    def __init__(self):
        os.environ["YOLO_OFFLINE"] = "true"
        import cv2  # pylint: disable=import-outside-toplevel
        import numpy  # pylint: disable=import-outside-toplevel
        import onnxruntime  # pylint: disable=import-outside-toplevel
        from ultralytics import YOLO  # pylint: disable=import-outside-toplevel
        self.cv2, self.numpy = cv2, numpy
        cv2.setNumThreads(1)
        session = onnxruntime.InferenceSession
        onnxruntime.InferenceSession = lambda path, options=None, **more: session(path, one_thread(onnxruntime), **more)
        self.model = YOLO(MODEL, task="detect")

    def __call__(self, jpeg):
        picture = self.cv2.imdecode(self.numpy.frombuffer(jpeg, self.numpy.uint8), self.cv2.IMREAD_COLOR)
        return self.model.predict(picture, verbose=False, device="cpu")[0].summary()


def detector():
    """The one that PEER_DETECTOR names, warmed up."""
    made = Ultralytics() if os.environ.get("PEER_DETECTOR") == "ultralytics" else Lean()
    grey = made.numpy.full((480, 640, 3), 114, made.numpy.uint8)
    made(made.cv2.imencode(".jpg", grey)[1].tobytes())
    return made
