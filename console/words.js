// words.js - every word of the console, in English and Chinese; which language is used, and remembered.
// SPDX-License-Identifier: Apache-2.0
//
// A word with {name} in it takes that parameter. What the server says of rollouts is in sentences.js; its other sentences
// (why something is refused) are English, and are marked as such.

import {translation} from "/sentences.js";

const words = {
    // the frame
    title: ["Serin", "Serin"],
    skip: ["Skip to content", "跳到正文"],
    nav: ["Pages", "页面"],
    models: ["Models", "模型"],
    rollouts: ["Rollouts", "发布"],
    versions: ["Versions", "版本"],
    tryit: ["Try it", "试一试"],
    live: ["live", "实时"],
    connecting: ["connecting", "正在连接"],
    lost: ["connection lost at {time}: what you see is of then; trying again", "连接于 {time} 中断：以下为当时的状态；正在重连"],
    lostShort: ["lost", "已断开"],
    refusedEvents: ["The server says: {why}", "服务器的回答：{why}"],
    language: ["中文", "English"],
    languageLabel: ["切换到中文", "Switch to English"],
    theme_system: ["Auto", "自动"],
    theme_light: ["Light", "浅色"],
    theme_dark: ["Dark", "深色"],
    themeLabel: ["Colours: {theme}. Change", "配色：{theme}。更改"],
    logout: ["Log out {name}", "退出登录 {name}"],
    notFound: ["There is no such page.", "没有这个页面。"],
    seconds: ["{n} s", "{n} 秒"],
    minutes: ["{n} min", "{n} 分钟"],
    hours: ["{n} h", "{n} 小时"],
    days: ["{n} d", "{n} 天"],
    points: ["pt", "个百分点"],
    unknown: ["unknown", "未知"],
    // log-in
    loginTitle: ["Log in", "登录"],
    loginText: ["A token of this server, as serin token create printed it.", "本服务器的令牌，由 serin token create 给出。"],
    token: ["Token", "令牌"],
    login: ["Log in", "登录"],
    loginFailed: ["Not logged in: {why}", "登录失败：{why}"],
    // models
    noModels: ["Nothing is served yet. serin deploy NAME:TAG begins.", "尚未提供任何服务。用 serin deploy NAME:TAG 开始。"],
    allWell: ["{n} models, all well", "{n} 个模型，一切正常"],
    oneWell: ["1 model, all well", "1 个模型，一切正常"],
    troubles: ["{n} of {of} models need a look", "{of} 个模型中有 {n} 个需要查看"],
    version: ["Version", "版本"],
    role_stable: ["stable", "稳定版"],
    role_canary: ["canary", "候选版"],
    share: ["Share", "流量"],
    replicas: ["Replicas", "副本"],
    replicasReady: ["{ready} of {all} ready", "{ready}/{all} 就绪"],
    rate: ["Requests/s", "请求/秒"],
    mirroredRate: ["+{n} copies", "+{n} 镜像"],
    p95: ["p95", "p95"],
    failures: ["Failures", "失败"],
    failuresHelp: ["share of its own tries that the version failed, over the last 10 s", "最近 10 秒内该版本自身失败的比例"],
    errors: ["Errors", "错误"],
    errorsHelp: ["share of requests that ended in an error for the client, over the last 10 s", "最近 10 秒内客户端得到错误的比例"],
    memory: ["Memory", "内存"],
    state: ["State", "状态"],
    ok: ["well", "正常"],
    down: ["no replica ready", "没有就绪的副本"],
    someDown: ["a replica is down", "有副本宕机"],
    broken: ["breaker open: it gets nothing", "熔断：不再分配请求"],
    failing: ["failing", "正在失败"],
    idle: ["no traffic", "无流量"],
    logDamaged: ["The log of decisions is damaged ({why}): rollouts stand still until serin rollout repair {model}", "决策日志已损坏（{why}）：在执行 serin rollout repair {model} 之前，发布保持不动"],
    unstored: ["A way back is in force, but not on disk yet: it is tried again every second (serin status tells more)", "回退已生效，但尚未写入磁盘：每秒重试一次（详见 serin status）"],
    stableOnly: ["stable answers what others fail", "其他版本失败时由稳定版回答"],
    inRollout: ["Rollout {id}: {phase}, step {step} of {steps}", "发布 {id}：{phase}，第 {step}/{steps} 步"],
    byRequest: ["by request", "按请求"],
    byKey: ["by key", "按键"],
    byBlock: ["by key and block", "按键和时段"],
    uptime: ["up for {time}", "已运行 {time}"],
    // rollouts
    noRollouts: ["No rollouts yet. serin rollout start NAME:TAG begins one.", "尚无发布。用 serin rollout start NAME:TAG 开始。"],
    rolloutsRunning: ["{n} under way", "{n} 个进行中"],
    rolloutsNone: ["None under way", "没有进行中的发布"],
    rolloutsPerson: ["{n} waits for a person", "{n} 个等待人工决定"],
    whatItChanges: ["What {canary} changes", "{canary} 有哪些改动"],
    against: ["{canary} against {stable}", "{canary} 对比 {stable}"],
    stepOf: ["step {step} of {steps}", "第 {step}/{steps} 步"],
    ofRequests: ["{share} of the requests", "占请求的 {share}"],
    why: ["Why", "原因"],
    now: ["Now", "当前"],
    left: ["Left", "剩余"],
    aboutLeft: ["about {time} at the present traffic", "按当前流量约需 {time}"],
    undoLeft: ["can be undone for {time} more", "{time} 内可撤销"],
    notInForce: ["The route is not in force yet.", "路由尚未生效。"],
    noTraffic: ["No requests come: nothing can be learnt.", "没有请求到来：无法得到证据。"],
    ratioAlarm: ["The canary got {seen} of the requests where the draw says {expected}: something splits the traffic besides Serin.",
        "候选版得到 {seen} 的请求，而按抽签应为 {expected}：有其他因素在分配流量。"],
    steps: ["Steps", "步骤"],
    mirror: ["mirror {share}", "镜像 {share}"],
    stepDone: ["done", "已完成"],
    stepHere: ["here", "当前"],
    stepWaits: ["waits to begin", "等待开始"],
    stepEnded: ["it ended here", "在此结束"],
    stepAhead: ["ahead", "未到"],
    stepPause: ["then a person", "之后由人决定"],
    guards: ["Guards", "护栏"],
    noGuards: ["The judge has seen nothing yet.", "裁判尚无读数。"],
    blankGuards: ["Nothing measured yet: {guards}.", "尚无测量：{guards}。"],
    slicesOut: ["Slices that stand out", "突出的切片"],
    otherSlices: ["Other slices: {n}", "其他切片：{n}"],
    guard: ["Guard", "护栏"],
    slice: ["Slice", "切片"],
    change: ["Change", "变化"],
    within: ["Surely within", "必定在"],
    withinAll: ["anything: too little is known yet", "任何范围：所知尚少"],
    legendChange: ["change of the canary against stable", "候选版相对稳定版的变化"],
    legendBand: ["where it surely lies, however often one looks", "无论查看多少次，变化必定所在的范围"],
    legendMargin: ["margin: beyond it is harm", "界限：越过即为有害"],
    margin: ["Margin", "界限"],
    verdict: ["Verdict", "判定"],
    verdict_harm: ["harm", "有害"],
    "verdict_no harm": ["no harm", "无害"],
    verdictWithin: ["within {margin}", "{margin} 以内"],
    verdict_unknown: ["unknown yet", "尚不知"],
    required: ["must be proven", "须证明"],
    watched: ["watched", "仅监视"],
    answersGiven: ["{n} answers of people", "{n} 个人工答案"],
    evidenceBoth: ["{n} frames that both answered", "双方都回答的画面 {n} 张"],
    evidence: ["{stable} of stable, {canary} of the canary", "稳定版 {stable}，候选版 {canary}"],
    harmNearness: ["Evidence of harm: {share} of what is needed", "有害证据：所需的 {share}"],
    chartLabel: ["{guard}: change {change}, surely within {lower} and {upper}, margin {margin}, {verdict}",
        "{guard}：变化 {change}，必定在 {lower} 与 {upper} 之间，界限 {margin}，{verdict}"],
    chartBand: ["surely within", "必定在"],
    chartChange: ["change", "变化"],
    events: ["What happened", "经过"],
    when: ["When", "时间"],
    event: ["Event", "事件"],
    who: ["Who", "谁"],
    noEvents: ["Nothing yet.", "尚无。"],
    moreEvents: ["Earlier ones are not shown (serin rollout history --all {id})", "更早的未显示（serin rollout history --all {id}）"],
    gone: ["The server knows no rollout {id}.", "服务器没有发布 {id}。"],
    loading: ["Asking …", "正在询问……"],
    // frames
    framesOf: ["Frames of {id}", "{id} 的画面"],
    framesLink: ["Frames on which they differ: {open} to judge, {kept} kept", "有分歧的画面：{open} 张待判，共 {kept} 张"],
    frames: ["Frames", "画面"],
    toRollout: ["To the rollout", "返回发布"],
    framesRole: ["{name} is a token that may only read: pictures are for operators.", "{name} 是只读令牌：画面只对 operator 开放。"],
    framesOff: ["This rollout keeps no pictures. A plan with frames: {keep: 200} keeps those on which the versions differ most.",
        "此发布不保存画面。计划中写 frames: {keep: 200} 会保存两个版本分歧最大的画面。"],
    framesNone: ["No frame on which they differ has come yet.", "尚未出现有分歧的画面。"],
    framesState: ["{open} of {kept} frames to judge.", "{kept} 张画面中有 {open} 张待判。"],
    framesAll: ["All, the most different first: {n}", "全部（分歧最大者在前）：{n}"],
    framesAllJudged: ["All are judged.", "全部已判。"],
    framesHelp: ["An answer counts after ten seconds, or with the next one; until then it can be changed. Only “old” and “new” tell the versions apart.",
        "答案在十秒后、或给出下一个答案时生效；在此之前可以更改。只有“旧版对”和“新版对”能区分两个版本。"],
    frameTitle: ["Frame {number}", "画面 {number}"],
    frameAlt: ["Frame {number} of camera {camera}", "画面 {number}，摄像机 {camera}"],
    oldOne: ["old, {tag}", "旧版 {tag}"],
    newOne: ["new, {tag}", "新版 {tag}"],
    frame_open: ["not judged", "待判"],
    frame_given: ["judged, not counted yet", "已判，尚未生效"],
    frame_counted: ["judged", "已判"],
    frameSaid: ["Said: {right}", "已答：{right}"],
    frameGiven: ["{right}, says {who}. It can still be changed.", "{who}：{right}。仍可更改。"],
    frameCounted: ["{right}, says {who}. It counts.", "{who}：{right}。已生效。"],
    camera: ["camera", "摄像机"],
    nothingFound: ["nothing", "未检出"],
    shownBoxes: ["Boxes that are shown", "显示的框"],
    show_stable: ["Old (dashed)", "旧版（虚线）"],
    show_canary: ["New (solid)", "新版（实线）"],
    show_agreed: ["Those of both", "两者一致的"],
    brighten: ["Brighter", "调亮"],
    zoom: ["Zoom ×{n}", "缩放 ×{n}"],
    whichIsRight: ["Which is right?", "哪个对？"],
    right_stable: ["Old is right", "旧版对"],
    right_canary: ["New is right", "新版对"],
    right_both: ["Both", "都对"],
    right_neither: ["Neither", "都不对"],
    previous: ["Previous", "上一张"],
    next: ["Next", "下一张"],
    choicesLeft: ["{n} answers tell them apart; about {left} more are needed to know.", "已有 {n} 个能区分的答案；大约还需 {left} 个才能得出结论。"],
    choicesDivided: ["{n} answers tell them apart, and they do not prove this step's margin so far.", "已有 {n} 个能区分的答案，目前无法证明本步的界限。"],
    choicesHarm: ["{n} answers are enough: the new version is worse.", "{n} 个答案已足够：新版更差。"],
    choicesNoHarm: ["{n} answers are enough: the new version is not worse.", "{n} 个答案已足够：新版不更差。"],
    choicesUnread: ["No guard of the plan reads the answers (metric: choices): they are kept with the frames and decide nothing.",
        "计划中没有读取这些答案的护栏（metric: choices）：答案随画面保存，但不影响决定。"],
    choicesEnded: ["The rollout has ended: answers are kept with the frames and decide nothing.", "发布已结束：答案随画面保存，但不影响决定。"],
    // phases
    phase_Pending: ["waits", "等待"],
    phase_Progressing: ["in progress", "进行中"],
    phase_Paused: ["paused", "已暂停"],
    phase_Inconclusive: ["needs a person", "需要人工决定"],
    phase_Promoted: ["promoted", "已全量"],
    phase_Completed: ["completed", "已完成"],
    phase_RolledBack: ["rolled back", "已回滚"],
    phase_Aborted: ["aborted", "已中止"],
    phase_Undone: ["undone", "已撤销"],
    // events of the log
    event_start: ["begun", "开始"],
    event_ready: ["step begins", "步骤开始"],
    event_proven: ["step is proven", "步骤已证明"],
    event_harm: ["harm", "有害"],
    event_ask: ["a person is asked", "请求人工决定"],
    event_pause: ["paused", "暂停"],
    event_resume: ["resumed", "继续"],
    event_promote: ["promoted a step", "推进一步"],
    "event_promote-full": ["promoted to all", "立即全量"],
    event_abort: ["aborted", "中止"],
    event_retry: ["retried", "重试"],
    event_undo: ["undone", "撤销"],
    "event_window-passed": ["undo has passed", "撤销期已过"],
    who_judge: ["judge", "裁判"],
    who_controller: ["controller", "控制器"],
    who_clock: ["clock", "时钟"],
    who_breaker: ["breaker", "熔断器"],
    // verbs
    verb_pause: ["Pause", "暂停"],
    verb_resume: ["Resume", "继续"],
    verb_promote: ["Promote a step", "推进一步"],
    "verb_promote-full": ["Promote to all", "立即全量"],
    verb_abort: ["Abort", "中止"],
    verb_retry: ["Retry", "重试"],
    verb_undo: ["Undo", "撤销"],
    mayOnlyRead: ["{name} is a token that may only read.", "{name} 是只读令牌。"],
    actions: ["Actions", "操作"],
    cancel: ["Cancel", "取消"],
    reason: ["Reason (kept with the decision)", "理由（随决定保存）"],
    does_pause: ["{canary} keeps {share} of the requests of {model}. Evidence goes on counting, harm still goes back to {stable}, and no step begins.",
        "{canary} 保持 {model} 的 {share} 请求。证据继续累积，发现有害仍会回到 {stable}，但不会开始新的一步。"],
    does_resume: ["{model} goes on from step {step} of {steps}, with {share} of the requests for {canary} now.",
        "{model} 从第 {step}/{steps} 步继续，{canary} 目前得到 {share} 的请求。"],
    does_promote: ["Step {step} of {steps} is passed, whatever is proven. Next: {next}.", "无论是否已证明，跳过第 {step}/{steps} 步。下一步：{next}。"],
    does_promote_begin: ["Step {step} of {steps} begins in spite of gates and freeze windows: {next}.", "不顾关卡和冻结时段，开始第 {step}/{steps} 步：{next}。"],
    "does_promote-full": ["All requests of {model} go to {canary} at once; {skipped} steps are skipped. {stable} stays ready, and it can be undone.",
        "{model} 的所有请求立即交给 {canary}；跳过 {skipped} 步。{stable} 保持就绪，可以撤销。"],
    does_abort: ["All requests of {model} go to {stable}, from the next one on. {canary}, which has {share} now, gets none. The rollout ends; a retry begins at the first step.",
        "从下一个请求起，{model} 的所有请求都交给 {stable}。{canary}（现有 {share}）不再得到请求。发布结束；重试将从第一步开始。"],
    does_retry: ["A new attempt begins at the first step: {next}. Evidence of the attempts before does not count.",
        "新的尝试从第一步开始：{next}。之前的证据不再计入。"],
    does_undo: ["All requests of {model} go back to {stable}. {canary} gets none.", "{model} 的所有请求回到 {stable}。{canary} 不再得到请求。"],
    unproven: ["Not proven yet: {guards}.", "尚未证明：{guards}。"],
    harmed: ["Harm was found: {guards}.", "已发现有害：{guards}。"],
    rateNow: ["{canary} answers {n} requests a second now.", "{canary} 目前每秒回答 {n} 个请求。"],
    nextWeight: ["{share} of the requests for {canary}", "{canary} 得到 {share} 的请求"],
    nextMirror: ["copies of {share} of the requests for {canary}, which no client sees", "{share} 的请求镜像给 {canary}，客户端不可见"],
    nextAll: ["all requests for {canary}", "所有请求交给 {canary}"],
    done: ["Done: {verb}", "完成：{verb}"],
    refused: ["Refused: {why}", "被拒绝：{why}"],
    // versions
    versionCount: ["{n} versions in the store", "仓库中有 {n} 个版本"],
    noVersions: ["The store is empty. serin push NAME:TAG --model FILE begins.", "仓库为空。用 serin push NAME:TAG --model FILE 开始。"],
    noVersion: ["The store has no {name}.", "仓库中没有 {name}。"],
    task: ["Task", "任务"],
    size: ["Size", "大小"],
    accuracy: ["Accuracy", "精度"],
    evaluated: ["evaluated", "已评估"],
    scan: ["Scan", "扫描"],
    scanCounts: ["{critical} critical, {high} high, {medium} medium, {low} low", "严重 {critical}，高 {high}，中 {medium}，低 {low}"],
    created: ["Pushed", "推送时间"],
    served: ["served", "正在服务"],
    notServed: ["not served", "未服务"],
    inUse: ["in use", "使用中"],
    digest: ["Digest", "摘要"],
    inputs: ["Inputs", "输入"],
    outputs: ["Outputs", "输出"],
    settings: ["Settings", "设置"],
    classes: ["Classes", "类别"],
    golden: ["Golden", "基准图"],
    goldenCount: ["{n} golden pictures", "{n} 张基准图"],
    diff: ["What it changes", "与其他版本的差异"],
    against_label: ["Compared with", "对比版本"],
    sameContent: ["the same content", "内容相同"],
    otherData: ["not known to be of the same pictures and labels", "不确定是否基于相同的图片和标注"],
    field: ["Field", "字段"],
    from: ["From", "原"],
    to: ["To", "新"],
    classesAdded: ["Classes added: {names}", "新增类别：{names}"],
    classesRemoved: ["Classes removed: {names}", "移除类别：{names}"],
    classesReordered: ["The same classes with other numbers", "类别相同但编号不同"],
    evaluation: ["Evaluation", "评估"],
    evaluatedOn: ["on {n} pictures with {objects} objects", "{n} 张图片，{objects} 个目标"],
    allClasses: ["all classes", "全部类别"],
    findings: ["What the scan found: {n}", "扫描发现：{n}"],
    findingsMore: ["{n} more are not shown", "另有 {n} 项未显示"],
    severity: ["Severity", "级别"],
    finding: ["Finding", "发现"],
    package: ["Package", "软件包"],
    target: ["Where", "位置"],
    findingNew: ["new finding", "新发现"],
    findingGone: ["finding gone", "已消除"],
    // try it
    tryText: ["A picture goes to two versions; no client's counters or verdicts see it.", "将一张图片交给两个版本；不计入客户端的统计和判定。"],
    model: ["Model", "模型"],
    picture: ["Picture (or drop one here)", "图片（或拖放到此处）"],
    tryFound: ["{tag} finds {n}", "{tag} 检出 {n} 个"],
    class: ["Class", "类别"],
    score: ["Score", "置信度"],
    // metrics
    unit_boxes: ["boxes", "个框"],
    unit_points: ["points", "分"],
    metric_error_rate: ["error rate", "错误率"],
    metric_fallback_rate: ["fallback rate", "回退率"],
    metric_latency_p50: ["latency p50", "延迟 p50"],
    metric_latency_p95: ["latency p95", "延迟 p95"],
    metric_latency_p99: ["latency p99", "延迟 p99"],
    metric_queue_p95: ["queue p95", "排队 p95"],
    metric_inference_p95: ["inference p95", "推理 p95"],
    metric_image_time: ["time a picture", "每图耗时"],
    metric_detections: ["boxes a picture", "每图检出数"],
    metric_score: ["score", "置信度"],
    metric_low_scores: ["low scores", "低置信度"],
    metric_disagreement: ["disagreement", "分歧"],
    metric_lost: ["lost boxes", "丢失的框"],
    metric_gained: ["gained boxes", "新增的框"],
    metric_flipped: ["flipped classes", "类别翻转"],
    metric_jitter: ["jitter", "抖动"],
    metric_score_shift: ["score shift", "置信度偏移"],
    metric_missed: ["missed objects", "漏检"],
    metric_wrong: ["wrong boxes", "误检"],
    metric_f1_loss: ["F1 loss", "F1 损失"],
    metric_choices: ["people's choices", "人工评判"],
    metric_memory: ["memory", "内存"],
    metric_gpu_memory: ["GPU memory", "显存"],
    metric_memory_growth: ["memory growth", "内存增长"],
    metric_golden_map: ["golden mAP", "基准 mAP"],
};

const LANGUAGES = ["en", "zh"];
let chosen = stored("language");

function stored(key) {
    try {
        return localStorage.getItem(`serin-${key}`);
    } catch {
        return null; // a browser that keeps nothing
    }
}

/// Kept for the next visit, where the browser keeps anything.
export function remember(key, value) {
    try {
        localStorage.setItem(`serin-${key}`, value);
    } catch {
        // then not
    }
}
export const remembered = stored;

export function language() {
    if (LANGUAGES.includes(chosen))
        return chosen;
    for (const wish of navigator.languages || [navigator.language || "en"]) {
        const found = LANGUAGES.find((one) => wish.toLowerCase().startsWith(one));
        if (found)
            return found;
    }
    return "en";
}

export function choose(wanted) {
    chosen = wanted;
    remember("language", wanted);
}

export function t(key, parameters) {
    const found = words[key]?.[LANGUAGES.indexOf(language())] ?? words[key]?.[0] ?? key;

    return parameters ? found.replace(/\{(\w+)\}/g, (_, name) => parameters[name] ?? "") : found;
}

/// A sentence of the server's in the reader's language, where the page knows it; null.
export function translated(sentence) {
    return language() === "zh" ? translation(sentence, (guard) => tOr(`metric_${guard}`, guard)) : null;
}

/// The word where there is one, else what it was asked for: names that a newer server may send.
export const tOr = (key, otherwise) => (key in words ? t(key) : otherwise);

/// For the test that nothing lacks a translation.
export const table = words;
