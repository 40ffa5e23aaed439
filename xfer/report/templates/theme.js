// Light or dark as the reader wishes, as far as the browser lets a file remember.
const theme = document.querySelector("#theme");

function wear(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
}

try {
  theme.value = localStorage.getItem("xfer-colours") ?? "";
} catch { /* this browser keeps nothing for files */ }
wear(theme.value);
theme.parentNode.hidden = false;
theme.addEventListener("change", () => {
  wear(theme.value);
  try {
    localStorage.setItem("xfer-colours", theme.value);
  } catch { /* as above */ }
});
