"""MLServer: POST /predict as a custom handler of a runtime, in the server's own process.

The protocol's own call would carry the picture as base64 within JSON; a custom handler takes the bytes as they are. parallel_workers=0:
on one core another process only adds copies. Compression and metrics are off.
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import sys

from fastapi import Request, Response
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler
from pipeline import detector


class Yolo(MLModel):
    async def load(self):
        self.detect = detector()
        return True

    @custom_handler(rest_path="/predict")
    async def handle(self, request: Request) -> Response:
        import json  # pylint: disable=import-outside-toplevel
        return Response(json.dumps(self.detect(await request.body())), media_type="application/json")


def main():
    port = int(sys.argv[1])
    settings = Settings(host="127.0.0.1", http_port=port, grpc_port=int(sys.argv[2]), metrics_endpoint=None, parallel_workers=0,
                        debug=False, gzip_enabled=False, load_models_at_startup=False)
    asyncio.run(MLServer(settings).start([ModelSettings(name="yolo", implementation=Yolo)]))


if __name__ == "__main__":
    main()
