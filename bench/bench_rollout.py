#!/usr/bin/env python3
"""How fast a bad version is off: of the real program, before servers of this file's own that fail as they are told.

    bench_rollout.py BUILD          BENCH_ROUNDS=20         77 where pytest is not installed (it uses the tests' fixtures)

fails    A canary that only fails, four clients at once. Its requests until nobody asks it any more (limit 10), and the time from
         the deciding answer, the eighth, to the last request that was sent to it (limit 10 ms; 0 where none was).
guard    A canary that fails sometimes, never often enough in a row for the gateway's breaker. One failure at a time, and none
         within 200 ms of the last, so that it is known which one decided. From its answer to the last request that was sent to the
         canary (limit 100 ms); and to the route in which it has no share, as the log of events tells it, which is behind two syncs
         of the disk and has no limit: the hold on the trial is let go before them.

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import json
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "20"))
os.environ["SERIN_BIN"] = str(BUILD / "serin")
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
try:
    from serve_fixture import Fake, answer, serving, until
except ImportError as missing:
    print(f"bench_rollout: skipped, {missing}")
    sys.exit(77)

PLAN = json.dumps({"slices": [], "guards": [{"metric": "error_rate", "margin": 1, "required": False}],
                   "steps": [{"weight": "50%", "min": {"evidence": 1, "time": "1h"}}, {"weight": "100%"}]})
APART_S = .2
below = []


class Canary(Fake):
    """Knows when it was asked and what it answered; fails where it is told to."""

    def __init__(self):
        self.failures = 0  # that are still to come
        self.arrived, self.failed = [], []  # of the wall clock, s
        self.fails_always = False
        super().__init__(self._answer)

    def _answer(self, _):
        self.arrived.append(time.time())
        if not self.fails_always and not self.failures:
            return answer()
        self.failures = max(0, self.failures - 1)
        self.failed.append(time.time())
        return answer(500)


class Clients:
    """They ask as fast as they are answered."""

    def __init__(self, serve, model, count):
        self.over = threading.Event()
        self.bad = []
        self.threads = [threading.Thread(target=self._ask, args=(serve, model), daemon=True) for _ in range(count)]

    def _ask(self, serve, model):
        client = serve.client()
        while not self.over.is_set():
            found = client.predict(model)
            if found.status != 200:
                self.bad.append(found.status)
        client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)


def phase(serve, model):
    return serve.api("GET", f"rollouts/{model}")["phase"]


def begin(serve, model, fakes):
    """A rollout of the model whose canary has half of the requests."""
    for tag, fake in zip(("v1", "v2"), fakes):
        serve.deploy(f"{model}:{tag}", fake.url, tag == "v1")
    serve.api("POST", "rollouts", {"name": f"{model}:v2", "plan": PLAN})
    until(lambda: phase(serve, model) == "Progressing", "its first step")


def end(serve, model, fakes):
    until(lambda: phase(serve, model) == "RolledBack", "the end of the rollout")
    serve.api("DELETE", f"routes/{model}")
    for tag in ("v1", "v2"):
        serve.api("DELETE", f"serving/{model}:{tag}")
    for fake in fakes:
        fake.stop()


def only_fails(serve, model):
    """Requests that it got, and ms from its eighth answer to the last of them."""
    fakes = (Fake(), Canary())
    fakes[1].fails_always = True
    begin(serve, model, fakes)
    with Clients(serve, model, 4) as clients:
        until(lambda: phase(serve, model) == "RolledBack", "the way back")
    assert not clients.bad, clients.bad
    end(serve, model, fakes)
    decided = fakes[1].failed[min(7, len(fakes[1].failed) - 1)]
    return len(fakes[1].arrived), max(0, fakes[1].arrived[-1] - decided) * 1000


def route_without(folder, model, decided):
    """When the canary lost its share, by the log of events, in s: the first change that its rollout made afterwards."""
    def change():
        lines = (folder / "events").read_text().split("\n")[:-1]  # the last may be half written
        stamps = [json.loads(line)["@timestamp"] for line in lines if "changing a route" in line and f"{model} by {model}-" in line]
        times = [datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() for stamp in stamps]
        return [at for at in times if at >= decided]

    return until(change, "the change of the route")[0]


def by_guard(serve, folder, model):
    """ms from the deciding answer to the last request, and to the route."""
    fakes = (Fake(), Canary())
    canary = fakes[1]
    begin(serve, model, fakes)
    with Clients(serve, model, 1) as clients:
        until(lambda: len(canary.arrived) > 20, "requests")
        while phase(serve, model) == "Progressing":
            count = len(canary.failed)
            canary.failures = 1
            until(lambda: len(canary.failed) > count or phase(serve, model) != "Progressing", "a failure")
            threading.Event().wait(APART_S)
    assert not clients.bad, clients.bad
    history = serve.api("GET", f"rollouts/{model}/history")
    assert history[-1]["author"] == "judge", history[-1]["why"]
    end(serve, model, fakes)
    decided = canary.failed[-1]
    return (max(0, canary.arrived[-1] - decided) * 1000, (route_without(folder, model, decided) - decided) * 1000)


def tell(what, values, unit, limit=None):
    verdict = "" if limit is None else f" (limit {limit}) {'ok' if max(values) <= limit else 'MISSED'}"
    if "MISSED" in verdict:
        below.append(what)
    print(f"  {what}: median {statistics.median(values):.1f} {unit}, at most {max(values):.1f} of {len(values)}{verdict}")


def main():
    with tempfile.TemporaryDirectory() as name, serving(folder := pathlib.Path(name), "--drain-seconds", "2") as serve:
        fails = [only_fails(serve, f"fails{i}") for i in range(ROUNDS)]
        guard = [by_guard(serve, folder, f"guard{i}") for i in range(ROUNDS)]
    print("A canary that only fails:")
    tell("its requests until it is off", [count for count, _ in fails], "requests", 10)
    tell("from the deciding answer to its last request", [ms for _, ms in fails], "ms", 10)
    print("A canary that fails sometimes, found by a guard:")
    tell("from the deciding answer to its last request", [ms for ms, _ in guard], "ms", 100)
    tell("from the deciding answer to the route without it", [ms for _, ms in guard], "ms")
    sys.exit(bool(below))


if __name__ == "__main__":
    main()
