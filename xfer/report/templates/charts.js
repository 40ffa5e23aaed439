// Small line charts: series of [x, y] on axes from 0, with a line where something happened.
const WIDE = 300, HIGH = 150, LEFT = 34, UNDER = 30, OVER = 8;

function ticks(top) {
  const step = [1, 2, 2.5, 5, 10].map((unit) => unit * 10 ** Math.floor(Math.log10(top / 4))).find((unit) => top / unit <= 4);
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

function chart({ title, across, series, right, top, mark }) {
  const x = (value) => LEFT + (value / right) * (WIDE - LEFT - 10);
  const y = (value) => HIGH - UNDER - (Math.min(value, top) / top) * (HIGH - UNDER - OVER);
  const text = (at, words, anchor) => draw("text", { x: at[0], y: at[1], "text-anchor": anchor }, words);
  const lines = series.flatMap(({ points, style }) => [
    draw("polyline", { class: style, points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }),
    ...points.map(([a, b]) => draw("circle", { class: style, cx: x(a), cy: y(b), r: 1.6 })),
  ]);
  const picture = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}. ${spoken(series)}` },
    ...ticks(top).map((at) => draw("line", { class: "rule", x1: LEFT, x2: WIDE - 10, y1: y(at), y2: y(at) })),
    ...ticks(top).map((at) => text([LEFT - 5, y(at) + 3.5], String(at), "end")),
    ...ticks(right).map((at) => text([x(at), HIGH - UNDER + 13], String(at), "middle")),
    ...(mark == null ? [] : [draw("line", { class: "mark", x1: x(mark), x2: x(mark), y1: OVER, y2: HIGH - UNDER })]),
    ...lines, text([(LEFT + WIDE) / 2, HIGH - 3], across, "middle"));
  const key = series.filter(({ name }) => name).map(({ name, style }) => make("span", { class: `key-${style}` }, name));
  return make("div", { class: "chart" }, make("strong", {}, title), picture, make("p", {}, ...key));
}

function spoken(series) {
  return series.map(({ name, points }) => {
    const [low, high] = [Math.min, Math.max].map((end) => end(...points.map(([, b]) => b)));
    return `${name || "It"} runs from ${number(low, 2)} to ${number(high, 2)}`;
  }).join("; ");
}
