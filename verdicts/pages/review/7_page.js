// Moving, language, keys and clicks; the page begins on its last lines.
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
  for (const node of document.querySelectorAll("[data-title]")) node.title = t(node.dataset.title);
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = t(node.dataset.placeholder);
  const named = (names) => names.map(([value, name]) => [value, t(name)]);
  options($("by-label"), named([["", "allLabels"], ["pass", "onlyPass"], ["fail", "onlyFail"]]));
  options($("by-state"), named([["", "allStates"], ["undecided", "undecided"], ["decided", "decided"], ...WORDS.map((word) => [word, word]), ["noted", "noted"], QUEUE.name === "audit" ? ["drop", "toDrop"] : ["corrected", "corrected"]]));
  options($("by-rule"), [["", t("allRules")], ...RULES.map(([rule, of]) => [rule, t("oneOf", { name: rule, of })])]);
  options($("by-object"), [["", t("allObjects")], ...OBJECTS.map(([object, of]) => [object, t("oneOf", { name: DATA.objects[object], of })])]);
  options($("by-photos"), [["", t("allPhotos")], ...PHOTOS.map(([n, of]) => [n, t("photosOf", { n, of })])]);
  $("released").hidden = QUEUE.name === "audit";
  options($("order"), QUEUE.orders.map((name) => [name, t(`order_${name}`)]));
  $("choices").replaceChildren(...WORDS.map((word, index) => choice(word, el("kbd", "", String(index + 1)), el("span", "word", t(word)), el("span", "effect"))));
  const pairs = (rows, name) => el("dl", "", ...rows.flatMap(([key, text]) => [el("dt", "", name(key)), el("dd", "", text)]));
  $("help-text").replaceChildren(el("h2", "", t("help")), pairs(TEXTS[language].keys, (key) => el("kbd", "", key)), el("h3", "", t("photoKeys")), pairs(TEXTS[language].inPhoto, (key) => el("kbd", "", key)), pairs(TEXTS[language].meanings, (key) => el("span", "tag", t(key))), ...(QUEUES.audit ? [el("h3", "", t("auditTitle")), pairs(TEXTS[language].auditMeanings, (key) => el("span", "tag", t(key))), el("p", "", t("auditWhat"))] : []), el("h3", "", t("marks")), marks(), el("p", "", t("ranked")), el("p", "", t("kept")));
}
function marks() { // as the report lists them
  const samples = [[el("span", "", word("pass"), " ", word("fail")), "markVerdict"], [el("mark", "required", t("markWord")), "markRequired"], [el("span", "", el("mark", "negative", t("markWord")), " ", el("mark", "breach", t("markWord"))), "markNegative"], [el("mark", "remark", t("markWord")), "markRemark"], [el("span", "tag", t("markPerson")), "markDecided"], [el("span", "link", t("markAccent")), "markPress"]];
  return el("dl", "", ...samples.flatMap(([sample, text]) => [el("dt", "", sample), el("dd", "", t(text))]));
}
function choice(word, ...parts) {
  const button = el("button", `choice ${word}`, ...parts);
  button.type = "button";
  button.dataset.word = word;
  return button;
}
function options(select, pairs) {
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => { const option = el("option", "", text); option.value = value; return option; }));
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
  j: () => step(1), arrowright: () => step(1), k: () => step(-1), arrowleft: () => step(-1), n: jump, z: undo, s: () => save(false), l: switchLanguage, b: openBatch, f: () => QUEUE.name === "review" && toggleReleased(), a: () => QUEUES.audit && enter(QUEUE.name === "audit" ? "review" : "audit"), x: toggleDrop,
  t: () => $("note").focus(), r: () => $("reason")?.focus(), "/": () => { openQueue(true); $("search").focus(); }, "?": () => $("help").showModal(),
};
for (const place of [0, 1, 2, 3]) PRESSED[place + 1] = () => decide(WORDS[place]);
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
addEventListener("resize", () => { drawList(); settle(); });
for (const id of SELECTS) $(id).addEventListener("change", () => { takeNote(); filter(); });
$("order").addEventListener("change", () => orderBy($("order").value));
$("released").addEventListener("click", toggleReleased);
let orderBefore = "ranked";
function toggleReleased() {
  const before = order;
  orderBy(order === "released" ? orderBefore : "released");
  orderBefore = before === "released" ? "ranked" : before;
}
$("clear").addEventListener("click", () => { takeNote(); for (const id of [...SELECTS, "search"]) $(id).value = ""; filter(); });
$("reviewer").value = saved("ticket-review/reviewer") ?? "";
$("reviewer").addEventListener("change", () => keep("ticket-review/reviewer", reviewer()));
$("keys").addEventListener("click", () => $("help").showModal());
$("open-batch").addEventListener("click", openBatch);
$("batch-words").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) { wanted = button.dataset.word; drawBatch(); } });
$("batch-all").addEventListener("change", drawBatch);
$("batch-do").addEventListener("click", decideAll);
$("batch-cancel").addEventListener("click", () => $("batch").close());
let searchAt;
$("search").addEventListener("input", () => { clearTimeout(searchAt); searchAt = setTimeout(() => { takeNote(); filter(); }, 120); });
$("note").addEventListener("change", () => { takeNote(); refresh(); });
addEventListener("pagehide", takeNote);
for (const button of $("tabs").children) button.addEventListener("click", () => enter(button.dataset.tab));
addEventListener("storage", (event) => { if (event.key === STORE) { local = JSON.parse(event.newValue || "{}"); refresh(); } }); // another tab
const ACTS = { csv: () => (QUEUE.name === "audit" ? say(t("noTable"), true) : save(true)), load: () => $("file").click(), help: () => $("help").showModal(), language: switchLanguage };
$("more").addEventListener("click", (event) => { const act = ACTS[event.target.dataset.act]; if (act) { $("more").open = false; act(); } });
document.addEventListener("click", (event) => { if (!event.target.closest("#more")) $("more").open = false; });
$("file").addEventListener("change", async () => { const file = $("file").files[0]; if (file) load(await file.text()); $("file").value = ""; });

$("mission").textContent = DATA.mission;
$("run").textContent = DATA.run;
const open = saved(`${STORES}/open`);
enter(QUEUES[open] ? open : "review");
