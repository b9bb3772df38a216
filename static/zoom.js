// Curves close up: dragging chooses a part of the horizontal axis, a double click shows all of it again. The part is in the address,
// under the names of the figure's `data-ends`, and the server sends what is drawn in it. The drawing that the page came with stays for those who read it otherwise.

const shown = new WeakMap();
const ink = (element) => getComputedStyle(element);

// As many digits as tell one line of the grid from the next.
const plain = (value, step) => {
  const digits = String(step ?? "").split(".")[1]?.length;
  const text = digits ? value.toFixed(digits) : String(Number(value.toPrecision(5)));
  return text.replace("-", "\u2212");
};
const short = (value) => {
  const [power, unit] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([power]) => value >= power) ?? [1, ""];
  return plain(value / power) + unit;
};
const writers = {
  plain,
  short,
  billions: (value) => Number((value / 1e9).toPrecision(4)).toLocaleString("en"),
  millions: (value) => Number((value / 1e6).toPrecision(4)).toLocaleString("en"),
  scientific: (value) => (value === 0 ? "0" : value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e")),
};

const ends = (figure) => figure.dataset.ends.split(" ");

// The address of a figure's numbers, for the part that the page's address names.
function source(figure) {
  const url = new URL(figure.dataset.zoom, location.href);
  const page = new URL(location.href).searchParams;
  for (const end of ends(figure)) {
    if (page.has(end)) url.searchParams.set(end, page.get(end));
    else url.searchParams.delete(end);
  }
  return url;
}

async function show(figure) {
  const state = shown.get(figure) ?? {};
  shown.set(figure, state);
  const url = source(figure);
  if (state.url === url.href) return;
  state.url = url.href;
  const answer = await fetch(url);
  // A later choice has overtaken this one, or the page has replaced the figure.
  if (!answer.ok || state.url !== url.href || !figure.isConnected) return;
  draw(figure, state, await answer.json());
}

// One chart, or several above one another with one horizontal axis.
function draw(figure, state, charts) {
  const drawing = [...figure.querySelectorAll(".drawing")].find((one) => one.offsetWidth > 0) ?? figure.querySelector(".drawing");
  const box = drawing.getBoundingClientRect();
  if (!state.frame) {
    state.frame = document.createElement("div");
    state.frame.className = "close-up added";
    state.frame.setAttribute("aria-hidden", "true");
    [state.width, state.height] = [box.width, box.height];
    drawing.after(state.frame);
  }
  for (const chart of state.charts ?? []) chart.destroy();
  state.frame.replaceChildren();
  const height = state.height / charts.length;
  state.charts = charts.map((data) => {
    const reading = document.createElement("p");
    reading.className = "reading";
    const part = { width: state.width, height, reading };
    const chart = new uPlot(options(figure, part, data), uPlot.join(data.series.map((one) => [one.x, one.y])), state.frame);
    state.frame.append(reading);
    return chart;
  });
  figure.classList.add("zoomed");
}

function options(figure, { width, height, reading }, data) {
  const { color } = ink(figure);
  const muted = ink(figure.querySelector("figcaption p") ?? figure).color;
  const grid = { stroke: `color-mix(in srgb, ${muted} 22%, transparent)`, width: 1 };
  const axis = (one, size) => ({
    label: one.title,
    stroke: muted,
    grid,
    ticks: grid,
    size,
    font: "11px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif",
    values: (_, splits, index, space, step) => splits.map((value) => (value === null ? "" : writers[one.numbers](value, step))),
  });
  const line = (one) => {
    const path = figure.querySelector(`.series.${one.class.split(" ").join(".")} path`);
    const style = path && ink(path);
    const dash = style?.strokeDasharray.match(/[\d.]+/g)?.map(Number);
    const stroke = style && style.stroke !== "none" ? style.stroke : color;
    return {
      label: one.name,
      stroke: one.look === "faint" ? `color-mix(in srgb, ${stroke} 40%, transparent)` : stroke,
      width: one.look === "faint" ? 0.8 : 1.7,
      dash: one.look === "faint" ? undefined : dash,
      points: { show: one.look === "points", size: 7, fill: stroke },
    };
  };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: figure.id }, bind: { dblclick: () => () => go(figure) } },
    scales: {
      x: { time: false, distr: data.x.log ? 3 : 1, range: () => [data.x.from, data.x.to] },
      y: { range: () => padded(data.y.from, data.y.to) },
    },
    axes: [axis(data.x, 34), axis(data.y, 56)],
    series: [{}, ...data.series.map(line)],
    hooks: {
      draw: [(chart) => marks(chart, data, muted)],
      setCursor: [(chart) => read(chart, reading, data)],
      setSelect: [(chart) => chosen(figure, chart)],
    },
  };
}

const padded = (low, high) => [low - 0.04 * (high - low), high + 0.04 * (high - low)];

// Horizontal lines with their names, events, and the intervals of points.
function marks(chart, data, muted) {
  const { ctx } = chart;
  const { left, top, width, height } = chart.bbox;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = ctx.fillStyle = muted;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  const path = (dash, ...points) => {
    ctx.setLineDash(dash.map((part) => part * ratio));
    ctx.beginPath();
    points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    ctx.stroke();
  };
  ctx.lineWidth = ratio;
  for (const { name, y } of data.references) {
    const at = chart.valToPos(y, "y", true);
    path([1, 4], [left, at], [left + width, at]);
    ctx.fillText(name, left + width - 4 * ratio, at - 4 * ratio);
  }
  for (const { x } of data.flags) {
    const at = chart.valToPos(x, "x", true);
    path([3, 3], [at, top], [at, top + height]);
  }
  data.series.forEach((one, number) => {
    ctx.strokeStyle = chart.series[number + 1].stroke();
    one.low?.forEach((low, i) => {
      if (low === null) return;
      const at = chart.valToPos(one.x[i], "x", true);
      path([], [at, chart.valToPos(low, "y", true)], [at, chart.valToPos(one.high[i], "y", true)]);
    });
  });
  ctx.restore();
}

// What lies under the pointer, in words and numbers.
function read(chart, reading, data) {
  const at = chart.cursor.idx;
  const x = at === null || at === undefined ? undefined : chart.data[0][at];
  if (x === undefined) return void (reading.textContent = "");
  const values = data.series.flatMap((one, number) => {
    const y = chart.data[number + 1][at];
    return y === null || y === undefined ? [] : [`${one.name} ${writers[data.y.numbers](y)}`.trim()];
  });
  reading.textContent = [`${data.x.title}: ${writers[data.x.numbers](x)}`, ...values].join(" · ");
}

function chosen(figure, chart) {
  const { left, width } = chart.select;
  if (width < 4) return;
  const [from, to] = [left, left + width].map((at) => chart.posToVal(at, "x"));
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  go(figure, [from, to].map((place) => Number(place.toPrecision(6))));
}

// The part between two places for a figure and those that share its axis; without places the whole.
function go(figure, places = []) {
  const url = new URL(location.href);
  ends(figure).forEach((end, i) => (i in places ? url.searchParams.set(end, places[i]) : url.searchParams.delete(end)));
  history.replaceState(null, "", url);
  // Figures out of sight follow when the pointer comes to them.
  for (const figure of document.querySelectorAll("figure[data-zoom]")) {
    const { top, bottom } = figure.getBoundingClientRect();
    if (shown.has(figure) || (bottom > 0 && top < innerHeight)) show(figure);
  }
}

function hint(part) {
  const section = part.closest?.("[data-zoom-hint]") ?? part.querySelector("[data-zoom-hint]");
  if (!section || section.querySelector(".hint")) return;
  const words = document.createElement("p");
  words.className = "remark hint added";
  words.textContent = section.dataset.zoomHint;
  section.querySelector(".bar").after(words);
}

document.addEventListener("pointerover", (event) => {
  const figure = event.target.closest?.(".drawing, .close-up")?.closest("figure[data-zoom]");
  if (figure) show(figure);
});
document.addEventListener("fresh", (event) => hint(event.target));
hint(document.body);
