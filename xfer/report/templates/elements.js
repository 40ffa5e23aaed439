// What the page's scripts build with. Text is only ever added as text nodes: nothing is parsed as HTML.
const SVG = "http://www.w3.org/2000/svg";

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const make = (tag, attributes = {}, ...children) => furnish(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => furnish(document.createElementNS(SVG, tag), attributes, children);

let labels = 0;

function labelled(text, control) {
  control.id = `control-${++labels}`;
  return make("span", { class: "control" }, make("label", { for: control.id }, text), control);
}

function number(value, digits = 3) {
  const tiny = value !== 0 && Math.abs(value) < 1e-3;
  const text = tiny ? value.toExponential(digits - 1) : value.toPrecision(digits);
  const raised = (_, power) => ` · 10${[...power].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? (sign === "-" ? "⁻" : "")).join("")}`;
  return text.replace(/e([+-]\d+)/, raised).replace("-", "−");
}

// What is beneath the pointer, in words. The same is reached by keyboard elsewhere, so readers of the page aloud skip it.
const tip = document.body.appendChild(make("div", { class: "tip", hidden: true, "aria-hidden": "true" }));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

function tell(event, ...lines) {
  const host = event.target.closest("dialog") ?? document.body;
  if (tip.parentNode !== host) host.append(tip);
  tip.replaceChildren(...lines.map((line) => make("div", {}, line)));
  tip.hidden = false;
  const { clientWidth, clientHeight } = document.documentElement;
  const left = event.clientX + 14 + tip.offsetWidth > clientWidth ? event.clientX - 10 - tip.offsetWidth : event.clientX + 14;
  const top = event.clientY + 14 + tip.offsetHeight > clientHeight ? event.clientY - 10 - tip.offsetHeight : event.clientY + 14;
  tip.style.left = `${Math.max(2, left)}px`;
  tip.style.top = `${Math.max(2, top)}px`;
}

const live = (kind) => document.querySelectorAll(`[data-live="${kind}"]`);
const facts = (holder) => JSON.parse(holder.nextElementSibling.textContent);
