// Keys that do what links do: / leads to the search box, j and k walk through a list, p pins, g leads to another page, ? shows what there
// is. Enter needs no code: what has the focus is a link. Scripts that come after this one leave alone what it has taken.

const help = document.getElementById("keys");
const pause = 1500;
let goes = 0;

const link = (row) => row.querySelector("th a[href], h2 a[href]") ?? row.querySelector("a[href]");

// Rows of the list that has the focus, else of the first list that leads somewhere. What is folded away is not walked through.
function rows() {
  const lists = [...document.querySelectorAll("main table, main .items, main .tasks")].map((list) =>
    [...list.querySelectorAll(":scope > tbody > tr, :scope > li")].filter((row) => link(row) && row.checkVisibility()),
  );
  const focused = (row) => row.contains(document.activeElement);
  return lists.find((list) => list.some(focused)) ?? lists.find((list) => list.length > 0) ?? [];
}

function step(by) {
  const all = rows();
  const focused = all.findIndex((row) => row.contains(document.activeElement));
  // Without a focus the walk begins at what is on the screen.
  const from = focused >= 0 ? focused : all.findIndex((row) => row.getBoundingClientRect().bottom > 0) - 1;
  const row = all[Math.max(0, Math.min(all.length - 1, from + by))];
  if (!row) return;
  link(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: row.matches(".item") ? "start" : "nearest" });
}

const keys = {
  "/": () => document.getElementById("search")?.focus(),
  "?": () => help?.showModal(),
  j: () => step(1),
  k: () => step(-1),
  p: () => document.activeElement?.closest("tr")?.querySelector("a[data-pin]")?.click(),
  g: () => {
    goes = Date.now() + pause;
  },
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || help?.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const place = Date.now() < goes && document.querySelector(`header [data-go="${CSS.escape(event.key)}"]`);
  goes = 0;
  if (!place && !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  if (place) place.click();
  else keys[event.key]();
});

// Without scripts the help is opened and closed by its address.
document.addEventListener("click", (event) => {
  const opens = event.target.closest("a[href='#keys']");
  if (!help || !(opens || event.target.closest("#keys a"))) return;
  event.preventDefault();
  if (opens) help.showModal();
  else help.close();
});
