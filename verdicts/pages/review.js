// The review page. Text from data reaches the page through textContent alone. State: decisions in localStorage, laid over
// those that the run had when the page was written.
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const TICKETS = DATA.tickets, N = TICKETS.length;
  const AT = new Map(TICKETS.map((ticket, index) => [ticket.key, index]));
  const WORDS = ["label_wrong", "model_wrong", "exclude", "unsure"];
  const piecesOf = (photo) => photo.facts.map((place) => DATA.pieces[place]); // a string, or {kind, text}
  const summaryOf = (photo) => piecesOf(photo).map((piece) => piece.text ?? piece).join("");
  const OTHER = { pass: "fail", fail: "pass" };
  const STORE = `ticket-review/${DATA.run}/${DATA.mission}/${DATA.queue}`;
  const ROW = 60;
  const TEXTS = {
    en: {
      title: "Review", queue: "Queue", progress: "Decided", more: "More", save: "Save", saveCsv: "Save as CSV", load: "Load saved decisions", help: "Keys and meanings",
      otherLanguage: "中文", search: "Search id, summary, reason", byLabel: "Filter by label", byState: "Filter by decision", previous: "Previous ticket (K)", next: "Next ticket (J)",
      nextUndecided: "Next undecided ticket (N)", undecidedShort: "Undecided", undo: "Undo (Z)", note: "Note", decision: "Decision", close: "Close",
      ranked: "likeliest label errors first: by the model's log-odds against the label, then by times queued",
      pass: "pass", fail: "fail", human: "Label", model: "Model", allLabels: "All labels", onlyPass: "Label pass", onlyFail: "Label fail",
      allStates: "All decisions", undecided: "Undecided", decided: "Decided", noted: "With a note",
      label_wrong: "Label wrong", model_wrong: "Model wrong", exclude: "Exclude", unsure: "Unsure",
      label_wrong_effect: "should be {label}", model_wrong_effect: "{label} stands", exclude_effect: "leave the ticket out", unsure_effect: "not in the corpus",
      wrote: "Written when it was failed",
      decidedOf: "{n} / {of}", shown: "{n} shown", place: "{n} of {of}", queued: "queued {n}×", odds: "against label {n}", noOdds: "no odds", round: "round {n}",
      answers: "{n} of {of}", photos: "What the photos show", rules: "Rules cited", unknownRule: "not in guidance", removedRule: "removed in round {n}:", missing: "no photo\n{name}", enlarge: "Enlarge photo {n}",
      breach: "explicit negative", negative: "negative word", seenIn: "photo {n}", unseen: "in no summary", remark: "remark (for reference only)", suspect: "reflection could not explain the label",
      nothingQueued: "Nothing to review: some candidate supports every label.", nothingShown: "No ticket fits these filters.", allDone: "All shown tickets are decided. Save them.", undone: "Undone", nothingToUndo: "Nothing to undo",
      cleared: "Decision taken back", savedFile: "Saved {n} decisions as {name}", nothingToSave: "Nothing decided yet", loaded: "{n} decisions loaded", badLine: "Line {n}: {why}. Nothing was loaded.",
      notJson: "not a decision", unknownTicket: "unknown ticket {key}", unknownWord: "unknown decision {word}", twice: "a second decision for {key}", notKept: "The browser keeps nothing here: save often.",
      kept: "Decisions stay in this browser until you save them; a reload loses nothing. Bring the saved file in with make review-apply DECISIONS=path.",
      keys: [["1 2 3 4", "label wrong, model wrong, exclude, unsure; again: take back"], ["J K  → ←", "next, previous ticket"], ["N", "next undecided ticket"], ["Z", "undo"], ["T", "note; Enter keeps it"], ["/", "search"], ["S", "save"], ["L", "language"], ["?", "this help"]],
      meanings: [["label_wrong", "The other label is right. Corpus and learning use it."], ["model_wrong", "The label is right. Learning keeps the ticket; the model's answer stays out of the corpus."], ["exclude", "No use in this ticket (wrong mission, unreadable photos). Learning and corpus leave it out."], ["unsure", "Cannot be told from this. It stays out of the corpus."]],
    },
    zh: {
      title: "复核", queue: "队列", progress: "已决定", more: "更多", save: "保存", saveCsv: "另存为 CSV", load: "载入已保存的决定", help: "按键与含义",
      otherLanguage: "English", search: "搜索编号、摘要、理由", byLabel: "按标签筛选", byState: "按决定筛选", previous: "上一张工单 (K)", next: "下一张工单 (J)",
      nextUndecided: "下一张未决定的工单 (N)", undecidedShort: "未决定", undo: "撤销 (Z)", note: "备注", decision: "决定", close: "关闭",
      ranked: "最可能标错的在前：先按模型反对标签的对数几率，再按入队次数",
      pass: "通过", fail: "不通过", human: "人工标签", model: "模型判断", allLabels: "全部标签", onlyPass: "标签：通过", onlyFail: "标签：不通过",
      allStates: "全部决定", undecided: "未决定", decided: "已决定", noted: "有备注",
      label_wrong: "标签错", model_wrong: "模型错", exclude: "排除", unsure: "不确定",
      label_wrong_effect: "应为{label}", model_wrong_effect: "标签{label}不变", exclude_effect: "整张不用", unsure_effect: "不进语料",
      wrote: "人工不通过理由",
      decidedOf: "{n} / {of}", shown: "显示 {n} 张", place: "第 {n} / {of} 张", queued: "入队 {n} 次", odds: "反对标签 {n}", noOdds: "无几率", round: "第 {n} 轮",
      answers: "{n} / {of} 票", photos: "照片内容", rules: "引用的规则", unknownRule: "规则中没有此条", removedRule: "第 {n} 轮已移除：", missing: "没有照片\n{name}", enlarge: "放大照片 {n}",
      breach: "明确负项", negative: "负面词", seenIn: "照片 {n}", unseen: "摘要中未见", remark: "备注（仅供参考）", suspect: "反思无法解释此标签",
      nothingQueued: "没有需要复核的工单：每个标签都有候选答案支持。", nothingShown: "没有符合筛选条件的工单。", allDone: "显示的工单都已决定，请保存。", undone: "已撤销", nothingToUndo: "没有可撤销的操作",
      cleared: "已取消决定", savedFile: "已将 {n} 个决定保存为 {name}", nothingToSave: "还没有任何决定", loaded: "已载入 {n} 个决定", badLine: "第 {n} 行：{why}。未载入任何内容。",
      notJson: "不是一条决定", unknownTicket: "未知工单 {key}", unknownWord: "未知决定 {word}", twice: "{key} 有两个决定", notKept: "浏览器无法在此保存进度，请经常点保存。",
      kept: "决定会一直留在本浏览器里，刷新不会丢失。保存后用 make review-apply DECISIONS=文件 带回。",
      keys: [["1 2 3 4", "标签错、模型错、排除、不确定；再按一次取消"], ["J K  → ←", "下一张、上一张工单"], ["N", "下一张未决定的工单"], ["Z", "撤销"], ["T", "备注，回车确认"], ["/", "搜索"], ["S", "保存"], ["L", "切换语言"], ["?", "本帮助"]],
      meanings: [["label_wrong", "标签应为另一个，语料和学习都用改正后的标签。"], ["model_wrong", "标签正确。工单仍参与学习，模型的答案不进入语料。"], ["exclude", "此工单无用（任务不对、照片看不清）。学习和语料都不用。"], ["unsure", "凭现有内容无法判断。不进入语料。"]],
    },
  };

  const $ = (id) => document.getElementById(id);
  const saved = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, text) => { try { localStorage.setItem(name, text); return true; } catch { return false; } };
  let language = saved("ticket-review/language") || (/^zh\b/i.test(navigator.language) ? "zh" : "en");
  let local = JSON.parse(saved(STORE) || "{}"); // ticket key -> [decision or null, note]
  let shown = [], current = -1, undos = [], pool = [];

  function t(key, values = {}) {
    return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }
  function el(tag, className, ...children) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children); // a string becomes a text node
    return node;
  }

  // -- decisions
  const stateOf = (key) => local[key] || DATA.said[key] || [null, ""];
  function persist() {
    if (!keep(STORE, JSON.stringify(local))) say(t("notKept"), true);
  }
  function put(changes, remember = true) {
    if (remember) undos.push({ at: current < 0 ? null : TICKETS[current].key, before: changes.map(([key]) => [key, local[key]]) });
    for (const [key, state] of changes) if (state) local[key] = state; else delete local[key];
    persist();
  }
  function decide(word) {
    if (current < 0) return;
    const key = TICKETS[current].key, [was] = stateOf(key);
    takeNote();
    if (was === word) {
      if (DATA.said[key]) return; // the run has it already: it can be changed, not taken back
      put([[key, [null, stateOf(key)[1]]]]);
      refresh();
      return say(t("cleared"));
    }
    put([[key, [word, stateOf(key)[1]]]]);
    say(`${t(word)} · ${TICKETS[current].group}`);
    if (!forward(current)) { refresh(); say(t("allDone")); }
  }
  function takeNote() {
    if (current < 0) return;
    const key = TICKETS[current].key, [word, was] = stateOf(key), note = $("note").value.trim();
    if (note !== was) put([[key, [word, note]]], false);
  }
  function undo() {
    const last = undos.pop();
    if (!last) return say(t("nothingToUndo"));
    put(last.before, false);
    show(last.at === null ? current : AT.get(last.at));
    say(t("undone"));
  }
  function decisions() {
    return TICKETS.filter((ticket) => stateOf(ticket.key)[0]).map((ticket) => ({ ticket_key: ticket.key, decision: stateOf(ticket.key)[0], note: stateOf(ticket.key)[1] }));
  }

  // -- files
  function download(name, text, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
  function save(asTable) {
    takeNote();
    const all = decisions();
    if (!all.length) return say(t("nothingToSave"));
    const name = asTable ? "review.csv" : "review_decisions.jsonl";
    if (asTable) download(name, table(all), "text/csv");
    else download(name, all.map((decision) => JSON.stringify(decision).replace(/[\u0085\u2028\u2029]/g, escaped) + "\n").join(""), "application/jsonl");
    say(t("savedFile", { n: all.length, name }));
  }
  const escaped = (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0");
  function table(all) { // as verdicts/review/spreadsheet.py writes it
    const cell = (text) => {
      const formula = /^(?:[\t\r\n]|[\s\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*[=+@＝＋－＠'-])/;
      const safe = formula.test(text) ? "'" + text : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const rows = all.map((decision) => [decision.ticket_key, language === "zh" ? TEXTS.zh[decision.decision] : decision.decision, decision.note]);
    return "\ufeff" + [language === "zh" ? ["工单", "决定", "备注"] : ["ticket_key", "decision", "note"], ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
  }
  function load(text) {
    const changes = [], seen = new Set();
    for (const [index, line] of text.replace(/^\ufeff/, "").split("\n").entries()) {
      if (!line.trim()) continue;
      const problem = read(line, seen, changes);
      if (problem) return say(t("badLine", { n: index + 1, why: problem }), true);
    }
    put(changes);
    filter();
    say(t("loaded", { n: changes.length }));
  }
  function read(line, seen, changes) {
    let row;
    try { row = JSON.parse(line); } catch { return t("notJson"); }
    if (!row || typeof row !== "object" || typeof (row.note ?? "") !== "string") return t("notJson");
    if (!AT.has(row.ticket_key)) return t("unknownTicket", { key: row.ticket_key });
    if (!WORDS.includes(row.decision)) return t("unknownWord", { word: row.decision });
    if (seen.has(row.ticket_key)) return t("twice", { key: row.ticket_key });
    seen.add(row.ticket_key);
    changes.push([row.ticket_key, [row.decision, row.note ?? ""]]);
    return null;
  }

  // -- the queue: rows are drawn for what is in sight
  function textOf(ticket) {
    return (ticket.text ??= [ticket.key, ticket.reason, ...ticket.wrote, ...ticket.photos.flatMap((photo) => [photo.name, summaryOf(photo)]), ...ticket.candidates.map((one) => one.reason)].join("\n").toLowerCase());
  }
  function filter() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), label = $("by-label").value, state = $("by-state").value;
    shown = [];
    for (let index = 0; index < N; index++) {
      const ticket = TICKETS[index], [decision, note] = stateOf(ticket.key);
      if (label && ticket.label !== label) continue;
      if (state && !(state === "undecided" ? !decision : state === "decided" ? decision : state === "noted" ? note : decision === state)) continue;
      if (words.length && !words.every((word) => textOf(ticket).includes(word) || note.toLowerCase().includes(word))) continue;
      shown.push(index);
    }
    $("shown").textContent = t("shown", { n: shown.length.toLocaleString() });
    $("rows").style.height = `${shown.length * ROW}px`;
    if (!shown.includes(current)) show(shown.length ? shown[0] : -1); else show(current);
  }
  function drawList() {
    const list = $("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4), count = Math.min(shown.length - first, Math.ceil(list.clientHeight / ROW) + 9);
    while (pool.length < count) { pool.push(makeRow()); $("rows").append(pool.at(-1).row); }
    pool.forEach((parts, index) => { parts.row.hidden = index >= count; if (index < count) drawRow(parts, first + index); });
  }
  function makeRow() {
    const parts = { row: el("div", "row"), name: el("span", "name"), tag: el("span", "tag"), verdicts: el("span", "verdicts"), odds: el("span", "odds") };
    parts.row.append(parts.name, parts.tag, parts.verdicts, parts.odds);
    parts.row.setAttribute("role", "option");
    return parts;
  }
  function drawRow({ row, name, tag, verdicts, odds }, place) {
    const index = shown[place], ticket = TICKETS[index], [decision, note] = stateOf(ticket.key);
    row.dataset.index = index;
    row.id = `row-${index}`;
    row.style.top = `${place * ROW}px`;
    row.setAttribute("aria-selected", index === current);
    row.setAttribute("aria-setsize", shown.length);
    row.setAttribute("aria-posinset", place + 1);
    row.classList.toggle("done", Boolean(decision));
    name.textContent = ticket.group;
    tag.className = `tag ${decision || "note-only"}`;
    tag.textContent = decision ? t(decision) : "✎";
    tag.hidden = !decision && !note;
    verdicts.replaceChildren(`${t("human")} `, word(ticket.label), ` · ${t("model")} `, word(ticket.verdict));
    odds.textContent = ticket.odds === null ? "" : ticket.odds.toFixed(1);
  }
  const word = (verdict) => el("span", verdict, t(verdict));

  // -- one ticket
  function show(index) {
    current = index;
    $("nothing").hidden = index >= 0;
    $("nothing").textContent = N ? t("nothingShown") : t("nothingQueued");
    $("ticket").hidden = index < 0;
    if (index >= 0) { drawTicket(TICKETS[index]); keep(`${STORE}/at`, TICKETS[index].key); }
    $("main").scrollTop = 0;
    refresh();
    const place = shown.indexOf(index), list = $("list");
    if (place < 0) return;
    if (place * ROW < list.scrollTop) list.scrollTop = place * ROW - ROW;
    else if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 2) * ROW - list.clientHeight;
  }
  function refresh() {
    const done = TICKETS.reduce((sum, ticket) => sum + Boolean(stateOf(ticket.key)[0]), 0);
    $("count").textContent = t("decidedOf", { n: done.toLocaleString(), of: N.toLocaleString() });
    $("fill").style.width = `${N ? (100 * done) / N : 0}%`;
    const bar = document.querySelector(".progress");
    bar.setAttribute("aria-valuenow", done);
    bar.setAttribute("aria-valuemax", N);
    const [decision, note] = current < 0 ? [null, ""] : stateOf(TICKETS[current].key);
    $("note").value = note;
    for (const id of ["note", "previous", "next"]) $(id).disabled = current < 0;
    $("undo").disabled = !undos.length;
    for (const button of $("choices").children) {
      const other = current < 0 ? "pass" : TICKETS[current].label;
      button.disabled = current < 0;
      button.setAttribute("aria-pressed", decision === button.dataset.word);
      button.querySelector(".effect").textContent = t(`${button.dataset.word}_effect`, { label: t(button.dataset.word === "label_wrong" ? OTHER[other] : other) });
    }
    if (current >= 0) {
      const side = document.querySelector(".side.given");
      side.classList.toggle("struck", decision === "label_wrong");
      $("list").setAttribute("aria-activedescendant", `row-${current}`);
    }
    drawList();
  }
  function drawTicket(ticket) {
    const facts = [t("place", { n: (AT.get(ticket.key) + 1).toLocaleString(), of: N.toLocaleString() }), ticket.odds === null ? t("noOdds") : t("odds", { n: ticket.odds.toFixed(1) }), t("queued", { n: ticket.times }), t("round", { n: ticket.round })];
    if (ticket.suspect) facts.push(t("suspect"));
    const total = ticket.candidates.reduce((sum, one) => sum + one.count, 0);
    const answers = el("div", "answers", ...ticket.candidates.map((one) => el("div", "answer", el("span", `votes ${one.verdict}`, `${t("answers", { n: one.count, of: total })} ${t(one.verdict)}`), el("span", "why", ...reason(one.reason)))));
    if (!ticket.candidates.some((one) => one.reason === ticket.reason)) answers.prepend(el("div", "answer", el("span", `votes ${ticket.verdict}`, t(ticket.verdict)), el("span", "why", ...reason(ticket.reason))));
    const side = (who, verdict, name) => el("div", `side ${name}`, el("span", "who", t(who)), el("span", `what ${verdict}`, `${verdict === "pass" ? "✓" : "✕"} ${t(verdict)}`));
    const found = new Set(ticket.photos.flatMap((photo) => piecesOf(photo).map((piece) => piece.kind)));
    const legend = el("span", "legend", ...["breach", "negative", "remark"].filter((kind) => found.has(kind)).map((kind) => el("mark", kind, t(kind))));
    const line = el("p", "", facts.join(" · "));
    line.title = t("ranked");
    $("ticket").replaceChildren(
      el("div", "id", el("h2", "", ticket.group), line),
      el("div", "claim", el("div", "sides", side("human", ticket.label, "given"), side("model", ticket.verdict, "said")), ...wrote(ticket), answers),
      el("section", "", el("h3", "", t("photos"), legend), ...needed(ticket), photos(ticket)),
      ...rules(ticket),
    );
  }
  function wrote(ticket) { // what people wrote of it, where they did
    return ticket.wrote.length ? [el("div", "wrote", el("span", "who", t("wrote")), ...ticket.wrote.map((text) => el("p", "", text)))] : [];
  }
  function reason(text) { // rule keys stand out
    return text.split(/(G\d+)/).map((part, index) => (index % 2 ? el("span", "key", part) : part));
  }
  function needed(ticket) { // what G0 asks for, and the photos whose summaries name it
    if (!DATA.required.length) return [];
    const chips = DATA.required.map((item, index) => {
      const seen = ticket.photos.flatMap((photo, place) => (photo.evidence.includes(index) ? [place + 1] : []));
      return el("li", seen.length ? "seen" : "unseen", `${seen.length ? "✓" : "—"} ${item}`, el("span", "", seen.length ? t("seenIn", { n: seen.join(" ") }) : t("unseen")));
    });
    return [el("ul", "needed", ...chips)];
  }
  function photos(ticket) {
    const list = el("ol", DATA.pictured ? "photos pictured" : "photos");
    ticket.photos.forEach((photo, index) => {
      const item = el("li", "", el("span", "number", String(index + 1)));
      if (DATA.pictured) item.append(picture(photo, index));
      item.append(el("div", "facts", ...piecesOf(photo).map((piece) => (piece.kind ? el("mark", piece.kind, piece.text) : piece))));
      item.title = photo.name;
      list.append(item);
    });
    return list;
  }
  function picture(photo, index) {
    if (!photo.src) return el("div", "picture missing", t("missing", { name: photo.name }));
    const button = el("button", "picture"), image = el("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = "";
    image.src = photo.src;
    image.addEventListener("error", () => button.replaceWith(el("div", "picture missing", t("missing", { name: photo.name }))));
    button.setAttribute("aria-label", t("enlarge", { n: index + 1 }));
    button.addEventListener("click", () => { $("large").src = photo.src; $("caption").textContent = `${index + 1}. ${summaryOf(photo)}`; $("photo").showModal(); });
    button.append(image);
    return button;
  }
  function rules(ticket) {
    if (!ticket.rules.length) return [];
    const rows = ticket.rules.map((key) => {
      const rule = DATA.rules[key];
      const text = !rule ? t("unknownRule") : (rule.removed === null ? "" : t("removedRule", { n: rule.removed })) + rule.text;
      return el("div", rule && rule.removed === null ? "" : "gone", el("dt", "key", key), el("dd", "", text));
    });
    return [el("section", "", el("h3", "", t("rules")), el("dl", "rules", ...rows))];
  }

  // -- moving
  function step(by) {
    takeNote();
    const place = shown.indexOf(current), next = place < 0 ? shown[0] : shown[place + by];
    if (next !== undefined) show(next);
  }
  function forward(from) { // to the next undecided ticket after `from`, round the end; false where none is left
    const place = shown.indexOf(from), order = [...shown.slice(place + 1), ...shown.slice(0, Math.max(place, 0))];
    const next = order.find((index) => !stateOf(TICKETS[index].key)[0]);
    if (next === undefined) return false;
    show(next);
    return true;
  }
  let quietAt;
  function say(text, bad = false) {
    $("said").textContent = text;
    $("said").className = bad ? "shown bad" : "shown";
    clearTimeout(quietAt);
    quietAt = setTimeout(() => { $("said").className = ""; }, bad ? 9000 : 1600);
  }
  const openQueue = (open) => { document.body.classList.toggle("queue-open", open); $("open-queue").setAttribute("aria-expanded", open); if (open) drawList(); };

  // -- language
  function translate() {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.title = `${DATA.synthetic ? "合成数据 · SYNTHETIC · " : ""}${t("title")} · ${DATA.mission}`;
    for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
    for (const node of document.querySelectorAll("[data-label]")) { node.setAttribute("aria-label", t(node.dataset.label)); if (node.tagName === "BUTTON") node.title = t(node.dataset.label); }
    for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = t(node.dataset.placeholder);
    options($("by-label"), [["", "allLabels"], ["pass", "onlyPass"], ["fail", "onlyFail"]]);
    options($("by-state"), [["", "allStates"], ["undecided", "undecided"], ["decided", "decided"], ...WORDS.map((word) => [word, word]), ["noted", "noted"]]);
    $("choices").replaceChildren(...WORDS.map((word, index) => {
      const button = el("button", `choice ${word}`, el("kbd", "", String(index + 1)), el("span", "word", t(word)), el("span", "effect"));
      button.dataset.word = word;
      return button;
    }));
    const pairs = (rows, name) => el("dl", "", ...rows.flatMap(([key, text]) => [el("dt", "", name(key)), el("dd", "", text)]));
    $("help-text").replaceChildren(el("h2", "", t("help")), pairs(TEXTS[language].keys, (key) => el("kbd", "", key)), pairs(TEXTS[language].meanings, (key) => el("span", `tag ${key}`, t(key))), el("p", "", t("ranked")), el("p", "", t("kept")));
  }
  function options(select, pairs) {
    const chosen = select.value;
    select.replaceChildren(...pairs.map(([value, text]) => { const option = el("option", "", t(text)); option.value = value; return option; }));
    select.value = chosen;
  }
  function switchLanguage() {
    takeNote();
    language = language === "zh" ? "en" : "zh";
    keep("ticket-review/language", language);
    translate();
    filter();
  }

  // -- events
  const PRESSED = {
    j: () => step(1), arrowright: () => step(1), k: () => step(-1), arrowleft: () => step(-1), n: jump, z: undo, s: () => save(false), l: switchLanguage,
    t: () => $("note").focus(), "/": () => { openQueue(true); $("search").focus(); }, "?": () => $("help").showModal(),
  };
  WORDS.forEach((word, index) => { PRESSED[index + 1] = () => decide(word); });
  function jump() {
    takeNote();
    if (!forward(current)) say(t("allDone"));
  }
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName), key = event.key.toLowerCase();
    if (event.key === "Escape") { takeNote(); event.target.blur?.(); openQueue(false); $("more").open = false; return; }
    if (typing && event.key === "Enter") { takeNote(); refresh(); event.target.blur(); return; }
    if (typing || event.altKey || ((event.ctrlKey || event.metaKey) && key !== "z") || !PRESSED[key]) return;
    event.preventDefault();
    PRESSED[key]();
  });
  $("choices").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) decide(button.dataset.word); });
  for (const [id, does] of [["previous", () => step(-1)], ["next", () => step(1)], ["undo", undo], ["undecided", jump], ["save", () => save(false)]]) $(id).addEventListener("click", does);
  $("open-queue").addEventListener("click", () => openQueue(!document.body.classList.contains("queue-open")));
  $("rows").addEventListener("click", (event) => { const row = event.target.closest(".row"); if (!row) return; takeNote(); show(Number(row.dataset.index)); openQueue(false); });
  $("list").addEventListener("keydown", (event) => { const by = { ArrowDown: 1, ArrowUp: -1 }[event.key]; if (by) { event.preventDefault(); step(by); } });
  let drawing = false;
  $("list").addEventListener("scroll", () => { if (drawing) return; drawing = true; requestAnimationFrame(() => { drawing = false; drawList(); }); }, { passive: true });
  addEventListener("resize", drawList);
  for (const id of ["by-label", "by-state"]) $(id).addEventListener("change", () => { takeNote(); filter(); });
  let searchAt;
  $("search").addEventListener("input", () => { clearTimeout(searchAt); searchAt = setTimeout(() => { takeNote(); filter(); }, 120); });
  $("note").addEventListener("change", () => { takeNote(); refresh(); });
  addEventListener("pagehide", takeNote);
  addEventListener("storage", (event) => { if (event.key === STORE) { local = JSON.parse(event.newValue || "{}"); refresh(); } }); // another tab
  const ACTS = { csv: () => save(true), load: () => $("file").click(), help: () => $("help").showModal(), language: switchLanguage };
  $("more").addEventListener("click", (event) => { const act = ACTS[event.target.dataset.act]; if (act) { $("more").open = false; act(); } });
  document.addEventListener("click", (event) => { if (!event.target.closest("#more")) $("more").open = false; });
  $("file").addEventListener("change", async () => { const file = $("file").files[0]; if (file) load(await file.text()); $("file").value = ""; });

  $("mission").textContent = DATA.mission;
  $("run").textContent = DATA.run;
  translate();
  const last = AT.get(saved(`${STORE}/at`)), start = TICKETS.findIndex((ticket) => !stateOf(ticket.key)[0]);
  current = last ?? Math.max(start, N ? 0 : -1);
  filter();
})();
