// Light, dark, or what the system says. The page waits for this small module, so that it never flashes in the wrong theme.

import { icon } from "./dom.js";

const ORDER = ["system", "light", "dark"];

const current = () => localStorage.getItem("theme") ?? "system";

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** Makes `button` go through system, light and dark. */
export function themeButton(button) {
  const show = () => {
    apply(current());
    button.replaceChildren(icon(current()));
    button.title = `Theme: ${current()}`;
    button.setAttribute("aria-label", `Theme: ${current()}. Change`);
  };
  button.addEventListener("click", () => {
    localStorage.setItem("theme", ORDER[(ORDER.indexOf(current()) + 1) % ORDER.length]);
    show();
  });
  addEventListener("storage", show);
  show();
}

apply(current());
