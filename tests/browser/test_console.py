"""The console in a browser: a release watched and aborted through the page, languages, a lost connection, keys, axe.

SPDX-License-Identifier: Apache-2.0
"""
import json
import pathlib
import random
import re
import signal
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from browser_fixture import Browser, needs_browser  # noqa: E402
from conftest import MINIATURE, PICTURES, ROOT, serin  # noqa: E402
from serve_fixture import Models, Serve, answer, needs_workers, push_two, serving, until, with_workers  # noqa: E402

pytestmark = needs_browser

PLAN = """
alpha: 0.05
guards:
  - {metric: error_rate, margin: 0.5}
  - {metric: latency_p95, margin: 500} # of a busy machine
  - {metric: detections, margin: 0.2, slices: [light]}
steps:
  - {mirror: 20%, min: {time: 0s}, prove: {}}
  - {weight: 10%, min: {time: 1h}}
  - {weight: 50%}
  - {weight: 100%}
"""


def behaving(failing=0.0):
    """A model server whose answers have boxes; a share of its tries fails."""
    drawn = random.Random(7)

    def behave(asked):
        if drawn.random() < failing:
            return answer(500, b'{"error": "it broke"}')
        found = {"name": "person", "class": 0, "confidence": .8, "box": {"x1": 10, "y1": 10, "x2": 50, "y2": 90}}
        return answer(body=json.dumps({"images": [{"shape": [480, 640], "speed": {"inference": 9.0}, "light": drawn.choice([10.0, 120.0]),
                                                   "results": [found]}]}).encode())
    return behave


class Traffic:
    """Requests, as fast as they are answered, until the end."""

    def __init__(self, serve, model):
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(serve, model), daemon=True)
        self.thread.start()

    def run(self, serve, model):
        client = serve.client()
        while not self.ended.wait(.002):
            client.predict(model)
        client.close()

    def stop(self):
        self.ended.set()
        self.thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("shots"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve"), "--gateway-threads", "1") as found:
        yield found


@pytest.fixture
def releasing(serve, request):
    """A model on its way, in the step that gives the canary a tenth."""
    model = Models(serve, re.sub(r"\W", "-", request.node.name)[:40].lower().strip("-"))
    model.add("v1.0.0", behaving(), stable=True)
    model.add("v1.1.0", behaving())
    traffic = Traffic(serve, model.name)
    serve.api("POST", "rollouts", {"name": f"{model.name}:v1.1.0", "plan": PLAN})
    until(lambda: serve.api("GET", f"rollouts/{model.name}")["step"] == 2, "the second step")
    yield model
    traffic.stop()
    if not serve.api("GET", f"rollouts/{model.name}")["ended"]:
        serve.api("POST", f"rollouts/{model.name}/abort")
    model.remove()


def base(serve):
    return f"http://127.0.0.1:{serve.admin}/"


def open_page(browser, serve, path="", **options):
    browser.open(url=base(serve) + path, options={"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options})
    browser.wait(selector="#connection", text="实时" if options.get("locale") == "zh-CN" else "live")


def test_a_release_is_watched_and_aborted(browser, serve, releasing):
    name = releasing.name
    open_page(browser, serve)
    browser.wait(selector=f"#m-{name}", text="step 2 of 4")
    browser.wait(selector=f"#m-{name} tbody tr:nth-child(2)", text="10 %")
    assert "stable" in browser.text(selector=f"#m-{name} tbody tr:first-child")
    until(lambda: float(browser.text(selector=f"#m-{name} tbody tr:first-child td[data-label='Requests/s']").split()[0].replace("–", "0")) > 0,
          "a rate")
    browser.keep("models")
    browser.click(selector=f"#m-{name} a")
    browser.wait(selector="h1", text=f"{name}-")
    browser.wait(selector=".state", text="in progress v1.1.0 against v1.0.0, step 2 of 4, 10 % of the requests")
    assert browser.texts(selector=".steps li")[1].split() == ["▶", "10", "%", "here"]
    browser.wait(selector="#g-error_rate", text="canary")
    browser.wait(selector="#g-error_rate canvas")
    assert re.match(r"error rate: change .*, surely within .*, margin \+50 %", browser.evaluate(
        code="document.querySelector('#g-error_rate .chart').getAttribute('aria-label')"))
    browser.wait(selector="#events tbody tr", text="step 2 of 4 can begin")
    browser.keep("rollout")
    browser.click(selector="#do-pause")
    browser.wait(selector="#dialog[open]", text="v1.1.0 keeps 10 % of the requests")
    browser.fill(selector="#reason", text="looking <b>closer</b>")
    browser.click(selector="#dialog button[type=submit]")
    browser.wait(selector=".state", text="paused")
    browser.wait(selector="#events tbody tr", text="looking <b>closer</b>")  # text, and not markup
    browser.wait(selector="#events tbody tr", text="console from 127.0.0.1")
    browser.click(selector="#do-abort")
    browser.wait(selector="#dialog[open]", text=f"All requests of {name} go to v1.0.0, from the next one on.")
    browser.keep("abort")
    browser.click(selector="#dialog button[type=button]")  # not yet
    assert not serve.api("GET", f"rollouts/{name}")["ended"]
    browser.click(selector="#do-abort")
    browser.click(selector="#dialog button[type=submit]")
    browser.wait(selector=".state", text="aborted")
    assert serve.api("GET", f"rollouts/{name}")["phase"] == "Aborted"
    assert serve.versions(name)["v1.1.0"]["weight"] == 0
    browser.wait(selector="#actions", text="Retry")
    browser.wait(selector="#guards .guard")  # what it was ended by stays to be seen
    browser.keep("aborted")
    assert browser.errors() == []


def test_labels_that_do_not_count_are_seen(browser, serve, releasing):
    found = serve.ask("POST", f"/v1/predict/{releasing.name}", b"p", {"Content-Type": "image/jpeg"})
    open_page(browser, serve, f"#/rollouts/{releasing.name}", locale="zh-CN")
    wrong = {"boxes": [{"name": "person", "box": {"x1": .1, "y1": .2, "x2": .3, "y2": .4}}]}
    until(lambda: serve.ask("POST", f"/v1/feedback/{found.headers['X-Request-Id']}", json.dumps(wrong)).status == 400
          and serve.api("GET", f"rollouts/{releasing.name}")["labels"]["refused"], "the refusal")
    browser.wait(selector=".facts .warn", text="不足一个像素")
    browser.keep("labels")
    browser.go(url="about:blank")
    open_page(browser, serve, f"#/rollouts/{releasing.name}")
    browser.wait(selector=".facts .warn", text="0 counted")
    browser.wait(selector=".facts .warn", text="refused, the last: boxes[0] from (0.1, 0.2) to (0.3, 0.4) lies within one pixel")
    assert browser.errors() == []


def test_ten_thousand_events(browser, serve, releasing):
    """The last two hundred are shown, and the page stays quick enough to be used."""
    decisions = [{"number": n, "time_ms": 1700000000000 + n, "author": "ann", "event": "pause", "why": f"reason {n}",
                  "state": {"phase": "Paused", "attempt": 1}, "numbers": {"guards": [{
                      "guard": "error_rate", "slice": "", "estimate": .1, "lower": -.5, "upper": .5, "stable": .01, "canary": .01}]}}
                 for n in range(10000)][-200:]  # as the server gives them
    open_page(browser, serve)
    browser.pretend(pattern="**/history?limit=200", body=json.dumps(decisions))
    browser.go(url=f"{base(serve)}#/rollouts/{releasing.name}")
    browser.wait(selector="#events tbody tr:first-child", text="reason 9999")
    assert browser.count(selector="#events tbody tr") == 200
    browser.wait(selector="#events", text="Earlier ones are not shown")
    assert browser.evaluate(code="import('/live.js').then(m => m.live.readings.get('error_rate').t.length)") <= 1800
    for _ in range(3):  # each look is drawn
        seen = browser.text(selector="#g-error_rate .small")
        until(lambda s=seen: browser.text(selector="#g-error_rate .small") != s, "a next look")
    browser.click(selector="#do-abort")
    browser.wait(selector="#dialog[open]")
    browser.press(key="Escape")
    assert browser.errors() == []


def test_harm_is_seen_as_it_is_found(browser, serve):
    model = Models(serve, "failing")
    model.add("v1", behaving(), stable=True)
    model.add("v2", behaving(failing=.3))
    traffic = Traffic(serve, "failing")
    rollout = serve.api("POST", "rollouts", {"name": "failing:v2", "plan": PLAN})["id"]
    open_page(browser, serve, f"#/rollouts/{rollout}", colorScheme="dark")
    browser.wait(selector=".state", text="rolled back")
    browser.wait(selector="#events tbody tr:first-child", text="harm")
    assert browser.text(selector=".steps li[aria-current]").split()[0] == "✖"
    browser.keep("harm-dark")
    assert browser.errors() == []
    traffic.stop()
    model.remove()


def test_copies_and_labels_that_are_lost_are_told(browser, serve):
    model = Models(serve, "lossy")
    model.add("v1", behaving(), stable=True)
    model.add("v2", behaving(failing=1))
    traffic = Traffic(serve, "lossy")
    rollout = serve.api("POST", "rollouts", {"name": "lossy:v2", "plan": PLAN})["id"]
    open_page(browser, serve, f"#/rollouts/{rollout}")
    browser.wait(selector=".facts", text="0 of ")
    browser.wait(selector=".facts", text="were answered in this step; the last that failed: ")
    labels = {"counted": 7, "refused": 3, "unmatched": 2, "unchecked": 0, "why": "class 'cat' is none of the model's"}
    browser.evaluate(code=f"import('/live.js').then(m => {{ m.live.rollout.labels = {json.dumps(labels)}; dispatchEvent(new HashChangeEvent('hashchange')); }})")
    browser.wait(selector=".facts", text="7 counted; 2 came for requests whose answers are not kept; 3 refused, the last: class 'cat' is none")
    assert browser.errors() == []
    traffic.stop()
    serve.api("POST", f"rollouts/{rollout}/abort")
    model.remove()


def test_what_the_server_refuses_is_said_where_it_was_asked(browser, serve, releasing):
    open_page(browser, serve, f"#/rollouts/{releasing.name}")
    browser.click(selector="#do-abort")
    serve.api("POST", f"rollouts/{releasing.name}/abort")  # somebody was faster
    browser.wait(selector=".state", text="aborted")
    browser.click(selector="#dialog button[type=submit]")
    browser.wait(selector="#dialog .problem", text="Refused: ")
    browser.press(key="Escape")


def test_a_server_that_hangs_is_told_of(browser, serve, releasing):
    """A word that is not answered is neither done nor refused, and the page says so."""
    open_page(browser, serve, f"#/rollouts/{releasing.name}")
    browser.evaluate(code="AbortSignal.timeout = ((timeout) => () => timeout.call(AbortSignal, 300))(AbortSignal.timeout)")
    browser.click(selector="#do-abort")
    serve.process.send_signal(signal.SIGSTOP)
    try:
        browser.click(selector="#dialog button[type=submit]")
        browser.wait(selector="#dialog .problem", text="It may have been done all the same")
        browser.wait(selector="#dialog button[type=submit]:enabled")
        browser.wait(selector="#notice", text="connection lost at")
    finally:
        serve.process.send_signal(signal.SIGCONT)
    browser.press(key="Escape")
    browser.wait(selector=".state", text="aborted")  # it was, as soon as the server went on
    browser.gone(selector="#notice")


def test_both_languages(browser, serve, releasing):
    open_page(browser, serve, f"#/rollouts/{releasing.name}", locale="zh-CN")
    browser.wait(selector=".state", text="进行中")
    browser.wait(selector="#do-abort", text="中止")
    browser.wait(selector="#events tbody tr:first-child", text="第 2/4 步可以开始")
    browser.wait(selector="#events tbody tr:nth-child(2)", text="此处没有须证明的护栏")
    browser.wait(selector="#events tbody tr:last-child", text="已开始")
    assert browser.evaluate(code="document.documentElement.lang") == "zh-Hans"
    browser.keep("chinese")
    browser.click(selector="#language")
    browser.wait(selector=".state", text="in progress")
    browser.reload()
    browser.wait(selector="#do-abort", text="Abort")  # it is remembered
    assert browser.errors() == []


def test_no_word_lacks_a_translation(browser, serve):
    """Each key has two different texts with the same parameters, and each that the code names is there."""
    open_page(browser, serve)
    table = browser.evaluate(code="import('/words.js').then(m => m.table)")
    for key, texts in table.items():
        assert len(texts) == 2 and all(texts), key
        assert sorted(re.findall(r"\{\w+\}", texts[0])) == sorted(re.findall(r"\{\w+\}", texts[1])), key
    same = {key for key, (english, chinese) in table.items() if english == chinese}
    assert same <= {"title", "p95", "measure_map50_95", "measure_map50", "measure_f1", "measure_top1", "measure_top5"}, same
    measures = re.search(r"const MEASURES = \[(.*?)\]", (ROOT / "console/versions.js").read_text())[1]
    assert all(f"measure_{name}" in table for name in re.findall(r'"(\w+)"', measures))
    for event in re.findall(r'X\([A-Z_]+, "([\w-]+)"', re.search(r"#define ROLLOUT_EVENTS.*?\n\n", (ROOT / "src/rollout/machine.h").read_text(), re.DOTALL)[0]):
        assert f"event_{event}" in table, event
    for file in (ROOT / "console").glob("*.js"):
        for key in re.findall(r'\bt\("([^"]+)"', file.read_text()):
            assert key in table, (file.name, key)
    phases = re.search(r"#define ROLLOUT_PHASES.*?\n\n", (ROOT / "src/rollout/machine.h").read_text(), re.DOTALL)[0]
    found = re.findall(r'X\([A-Z_]+, "(\w+)"', phases)
    assert len(found) == 9
    for phase in found:
        assert f"phase_{phase}" in table


# Where the program writes the sentences that a rollout's picture shows, and how such a statement begins.
SAYS_IN = ("judge/judge.c", "judge/decide.c", "rollout/controller.c", "rollout/controller_tick.c", "rollout/controller_verbs.c",
           "rollout/controller_report.c", "rollout/calendar.c", "serve/freeze.c")
SAYS = (r"\bsay\(|\bwait_for\(|\bdecide_alone\(|\btrial_decide\(|\brollout_set_why\(|\bwhy(?:\[[^]]*\])? = |\breturn (?=\")"
        r"|\bsnprintf\((?:[\w.>-]*why|[\w>-]*waiting|text|ret),")
REFUSES_IN = "gateway/feedback.c"  # labels
REFUSES = r"\berror_set\(error, SERIN_\w+,|\brefuse\("
AUTHORS = {"judge", "controller", "clock", "breaker"}
WEEK = "MonTueWedThuFriSatSun"


def said():
    """What stands between the conversions of those sentences, with its file."""
    for file in (*SAYS_IN, REFUSES_IN):
        text = (ROOT / "src" / file).read_text()
        found = re.findall(rf"(?:{REFUSES if file == REFUSES_IN else SAYS})[^;]*?(?:\"(?:[^\"\\]|\\.)*\"[^;\"]*)+;", text)
        assert found, file
        for statement in found:
            for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', re.sub(r'"\s*"', "", statement)):
                for piece in re.split(r"%[-+.*0-9]*(?:ll|z)?[a-z]", literal.replace("%%", "").replace(r"\"", '"').replace(r"\\", "\\")):
                    if len(piece.strip(" :;,()")) > 2 and piece not in {*AUTHORS, WEEK}:
                        yield file, piece.strip(" :;,()")


def test_no_sentence_of_the_server_lacks_a_translation(browser, serve):
    """Whoever writes a new one is told here: it wants a row in console/sentences.js."""
    open_page(browser, serve, locale="zh-CN")
    rows = browser.evaluate(code="import('/sentences.js').then(m => m.known)")
    for english, chinese in rows:
        assert sorted(set(re.findall(r"\{\w+\}", english))) == sorted(set(re.findall(r"\{\w+\}", chinese))), english
    pieces = list(said())
    assert len(pieces) > 60
    missing = [piece for piece in pieces if not any(piece[1] in english for english, _ in rows)]
    assert not missing, missing
    table = browser.evaluate(code="import('/words.js').then(m => m.table)")
    assert all(f"who_{author}" in table for author in AUTHORS)


@pytest.mark.parametrize("english, chinese", [
    ("missed rose in light=dark: 12.4 % against stable's 5.1 % (+7.3 points, surely more than +3.02 points; the margin is 3), 310 labelled frames of the canary",
     "漏检（light=dark）升高：12.4 %，稳定版为 5.1 %（变化 +7.3 个百分点，必定超过 +3.02 个百分点；界限 3），依据候选版的 310 张带标注的画面"),
    ("error_rate rose: 12 % against stable's nothing (+7 %; the margin is 50 %), 1 requests of the canary",
     "错误率升高：12 %，稳定版为 无（变化 +7 %；界限 50 %），依据候选版的 1 个请求"),
    ("every required guard is proven within this step's margins, by 27 units of the canary in this step; no label has come, "
     "so nobody has said whether it sees what it should",
     "所有须证明的护栏都已在本步界限内得到证明，依据本步中候选版的 27 个分配单位；没有收到标注，因此无人确认它看到了该看到的"),
    ("no guard has to be proven here, with 1 record of the canary's answers", "此处没有须证明的护栏；候选版的回答有 1 条记录"),
    ("no request has come for 111 s; no good answer of the canary has been seen in this step yet", "已有 111 秒没有请求；本步中尚未见到候选版的正常回答"),
    ("no good answer of the canary has been seen in this step yet; 0 of 512 copies were answered, the last: status 500",
     "本步中尚未见到候选版的正常回答；512 份副本均未得到回答，最近一份：状态 500"),
    ("error_rate rose in light=dark from none to 13.3 % (surely more than +144 %; the margin is 50 %), 15 requests of the canary",
     "错误率（light=dark）从无升至 13.3 %（必定超过 +144 %；界限 50 %），依据候选版的 15 个请求"),
    ("my own guard fell: 3 boxes; the limit is 5 boxes, 40 requests of the canary", "my own guard降低：3 个框，下限为 5 个框，依据候选版的 40 个请求"),
    ("missed in light=dark is not known to be within 3 points of stable's yet: 21 labelled frames of the canary (and 2 more), "
     "the last label came 12 min ago; about 40 min left at the present traffic",
     "尚不能确知漏检（light=dark）与稳定版相差在 3 个百分点 以内：候选版已有 21 张带标注的画面（另有 2 项），最近一个标注在 12 分钟前；按当前流量约需 40 分钟"),
    ("the canary has had 3 of the 50 requests that the step asks for; how long cannot be told yet", "候选版已有 3，本步要求 50 个请求；尚无法估计还需多久"),
    ("because street is frozen, until Mon 2026-11-23 06:00 Europe/Berlin, in 5 h", "street 处于冻结期，至 Mon 2026-11-23 06:00 Europe/Berlin，还有 5 小时"),
    ("for the gate https://a/b, which says no: not in 5 minutes", "等待关卡 https://a/b，它不同意：not in 5 minutes"),
    ("boxes[0]: street has no class 'truck': it has 0 person, 1 car", "boxes[0]：street 没有类别 'truck'：它有 0 person, 1 car"),
    ("boxes[1] from (220, 10) to (260, 90): less than half of it lies in the picture of 200 x 100 px",
     "boxes[1] 自 (220, 10) 至 (260, 90)：其不到一半位于 200 x 100 像素的画面内"),
    ("boxes[2]: x2 is 2e+06 px, the limit is 1e+06 either way", "boxes[2]：x2 为 2e+06 px，正负上限均为 1e+06"),
    ("the body must be {\"boxes\": [...]} or {\"right\": \"stable\"}", "正文须为 {\"boxes\": [...]} 或 {\"right\": \"stable\"}"),
    ("the step has just begun; 0 of 9 copies were answered, the last: unix:/run/v2.sock: closed without an answer",
     "本步刚刚开始；9 份副本均未得到回答，最近一份：unix:/run/v2.sock：未作回答即关闭连接"),
    ("I do not like it: 3 points", None), ("trouble in paradise", None)])
def test_sentences_of_the_server_in_chinese(browser, serve, english, chinese):
    """Whole ones; what a person wrote stays."""
    open_page(browser, serve, locale="zh-CN")
    assert browser.evaluate(code=f"import('/words.js').then(m => m.translated({json.dumps(english)}))") == chinese


def test_a_lost_connection(browser, tmp_path):
    serve = Serve(tmp_path, "--gateway-threads", "1")
    try:
        serve.start()
        model = Models(serve, "cam")
        model.add("v1", behaving(), stable=True)
        model.add("v2", behaving())
        open_page(browser, serve)
        browser.wait(selector="#m-cam", text="v1")
        serve.process.kill()
        serve.process.wait()
        browser.wait(selector="#notice", text="connection lost at")
        browser.wait(selector="#connection", text="lost")
        browser.keep("lost")
        serve.admin_address = f"127.0.0.1:{serve.admin}"
        serve.process.stdout.close()
        serve.start()
        browser.gone(selector="#notice")
        browser.wait(selector="#connection", text="live")
        serve.weights("cam", v1=1, v2=1)
        browser.wait(selector="#m-cam tbody tr:nth-child(2)", text="50 %")  # what is seen is of the new process
        assert not [error for error in browser.errors() if "net::ERR_" not in error]
    finally:
        serve.kill()


def test_by_keyboard_alone(browser, serve, releasing):
    open_page(browser, serve)
    focused = "document.activeElement.id || document.activeElement.textContent.trim()"

    def tab_to(wanted):
        for _ in range(60):
            browser.press(key="Tab")
            if browser.evaluate(code=focused) == wanted:
                outline = browser.evaluate(code="getComputedStyle(document.activeElement).outlineStyle")
                assert outline == "solid", wanted
                return
        raise AssertionError(f"the keys do not lead to {wanted}")

    browser.press(key="Tab")
    assert browser.evaluate(code=focused) == "skip"
    tab_to("Rollouts")
    browser.press(key="Enter")
    browser.wait(selector="h1", text="Rollouts")
    tab_to(serve.api("GET", f"rollouts/{releasing.name}")["id"])
    browser.press(key="Enter")
    browser.wait(selector="#do-pause")
    tab_to("do-pause")
    browser.wait(selector="#live", text="in progress")
    browser.press(key="Enter")
    browser.wait(selector="#dialog[open]")
    assert browser.evaluate(code=focused) == "reason"
    browser.type(text="by keys")
    browser.press(key="Enter")
    browser.wait(selector=".state", text="paused")
    tab_to("do-resume")  # focus is not lost to the page
    browser.press(key="Enter")
    browser.press(key="Escape")
    assert browser.count(selector="#dialog[open]") == 0
    assert browser.errors() == []


@pytest.mark.parametrize("colours", ("light", "dark"))
@pytest.mark.parametrize("width", (1280, 390))
def test_axe_finds_nothing_serious(browser, serve, releasing, colours, width):
    for path, shows in (("", f"#m-{releasing.name}"), ("#/rollouts", "tbody a"), (f"#/rollouts/{releasing.name}", "#g-error_rate")):
        open_page(browser, serve, path, colorScheme=colours, viewport={"width": width, "height": 844})
        browser.wait(selector=shows)
        assert browser.axe() == []
        browser.keep(f"{path.split('/')[1] + str(path.count('/')) if path else 'models'}-{colours}-{width}")
        assert browser.evaluate(code="document.documentElement.scrollWidth <= innerWidth"), "it is wider than the window"
    browser.click(selector="#do-abort")
    assert browser.axe() == []
    browser.press(key="Escape")


LONG = ("v1.12.0-rc.1-gpu-cu118-tensorrt10.3-int8", "v1.13.0-rc.2-gpu-cu124-tensorrt10.8-fp16")


@pytest.mark.parametrize("width,locale", ((1280, "en-GB"), (390, "zh-CN")))
def test_long_names_and_great_numbers_have_room(browser, serve, width, locale):
    model = Models(serve, "a-model-whose-name-is-as-long-as-names-may-well-be-in-practice")
    model.add(LONG[0], behaving(), stable=True)
    model.add(LONG[1], behaving())
    traffic = Traffic(serve, model.name)
    rollout = serve.api("POST", "rollouts", {"name": f"{model.name}:{LONG[1]}", "plan": PLAN})["id"]
    until(lambda: serve.api("GET", f"rollouts/{rollout}")["step"] == 2, "the second step")
    for path in ("", "#/rollouts", f"#/rollouts/{rollout}", "#/try"):
        open_page(browser, serve, path, viewport={"width": width, "height": 844}, locale=locale)
        browser.wait(selector="main h1")
        if path.endswith(rollout):
            # A margin of 500 is one of +50,000 %: no label of the axis begins left of the chart.
            browser.evaluate(code="""{
                const drawn = window.drawn = [], draw = CanvasRenderingContext2D.prototype.fillText;
                CanvasRenderingContext2D.prototype.fillText = function (text, x, ...more) {
                    drawn.push([text, this.textAlign === "right" ? x - this.measureText(text).width : x]);
                    return draw.call(this, text, x, ...more);
                };
            }""")
            found = until(lambda: [(text, x) for text, x in browser.evaluate(code="window.drawn") if re.fullmatch(r"\+\d{2,3},000 %", text)], "a label")
            assert all(x >= 0 for _, x in found), found
        assert browser.evaluate(code="document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
        browser.keep(f"long-{width}-{path.replace('/', '').replace('#', '')[:9] or 'models'}")
    assert browser.errors() == []
    traffic.stop()
    serve.api("POST", f"rollouts/{rollout}/abort", {"why": "seen enough"})
    open_page(browser, serve)
    browser.wait(selector=f"#m-{model.name}", text="aborted")  # what was taken off is seen first
    browser.click(selector=f"#m-{model.name} a")
    browser.wait(selector="h1", text=rollout)
    model.remove()


def test_a_long_list_is_narrowed_by_what_is_typed(browser, serve):
    fake = Models(serve, "hall-00")
    server = fake.add("v1", behaving(), stable=True)
    for n in range(1, 20):
        serve.deploy(f"hall-{n:02}:v1", server.url, stable=True)
    open_page(browser, serve)
    browser.wait(selector="#m-hall-19")
    browser.fill(selector="#filter-models", text=" ALL-1")
    until(lambda: browser.count(selector="section.card") == 10, "hall-10 to hall-19")
    browser.wait(selector=".filter", text="10 of ")
    browser.keep("filter")
    seen = browser.evaluate(code="import('/live.js').then(m => m.live.status.uptime_s)")
    until(lambda: browser.evaluate(code="import('/live.js').then(m => m.live.status.uptime_s)") != seen, "a next look")
    assert browser.count(selector="section.card") == 10 and browser.evaluate(code="document.activeElement.id") == "filter-models"
    assert browser.axe() == []
    browser.go(url=f"{base(serve)}#/try")
    browser.wait(selector="#try-model")
    browser.go(url=f"{base(serve)}#/")
    browser.wait(selector="#m-hall-01")  # another page's field has been emptied
    assert browser.errors() == []
    for n in range(1, 20):
        serve.api("DELETE", f"routes/hall-{n:02}")
        serve.api("DELETE", f"serving/hall-{n:02}:v1")
    fake.remove()


def test_versions_and_what_differs(browser, tmp_path):
    for tag, model in (("v1", "detect"), ("v2", "detect"), ("v3", "segment")):
        found = serin("push", f"tiny:{tag}", "--model", MINIATURE / f"{model}.onnx", "--set", f"conf=.{tag[1]}", "--data-dir", tmp_path / "data")
        assert found.returncode == 0, found.stderr
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        open_page(browser, serve, "#/versions")
        browser.wait(selector=".state", text="3 versions")
        assert [row.split()[0] for row in browser.texts(selector="tbody th")] == ["tiny:v3", "tiny:v2", "tiny:v1"]
        browser.keep("versions")
        browser.click(selector="tbody tr:nth-child(2) a")
        browser.wait(selector="h1", text="tiny:v2")
        browser.choose(selector="#against", value="tiny:v1")
        browser.wait(selector="#diff tbody tr", text="conf")
        row = [row for row in browser.texts(selector="#diff tbody tr") if row.startswith("conf")]
        assert row and row[0].split() == ["conf", "0.1", "0.2"]
        assert browser.axe() == []
        browser.keep("diff")
        assert serve.api("GET", "versions/tiny:v2?against=tiny:v1") == json.loads(
            serin("diff", "tiny:v1", "tiny:v2", "-o", "json", "--data-dir", tmp_path / "data").stdout)
        assert serve.api("GET", "versions") == json.loads(serin("versions", "-o", "json", "--data-dir", tmp_path / "data").stdout)
        assert serve.call("GET", "/api/v1/versions/tiny:v9").status == 404
        assert serve.api("GET", "versions/tiny:v2")["findings"] is None
        assert browser.errors() == []


def test_a_scan_and_an_evaluation_are_listed(browser, tmp_path):
    findings = [{"VulnerabilityID": f"CVE-2026-{n}", "PkgName": "zlib", "Severity": "LOW"} for n in range(600)]
    findings.append({"VulnerabilityID": "CVE-2026-9999", "PkgName": "<b>openssl</b>", "Severity": "CRITICAL"})
    (tmp_path / "trivy.json").write_text(json.dumps({"SchemaVersion": 2, "ArtifactName": "m", "Results": [{"Target": "lib", "Vulnerabilities": findings}]}))
    found = serin("push", "street:v1", "--model", ROOT / "examples/models/street-person/v1.0.0.onnx", "--eval", ROOT / "examples/footage/day.yaml",
                  "--scan", tmp_path / "trivy.json", "--data-dir", tmp_path / "data")
    assert found.returncode == 0, found.stderr
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        open_page(browser, serve, "#/versions/street:v1")
        browser.wait(selector="#evaluation tbody tr", text="all classes")
        assert re.search(r"0\.4[45]", browser.text(selector="#evaluation tbody tr"))
        browser.wait(selector="#findings summary", text="What the scan found: 601")
        assert browser.texts(selector="#findings tbody tr")[0].split("\t") == ["CVE-2026-9999", "✖ CRITICAL", "<b>openssl</b>", "lib"]
        assert browser.count(selector="#findings tbody tr") == 500
        browser.wait(selector="#findings", text="101 more are not shown")
        assert browser.axe() == []
        browser.keep("version")
        assert browser.errors() == []


@needs_workers
def test_what_runs_a_version_is_told(browser, tmp_path):
    """With provider auto also why oneDNN does not, in both languages."""
    for tag, model, provider in (("v1", "detect-nms", "auto"), ("v2", "detect", "onednn"), ("v3", "detect", "onednn-bf16"), ("v4", "detect", "")):
        found = serin("push", f"tiny:{tag}", "--model", MINIATURE / f"{model}.onnx", "--data-dir", tmp_path / "data",
                      *(["--set", f"provider={provider}"] if provider else []))
        assert found.returncode == 0, found.stderr
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        serve.deploy("tiny:v1", stable=True)
        engine = serve.api("GET", "versions/tiny:v1")["engine"]
        open_page(browser, serve, "#/versions/tiny:v1")
        browser.wait(selector=".facts", text="provider auto")
        browser.wait(selector=".facts", text=f"{engine['provider']}, because {engine['why']}" if engine["why"] else engine["provider"])
        browser.click(selector="#language")
        browser.wait(selector=".facts", text=f"{engine['provider']}，因为：{engine['why']}" if engine["why"] else engine["provider"])
        browser.wait(selector=".facts", text="推理引擎")
        serve.api("POST", "deploy", {"name": "tiny:v2", "stable": False, "confirm": True})  # other outputs than those of stable
        serve.api("POST", "rollouts", {"name": "tiny:v2", "plan": PLAN})
        open_page(browser, serve)
        for tag, provider in (("v1", engine["provider"]), ("v2", "onednn")):
            browser.wait(selector=f"#v-tiny-{tag} th", text=provider)
        browser.keep("engines")
        open_page(browser, serve, "#/rollouts/tiny")
        browser.wait(selector=".facts", text=f"onednn against {engine['provider']}")
        open_page(browser, serve, "#/versions")  # those that are not served say what they will ask for
        for tag, provider in (("v1", engine["provider"]), ("v2", "onednn"), ("v3", "onednn-bf16"), ("v4", "cpu")):
            browser.wait(selector=f"[id='b-tiny:{tag}'] td[data-label='Engine']", text=provider)
        browser.wait(selector="[id='b-tiny:v4'] td[data-label='Size']", text=f"{(MINIATURE / 'detect.onnx').stat().st_size / 1e6:.1f} MB")
        browser.keep("versions-engines")
        assert browser.axe() == []
        assert browser.errors() == []


@needs_workers
def test_a_picture_is_tried_on_two_versions(browser, tmp_path):
    with with_workers(push_two(tmp_path / "pushed"), tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        serve.deploy("tiny:v2")
        picture = PICTURES / "shapes-640x480.jpg"
        want = serve.ask("POST", "/v1/predict/tiny", picture.read_bytes(), {"Content-Type": "image/jpeg"}).json()["images"][0]["results"]
        before = [serve.counters("tiny", tag) for tag in ("v1", "v2")]
        open_page(browser, serve, "#/try")
        browser.wait(selector="#side-1 select")
        browser.drop(selector="#picture", file=str(picture))
        for side, tag in enumerate(("v1", "v2")):
            browser.wait(selector=f"#side-{side} .found", text=f"{tag} finds {len(want)}")
            assert browser.count(selector=f"#side-{side} .boxes polygon") == len(want) > 0
            assert browser.text(selector=f"#side-{side} tbody tr").split("\t")[0] == want[0]["name"]
        browser.keep("try")
        assert browser.axe() == []
        assert [serve.counters("tiny", tag) for tag in ("v1", "v2")] == before  # no client asked
        browser.drop(selector="#picture", file=str(ROOT / "README.md"))
        browser.wait(selector="#side-0 .problem")
        assert serve.call("POST", "/api/v1/try/tiny:v9", b"x").status == 404
        assert serve.call("POST", "/api/v1/try/tiny:v1", b"x" * (33 << 20)).status == 413
        assert serve.call("POST", "/api/v1/rollouts", b"x" * (2 << 20)).status == 413
        assert not [error for error in browser.errors() if "status of 4" not in error]


def test_the_colours_can_be_chosen(browser, serve):
    ground = "getComputedStyle(document.body).backgroundColor"
    open_page(browser, serve, colorScheme="light")
    light = browser.evaluate(code=ground)
    browser.click(selector="#theme")
    browser.click(selector="#theme")
    browser.wait(selector="#theme", text="Dark")
    assert browser.evaluate(code=ground) != light
    browser.reload()
    browser.wait(selector="#theme", text="Dark")
    assert browser.evaluate(code=ground) != light


def test_log_in(browser, tmp_path):
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        model = Models(serve, "cam")
        model.add("v1", behaving(), stable=True)
        model.add("v2", behaving())
        token = serve.api("POST", "tokens", {"name": "ann", "role": "admin"})["token"]
        viewer = serve.call("POST", "/api/v1/tokens", {"name": "bob", "role": "viewer"}, {"Authorization": f"Bearer {token}"}).json()["token"]
        browser.open(url=base(serve), options={"locale": "en-GB"})
        browser.wait(selector="h1", text="Log in")
        browser.fill(selector="#token", text="serin_wrong")
        browser.press(key="Enter")
        browser.wait(selector=".problem", text="Not logged in: ")
        browser.keep("login")
        assert browser.axe() == []
        browser.fill(selector="#token", text=token)
        browser.press(key="Enter")
        browser.wait(selector="#m-cam", text="v1")
        browser.wait(selector="#logout", text="ann")
        browser.click(selector="#logout")
        browser.wait(selector="h1", text="Log in")
        assert serve.call("GET", "/api/v1/status").status == 401
        browser.fill(selector="#token", text=viewer)
        browser.press(key="Enter")
        browser.wait(selector="#logout", text="bob")
        assert serve.call("POST", "/api/v1/rollouts", {"name": "cam:v2", "plan": PLAN}, {"Authorization": f"Bearer {token}"}).status == 200
        browser.go(url=f"{base(serve)}#/rollouts/cam")
        browser.wait(selector="#actions", text="bob is a token that may only read")
        assert browser.count(selector="#do-abort") == 0
        assert not [error for error in browser.errors() if "status of 401" not in error]
