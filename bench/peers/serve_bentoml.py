"""BentoML: POST /predict, the raw body as its root input.

BentoML hands a file to its handler as a path, so each picture is written to a temporary file and read again: that is its way.
SPDX-License-Identifier: Apache-2.0
"""
from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType
from pipeline import detector


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}}, traffic={"timeout": 60})
class Yolo:
    def __init__(self):
        self.detect = detector()

    @bentoml.api
    async def predict(self, image: Annotated[Path, ContentType("image/jpeg")], /) -> list[dict]:
        return self.detect(image.read_bytes())
