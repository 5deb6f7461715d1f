// Search, code tabs, SQL colouring and tracing of a node's lineage. No network: everything lies in this folder.
(() => {
  "use strict";
  const root = document.body.dataset.root;
  const entries = window.HEADWATER_SEARCH || [];
  const input = document.getElementById("search");
  const list = document.getElementById("results");

  // A name that starts with the words ranks before one that holds them, a name before a column or a description.
  const rank = (entry, words) => {
    let score = 0;
    for (const word of words) {
      const name = entry.n.toLowerCase();
      if (name === word) score += 20;
      else if (name.startsWith(word)) score += 10;
      else if (name.includes(word)) score += 6;
      else if (entry.c.some((column) => column.toLowerCase().includes(word))) score += 3;
      else if (entry.d.toLowerCase().includes(word)) score += 1;
      else return 0;
    }
    return score;
  };

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    list.hidden = words.length === 0;
    const found = words.length ? entries.map((entry) => [rank(entry, words), entry]).filter(([score]) => score > 0) : [];
    found.sort((a, b) => b[0] - a[0] || a[1].n.localeCompare(b[1].n));
    for (const [, entry] of found.slice(0, 30)) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = root + entry.h;
      link.textContent = entry.n + " ";
      const note = document.createElement("small");
      const column = entry.c.find((name) => words.some((word) => name.toLowerCase().includes(word)));
      note.textContent = column ? `${entry.k}, column ${column}` : entry.k;
      link.append(note);
      item.append(link);
      list.append(item);
    }
    if (words.length && !found.length) {
      const item = document.createElement("li");
      item.textContent = "Nothing found";
      list.append(item);
    }
  };

  const move = (step) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.findIndex((link) => link.classList.contains("active"));
    links[at]?.classList.remove("active");
    links[(at + step + links.length) % links.length]?.classList.add("active");
  };

  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Escape") list.hidden = true;
    else if (event.key === "Enter") (list.querySelector("a.active") || list.querySelector("a"))?.click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) {
      event.preventDefault();
      input.focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) list.hidden = true;
  });

  for (const button of document.querySelectorAll("[data-tab]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-tab]")) other.setAttribute("aria-selected", String(other === button));
      for (const panel of document.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== button.dataset.tab;
    });
  }

  const words =
    "select|from|where|group|by|order|having|join|left|right|inner|outer|full|cross|on|using|as|with|and|or|not|in|is|null|case|when|then|else|end|union|all|distinct|limit|over|partition|cast|between|exists|like|true|false|qualify|asc|desc";
  const token = new RegExp(`(--[^\\n]*|/\\*[\\s\\S]*?\\*/|\\{#[\\s\\S]*?#\\})|(\\{[{%][\\s\\S]*?[%}]\\})|('(?:[^']|'')*')|\\b(${words})\\b`, "gi");
  const kinds = ["c", "j", "s", "k"];
  for (const code of document.querySelectorAll(".code code")) {
    const text = code.textContent;
    const parts = [];
    let last = 0;
    for (const match of text.matchAll(token)) {
      parts.push(text.slice(last, match.index));
      const span = document.createElement("span");
      span.className = kinds[match.slice(1).findIndex((group) => group !== undefined)];
      span.textContent = match[0];
      parts.push(span);
      last = match.index + match[0].length;
    }
    parts.push(text.slice(last));
    code.replaceChildren(...parts);
  }

  // Pointing at a box lights up all it comes from and all that comes from it.
  for (const graph of document.querySelectorAll(".lineage")) {
    const edges = [...graph.querySelectorAll(".edge")];
    const boxes = new Map([...graph.querySelectorAll(".box")].map((box) => [box.dataset.id, box]));
    const next = { from: new Map(), to: new Map() };
    for (const edge of edges) {
      for (const [side, other] of [["from", "to"], ["to", "from"]]) {
        const id = edge.dataset[side];
        if (!next[side].has(id)) next[side].set(id, []);
        next[side].get(id).push([edge.dataset[other], edge]);
      }
    }
    const trace = (start, side) => {
      const seen = new Set([start]);
      const todo = [start];
      while (todo.length) {
        const id = todo.pop();
        boxes.get(id)?.classList.add("on");
        for (const [other, edge] of next[side].get(id) || []) {
          edge.classList.add("on");
          if (!seen.has(other)) {
            seen.add(other);
            todo.push(other);
          }
        }
      }
    };
    for (const [id, box] of boxes) {
      box.addEventListener("mouseenter", () => {
        graph.classList.add("tracing");
        trace(id, "from");
        trace(id, "to");
      });
      box.addEventListener("mouseleave", () => {
        graph.classList.remove("tracing");
        for (const lit of graph.querySelectorAll(".on")) lit.classList.remove("on");
      });
    }
  }
})();
