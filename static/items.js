// Lists of items are walked with j and k. Each item has an id and a link to itself, which takes the focus: a reader of the screen says its
// number, and the address does not change.

const items = [...document.querySelectorAll(".items > .item")];

function current() {
  const focused = document.activeElement?.closest?.(".item");
  if (focused) return items.indexOf(focused);
  // Without a focus the walk begins at what is on the screen.
  return items.findIndex((item) => item.getBoundingClientRect().bottom > 0) - 1;
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
  const next = current() + (event.key === "j" ? 1 : -1);
  const item = items[Math.max(0, Math.min(items.length - 1, next))];
  if (!item) return;
  event.preventDefault();
  item.querySelector("h2 a").focus({ preventScroll: true });
  item.scrollIntoView({ block: "start" });
});
