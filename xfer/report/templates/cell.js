// One heatmap, large: its pixels by pointer or by row and column, what is known of it, its curves and its faces.
class Dialog {
  constructor(grid) {
    this.grid = grid;
    this.title = make("h3");
    this.canvas = make("canvas");
    this.cross = draw("path", { class: "cross" });
    this.value = make("output");
    this.told = make("div", { class: "told" });
    const { height, width } = grid.size;
    const limit = (most) => make("input", { type: "number", min: 0, max: most - 1, value: Math.floor(most / 2), input: () => this.read() });
    [this.row, this.column] = [limit(height), limit(width)];
    this.map = make("div", { class: "map" }, this.canvas);
    this.map.addEventListener("pointermove", (event) => this.point(event));
    this.element = make("dialog", { "aria-labelledby": "cell-title", close: () => { tip.hidden = true; } },
      make("div", { class: "bar" }, this.title, this.step("Previous", -1), this.step("Next", 1),
        make("button", { type: "button", click: () => this.element.close() }, "Close")),
      make("div", { class: "sides" },
        make("div", {}, this.map, make("p", { class: "controls" }, labelled("Row", this.row), labelled("Column", this.column), this.value),
          make("p", { class: "controls" }, ...grid.overlay())),
        this.told));
    this.title.id = "cell-title";
  }

  step(name, by) {
    const { models, expressions } = this.grid.facts;
    const count = models.length * expressions.length;
    return make("button", { type: "button", click: () => {
      const [row, column] = this.at;
      const next = (row * expressions.length + column + by + count) % count;
      this.fill(Math.floor(next / expressions.length), next % expressions.length);
    } }, name);
  }

  open(row, column) {
    this.fill(row, column);
    this.element.showModal();
  }

  fill(row, column) {
    this.at = [row, column];
    const { grid } = this;
    const cell = grid.cell(row, column);
    this.title.textContent = grid.name(row, column);
    const outline = grid.outline(column);
    outline.append(this.cross);
    this.map.replaceChildren(this.canvas, outline);
    this.canvas.width = 0;
    grid.heatmap(row, column)?.paint(this.canvas);
    const curves = [...this.threshold(cell), ...this.training(grid.facts.training[grid.facts.models[row]])];
    this.told.replaceChildren(this.known(cell), ...curves, ...this.faces(cell));
    this.read();
  }

  known(cell) {
    const lines = [["explainer", this.grid.facts.explainers[this.grid.kind]], ...cell.known];
    return make("dl", {}, ...lines.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));
  }

  threshold(cell) {
    if (!cell.curve) return [];
    const points = cell.curve.map((iou, i) => [(i + 1) / (cell.curve.length + 1), iou]).filter(([, iou]) => iou != null);
    const top = Math.max(0.5, ...points.map(([, iou]) => iou));
    return [chart({ title: "IoU by threshold", across: "threshold (share of the map's range)", series: [{ points, style: "first" }], right: 1, top })];
  }

  training(log) {
    if (!log) return [];
    const pick = (name) => log.flatMap((fold) => [{ points: fold.epochs.map((epoch, i) => [epoch, fold[name][i]]).filter(([, y]) => y != null), name: "" }]);
    const right = Math.max(2, ...log.flatMap((fold) => fold.epochs));
    const mark = log.length === 1 ? log[0].kept : null;
    const style = (series, look, name) => series.map((each, i) => ({ ...each, style: look, name: i ? "" : name }));
    const losses = [...style(pick("train"), "second", "training"), ...style(pick("validation"), "first", "validation")];
    const highest = Math.max(0.1, ...losses.flatMap(({ points }) => points.map(([, y]) => y)));
    const accuracy = style(pick("accuracy"), "first", "");
    return [
      chart({ title: "Validation accuracy", across: "epoch", series: accuracy, right, top: 1, mark }),
      chart({ title: "Loss", across: "epoch", series: losses, right, top: highest, mark }),
    ];
  }

  faces(cell) {
    if (!cell.faces?.length) return [];
    const shown = cell.faces.map((face) => this.face(face));
    return [make("div", { class: "people" }, make("strong", {}, cell.shown), make("ul", {}, ...shown))];
  }

  face({ who, map, low, high, size, told }) {
    const person = this.grid.facts.people[who];
    const canvas = make("canvas");
    new Heatmap({ map, low, high }, { height: size[0], width: size[1] }, this.grid.colours).paint(canvas);
    const picture = make("span", { class: "map" }, canvas, draw("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" },
      draw("path", { class: "halo", d: person.lines }), draw("path", { class: "line", d: person.lines })));
    if (person.picture) picture.style.setProperty("--face", `url("${person.picture}")`);
    return make("li", {}, picture, make("span", {}, told));
  }

  point(event) {
    [this.row.value, this.column.value] = beneath(event, this.map, this.grid.size);
    this.read();
  }

  async read() {
    const { height, width } = this.grid.size;
    const [row, column] = [[this.row, height], [this.column, width]].map(([field, most]) => Math.min(most - 1, Math.max(0, Math.round(Number(field.value)))));
    this.cross.setAttribute("d", `M0 ${row + 0.5}H${width}M${column + 0.5} 0V${height}`);
    const heatmap = this.grid.heatmap(...this.at);
    this.value.textContent = heatmap ? `value ${await heatmap.at(row, column)}` : "no map";
  }
}
