// The queue: filters, order, and rows that are drawn only for what is in sight.
function textOf(ticket) {
  return (ticket.text ??= [ticket.key, ticket.reason, ...ticket.wrote, ...ticket.photos.flatMap((photo) => [photo.name, summaryOf(photo)]), ...ticket.candidates.map((one) => one.reason)].join("\n").toLowerCase());
}
const released = (ticket) => ticket.label === "fail" && ticket.verdict === "pass";
const BY_ID = new Intl.Collator(undefined, { numeric: true });
const ORDERS = { // which of two tickets comes first; else they stay as they stand
  ranked: null,
  released: (a, b) => released(b) - released(a),
  many: (a, b) => b.photos.length - a.photos.length,
  few: (a, b) => a.photos.length - b.photos.length,
  group: (a, b) => BY_ID.compare(a.group, b.group),
  drawn: (a, b) => a.drawn - b.drawn,
  risk: null, // as the sample stands
};
const USED = { train: "usedTrain", val: "usedVal", dropped: "usedDropped" };
// How sure the model is that the label is wrong, by its mean log-odds against it: 3 is odds of 20 to 1, 7 of 1,000 to 1.
const sure = (odds) => (odds === null ? "sureUnknown" : odds < 0 ? "sureNot" : odds < 3 ? "sureLittle" : odds < 7 ? "sureMuch" : "sureMost");
const SELECTS = ["by-label", "by-state", "by-rule", "by-object", "by-photos"];
let ALL, order, RULES, OBJECTS, PHOTOS;
function enter(name) { // the other queue, where it was left
  if (QUEUE?.name === name) return;
  if (QUEUE) { takeNote(); keep(`${STORES}/open`, name); for (const id of [...SELECTS, "search"]) $(id).value = ""; }
  QUEUE = QUEUES[name];
  ({ tickets: TICKETS, at: AT, words: WORDS, store: STORE, undos } = QUEUE);
  N = TICKETS.length;
  ALL = TICKETS.map((_, index) => index);
  local = JSON.parse(saved(STORE) || "{}");
  order = saved(`${STORE}/order`);
  if (!QUEUE.orders.includes(order)) order = QUEUE.orders[0];
  RULES = tally((ticket) => ticket.rules).sort((a, b) => BY_ID.compare(a[0], b[0]));
  OBJECTS = tally((ticket) => ticket.objects);
  PHOTOS = tally((ticket) => [ticket.photos.length]).sort((a, b) => a[0] - b[0]);
  document.body.classList.toggle("auditing", name === "audit");
  translate();
  const last = AT.get(saved(`${STORE}/at`));
  current = -1;
  filter();
  const start = last ?? shown.find((index) => !stateOf(TICKETS[index].key)[0]);
  if (start !== undefined) show(start);
}
function orderBy(name) { // from its first ticket
  takeNote();
  order = name;
  keep(`${STORE}/order`, order);
  current = -1;
  filter();
}
function tally(valuesOf) { // [[value, in how many tickets]], the commonest first
  const counts = new Map();
  for (const ticket of TICKETS) for (const value of valuesOf(ticket)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
function fits(ticket, decision, note) { // whether a ticket passes the selects
  const [label, state, rule, object, photos] = SELECTS.map((id) => $(id).value);
  return !(label && ticket.label !== label)
    && !(rule && !ticket.rules.includes(rule))
    && !(object && !ticket.objects.includes(Number(object)))
    && !(photos && ticket.photos.length !== Number(photos))
    && !(state && !(state === "undecided" ? !decision : state === "decided" ? decision : state === "noted" ? note : state === "corrected" ? moreOf(ticket.key).corrected_reason : state === "drop" ? moreOf(ticket.key).drop : decision === state));
}
function filter() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), compare = ORDERS[order];
  QUEUE.sorted[order] ??= compare ? [...ALL].sort((a, b) => compare(TICKETS[a], TICKETS[b])) : ALL;
  shown = [];
  for (const index of QUEUE.sorted[order]) {
    const ticket = TICKETS[index], [decision, note] = stateOf(ticket.key);
    if (!fits(ticket, decision, note)) continue;
    if (words.length && !words.every((word) => textOf(ticket).includes(word) || note.toLowerCase().includes(word))) continue;
    shown.push(index);
  }
  $("shown").textContent = t("shown", { n: shown.length.toLocaleString() });
  $("order").value = order;
  $("order-hint").textContent = t(`hint_${order}`);
  $("released").setAttribute("aria-pressed", order === "released");
  $("clear").hidden = !words.length && SELECTS.every((id) => !$(id).value);
  $("open-batch").disabled = !shown.length;
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
  tag.title = moreOf(ticket.key).reviewer ?? "";
  tag.classList.toggle("drop", Boolean(moreOf(ticket.key).drop));
  verdicts.replaceChildren(`${t("human")} `, word(ticket.label), ` · ${t("model")} `, word(ticket.verdict));
  odds.textContent = QUEUE.name === "audit" ? t(USED[ticket.used]) : ticket.odds === null ? "" : t(`${sure(ticket.odds)}Short`);
}
const word = (verdict) => el("span", `word ${verdict}`, t(verdict));
