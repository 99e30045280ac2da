// The two side panels: folded or open, remembered; on a narrow screen overlays that start closed.

const NARROW = matchMedia("(max-width: 60rem)");

/** side: "left" | "right"; buttons toggle it. Returns {close if it covers the page}. */
export function sidePanel(side, panel, buttons, openAtFirst) {
  const key = `panel:${side}`;
  let opener = null;
  const remembered = () => (localStorage.getItem(key) ?? (openAtFirst ? "open" : "closed")) === "open";
  const isOpen = () => !panel.inert;

  function show(open) {
    panel.inert = !open;
    document.body.dataset[side] = open ? "open" : "closed";
    for (const button of buttons) button.setAttribute("aria-expanded", String(open));
  }

  function toggle(event) {
    const open = !isOpen();
    show(open);
    if (NARROW.matches) return open ? cover(event.currentTarget) : opener?.focus();
    localStorage.setItem(key, open ? "open" : "closed");
  }

  function cover(button) {
    opener = button;
    panel.querySelector("button, input")?.focus();
  }

  function closeOverlay() {
    if (!NARROW.matches || !isOpen()) return false;
    show(false);
    opener?.focus();
    return true;
  }

  for (const button of buttons) button.addEventListener("click", toggle);
  NARROW.addEventListener("change", () => show(!NARROW.matches && remembered()));
  show(!NARROW.matches && remembered());
  return { closeOverlay, isOpen };
}
