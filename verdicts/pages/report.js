// The language: as chosen before, else as the browser's; the switch itself is a pair of radio buttons that needs no script.
const buttons = document.querySelectorAll(".switch input");
const use = (language) => {
  for (const button of buttons) button.checked = button.value === language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
};
const KEY = "ticket-review/language"; // the review page's, so that both speak the same
const remembered = () => {
  try { return localStorage.getItem(KEY); } catch { return null; } // storage may be forbidden
};
const wanted = remembered() ?? navigator.language;
use(wanted.startsWith("zh") ? "zh" : "en");
for (const button of buttons) {
  button.addEventListener("change", () => {
    use(button.value);
    try { localStorage.setItem(KEY, button.value); } catch { /* it lasts until the page is left */ }
  });
}
// A link to something inside a closed part opens it.
const reveal = () => {
  let id = location.hash.slice(1);
  try { id = decodeURIComponent(id); } catch { /* a name that is no address stands for itself */ }
  const place = id && document.getElementById(id);
  const around = place && place.closest("details");
  if (around) { around.open = true; place.scrollIntoView({ block: "center" }); }
};
addEventListener("hashchange", reveal);
reveal();
// What matters is open on paper.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.print:not([open])")];
  for (const detail of opened) detail.open = true;
});
addEventListener("afterprint", () => { for (const detail of opened) detail.open = false; });
