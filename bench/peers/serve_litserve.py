"""LitServe: POST /predict, the raw body to one worker process.

SPDX-License-Identifier: Apache-2.0
"""
import sys
from typing import Annotated

import litserve
from fastapi import Body
from pipeline import detector


class Yolo(litserve.LitAPI):
    def setup(self, device):  # pylint: disable=unused-argument
        self.detect = detector()

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]):
        return request

    def predict(self, x):
        return self.detect(x)

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Yolo(), accelerator="cpu", workers_per_device=1, timeout=False)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="warning", generate_client_file=False, access_log=False)
