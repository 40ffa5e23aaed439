// Dendrograms beside their correlations: a network under the pointer, or chosen, lights up in every picture.
class Trees {
  constructor(holder) {
    this.panels = facts(holder).panels;
    this.card = holder.previousElementSibling;
    this.pictures = [...this.card.querySelectorAll("img")];
    this.bands = this.pictures.map(() => ["row", "column"].map((side) => make("div", { class: `band ${side}`, hidden: true })));
    this.card.append(...this.bands.flat());
    const names = [...new Set(this.panels.flatMap(({ leaves }) => leaves))].sort((a, b) => a.localeCompare(b, "en"));
    this.choice = make("select", { change: () => this.light(this.choice.value) }, make("option", { value: "" }, "none"),
      ...names.map((name) => make("option", {}, name)));
    this.words = make("output", { class: "likeness" });
    this.card.before(make("p", { class: "controls" }, labelled("Light up a network", this.choice), this.words));
    this.pictures.forEach((picture, i) => {
      picture.addEventListener("pointermove", (event) => this.hover(event, i));
      picture.addEventListener("pointerleave", () => { tip.hidden = true; this.light(this.choice.value); });
      picture.addEventListener("click", (event) => this.choose(this.leaf(event, i)));
    });
    addEventListener("resize", () => this.light(this.choice.value));
  }

  leaf(event, i) {
    const { tree: [, top, , high], leaves } = this.panels[i];
    const box = this.pictures[i].getBoundingClientRect();
    return leaves[Math.floor((((event.clientY - box.top) / box.height - top) / high) * leaves.length)];
  }

  hover(event, i) {
    const { leaves, correlations, matrix: [left, , wide], name } = this.panels[i];
    const row = this.leaf(event, i);
    if (row === undefined) { tip.hidden = true; return; }
    const box = this.pictures[i].getBoundingClientRect();
    const column = Math.floor((((event.clientX - box.left) / box.width - left) / wide) * leaves.length);
    this.light(row, i, leaves[column]);
    if (leaves[column] === undefined) tell(event, `${name}: ${this.likeness(i, row)}`);
    else tell(event, name, `${row} and ${leaves[column]}: r = ${correlations[leaves.indexOf(row)][column]}`);
  }

  choose(name) {
    if (name === undefined) return;
    this.choice.value = name;
    this.light(name);
  }

  likeness(i, name) {
    const { leaves, correlations } = this.panels[i];
    const others = correlations[leaves.indexOf(name)].map((r, k) => [Number(r.replace("−", "-")), r, leaves[k]]).filter(([, , other]) => other !== name);
    const [most] = others.sort(([a], [b]) => b - a);
    return `${name} is most like ${most[2]} (r = ${most[1]})`;
  }

  light(name, here = -1, column = name) {
    this.panels.forEach((panel, i) => {
      const at = panel.leaves.indexOf(name);
      const across = panel.leaves.indexOf(i === here ? column : name);
      const [row, side] = this.bands[i];
      const [step, stride] = [panel.tree[3] / panel.leaves.length, panel.matrix[2] / panel.leaves.length];
      this.place(row, i, at >= 0 && [0, panel.tree[1] + at * step, panel.matrix[0] + panel.matrix[2], step]);
      this.place(side, i, at >= 0 && across >= 0 && [panel.matrix[0] + across * stride, panel.matrix[1], stride, panel.matrix[3]]);
    });
    const told = this.panels.map((panel, i) => panel.leaves.includes(name) && `${panel.name.toLowerCase()}: ${this.likeness(i, name).split(" is most like ")[1]}`);
    if (here < 0) this.words.textContent = name ? `most like, by expression: ${told.filter(Boolean).join("; ")}` : "";
  }

  place(band, i, part) {
    band.hidden = !part;
    if (!part) return;
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = this.pictures[i];
    const [left, top, width, height] = part;
    Object.assign(band.style, {
      left: `${offsetLeft + left * offsetWidth}px`, top: `${offsetTop + top * offsetHeight}px`,
      width: `${width * offsetWidth}px`, height: `${height * offsetHeight}px`,
    });
  }
}

for (const holder of live("trees")) new Trees(holder);
