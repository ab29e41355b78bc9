// The frame: log-in, rail, vital signs, and the view that the address names. Every second what is on screen is asked for anew.
import {el, number, rate, bytes, toast, shown} from "./dom.js";
import {Refused, get, logIn, logOut, session, whenLoggedOut} from "./api.js";
import {overview} from "./overview.js";
import {queues} from "./queues.js";
import {queue} from "./queue.js";
import {exchanges, exchange} from "./exchanges.js";
import {connections} from "./connections.js";
import {access} from "./access.js";

const RAIL = [["overview", "Overview", "o"], ["queues", "Queues", "q"], ["dead", "Dead letters", "d"], ["exchanges", "Exchanges", "x"],
  ["connections", "Connections", "c"], null, ["access", "Access", "a"], ["policies", "Policies", "p"]];
const VIEWS = {overview, queues, dead: (c) => queues(c, true), queue, exchanges, exchange, connections, access, policies: (c) => access(c, true)};
const app = document.getElementById("app");
let who = null;
let view = null;
let timer = 0;
let failures = 0;

/** The address after the '#': view, and parameters. */
export function where() {
  const [name, query] = location.hash.slice(1).split("?");
  return {name: name || "overview", parameters: new URLSearchParams(query || "")};
}

export function go(name, parameters) {
  location.hash = name + (parameters ? "?" + new URLSearchParams(parameters) : "");
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

function loginForm(message) {
  clearTimeout(timer);
  view = null;
  const user = el("input", {name: "user", autocomplete: "username", required: true});
  const password = el("input", {name: "password", type: "password", autocomplete: "current-password"});
  const error = el("p", {class: "bad", role: "alert"}, message || "");
  const form = el("form", {class: "card login", onsubmit: async (e) => {
    e.preventDefault();
    try {
      await logIn(user.value, password.value);
      await begin();
    } catch (x) {
      error.textContent = x instanceof Refused && x.status === 401 ? "Not taken: " + x.message : x.message;
      password.value = "";
    }
  }}, el("h1", {}, "Leveret"), el("label", {}, "User"), user, el("label", {}, "Password"), password, error,
  el("button", {class: "main"}, "Log in"));
  user.setAttribute("aria-label", "User");
  password.setAttribute("aria-label", "Password");
  app.replaceChildren(form);
  user.focus();
}

const vitals = {};
function vitalSigns() {
  const names = [["published", "published/s"], ["delivered", "delivered/s"], ["acked", "acked/s"], ["ready", "ready"], ["unacked", "unacked"],
    ["connections", "connections"], ["memory", "memory"], ["disk", "disk free"]];
  return el("div", {class: "vitals"}, names.map(([key, label]) => {
    vitals[key] = el("b", {}, "–");
    return el("div", {}, vitals[key], el("span", {}, label));
  }));
}

const history = [];
export const past = () => history;

function showVitals(o, node) {
  const m = o.message_stats || {};
  const r = (name) => (m[name + "_details"] ? m[name + "_details"].rate : 0);
  const now = {publish: r("publish"), deliver: r("deliver_get"), ack: r("ack"), ready: o.queue_totals.messages_ready,
    unacked: o.queue_totals.messages_unacknowledged};
  history.push(now);
  if (history.length > 300) history.shift();
  vitals.published.textContent = rate(now.publish);
  vitals.delivered.textContent = rate(now.deliver);
  vitals.acked.textContent = rate(now.ack);
  vitals.ready.textContent = number(now.ready);
  vitals.unacked.textContent = number(now.unacked);
  vitals.connections.textContent = number(o.object_totals.connections);
  vitals.memory.textContent = node ? bytes(node.mem_used) : "–";
  vitals.disk.textContent = node ? bytes(node.disk_free) : "–";
}

function frame() {
  const rail = el("nav", {class: "rail", "aria-label": "Views"}, el("strong", {}, "Leveret"),
    RAIL.map((r) => (r === null ? el("hr") : el("a", {href: "#" + r[0], "data-view": r[0]}, r[1]))));
  const top = el("div", {class: "top"}, el("span", {id: "live", role: "status"}, "live"),
    el("button", {type: "button", onclick: () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark")}, "Theme"),
    el("span", {}, shown(who.name)), el("button", {type: "button", onclick: async () => {
      await logOut();
      loginForm();
    }}, "Log out"));
  app.replaceChildren(el("div", {class: "frame"}, rail, el("div", {class: "main"}, el("header", {}, top, vitalSigns(), el("div", {id: "bars"})), el("main", {id: "view"}))));
}

function showBars(node) {
  const bars = [];
  if (node && node.mem_alarm) bars.push("Memory alarm: publishers wait. " + bytes(node.mem_used) + " are used, the limit is " + bytes(node.mem_limit) + ". Consumers go on.");
  if (node && node.disk_free_alarm) bars.push("Disk alarm: publishers wait. " + bytes(node.disk_free) + " are free, the limit is " + bytes(node.disk_free_limit) + ". Consumers go on.");
  document.getElementById("bars").replaceChildren(...bars.map((b) => el("div", {class: "bar", role: "alert"}, b)));
}

async function tick() {
  clearTimeout(timer);
  const mine = view;
  if (!document.hidden && mine) {
    try {
      const may = who.tags.some((t) => t === "administrator" || t === "monitoring");
      const [o, nodes] = await Promise.all([get("overview"), may ? get("nodes") : [null]]);
      showVitals(o, nodes[0]);
      showBars(nodes[0]);
      await mine.load(o);
      failures = 0;
      document.getElementById("live").textContent = "live";
      app.firstElementChild.classList.remove("stale");
    } catch (e) {
      if (e instanceof Refused) mine.refused(e);
      else if (++failures >= 2) {
        document.getElementById("live").textContent = "no contact, trying again";
        app.firstElementChild.classList.add("stale");
      }
    }
  }
  if (view === mine && view) timer = setTimeout(tick, document.hidden ? 5000 : 1000);
}

function show() {
  const {name, parameters} = where();
  const make = VIEWS[name] || overview;
  const place = document.getElementById("view");
  if (!place) return;
  const error = el("p", {class: "bad", role: "alert"});
  view = make({who, parameters, go});
  view.refused = (e) => {
    error.textContent = e.status === 404 ? "It is not there (any more)." : e.message;
  };
  const load = view.load;
  view.load = async (o) => {
    await load(o);
    error.textContent = "";
  };
  place.replaceChildren(error, view.node);
  const current = name === "queue" ? "queues" : name === "exchange" ? "exchanges" : name;
  for (const a of document.querySelectorAll(".rail a")) {
    if (a.dataset.view === current) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  document.title = "Leveret: " + name;
  tick();
}

let keys = "";
function onKey(e) {
  if (e.target.closest("input, textarea, select, dialog") || e.ctrlKey || e.metaKey || e.altKey || !view) return;
  const to = keys === "g" && RAIL.find((r) => r && r[2] === e.key);
  if (to) go(to[0]);
  else if (e.key === "t") setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  else if (e.key === "/" || e.key === "f") {
    const filter = document.querySelector("input[type=search]");
    if (filter) {
      filter.focus();
      e.preventDefault();
    } else go("queues");
  } else if (e.key === "?") toast("g then o q d x c a p: views; / or f: filter; t: theme; Enter: open");
  keys = e.key === "g" ? "g" : "";
}

async function begin() {
  who = await session();
  if (who === null) {
    loginForm();
    return;
  }
  frame();
  show();
}

setTheme(localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
whenLoggedOut(() => loginForm("The session is over."));
window.addEventListener("hashchange", show);
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => !document.hidden && view && tick());
begin();
