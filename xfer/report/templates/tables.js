// Tables that are sorted by a click on a head, and filtered by words. Rows at the foot stay: they are of all rows.
const FILTERED = 8; // rows from which on a table has a field for words

function said(cell) {
  return [...cell.childNodes].filter((node) => node.nodeName !== "SUP").map((node) => node.textContent).join("").trim();
}

function measured(text) {
  const number = parseFloat(text.replaceAll(",", "").replace("−", "-").replace(/^<\s*/, ""));
  return (text.endsWith(" min") ? 60 : 1) * number - (text.startsWith("<") ? 1e-9 : 0);
}

// Numbers first, in order; what has none ('undefined', 'none') always last.
function order(column, numeric, way) {
  const key = (row) => (numeric ? measured(said(row.cells[column])) : said(row.cells[column]));
  return (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (!numeric) return way * a.localeCompare(b, "en", { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return way * (a - b);
  };
}

function sortable(table) {
  const body = table.tBodies[0];
  const given = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const numeric = given.some((row) => row.cells[column].classList.contains("number"));
    const ways = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
    const sort = () => {
      const way = ways[ways.indexOf(head.getAttribute("aria-sort")) + 1];
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      if (way) head.setAttribute("aria-sort", way);
      const rows = way ? given.toSorted(order(column, numeric, way === "ascending" ? 1 : -1)) : given;
      body.append(...rows);
    };
    head.append(make("button", { type: "button", class: "sort", click: sort }, ...head.childNodes));
  });
}

function filterable(table) {
  const rows = [...table.tBodies[0].rows];
  const field = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  const count = make("output");
  const foot = table.tFoot ? "; those at the foot are of all" : "";
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    count.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows${foot}` : "";
  });
  const name = `Filter table ${table.id.split("-")[1]}`;
  table.parentNode.before(make("p", { class: "controls" }, labelled(name, field), count));
}

for (const table of document.querySelectorAll("main table")) {
  const rows = table.tBodies[0].rows.length;
  if (rows > 1) sortable(table);
  if (rows >= FILTERED) filterable(table);
}
