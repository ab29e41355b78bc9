// Elements by hand: whatever comes from a queue's name or a message is text, never markup.

/** el("td", {class: "n", onclick: f}, "text", child, ...) */
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return node;
}

/** Control and direction characters are shown as boxes: a name cannot pretend to be another. */
export function shown(text) {
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\u25af");
}

/** The same of a body, whose lines stay lines. */
export function shownLines(text) {
  return String(text).split("\n").map(shown).join("\n");
}

export function number(n) {
  return n === null || n === undefined ? "–" : Math.round(n).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
}

export function rate(n) {
  return n === undefined || n === null ? "–" : n < 10 && n > 0 ? n.toFixed(1) : number(n);
}

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < 4; i++) n /= 1024;
  return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + "\u2009" + units[i];
}

export function since(ms) {
  const s = Math.max(0, Math.round((Date.now() - ms) / 1000));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  return s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
}

export function time(ms) {
  const d = new Date(ms);
  return el("time", {datetime: d.toISOString(), title: d.toISOString()}, d.toLocaleTimeString());
}

/** A table whose rows stay where they are: an update writes what changed. columns: {name, label, cell(row), n, sort}. */
export function table(columns, options) {
  const body = el("tbody");
  const heads = new Map();
  const head = el("tr", {}, columns.map((c) => {
    const inner = c.sort ? el("button", {type: "button", onclick: () => options.sorted(c.sort)}, c.label) : c.label;
    const th = el("th", {scope: "col", class: c.n ? "n" : ""}, inner);
    if (c.sort) heads.set(c.sort, th);
    return th;
  }));
  const node = el("div", {class: "scroll"}, el("table", {}, el("thead", {}, head), body));
  let rows = new Map();
  const fill = (td, value) => {
    const fresh = value instanceof Node ? value : String(value);
    if (fresh instanceof Node) td.replaceChildren(fresh);
    else if (td.textContent !== fresh || td.firstElementChild) td.textContent = fresh;
  };
  const add = (id, row) => {
    const tr = el("tr", {class: options.open ? "open" : ""}, columns.map((c) => el("td", {class: c.n ? "n" : ""})));
    if (options.open) {
      tr.tabIndex = 0;
      tr.addEventListener("click", (e) => e.target.closest("button, a, input") || options.open(tr.data));
      tr.addEventListener("keydown", (e) => e.key === "Enter" && e.target === tr && options.open(tr.data));
    }
    rows.set(id, tr);
    return tr;
  };
  return {
    node,
    update(list, sort, reverse) {
      const before = rows;
      const same = list.length === before.size && list.every((r) => before.has(options.id(r)));
      if (!same) rows = new Map();
      for (const r of list) {
        const id = options.id(r);
        const tr = same ? before.get(id) : before.get(id) || add(id, r);
        rows.set(id, tr);
        tr.data = r;
        columns.forEach((c, i) => fill(tr.children[i], c.cell(r)));
      }
      if (!same) body.replaceChildren(...rows.values());
      for (const [name, th] of heads) {
        if (name === sort) th.setAttribute("aria-sort", reverse ? "descending" : "ascending");
        else th.removeAttribute("aria-sort");
      }
    },
    resort(list) {
      body.replaceChildren(...list.map((r) => rows.get(options.id(r))).filter(Boolean));
    },
  };
}

/** Lines over time: series of {label, color, values}; all begin at 0. */
export function chart(label) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("class", "chart");
  svg.setAttribute("viewBox", "0 0 300 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const legend = el("div", {class: "legend"});
  return {
    node: el("div", {class: "card"}, el("h2", {}, label), svg, legend),
    update(series) {
      const top = Math.max(1, ...series.flatMap((s) => s.values));
      const lines = series.map((s) => {
        const line = document.createElementNS(ns, "polyline");
        line.setAttribute("class", "c-" + s.color);
        const step = s.values.length > 1 ? 300 / (s.values.length - 1) : 0;
        line.setAttribute("points", s.values.map((v, i) => (i * step).toFixed(1) + "," + (98 - v / top * 94).toFixed(1)).join(" "));
        return line;
      });
      svg.replaceChildren(...lines);
      const words = series.map((s) => s.label + " " + rate(s.values[s.values.length - 1] || 0));
      svg.setAttribute("aria-label", label + ": " + words.join(", ") + "; highest " + rate(top));
      legend.replaceChildren(...series.map((s, i) => el("span", {}, el("i", {class: "c-" + s.color}), words[i])));
    },
  };
}

let toasting;
export function toast(text) {
  document.querySelector(".toast")?.remove();
  document.body.append(el("div", {class: "toast", role: "status"}, text));
  clearTimeout(toasting);
  toasting = setTimeout(() => document.querySelector(".toast")?.remove(), 5000);
}

/** Asks before something happens. Returns a promise: true, or false. name: it must be typed. act: done meanwhile; it throws what is shown. */
export function confirm({title, lines, button, name, danger, act, body}) {
  return new Promise((resolve) => {
    const error = el("p", {class: "bad", role: "alert"});
    const typed = name === undefined ? null : el("input", {"aria-label": "Type the name " + name, autocomplete: "off", oninput: () => {
      go.disabled = typed.value !== name;
    }});
    const go = el("button", {type: "button", class: danger ? "danger" : "main", disabled: name !== undefined, onclick: async () => {
      go.disabled = true;
      try {
        await act();
        box.close("yes");
      } catch (e) {
        error.textContent = e.message;
        go.disabled = false;
      }
    }}, button);
    const box = el("dialog", {}, el("h1", {}, title), (lines || []).map((l) => el("p", {}, l)), body || null,
      typed ? el("p", {}, "Type ", el("b", {}, shown(name)), " to go on: ", typed) : null, error,
      el("div", {class: "row"}, el("button", {type: "button", onclick: () => box.close("no")}, "Cancel"), go));
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue === "yes");
    });
    document.body.append(box);
    box.showModal();
  });
}
