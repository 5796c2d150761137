// Decisions saved as files and loaded again.
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
  const name = asTable ? "review.csv" : QUEUE.name === "audit" ? "audit_decisions.jsonl" : "review_decisions.jsonl";
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
  const rows = all.map((decision) => [decision.ticket_key, language === "zh" ? TEXTS.zh[decision.decision] : decision.decision, decision.note, ...MORE.map((field) => decision[field] ?? "")]);
  return "\ufeff" + [language === "zh" ? ["工单", "决定", "备注", ...MORE.map((field) => t(`head_${field}`))] : ["ticket_key", "decision", "note", ...MORE], ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}
function load(text) {
  const changes = [], seen = new Set();
  const audited = /^\s*\{[^\n]*"audit"\s*:/.test(text.replace(/^\ufeff/, ""));
  if (audited && !QUEUES.audit) return say(t("noSample"), true);
  if (QUEUES.audit) enter(audited ? "audit" : "review");
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
  if (!row || typeof row !== "object" || ["note", ...MORE].some((field) => typeof (row[field] ?? "") !== "string")) return t("notJson");
  if (!AT.has(row.ticket_key)) return t("unknownTicket", { key: row.ticket_key });
  const word = QUEUE.name !== "audit" ? row.decision : row.audit === "unsure" ? UNDECIDABLE : row.audit;
  if (!WORDS.includes(word)) return t("unknownWord", { word: String(row.decision ?? row.audit) });
  if (seen.has(row.ticket_key)) return t("twice", { key: row.ticket_key });
  seen.add(row.ticket_key);
  if (QUEUE.name === "audit") {
    const ticket = TICKETS[AT.get(row.ticket_key)];
    if (row.verdict && (row.verdict !== ticket.verdict || row.reason !== ticket.reason)) return t("otherAnswer", { key: row.ticket_key });
    changes.push([row.ticket_key, state(word, row.note ?? "", { reviewer: row.reviewer ?? "", drop: row.drop === true })]);
    return null;
  }
  changes.push([row.ticket_key, state(row.decision, row.note ?? "", Object.fromEntries(MORE.map((field) => [field, row[field] ?? ""])))]);
  return null;
}
