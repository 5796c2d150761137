// One ticket: label against model, the summaries of its photos, the rules cited.
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
  drawTabs();
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
    if (QUEUE.name === "audit") { button.querySelector(".effect").textContent = t(`${button.dataset.word}_effect`); continue; }
    button.querySelector(".effect").textContent = t(`${button.dataset.word}_effect`, { label: t(button.dataset.word === "label_wrong" ? OTHER[other] : other) });
  }
  if (current >= 0) {
    const side = document.querySelector(".side.given");
    side.classList.toggle("struck", decision === "label_wrong");
    if (QUEUE.name === "audit") { $("drop").checked = Boolean(moreOf(TICKETS[current].key).drop); $("drop").disabled = !decision; }
    else drawTeaching(TICKETS[current], decision);
    const who = decision && moreOf(TICKETS[current].key).reviewer;
    document.querySelector(".decided-by").textContent = who ? ` · ${t("by", { name: who })}` : "";
    $("list").setAttribute("aria-activedescendant", `row-${current}`);
  }
  drawList();
}
function drawTicket(ticket) {
  const audited = QUEUE.name === "audit";
  const facts = [t("place", { n: (shown.indexOf(AT.get(ticket.key)) + 1).toLocaleString(), of: shown.length.toLocaleString() })];
  if (audited) facts.push(t("votes", { n: `${Math.round(100 * ticket.votes)}%` }), ticket.dropped ? t("usedWhy", { why: t(`left_${ticket.dropped}`) }) : t(`${USED[ticket.used]}Long`));
  else facts.push(t(sure(ticket.odds)), t("queued", { n: ticket.times }), t("round", { n: ticket.round }));
  if (ticket.suspect) facts.push(t("suspect"));
  const total = ticket.candidates.reduce((sum, one) => sum + one.count, 0);
  const answers = el("div", "answers", ...ticket.candidates.map((one) => el("div", "answer", el("span", `votes ${one.verdict}`, `${t("answers", { n: one.count, of: total })} ${t(one.verdict)}`), el("span", "why", ...reason(one.reason)))));
  if (!ticket.candidates.some((one) => one.reason === ticket.reason)) answers.prepend(el("div", "answer", el("span", `votes ${ticket.verdict}`, t(ticket.verdict)), el("span", "why", ...reason(ticket.reason))));
  const side = (who, verdict, name) => el("div", `side ${name}`, el("span", "who", t(who)), el("span", `what ${verdict}`, `${verdict === "pass" ? "✓" : "✕"} ${t(verdict)}`)); // its colour and sign mean the verdict, everywhere
  const found = new Set(ticket.photos.flatMap((photo) => piecesOf(photo).map((piece) => piece.kind)));
  const legend = el("span", "legend", ...["required", "breach", "negative", "remark"].filter((kind) => found.has(kind)).map((kind) => el("mark", kind, t(kind))));
  const line = el("p", "", facts.join(" · "), el("span", "decided-by"));
  line.title = audited ? "" : ticket.odds === null ? t("sureUnknown") : t("odds", { n: ticket.odds.toFixed(1) });
  $("ticket").replaceChildren(
    el("div", "id", el("h2", "", ticket.group), line),
    el("div", "claim", el("div", "sides", side("human", ticket.label, "given"), side("model", ticket.verdict, "said")), ...wrote(ticket), answers, audited ? leaving() : teaching()),
    el("section", "", el("h3", "", t("photos"), legend), ...needed(ticket), photos(ticket)),
    ...rules(ticket),
  );
}
function teaching() { // where a person writes the reason that the corpus should have
  const line = el("label", "teaching", el("span", "who", t("correct"))), box = el("input");
  box.id = "reason";
  box.placeholder = t("correctHint");
  box.autocomplete = "off";
  box.addEventListener("change", () => { takeNote(); refresh(); });
  line.append(box, el("span", "taught"));
  return line;
}
function leaving() { // an answer of the sample stays in the corpus unless somebody says otherwise
  const line = el("label", "teaching leaving"), box = el("input");
  box.id = "drop";
  box.type = "checkbox";
  box.addEventListener("change", toggleDrop);
  line.append(box, el("span", "", t("drop")), el("kbd", "", "X"));
  return line;
}
function drawTabs() {
  $("tabs").hidden = !QUEUES.audit;
  for (const button of $("tabs").children) {
    const queue = QUEUES[button.dataset.tab];
    button.textContent = queue ? t(`tab_${queue.name}`, { n: queue.tickets.length.toLocaleString() }) : "";
    button.setAttribute("aria-pressed", queue === QUEUE);
  }
}
function drawTeaching(ticket, decision) {
  const right = decision === "label_wrong" ? OTHER[ticket.label] : ticket.label, text = moreOf(ticket.key).corrected_reason ?? "";
  $("reason").value = text;
  document.querySelector(".taught").textContent = !text ? "" : TEACH.includes(decision) ? t("taughtAs", { verdict: t(right) }) : t("notTaught");
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
    return el("li", seen.length ? "seen" : "unseen", item, el("span", "", seen.length ? t("seenIn", { n: seen.join(" ") }) : t("unseen")));
  });
  return [el("ul", "needed", ...chips)];
}
function photos(ticket) {
  const list = el("ol", DATA.pictured ? "photos pictured" : "photos");
  ticket.photos.forEach((photo, index) => {
    const item = el("li", "", el("span", "number", String(index + 1)));
    if (DATA.pictured) item.append(picture(ticket, photo, index));
    item.append(el("div", "facts", ...piecesOf(photo).map((piece) => (piece.kind ? el("mark", piece.kind, piece.text) : piece))));
    item.title = photo.name;
    list.append(item);
  });
  return list;
}
function picture(ticket, photo, index) {
  if (!photo.src) return el("div", "picture missing", t("missing", { name: photo.name }));
  const button = el("button", "picture"), image = el("img");
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = "";
  image.src = photo.src;
  image.addEventListener("error", () => button.replaceWith(el("div", "picture missing", t("missing", { name: photo.name }))));
  button.setAttribute("aria-label", t("enlarge", { n: index + 1 }));
  button.addEventListener("click", () => {
    const list = ticket.photos.map((one, place) => ({ photo: one, index: place })).filter((one) => one.photo.src);
    openPhoto(list, list.findIndex((one) => one.index === index));
  });
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
