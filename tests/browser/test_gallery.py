"""The gallery of frames on which two versions differ: judged by keys alone, on a phone, in both languages, live.

SPDX-License-Identifier: Apache-2.0
"""
import json
import re
import sys

import pytest
from test_console import base, browser, needs_browser, open_page, serve  # noqa: F401 - fixtures
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from conftest import ROOT, serin  # noqa: E402
from serve_fixture import Models, Serve, answer, serving, until  # noqa: E402

pytestmark = needs_browser

PLAN = """
unit: {key: X-Camera}
guards:
  - {metric: error_rate, margin: 1, required: false}
  - {metric: choices, margin: 0.1, required: false}
frames: {keep: 40, retention: 1d}
steps:
  - {mirror: 100%, min: {time: 1h}}
  - {weight: 100%}
"""
PICTURES = sorted((ROOT / "examples/footage/images/day").glob("*.jpg"))
WIDTH, HEIGHT = 960, 540  # of the footage, as long as no picture says otherwise


def size_of(picture):
    """Width and height, from the frame header of a JPEG."""
    found = re.search(rb"\xff[\xc0\xc2]..\x08(..)(..)", picture, re.DOTALL)
    return int.from_bytes(found[2], "big"), int.from_bytes(found[1], "big")


class Gallery:
    """A rollout in its mirror; each picture shows one person more to stable than to the canary."""

    def __init__(self, serve, name, plan=PLAN):
        self.serve, self.model = serve, Models(serve, name)
        self.model.add("v1.0.0", lambda asked: self.behave(asked, True), stable=True)
        self.model.add("v1.1.0", lambda asked: self.behave(asked, False))
        self.id = serve.api("POST", "rollouts", {"name": f"{name}:v1.1.0", "plan": plan})["id"]
        until(lambda: self.report()["step_begun"], "the mirror")

    @staticmethod
    def behave(asked, is_stable):
        width, height = size_of(asked.body)
        camera = int(asked.get("X-Camera").split("-")[-1])

        def person(left, confidence):
            return {"name": "person", "class": 0, "confidence": confidence,
                    "box": {"x1": left * width, "y1": .4 * height, "x2": (left + .06) * width, "y2": .7 * height}}

        found = [person(.1, .91), person(.3 if is_stable else .305, .62)] + ([person(.6, .4 + camera / 100)] if is_stable else [])
        return answer(body=json.dumps({"images": [{"shape": [height, width], "light": .4, "results": found}]}).encode())

    def report(self):
        return self.serve.api("GET", f"rollouts/{self.id}")

    def frames(self):
        return self.serve.api("GET", f"rollouts/{self.id}/frames")["frames"]

    def fill(self, count, first=1):
        """Each of another camera, with more difference by each."""
        kept = self.report()["frames"]["kept"]
        for camera in range(first, first + count):
            found = self.serve.ask("POST", f"/v1/predict/{self.model.name}", PICTURES[camera % len(PICTURES)].read_bytes(),
                                   {"Content-Type": "image/jpeg", "X-Camera": f"gate-{camera}"})
            assert found.status == 200
        until(lambda: self.report()["frames"]["kept"] == kept + count, "the frames")

    def end(self):
        if not self.report()["ended"]:
            self.serve.api("POST", f"rollouts/{self.id}/abort")
        self.model.remove()


@pytest.fixture
def gallery(serve, request):  # noqa: F811
    found = Gallery(serve, re.sub(r"\W", "-", request.node.name)[:40].lower().strip("-"))
    yield found
    found.end()


def choice(gallery):
    return next(one for one in gallery.report()["guards"] if one["guard"] == "choices")


def title(browser):  # noqa: F811
    return int(re.search(r"\d+", browser.text(selector="#frame-h"))[0])


def test_judged_by_keys_alone(browser, serve, gallery):  # noqa: F811
    gallery.fill(6)
    numbers = [frame["number"] for frame in gallery.frames()]
    open_page(browser, serve, f"#/rollouts/{gallery.id}")
    browser.wait(selector="#to-frames", text="6 to judge, 6 kept")
    for _ in range(60):
        browser.press(key="Tab")
        if "#/rollouts/" in (browser.evaluate(code="document.activeElement.getAttribute('href') || ''")) and browser.evaluate(
                code="document.activeElement.getAttribute('href').endsWith('/frames')"):
            break
    browser.press(key="Enter")
    browser.wait(selector="h1", text=f"Frames of {gallery.id}")
    browser.wait(selector="#standing", text="6 of 6 frames to judge. 0 answers tell them apart; about 147 more are needed to know.")
    assert title(browser) == numbers[0]  # the most different first
    assert browser.count(selector="#stage .over .stable") == 3 and browser.count(selector="#stage .over .canary") == 2
    assert browser.count(selector="#stage .over .alone") == 1
    assert "dash" in browser.evaluate(code="[...document.querySelectorAll('#stage .stable rect')].map(r => r.hasAttribute('stroke-dasharray') ? 'dash' : '').join('')")
    until(lambda: browser.evaluate(code="[...document.querySelectorAll('#main img')].every(i => i.complete && i.naturalWidth > 0)"), "the pictures")
    browser.keep("frames")
    assert browser.axe() == []
    browser.press(key="1")
    until(lambda: title(browser) == numbers[1], "the next")
    browser.press(key="p")  # it may be changed as long as it does not count
    until(lambda: title(browser) == numbers[0], "the one before")
    browser.wait(selector="#said", text="Old is right, says console from 127.0.0.1")
    browser.press(key="ArrowRight")
    until(lambda: title(browser) == numbers[1], "the next")
    assert [frame["right"] for frame in gallery.frames()][:2] == ["canary", None]
    browser.press(key="3")
    until(lambda: title(browser) == numbers[2], "the next")
    browser.press(key="4")
    until(lambda: title(browser) == numbers[3], "the next")
    browser.press(key="2")
    until(lambda: title(browser) == numbers[4], "the next")
    browser.press(key="ArrowLeft")
    until(lambda: title(browser) == numbers[5], "the next")
    assert [(frame["right"], frame["state"]) for frame in gallery.frames()] == [
        ("canary", "counted"), ("both", "counted"), ("neither", "counted"), ("canary", "counted"), ("stable", "given"), (None, "open")]
    browser.wait(selector="#standing", text="1 of 6 frames to judge.")
    until(lambda: choice(gallery)["canary_count"] == 2, "the judge")
    browser.wait(selector="#standing", text="2 answers tell them apart")
    browser.press(key="p")
    browser.press(key="p")
    browser.wait(selector="#said", text="It counts.")
    assert browser.evaluate(code="document.getElementById('right-stable').disabled")
    browser.press(key="1")  # and stays as it is
    browser.press(key="s")
    until(lambda: browser.count(selector="#stage .over .stable") == 0, "stable's boxes away")
    browser.press(key="s")
    browser.press(key="a")
    until(lambda: browser.count(selector="#stage .over .stable") == 1, "those of both away")
    browser.press(key="b")
    browser.wait(selector="#stage .bright")
    browser.press(key="z")
    browser.wait(selector="#stage.zoomed")
    browser.press(key="Tab")
    browser.keep("frames-zoomed")
    assert [frame["right"] for frame in gallery.frames()][3] == "canary"
    assert browser.errors() == []


def test_frames_that_come_are_shown(browser, serve, gallery):  # noqa: F811
    open_page(browser, serve, f"#/rollouts/{gallery.id}/frames")
    browser.wait(selector=".state", text="No frame on which they differ has come yet.")
    gallery.fill(2)
    browser.wait(selector=".thumbs li:nth-child(2)")
    looked_at = title(browser)
    gallery.fill(3, first=20)  # they differ more, and stand before it
    browser.wait(selector=".thumbs li:nth-child(5)")
    assert title(browser) == looked_at
    browser.click(selector=".thumbs li:first-child button")
    until(lambda: title(browser) == gallery.frames()[0]["number"], "the chosen one")
    number = title(browser)
    serve.api("DELETE", f"frames/{number}")
    until(lambda: browser.count(selector=".thumbs li") == 4, "one less")
    browser.press(key="1")
    browser.wait(selector=".problem", text="is kept")
    assert not [error for error in browser.errors() if "status of 404" not in error]


def test_a_restart_loses_no_answer(browser, tmp_path):  # noqa: F811
    own = Serve(tmp_path, "--gateway-threads", "1")
    try:
        own.start()
        found = Gallery(own, "restarted")
        found.fill(3)
        first, second, third = (frame["number"] for frame in found.frames())
        open_page(browser, own, f"#/rollouts/{found.id}/frames")
        browser.wait(selector="#frame img")
        browser.press(key="2")
        until(lambda: title(browser) == second, "the next")
        own.process.kill()
        own.process.wait()
        browser.wait(selector="#notice", text="connection lost at")
        browser.press(key="1")
        browser.wait(selector=".problem", text="The server cannot be reached.")  # it is not said that it was taken
        own.admin_address = f"127.0.0.1:{own.admin}"
        own.process.stdout.close()
        own.start()
        browser.gone(selector="#notice")
        browser.press(key="1")
        until(lambda: title(browser) == third, "the one after it")
        assert [(frame["number"], frame["right"]) for frame in found.frames()] == [(first, "canary"), (second, "stable"), (third, None)]
        until(lambda: choice(found)["canary_count"] >= 1, "the judge")
        assert not [error for error in browser.errors() if "net::ERR_" not in error]
    finally:
        own.kill()


@pytest.mark.parametrize("width,colours,locale", ((390, "light", "en-GB"), (390, "dark", "zh-CN"), (1280, "dark", "zh-CN")))
def test_on_every_screen(browser, serve, gallery, width, colours, locale):  # noqa: F811
    gallery.fill(5)
    open_page(browser, serve, f"#/rollouts/{gallery.id}/frames", colorScheme=colours, viewport={"width": width, "height": 844}, locale=locale)
    browser.wait(selector="#right-canary", text="New is right" if locale == "en-GB" else "新版对")
    until(lambda: browser.evaluate(code="[...document.querySelectorAll('#frame img')].every(i => i.complete && i.naturalWidth > 0)"), "the pictures")
    assert browser.axe() == []
    assert browser.evaluate(code="document.documentElement.scrollWidth <= innerWidth"), "it is wider than the window"
    browser.keep(f"frames-{colours}-{width}")
    number = title(browser)
    browser.click(selector="#right-canary")
    until(lambda: title(browser) != number, "the next")
    assert browser.errors() == []


def test_a_plan_without_frames_says_so(browser, serve):  # noqa: F811
    found = Gallery(serve, "no-frames", PLAN.replace("frames: {keep: 40, retention: 1d}", ""))
    open_page(browser, serve, f"#/rollouts/{found.id}/frames")
    browser.wait(selector=".state", text="This rollout keeps no pictures.")
    found.end()
    assert browser.errors() == []


def test_who_may_only_read_sees_no_pictures(browser, tmp_path):  # noqa: F811
    with serving(tmp_path, "--gateway-threads", "1") as own:
        found = Gallery(own, "private")
        found.fill(1)
        admin = own.api("POST", "tokens", {"name": "ann", "role": "admin"})["token"]
        fields = {"Authorization": f"Bearer {admin}"}
        viewer = own.call("POST", "/api/v1/tokens", {"name": "bob", "role": "viewer"}, fields).json()["token"]
        browser.open(url=f"{base(own)}#/rollouts/{found.id}/frames", options={"locale": "en-GB"})
        browser.wait(selector="h1", text="Log in")
        browser.fill(selector="#token", text=viewer)
        browser.press(key="Enter")
        browser.wait(selector=".state", text="bob is a token that may only read: pictures are for operators.")
        assert browser.count(selector="#main img") == 0
        assert not [error for error in browser.errors() if "status of 401" not in error]
        browser.click(selector="#logout")
        browser.wait(selector="h1", text="Log in")
        browser.fill(selector="#token", text=admin)
        browser.press(key="Enter")
        browser.wait(selector="#frame img")
        for fake in found.model.fakes:
            fake.stop()
