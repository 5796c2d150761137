// What the page holds, and what is decided: decisions in localStorage, laid over those that the run had.
const DATA = JSON.parse(document.getElementById("data").textContent);
// Two queues: tickets to review, and the sample of the teacher's answers. One is open; what belongs to it is swapped whole.
const STORES = `ticket-review/${DATA.run}/${DATA.mission}`;
const makeQueue = (name, words, tickets, said, store, orders) => ({ name, words, tickets, said, store, orders, at: new Map(tickets.map((ticket, index) => [ticket.key, index])), undos: [], sorted: {} });
const QUEUES = { review: makeQueue("review", ["label_wrong", "model_wrong", "exclude", "unsure"], DATA.tickets, DATA.said, `${STORES}/${DATA.queue}`, ["ranked", "released", "many", "few", "group"]) };
if (DATA.audit) QUEUES.audit = makeQueue("audit", ["right", "reason_wrong", "verdict_wrong", "undecidable"], DATA.audit.tickets, DATA.audit.said, `${STORES}/audit/${DATA.audit.queue}`, ["drawn", "risk", "many", "few", "group"]);
const UNDECIDABLE = "undecidable"; // on the page; in the file it is "unsure", which means another thing in review
let QUEUE, TICKETS, N, AT, WORDS, STORE, undos;
const piecesOf = (photo) => photo.facts.map((place) => DATA.pieces[place]); // a string, or {kind, text}
const summaryOf = (photo) => piecesOf(photo).map((piece) => piece.text ?? piece).join("");
const OTHER = { pass: "fail", fail: "pass" };
const MORE = ["reviewer", "corrected_reason"], TEACH = ["label_wrong", "model_wrong"]; // what a decision may have besides its note
const ROW = 60;

const $ = (id) => document.getElementById(id);
const saved = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const keep = (name, text) => { try { localStorage.setItem(name, text); return true; } catch { return false; } };
let language = saved("ticket-review/language") || (/^zh\b/i.test(navigator.language) ? "zh" : "en");
let local = {}; // ticket key -> [decision or null, note, and {reviewer, …} where there is any]
let shown = [], current = -1, pool = [];

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
const state = (word, note, more) => { // without what is empty
  const kept = Object.fromEntries(Object.entries(more).filter(([, text]) => text));
  return Object.keys(kept).length ? [word, note, kept] : [word, note];
};
const moreOf = (key) => stateOf(key)[2] || {};
const reviewer = () => $("reviewer").value.trim();
const stateOf = (key) => local[key] || QUEUE.said[key] || [null, ""];
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
    if (QUEUE.said[key]) return; // the run has it already: it can be changed, not taken back
    put([[key, state(null, stateOf(key)[1], { ...moreOf(key), reviewer: "", drop: false })]]);
    refresh();
    return say(t("cleared"));
  }
  put([[key, state(word, stateOf(key)[1], { ...moreOf(key), reviewer: reviewer() })]]);
  say(`${t(word)} · ${TICKETS[current].group}`);
  if (!forward(current)) { refresh(); say(t("allDone")); }
}
function takeNote() {
  if (current < 0) return;
  const key = TICKETS[current].key, [word, was] = stateOf(key), note = $("note").value.trim();
  const reason = ($("reason")?.value ?? "").trim();
  if (note !== was || reason !== (moreOf(key).corrected_reason ?? "")) put([[key, state(word, note, { ...moreOf(key), corrected_reason: reason, ...(word ? { reviewer: reviewer() } : {}) })]], false);
}
function undo() {
  const last = undos.pop();
  if (!last) return say(t("nothingToUndo"));
  put(last.before, false);
  show(last.at === null ? current : AT.get(last.at));
  say(t("undone"));
}
function taught(key) { // a corrected reason goes with a verdict, or not at all
  const { corrected_reason: reason, ...rest } = moreOf(key);
  return reason && TEACH.includes(stateOf(key)[0]) ? { ...rest, corrected_reason: reason } : rest;
}
function toggleDrop() { // of an answer of the audit sample: leave it out of the corpus
  if (current < 0 || QUEUE.name !== "audit") return;
  const key = TICKETS[current].key, [word, note] = stateOf(key);
  takeNote();
  if (!word) { refresh(); return say(t("dropFirst")); }
  put([[key, state(word, note, { ...moreOf(key), drop: !moreOf(key).drop, reviewer: reviewer() })]]);
  refresh();
}
function decisions() {
  if (QUEUE.name === "audit") {
    return TICKETS.filter((ticket) => stateOf(ticket.key)[0]).map((ticket) => {
      const [word, note] = stateOf(ticket.key);
      return { ticket_key: ticket.key, audit: word === UNDECIDABLE ? "unsure" : word, verdict: ticket.verdict, reason: ticket.reason, note, ...moreOf(ticket.key) };
    });
  }
  return TICKETS.filter((ticket) => stateOf(ticket.key)[0]).map((ticket) => ({ ticket_key: ticket.key, decision: stateOf(ticket.key)[0], note: stateOf(ticket.key)[1], ...taught(ticket.key) }));
}

// -- many at once: one decision for the whole list shown, one undo
let wanted = null;
function openBatch() {
  takeNote();
  if (!shown.length) return say(t("nothingShown"));
  wanted = null;
  $("batch-words").replaceChildren(...WORDS.map((word) => choice(word, el("span", "word", t(word)))));
  $("batch-all").checked = false;
  drawBatch();
  $("batch").showModal();
}
const batched = () => shown.filter((index) => $("batch-all").checked || !stateOf(TICKETS[index].key)[0]);
function drawBatch() {
  const undecided = shown.filter((index) => !stateOf(TICKETS[index].key)[0]).length, n = batched().length;
  $("batch-count").textContent = t("batchCount", { n: shown.length.toLocaleString(), m: undecided.toLocaleString() });
  $("batch-over").hidden = undecided === shown.length;
  $("batch-over").lastElementChild.textContent = t("batchAll", { n: (shown.length - undecided).toLocaleString() });
  for (const button of $("batch-words").children) button.setAttribute("aria-pressed", button.dataset.word === wanted);
  $("batch-do").disabled = !wanted || !n;
  $("batch-do").textContent = wanted ? `${t("batchDo", { n: n.toLocaleString() })}: ${t(wanted)}` : t("batchPick");
}
function decideAll() {
  const all = batched();
  put(all.map((index) => { const key = TICKETS[index].key; return [key, state(wanted, stateOf(key)[1], { ...moreOf(key), reviewer: reviewer() })]; }));
  $("batch").close();
  filter();
  say(t("batchDone", { n: all.length.toLocaleString(), word: t(wanted) }));
}
