// What is chosen for a comparison. The markup that this attaches to:
//
//   <form action="/compare" method="get" data-compare>        around the list, or anywhere on the page
//     <button data-compare-go>比較</button>                   enabled from two on; its text may hold <span data-compare-count></span>
//     <output data-compare-full hidden>…</output>             said when a seventh is chosen
//   <input type="checkbox" form="…" data-compare-id="ID">     one in each row (tr, li); ID of a run (its name) or of a checkpoint
//
// Keys: x chooses the row that has the focus, or takes it back; c compares. Without scripts the boxes are sent as `id=…&id=…`, which
// /compare reads as well as `ids=…`: give them name="id" and the form's id. The choice is kept for the tab until it is compared, so that rows of
// several pages can be taken together. The form may come anew with a part of the page.

const most = 6;
const key = "sekisho-compare";
const form = () => document.querySelector("form[data-compare]");
let chosen = JSON.parse(sessionStorage.getItem(key) ?? "[]");

function show() {
  for (const box of document.querySelectorAll("input[data-compare-id]")) box.checked = chosen.includes(box.dataset.compareId);
  const go = document.querySelector("[data-compare-go]");
  if (go) go.disabled = chosen.length < 2;
  for (const count of document.querySelectorAll("[data-compare-count]")) count.textContent = chosen.length || "";
}

function choose(id, on) {
  const full = document.querySelector("[data-compare-full]");
  const refused = on && !chosen.includes(id) && chosen.length >= most;
  if (full) full.hidden = !refused;
  if (!refused) {
    chosen = chosen.filter((other) => other !== id);
    if (on) chosen.push(id);
    sessionStorage.setItem(key, JSON.stringify(chosen));
  }
  show();
}

function compare() {
  if (!form() || chosen.length < 2) return;
  sessionStorage.removeItem(key);
  location.assign(`/compare?ids=${chosen.map(encodeURIComponent).join(",")}`);
}

// A page that comes back from the browser's memory has boxes as they were, and the tab may have chosen otherwise since.
addEventListener("pageshow", () => {
  chosen = JSON.parse(sessionStorage.getItem(key) ?? "[]");
  show();
});
document.addEventListener("fresh", show);
document.addEventListener("change", (event) => {
  const box = event.target.closest("input[data-compare-id]");
  if (box) choose(box.dataset.compareId, box.checked);
});
document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  compare();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (event.defaultPrevented || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "c") compare();
  if (event.key !== "x") return;
  const box = document.activeElement?.closest("tr, li")?.querySelector("input[data-compare-id]");
  if (box) choose(box.dataset.compareId, !chosen.includes(box.dataset.compareId));
});
