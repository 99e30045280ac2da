// Who answers in this topic: a plain select, there only when there is a choice.

import { el } from "./dom.js";

export function agentChoice(select, choose) {
  select.addEventListener("change", () => choose(select.value));
  return {
    setAgents(agents) {
      select.replaceChildren(...agents.map(({ name, description }) => el("option", { value: name, title: description }, name)));
      select.hidden = agents.length < 2;
    },
    draw({ server }) {
      const name = server.conversation?.agent;
      if (name && document.activeElement !== select) select.value = name;
    },
  };
}
