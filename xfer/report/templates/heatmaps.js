// The grid of all heatmaps: values under the pointer, a slider between map and face, every cell opens by click or Enter.
class Grid {
  constructor(holder) {
    this.holder = holder;
    this.facts = facts(holder);
    this.size = { height: this.facts.height, width: this.facts.width };
    this.colours = palette(this.facts.colours);
    this.kind = 0;
    this.near = new IntersectionObserver((seen) => this.arrive(seen), { rootMargin: "400px" });
    if (this.facts.face) holder.style.setProperty("--face", `url("${this.facts.face}")`);
    this.cells = new Map();
    this.table = this.tabulate();
    this.dialog = new Dialog(this);
    holder.append(this.controls(), make("div", { class: "wide" }, this.table), this.dialog.element);
    holder.previousElementSibling.classList.add("replaced");
    holder.hidden = false;
    this.show();
  }

  controls() {
    const kinds = make("select", { change: () => { this.kind = kinds.selectedIndex; this.show(); } },
      ...this.facts.explainers.map((name) => make("option", {}, name)));
    const several = this.facts.explainers.length > 1 ? [labelled("Explainer", kinds)] : [];
    return make("p", { class: "controls" }, ...several, ...this.overlay(), this.legend());
  }

  legend() {
    const bar = make("canvas", { class: "scale", width: 255, height: 1 });
    const picture = new ImageData(255, 1);
    new Uint32Array(picture.data.buffer).set(this.colours.subarray(1));
    bar.getContext("2d").putImageData(picture, 0, 0);
    return make("span", { class: "quiet" }, "each map from its lowest", bar, "to its highest value");
  }

  // Slider and switch; several pairs of them move together.
  overlay() {
    const name = this.facts.face ? "Heatmap over the face" : "Strength of the heatmap";
    const slider = make("input", { type: "range", min: 0, max: 100, step: 5, value: 80, "data-overlay": "strength" });
    const lines = make("input", { type: "checkbox", checked: true, "data-overlay": "lines" });
    slider.addEventListener("input", () => {
      this.holder.style.setProperty("--strength", slider.value / 100);
      for (const each of this.holder.querySelectorAll("[data-overlay=strength]")) each.value = slider.value;
    });
    lines.addEventListener("change", () => {
      this.holder.classList.toggle("bare", !lines.checked);
      for (const each of this.holder.querySelectorAll("[data-overlay=lines]")) each.checked = lines.checked;
    });
    return [labelled(name, slider), labelled("Outline of the mask", lines)];
  }

  tabulate() {
    const { models, expressions } = this.facts;
    const heads = expressions.map((name) => make("th", { scope: "col" }, name));
    const rows = models.map((model, row) => make("tr", {}, make("th", { scope: "row" }, model),
      ...expressions.map((_, column) => make("td", {}, this.button(row, column)))));
    const table = make("table", { class: "maps", role: "grid", "aria-label": "Heatmaps; arrow keys move, Enter opens a map" },
      make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...rows));
    table.addEventListener("keydown", (event) => this.move(event));
    return table;
  }

  button(row, column) {
    const canvas = make("canvas");
    const note = make("span");
    const doubt = make("span", { class: "why" });
    const button = make("button", { type: "button", tabindex: row || column ? -1 : 0, click: () => this.dialog.open(row, column) },
      make("span", { class: "map" }, canvas, this.outline(column)), note, doubt);
    button.addEventListener("pointermove", (event) => this.hover(event, row, column, canvas));
    button.addEventListener("pointerleave", () => { tip.hidden = true; });
    button.addEventListener("focus", () => this.only(button));
    this.cells.set(button, { row, column, canvas, note, doubt });
    return button;
  }

  outline(column) {
    const { height, width } = this.size;
    const line = (style) => draw("path", { d: this.facts.outlines[column], class: style });
    return draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, line("halo"), line("line"));
  }

  cell(row, column) {
    return this.facts.cells[this.kind][row][column];
  }

  heatmap(row, column) {
    const cell = this.cell(row, column);
    if (!cell.map) return null;
    return (cell.heatmap ??= new Heatmap(cell, this.size, this.colours));
  }

  name(row, column) {
    return `${this.facts.models[row]}, ${this.facts.expressions[column]}`;
  }

  show() {
    for (const [button, { row, column, note, doubt, canvas }] of this.cells) {
      const cell = this.cell(row, column);
      note.textContent = cell.note;
      doubt.textContent = cell.doubt;
      button.classList.toggle("doubtful", Boolean(cell.doubt));
      button.classList.toggle("absent", !cell.map);
      canvas.width = 0;
      button.setAttribute("aria-label", `${this.name(row, column)}: ${[cell.note, cell.doubt].filter(Boolean).join(", ")}`);
      this.near.unobserve(button);
      this.near.observe(button);
    }
  }

  arrive(seen) {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      const { row, column, canvas } = this.cells.get(target);
      this.near.unobserve(target);
      this.heatmap(row, column)?.paint(canvas);
    }
  }

  async hover(event, row, column, canvas) {
    const heatmap = this.heatmap(row, column);
    if (!heatmap) return tell(event, this.name(row, column), "no map");
    const [y, x] = beneath(event, canvas, this.size);
    const value = await heatmap.at(y, x);
    return canvas.closest("button").matches(":hover") && tell(event, this.name(row, column), `row ${y}, column ${x}: ${value}`, this.cell(row, column).note);
  }

  only(button) {
    for (const each of this.cells.keys()) each.tabIndex = each === button ? 0 : -1;
  }

  move(event) {
    const cell = event.target.closest("td");
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const last = this.facts.expressions.length;
    let [row, column] = [cell.parentNode.rowIndex, cell.cellIndex];
    if (event.key in steps) [row, column] = [row + steps[event.key][0], column + steps[event.key][1]];
    else if (event.key === "Home") column = 1;
    else if (event.key === "End") column = last;
    else return;
    event.preventDefault();
    this.table.rows[Math.max(1, row)]?.cells[Math.min(last, Math.max(1, column))]?.querySelector("button").focus();
  }
}

for (const holder of live("heatmaps")) new Grid(holder);
