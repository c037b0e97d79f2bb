// sentences.js - what the server says of a rollout, in Chinese.
// SPDX-License-Identifier: Apache-2.0
//
// The server says why in one English sentence, which is on disk with its decision and the same in the terminal, the log
// and here. So the sentence is the key, as in gettext: a row has it as the program writes it, with {name} for what
// differs, and beside it the other language's. What stands for {name} is looked up among the parts in its turn (a guard's
// name, a slice, an amount of evidence), and is left as it is where nothing is known of it. A sentence of which nothing is
// known stays English and is marked so. The first row that fits is taken: the longer of two alike stands first.
// tests/browser/test_console.py holds the rows against the strings in the program.

/// Of judge/, rollout/controller_*.c, serve/freeze.c and serve/table.c; of labels: gateway/feedback*.c, serve/label_join.c.
const sentences = [
    ["{rest}; 0 of {n} copies were answered, the last: {failure}", "{rest}；{n} 份副本均未得到回答，最近一份：{failure}"],
    ["no request has come for {n} s; {rest}", "已有 {n} 秒没有请求；{rest}"],
    ["{guard} rose{where}: {canary} against stable's {stable} ({change}, surely more than {sure}; the margin is {margin}), {evidence} of the canary",
        "{guard}{where}升高：{canary}，稳定版为 {stable}（变化 {change}，必定超过 {sure}；界限 {margin}），依据候选版的 {evidence}"],
    ["{guard} rose{where}: {canary} against stable's {stable} ({change}; the margin is {margin}), {evidence} of the canary",
        "{guard}{where}升高：{canary}，稳定版为 {stable}（变化 {change}；界限 {margin}），依据候选版的 {evidence}"],
    ["{guard} fell{where}: {canary} against stable's {stable} ({change}, surely less than {sure}; the margin is {margin}), {evidence} of the canary",
        "{guard}{where}降低：{canary}，稳定版为 {stable}（变化 {change}，必定低于 {sure}；界限 {margin}），依据候选版的 {evidence}"],
    ["{guard} fell{where}: {canary} against stable's {stable} ({change}; the margin is {margin}), {evidence} of the canary",
        "{guard}{where}降低：{canary}，稳定版为 {stable}（变化 {change}；界限 {margin}），依据候选版的 {evidence}"],
    ["{guard} rose{where} from none to {canary} (surely more than {sure}; the margin is {margin}), {evidence} of the canary",
        "{guard}{where}从无升至 {canary}（必定超过 {sure}；界限 {margin}），依据候选版的 {evidence}"],
    ["{guard} rose{where} from none to {canary} (the margin is {margin}), {evidence} of the canary",
        "{guard}{where}从无升至 {canary}（界限 {margin}），依据候选版的 {evidence}"],
    ["{guard} rose{where}: {canary}; the limit is {limit}, {evidence} of the canary", "{guard}{where}升高：{canary}，上限为 {limit}，依据候选版的 {evidence}"],
    ["{guard} fell{where}: {canary}; the limit is {limit}, {evidence} of the canary", "{guard}{where}降低：{canary}，下限为 {limit}，依据候选版的 {evidence}"],
    ["{guard} fell: {canary} against stable's {stable}; the margin is {margin}", "{guard}降低：{canary}，稳定版为 {stable}；界限 {margin}"],
    ["{guard}: not evaluated for both versions", "{guard}：并非两个版本都有评估"],
    ["the split is not what it should be: the canary got {seen} of the traffic, the draw gave it {expected}",
        "流量分配与应有的不符：候选版得到 {seen} 的流量，而抽签给它的是 {expected}"],
    ["{what} is not known to be within {margin} of stable's yet: {evidence} of the canary{more}; {left}",
        "尚不能确知{what}与稳定版相差在 {margin} 以内：候选版已有 {evidence}{more}；{left}"],
    ["the canary has had {n} of the {needed} that the step asks for; {left}", "候选版已有 {n}，本步要求 {needed}；{left}"],
    ["no good answer of the canary has been seen in this step yet", "本步中尚未见到候选版的正常回答"],
    ["every required guard is proven within this step's margins, by {evidence} of the canary's answers{more}",
        "所有须证明的护栏都已在本步界限内得到证明，依据候选版回答的 {evidence}{more}"],
    ["every required guard is proven within this step's margins, by {evidence} of the canary in this step{more}",
        "所有须证明的护栏都已在本步界限内得到证明，依据本步中候选版的 {evidence}{more}"],
    ["no guard has to be proven here, with {evidence} of the canary's answers{more}", "此处没有须证明的护栏；候选版的回答有 {evidence}{more}"],
    ["no guard has to be proven here, with {evidence} of the canary in this step{more}", "此处没有须证明的护栏；本步中候选版有 {evidence}{more}"],
    ["started", "已开始"],
    ["a person's word", "由人决定"],
    ["a newer version takes its place: {reason}", "由更新的版本取代：{reason}"],
    ["a newer version takes its place", "由更新的版本取代"],
    ["in spite of the freeze ({why}): {reason}", "不顾冻结（{why}）：{reason}"],
    ["step {step} of {steps} can begin", "第 {step}/{steps} 步可以开始"],
    ["for a replica of {canary} to be ready", "等待 {canary} 的副本就绪"],
    ["because {model} is frozen, {why}", "{model} 处于冻结期，{why}"],
    ["for the gate {url}, which says no: {why}", "等待关卡 {url}，它不同意：{why}"],
    ["for the gate {url}", "等待关卡 {url}"],
    ["the state file was deleted or replaced: a start would find nothing of what is in force, and no change is taken that is not a way back",
        "状态文件已被删除或替换：重新启动将找不到任何已生效的内容，且除回退外不接受任何更改"],
    ["its weights are in force, but not on disk: a start would bring back those of before", "其权重已生效，但未写入磁盘：重新启动会恢复之前的权重"],
    ["its rollout goes back, and stable has everything, but that is not on disk: a start would go on with the rollout",
        "其发布正在回退，所有流量已给稳定版，但未写入磁盘：重新启动会继续该发布"],
    ["for its decision to be written: {why}", "等待决策写入磁盘：{why}"],
    ["the step has just begun", "本步刚刚开始"],
    ["waits for its minimum time: {n} s left; {rest}", "等待本步的最短时间，还有 {n} 秒；{rest}"],
    ["waits for its minimum time: {n} min left; {rest}", "等待本步的最短时间，还有 {n} 分钟；{rest}"],
    ["waits for its minimum time: {n} h left; {rest}", "等待本步的最短时间，还有 {n} 小时；{rest}"],
    ["it is paused, and a person's resume or promote goes on", "已暂停，需由人继续或推进"],
    ["no replica of {canary} was ready in {n} minutes", "{n} 分钟内没有 {canary} 的副本就绪"],
    ["the step has had its most time, {n} s, and is not proven", "本步已用完最长时间 {n} 秒，仍未得到证明"],
    ["the step has had its most evidence, {n}, and is not proven", "本步已用完最多证据 {n}，仍未得到证明"],
    ["there are more records than a rollout may keep, and it is not proven", "记录已超出一次发布可保存的数量，仍未得到证明"],
    ["the canary failed so many requests in a row that the gateway took it off", "候选版接连失败的请求过多，网关已将其撤下"],
    ["the time to undo it has passed", "撤销期已过"],
    ["its records cannot be read again: {why}", "无法重新读取其记录：{why}"],
    ["boxes[{n}]: {model} has no class {class}: it has {classes}", "boxes[{n}]：{model} 没有类别 {class}：它有 {classes}"],
    ["boxes[{n}]: class {class} of {model} is {name}, not {other}", "boxes[{n}]：{model} 的类别 {class} 是 {name}，不是 {other}"],
    ["boxes[{n}]: class {class}: what the classes of {model} are called is not known here: say 'name'", "boxes[{n}]：类别 {class}：此处不知道 {model} 的类别名称，请给出 'name'"],
    ["boxes[{n}] from ({a}) to ({b}) lies within one pixel: boxes are in pixels of the frame, not in shares of its sides",
        "boxes[{n}] 自 ({a}) 至 ({b}) 不足一个像素：框应以画面像素为单位，而非边长的比例"],
    ["boxes[{n}] from ({a}) to ({b}): less than half of it lies in the picture of {size} px", "boxes[{n}] 自 ({a}) 至 ({b})：其不到一半位于 {size} 像素的画面内"],
    ["boxes[{n}] from ({a}) to ({b}): less than half of it lies in the picture", "boxes[{n}] 自 ({a}) 至 ({b})：其不到一半位于画面内"],
    ["boxes[{n}]: 'box' must have the numbers x1, y1, x2, y2, in pixels", "boxes[{n}]：'box' 须有以像素为单位的数值 x1、y1、x2、y2"],
    ["boxes[{n}] from ({a}) to ({b}) has no area: x1 < x2 and y1 < y2 must hold", "boxes[{n}] 自 ({a}) 至 ({b}) 没有面积：须满足 x1 < x2、y1 < y2"],
    ["boxes[{n}]: {side} is {place} px, the limit is {limit} either way", "boxes[{n}]：{side} 为 {place} px，正负上限均为 {limit}"],
    ["boxes[{n}] has no 'name' (text) and no 'class' (a whole number)", "boxes[{n}] 既没有 'name'（文本），也没有 'class'（整数）"],
    ["boxes[{n}]: 'class' is {class}; classes have the numbers 0 to {most}", "boxes[{n}]：'class' 为 {class}，类别编号为 0 至 {most}"],
    ["boxes[{n}]: a name of {size} bytes, the limit is {limit}", "boxes[{n}]：名称有 {size} 字节，上限为 {limit}"],
    ["a text in line {n} has the character \\u0000, which no name has", "第 {n} 行的文本含有字符 \\u0000，名称中不会有它"],
    ["the body is no JSON: {fault}, line {n}", "正文不是 JSON：{fault}，第 {n} 行"],
    ["both 'boxes' and 'right' are given; feedback has one of them", "同时给出了 'boxes' 和 'right'；反馈只能有其一"],
    ["the body must be {\"boxes\": [...]} or {\"right\": \"stable\"}", "正文须为 {\"boxes\": [...]} 或 {\"right\": \"stable\"}"],
    ["'right' is '{word}'; it can be stable, canary, both or neither", "'right' 为 '{word}'；可以是 stable、canary、both 或 neither"],
    ["feedback is larger than 256 KiB", "反馈超过 256 KiB"],
    ["no memory for {n} boxes", "没有内存容纳 {n} 个框"],
    ["{n} boxes, the limit is {limit}", "{n} 个框，上限为 {limit}"],
    ["it came without an API key of {model}", "未附 {model} 的 API 密钥"],
    ["feedback takes an API key of the model that the request was for: Authorization: Bearer, or X-Api-Key",
        "反馈须附该请求所属模型的 API 密钥：Authorization: Bearer 或 X-Api-Key"],
    ["the frame was answered by one version alone, so there is nothing to choose", "该画面只有一个版本回答，无从选择"],
];

const values = [["{n} points", "{n} 个百分点"], ["{n} boxes", "{n} 个框"], ["nothing", "无"]];

/// What may stand for which {name} above.
const parts = {
    rest: sentences,
    where: [[" in {slice}", "（{slice}）"]],
    what: [["{guard} in {slice}", "{guard}（{slice}）"], ["{guard}", "{guard}"]],
    canary: values, stable: values, limit: values, change: values, sure: values, margin: values,
    evidence: [
        ...["requests", "request"].map((what) => [`{n} ${what}`, "{n} 个请求"]),
        ...["pairs", "pair"].map((what) => [`{n} ${what}`, "{n} 对画面"]),
        ...["labelled frames", "labelled frame"].map((what) => [`{n} ${what}`, "{n} 张带标注的画面"]),
        ...["choices", "choice"].map((what) => [`{n} ${what}`, "{n} 个人工评判"]),
        ...["readings", "reading"].map((what) => [`{n} ${what}`, "{n} 次读数"]),
        ...["records", "record"].map((what) => [`{n} ${what}`, "{n} 条记录"]),
        ...["units", "unit"].map((what) => [`{n} ${what}`, "{n} 个分配单位"]),
    ],
    needed: [["{n} requests", "{n} 个请求"], ["{n} units of assignment", "{n} 个分配单位"]],
    more: [
        [" (and {n} more), the last label came {t} min ago", "（另有 {n} 项），最近一个标注在 {t} 分钟前"],
        [" (and {n} more)", "（另有 {n} 项）"],
        [", the last label came {t} min ago", "，最近一个标注在 {t} 分钟前"],
        ["; no label has come, so nobody has said whether it sees what it should", "；没有收到标注，因此无人确认它看到了该看到的"],
    ],
    left: [
        ["how long cannot be told yet", "尚无法估计还需多久"],
        ["about {n} s left at the present traffic", "按当前流量约需 {n} 秒"],
        ["about {n} min left at the present traffic", "按当前流量约需 {n} 分钟"],
        ["about {n} h left at the present traffic", "按当前流量约需 {n} 小时"],
        ["more than two days left at the present traffic", "按当前流量需要两天以上"],
    ],
    failure: [
        ["no answer", "没有回答"],
        ["later than {n} ms", "超过 {n} 毫秒"],
        ["status {n}, and copies carry no credentials", "状态 {n}，而副本不带凭证"],
        ["status {n} without results", "状态 {n}，没有结果"],
        ["status {n}", "状态 {n}"],
        ["{server}: closed without an answer", "{server}：未作回答即关闭连接"],
        ["{server}: closed in the middle of an answer", "{server}：回答中途关闭连接"],
        ["{server}: cannot connect: no answer in the time for it", "{server}：无法连接：在限定时间内没有应答"],
        ["{server}: cannot connect: {fault}", "{server}：无法连接：{fault}"],
    ],
    why: [
        ["until it is lifted", "直到解除"],
        ["until {time}, in {n} min", "至 {time}，还有 {n} 分钟"],
        ["until {time}, in {n} h", "至 {time}，还有 {n} 小时"],
        ["until {time}, in {n} days", "至 {time}，还有 {n} 天"],
        ["its calendar cannot be read: {fault}", "无法读取其日历：{fault}"],
        ["its calendar cannot be told: {fault}", "无法判断其日历：{fault}"],
        ["it did not answer in {n} s", "它在 {n} 秒内没有回答"],
    ],
};

const MOST_KEPT = 500; // translations: the same ones are drawn every second

/// A row as what finds it: {name} is whatever stands there.
function compiled([from, to]) {
    const names = [], literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const pattern = from.split(/\{(\w+)\}/).map((text, i) => (i % 2 ? (names.push(text), "(.*?)") : literal(text))).join("");

    return {pattern: new RegExp(`^${pattern}$`, "s"), names, to};
}

const tables = Object.fromEntries(Object.entries(parts).map(([name, rows]) => [name, rows.map(compiled)]));
const kept = new Map();

function find(rows, text, guardName) {
    for (const {pattern, names, to} of rows) {
        const found = pattern.exec(text);
        if (found)
            return to.replace(/\{(\w+)\}/g, (_, name) => {
                const given = found[1 + names.indexOf(name)];
                return name === "guard" ? guardName(given) : find(tables[name] ?? [], given, guardName) ?? given;
            });
    }
    return null;
}

/// In Chinese, or null where nothing is known of it. guardName: a guard's name for people.
export function translation(sentence, guardName) {
    if (!kept.has(sentence)) {
        if (kept.size >= MOST_KEPT)
            kept.clear();
        kept.set(sentence, find(tables.rest, sentence, guardName));
    }
    return kept.get(sentence);
}

/// For the test that they are the program's.
export const known = Object.values(parts).flat();
