"""FastAPI on uvicorn, one process: POST /predict.

The handler runs the model in the event loop itself: with one core a pool of threads only adds switches and a longer tail.
SPDX-License-Identifier: Apache-2.0
"""
import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pipeline import detector

app = FastAPI()
detect = detector()


@app.post("/predict")
async def predict(request: Request):
    return JSONResponse(detect(await request.body()))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, loop="uvloop", http="httptools")
