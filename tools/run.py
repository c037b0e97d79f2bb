#!/usr/bin/env python3
"""run.py - the main job, as `make run` shows it: a better version is released by evidence, a worse one is taken off.

SPDX-License-Identifier: Apache-2.0

    tools/run.py BUILD

Footage of a street is played to a gateway as seven cameras would, and half of the frames get their labels two seconds
later. v1.1.0 takes the place of v1.0.0; then v1.2.0 is tried, which looks best on the labels by day that its makers
evaluated it with. Nothing here decides: what is printed was read from the program's own records. With ONCE=1 the
program is stopped at the end and the exit status tells whether both rollouts ended as they should; without, it stays.
"""
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

MODEL = "street-person"
MODELS = pathlib.Path("examples/models") / MODEL
FOOTAGE = pathlib.Path("examples/footage")
PLAN = "examples/plans/street.yaml"
CAMERAS, FPS = 7, 5
LIMIT_S = 900  # of one rollout, on a machine that is busy with other things; about 90 on one that is not
IOU = ".45"    # the default, .7, leaves second boxes on some people: examples/models/README.md


class Failed(Exception):
    """A sentence for people."""


class Story:
    def __init__(self, build):
        self.serin = str(build.resolve() / "serin")
        self.out = build / "run"
        self.pid_file = self.out / "serve.pid"
        self.serve = self.stream = None
        self.listen = self.admin = ""

    # ---- the program ----

    def run(self, *words):
        done = subprocess.run([self.serin, *map(str, words)], capture_output=True, text=True, check=False,
                              env={**os.environ, "SERIN_DATA_DIR": str(self.out / "data"), "SERIN_ADMIN": self.admin})
        if done.returncode != 0:
            raise Failed(f"serin {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def ask(self, *words):
        return json.loads(self.run(*words, "-o", "json"))

    def stop_the_one_before(self):
        """What an earlier run left serving, if it is that: an id alone may be anybody's by now."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self.pid_file.read_text())
            if os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)") == self.serin:
                print(f"The program of the run before (process {pid}) is stopped.")
                os.kill(pid, signal.SIGTERM)
                while os.path.exists(f"/proc/{pid}/exe"):
                    time.sleep(.05)

    def begin(self):
        self.stop_the_one_before()
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        with open(self.out / "serve.err", "wb") as err:
            self.serve = subprocess.Popen(
                [self.serin, "serve", "--data-dir", self.out / "data", "--listen", address(8080), "--admin", address(8081),
                 "--log", self.out / "events.ndjson", "--access-log", self.out / "access.ndjson"],
                stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True)
        self.pid_file.write_text(str(self.serve.pid))
        words = self.serve.stdout.readline().split()  # serving on A, admin on B
        if len(words) != 6:
            raise Failed("serin serve did not start: " + (self.out / "serve.err").read_text().strip())
        self.listen, self.admin = words[2].rstrip(","), words[5]

    def play(self):
        with open(self.out / "stream.json", "wb") as out, open(self.out / "stream.err", "wb") as err:
            self.stream = subprocess.Popen(
                [self.serin, "stream", "--to", self.listen, "--model", MODEL, "--dir", FOOTAGE / "images/day", "--dark",
                 FOOTAGE / "images/dark", "--dark-share", ".3", "--cameras", str(CAMERAS), "--fps", str(FPS), "--loop",
                 "--labels", "auto", "--data", FOOTAGE / "data.yaml", "--label-share", ".5", "--label-delay", "2",
                 "--json"], stdout=out, stderr=err)

    def stop_playing(self):
        """The summary, as the cameras saw it."""
        self.stream.send_signal(signal.SIGINT)
        self.stream.wait(60)
        text = (self.out / "stream.json").read_text()
        if not text:
            raise Failed("serin stream: " + (self.out / "stream.err").read_text().strip())
        return json.loads(text)

    def end(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is impatient does not leave processes behind
        for process in (self.stream, self.serve):
            if process and process.poll() is None:
                process.terminate()
                process.wait(60)

    # ---- a rollout ----

    def release(self, tag, *more):
        """Starts it and tells of each decision until it is promoted or has ended; all decisions."""
        started = self.ask("rollout", "start", f"{MODEL}:{tag}", "--plan", PLAN, *more)
        rollout, steps = started["id"], started["plan_steps"]
        end = time.monotonic() + LIMIT_S
        told = 0
        while True:
            decisions = self.ask("rollout", "history", rollout)
            for decision in decisions[told:]:
                tell(decision, steps, decisions[0]["time_ms"])
            told = len(decisions)
            if decisions[-1]["state"]["phase"] in ("Promoted", "RolledBack", "Inconclusive", "Aborted", "Undone"):
                return decisions
            if time.monotonic() > end:
                raise Failed(f"{rollout} has not ended after {LIMIT_S} s: "
                             + self.ask("rollout", "get", rollout)["waiting"])
            if self.stream.poll() is not None:
                raise Failed("serin stream ended: " + (self.out / "stream.err").read_text().strip())
            time.sleep(.2)

    def requests(self):
        """Of the access log: time in ms, version, whether it failed, whether stable had to help."""
        found = []
        with open(self.out / "access.ndjson", encoding="utf-8") as log:
            for line in log:
                entry = json.loads(line)
                if entry.get("serin.model"):
                    stamp = datetime.datetime.fromisoformat(entry["@timestamp"].replace("Z", "+00:00"))
                    found.append((stamp.timestamp() * 1e3, entry["serin.version"],
                                  entry["http.response.status_code"] >= 400, entry["serin.assigned"] != entry["serin.version"]))
        return found


def address(port):
    """The usual one, or any where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return f"127.0.0.1:{port}"
    return "127.0.0.1:0"


# ---- what is told ----

def clock(ms):
    return f"{int(ms / 60000)}:{ms / 1000 % 60:04.1f}"


def share_of(step):
    return f"{step['weight_percent']:g} %" if step["weight_percent"] else f"mirror {step['mirror_percent']:g} %"


def tell(decision, steps, began_ms):
    state = decision["state"]
    if state["phase"] == "Pending":
        return  # the next line says it
    why = decision["why"] if decision["event"] != "ready" else ""
    print(f"  {clock(decision['time_ms'] - began_ms)}  {state['phase']:<11}  {share_of(steps[state['step']]):<11}  {why}".rstrip(),
          flush=True)


def evidence(decision):
    """What the decision rests on: the whole and the dark, of people missed, with what the bounds leave open."""
    if decision["event"] != "proven":
        return decision["why"]
    words = []
    for guard in decision["numbers"]["guards"]:
        if guard["metric"] == "missed" and guard["slice"] in ("", "light=dark"):
            if guard["upper"] is not None and guard["canary_count"]:
                words.append(f"{guard['slice'].removeprefix('light=') or 'all'} {100 * guard['estimate']:+.1f} (surely under "
                             f"{100 * guard['upper']:+.0f}) points by {guard['canary_count']} labels")
    return ", ".join(words)


def rows(decisions, steps, requests):
    """A row for each step that began: [at, step, seconds, requests, canary's, errors, helped, evidence]."""
    began, found = None, []
    for decision in decisions:
        state = decision["state"]
        if began and decision["event"] in ("proven", "harm", "ask"):
            span = [r for r in requests if began["time_ms"] <= r[0] < decision["time_ms"]]
            step = steps[began["state"]["step"]]
            canary = sum(r[1] == state["canary"] for r in span)
            found.append([clock(began["time_ms"] - decisions[0]["time_ms"]), share_of(step),
                          f"{(decision['time_ms'] - began['time_ms']) / 1000:.0f} s", str(len(span)), str(canary),
                          str(sum(r[2] for r in span)), str(sum(r[3] for r in span)),
                          {"proven": "on: ", "harm": "OFF: ", "ask": "stopped: "}[decision["event"]] + evidence(decision)])
        if decision["event"] == "ready":
            began = decision
            if state["phase"] == "Promoted":
                found.append([clock(decision["time_ms"] - decisions[0]["time_ms"]), "100 %", "", "", "", "", "", "promoted"])
    return found


def table(heads, lines):
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
    for line in [heads, *lines]:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def push(story):
    print("Three versions, with the accuracy that their makers measured on labels by day:")
    for tag in ("v1.0.0", "v1.1.0", "v1.2.0"):
        words = story.run("push", f"{MODEL}:{tag}-cpu", "--model", MODELS / f"{tag}.onnx", "--eval", FOOTAGE / "day.yaml")
        print(f"  {MODEL}:{tag}-cpu  " + next(line for line in words.splitlines() if line.startswith("evaluation"))[13:])
    print("By that v1.2.0 is the best. Let traffic judge.\n")


def draw(story):
    """The frames by which a person can see it, too."""
    for tag in ("v1.1.0", "v1.2.0"):
        folder = story.out / "dark" / tag
        folder.mkdir(parents=True)
        story.run("predict", "--model", MODELS / f"{tag}.onnx", "--iou", IOU, "--save", folder, FOOTAGE / "images/dark")


def tell_end(story, good, bad, summary, seconds):
    steps = story.ask("rollout", "get", MODEL)["plan_steps"]
    requests = story.requests()
    errors = sum(r[2] for r in requests)
    for tag, decisions in (("v1.1.0", good), ("v1.2.0", bad)):
        print(f"\n{tag} against {decisions[0]['state']['stable']}: {decisions[-1]['state']['phase']} after "
              f"{(decisions[-1]['time_ms'] - decisions[0]['time_ms']) / 1000:.0f} s")
        table(["AT", "STEP", "TOOK", "REQUESTS", "ITS OWN", "ERRORS", "HELPED", "EVIDENCE: PEOPLE MISSED, AGAINST STABLE"], rows(decisions, steps, requests))
    print(f"\nClients: {summary['answered']} answers, {summary['errors']} errors, {summary['fallbacks']} answers of stable for the "
          f"version on trial, p95 {summary['latency_ms']['p95']:.0f} ms; {summary['labels']} labels, {summary['dropped']} frames "
          f"dropped by cameras.\n{seconds:.0f} s in all.")
    return errors + summary["errors"]


def main():
    began = time.monotonic()
    story = Story(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build"))
    once = os.environ.get("ONCE", "") not in ("", "0")
    try:
        story.begin()
        push(story)
        story.run("deploy", f"{MODEL}:v1.0.0-cpu")
        story.play()
        print(f"{CAMERAS} cameras of {FPS} frames a second, some in the dark, ask v1.0.0.\n\nv1.1.0 is released:")
        good = story.release("v1.1.0-cpu")
        print("\nv1.2.0 is released:")
        bad = story.release("v1.2.0-cpu", "--supersede")
        summary = story.stop_playing()
        draw(story)
        errors = tell_end(story, good, bad, summary, time.monotonic() - began)
        last = bad[-1]
        as_told = (good[-1]["state"]["phase"] == "Promoted" and last["state"]["phase"] == "RolledBack"
                   and last["author"] == "judge" and last["numbers"]["slice"] == "light=dark" and errors == 0)
        if last["event"] == "harm":
            print(f"v1.2.0 was taken off because {last['why']}.")
            print(f"See for yourself: {story.out}/dark/v1.1.0 and v1.2.0 have the dark frames with the boxes of both.")
        if not as_told:
            print("This is not how it should have ended.", file=sys.stderr)
        if once or not as_told:
            story.end()
        else:
            print(f"\nThe program goes on serving on {story.listen} (kill {story.serve.pid} ends it). To look:\n"
                  f"  http://{story.admin}/ in a browser\n"
                  f"  export SERIN_ADMIN={story.admin}\n"
                  f"  {sys.argv[1] if len(sys.argv) > 1 else 'build'}/serin status\n"
                  f"  .../serin rollout get {MODEL}\n  .../serin rollout history {MODEL}\n"
                  f"  curl --data-binary @{FOOTAGE}/images/dark/dark-0784.jpg http://{story.listen}/v1/predict/{MODEL}")
        return 0 if as_told else 1
    except (Failed, KeyboardInterrupt) as failure:
        story.end()
        print(f"run: {str(failure) or 'interrupted'}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
