// A list of tabs as the ARIA practices describe it: arrows move, the choice is remembered.

/** tabs: the role="tab" buttons; each names its panel by aria-controls. changed(panelId) after a choice. */
export function tabList(tabs, changed) {
  const choose = (chosen) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !selected;
    }
    localStorage.setItem("tab", chosen.id);
    changed(chosen.getAttribute("aria-controls"));
  };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  });
  choose(tabs.find(({ id }) => id === localStorage.getItem("tab")) ?? tabs[0]);
}
