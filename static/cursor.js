// A chart with the focus is read with the arrow keys: a line stands at a place, and its values are said. The places come with the
// drawing, `data-stops="px|x|values;…"`: nothing is asked of the service.

// What is said has its place from the beginning: a region that comes with its words is not read out everywhere.
const said = document.createElement("span");
said.className = "unseen";
said.setAttribute("role", "status");
document.body.append(said);
const shown = document.createElement("p");
shown.className = "cursor-text";
shown.setAttribute("aria-hidden", "true");

const stops = (svg) => svg.dataset.stops.split(";").map((stop) => stop.split("|"));

function prepare(part) {
  for (const svg of part.querySelectorAll("svg[data-stops]")) {
    svg.tabIndex = 0;
    svg.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight Home End");
  }
}

function show(svg, index) {
  const [px, x, values] = stops(svg)[index];
  const [, top, , height] = svg.dataset.plot.split(" ").map(Number);
  let line = svg.querySelector(".cursor");
  if (!line) {
    line = document.createElementNS(svg.namespaceURI, "path");
    line.setAttribute("class", "cursor");
    svg.append(line);
  }
  line.setAttribute("d", `M${px} ${top}v${height}`);
  svg.dataset.at = index;
  const drawing = svg.closest(".drawing");
  if (shown.previousElementSibling !== drawing) drawing.after(shown);
  said.textContent = shown.textContent = `${x}: ${values}`;
}

document.addEventListener("keydown", (event) => {
  const svg = event.target.closest?.("svg[data-stops]");
  if (!svg || event.ctrlKey || event.metaKey || event.altKey) return;
  const last = stops(svg).length - 1;
  const at = svg.dataset.at === undefined ? undefined : Number(svg.dataset.at);
  const next = {
    ArrowLeft: at === undefined ? last : Math.max(0, at - 1),
    ArrowRight: at === undefined ? 0 : Math.min(last, at + 1),
    Home: 0,
    End: last,
  }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  show(svg, next);
});

document.addEventListener("focusout", (event) => {
  const svg = event.target.closest?.("svg[data-stops]");
  if (!svg) return;
  svg.querySelector(".cursor")?.remove();
  shown.remove();
});

prepare(document);
document.addEventListener("fresh", (event) => prepare(event.target));
