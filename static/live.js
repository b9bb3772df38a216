// The page of a run or a release stays true while it is open: the server says that something changed, and the changed parts are fetched as HTML.

const live = document.getElementById("live");
const pause = 1500;
const news = document.createElement("span");
const focusable = "a[href], button, summary, input, select, textarea, [tabindex]";
let waiting = false;
let fetching = false;
// Rows that have arrived and wait to be shown, by what they lead to.
const arrived = new Set();

async function refresh() {
  waiting = false;
  // An answer that is under way may be older than the change: it is followed by another.
  if (fetching) return changed();
  fetching = true;
  try {
    const url = new URL(location.href);
    url.searchParams.set("part", "live");
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of fresh.querySelectorAll("#live > [id]")) replace(document.getElementById(part.id), part);
  } catch {
    // Offline: the stream says when the server is there again.
  } finally {
    fetching = false;
  }
}

// A part is replaced only when it differs. What the reader has opened stays open, tables keep their place, and the focus stays
// where it was: each is found again by the nearest id above it, whatever has come before it meanwhile.
function replace(old, part) {
  if (!old || plain(old) === plain(part)) return;
  const open = known(old, "details", (details) => details.open);
  const places = known(old, ".scroll", (table) => [table.scrollLeft, table.scrollTop]);
  holdBack(old, part);
  const focused = old.contains(document.activeElement) && document.activeElement;
  const focus = focused && [...named(old, focusable)].find(([, element]) => element === focused)?.[0];
  old.replaceWith(part);
  part.dispatchEvent(new CustomEvent("fresh", { bubbles: true }));
  for (const [name, details] of named(part, "details")) details.open = open.get(name) ?? details.open;
  for (const [name, table] of named(part, ".scroll")) {
    [table.scrollLeft, table.scrollTop] = places.get(name) ?? [0, 0];
  }
  if (focus) named(part, focusable).get(focus)?.focus({ preventScroll: true });
}

// Live changes never move what the eye is on: rows that a list has not had wait behind a button in its caption. A row is known by where
// it leads. What has come to an empty list is shown at once.
function holdBack(old, part) {
  const label = (table) => table.closest("[aria-label]")?.getAttribute("aria-label");
  const before = new Map([...old.querySelectorAll("table")].map((table) => [label(table), table]));
  for (const table of part.querySelectorAll("table")) {
    const known = new Set(rowsOf(before.get(label(table))).keys());
    if (known.size === 0) continue;
    const rows = rowsOf(table);
    for (const key of rows.keys()) if (!known.has(key)) arrived.add(key);
    const held = [...rows].filter(([key]) => arrived.has(key)).map(([, row]) => row);
    if (held.length > 0) offer(table, held);
  }
}

function rowsOf(table) {
  const rows = [...(table?.tBodies[0]?.rows ?? [])];
  return new Map(rows.map((row) => [row.querySelector("a[href]")?.getAttribute("href"), row]).filter(([key]) => key));
}

function offer(table, held) {
  for (const row of held) row.hidden = true;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "new-rows";
  button.textContent = document.documentElement.dataset.new.replace("#", held.length);
  button.addEventListener("click", () => {
    for (const [key, row] of rowsOf(table)) {
      arrived.delete(key);
      row.hidden = false;
    }
    button.remove();
    news.textContent = "";
    held[0].querySelector("a[href]").focus({ preventScroll: true });
  });
  table.caption.append(button);
  news.textContent = button.textContent;
}

// A part as the server made it: without what the reader has opened, and without what scripts have added.
function plain(part) {
  const copy = part.cloneNode(true);
  for (const added of copy.querySelectorAll(".copy, .added, .new-rows, .cursor, .cursor-text")) added.remove();
  for (const figure of copy.querySelectorAll(".zoomed")) figure.classList.remove("zoomed");
  for (const row of copy.querySelectorAll("tr[hidden]")) row.removeAttribute("hidden");
  for (const svg of copy.querySelectorAll("svg[data-stops]")) {
    for (const name of ["tabindex", "aria-keyshortcuts", "data-at"]) svg.removeAttribute(name);
  }
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  return copy.innerHTML;
}

// The elements of a part by name: the nearest id above, what they say, and which of several alike.
function named(root, selector) {
  const names = new Map();
  for (const element of root.querySelectorAll(selector)) {
    const own = element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.localName;
    const name = `${element.closest("[id]")?.id} ${own}`;
    let number = 0;
    while (names.has(`${name} ${number}`)) number += 1;
    names.set(`${name} ${number}`, element);
  }
  return names;
}

function known(root, selector, value) {
  return new Map([...named(root, selector)].map(([name, element]) => [name, value(element)]));
}

function changed() {
  if (waiting) return;
  waiting = true;
  setTimeout(refresh, pause);
}

let source;

function listen() {
  if (source) return;
  source = new EventSource(`/events?topics=${encodeURIComponent(live.dataset.topics)}`);
  // Opened, for the first time or again: what has happened since the page was made was not heard.
  for (const kind of ["open", "metrics", "event", "checkpoint", "score", "state", "progress"]) source.addEventListener(kind, changed);
}

function rest() {
  source?.close();
  source = undefined;
}

// Nobody looks at a page that is hidden, or that the browser keeps for the way back. A browser opens six connections to a service over
// HTTP/1.1: streams of pages out of sight would keep the page in sight waiting.
if (live) {
  news.className = "unseen";
  news.setAttribute("role", "status");
  document.body.append(news);
  const follow = () => (document.visibilityState === "visible" ? listen() : rest());
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", rest);
  addEventListener("pageshow", follow);
  follow();
}
