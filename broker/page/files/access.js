// Who may do what? And which policies hold?
import {el, number, table, shown, toast} from "./dom.js";
import {get, part} from "./api.js";

function mayForm() {
  const fields = ["user", "vhost", "name"].map((n) => el("input", {name: n, "aria-label": n, value: n === "vhost" ? "/" : null}));
  const right = el("select", {"aria-label": "right"}, ["configure", "write", "read"].map((r) => el("option", {}, r)));
  const result = el("p", {role: "status"});
  return el("form", {class: "card", onsubmit: async (e) => {
    e.preventDefault();
    try {
      const said = await get("leveret/may?" + new URLSearchParams({user: fields[0].value, vhost: fields[1].value, name: fields[2].value, right: right.value}));
      result.textContent = said.allowed ? "Yes: " + shown(said.pattern) + " matches." : said.permitted_in_vhost ? "No: " + shown(said.pattern || "(nothing)") + " does not match." : "No: not permitted in that virtual host at all.";
    } catch (x) {
      result.textContent = x.message;
    }
  }}, el("h2", {}, "May it?"), el("label", {}, "User"), fields[0], el("label", {}, "Virtual host"), fields[1], el("label", {}, "Right"), right, el("label", {}, "Queue or exchange"), fields[2],
  el("p", {}, el("button", {class: "main"}, "Ask")), result);
}

export function access({who}, isPolicies) {
  const users = table([{label: "User", cell: (u) => shown(u.name)}, {label: "Tags", cell: (u) => shown(u.tags.join(", ") || "–")},
    {label: "Log-in", cell: (u) => (u.password_hash === "" ? "not by password" : "password")}], {id: (u) => u.name, sorted: () => {}});
  const permissions = table([{label: "User", cell: (p) => shown(p.user)}, {label: "Virtual host", cell: (p) => shown(p.vhost)}, {label: "Configure", cell: (p) => shown(p.configure)},
    {label: "Write", cell: (p) => shown(p.write)}, {label: "Read", cell: (p) => shown(p.read)}], {id: (p) => p.vhost + "\0" + p.user, sorted: () => {}});
  const vhosts = table([{label: "Virtual host", cell: (v) => shown(v.name)}, {label: "Description", cell: (v) => shown(v.description)}, {label: "Tags", cell: (v) => shown(v.tags.join(", "))}], {id: (v) => v.name, sorted: () => {}});
  const policies = table([{label: "Policy", cell: (p) => shown(p.name)}, {label: "Virtual host", cell: (p) => shown(p.vhost)}, {label: "Pattern", cell: (p) => shown(p.pattern)}, {label: "Of", cell: (p) => p["apply-to"]},
    {label: "Definition", cell: (p) => shown(JSON.stringify(p.definition))}, {label: "Priority", n: true, cell: (p) => number(p.priority)}], {id: (p) => p.vhost + "\0" + p.name, sorted: () => {}});
  const card = (title, t) => el("div", {class: "card"}, el("h2", {}, title), t.node);
  const isAdmin = who.tags.includes("administrator");
  return {
    node: el("div", {}, el("div", {class: "head"}, el("h1", {}, isPolicies ? "Policies" : "Access")), ...(isPolicies ? [card("Policies", policies)]
      : [isAdmin ? card("Users", users) : el("p", {class: "soft"}, "Users and permissions are for those with the tag administrator."), ...(isAdmin ? [card("Permissions", permissions)] : []), card("Virtual hosts", vhosts), mayForm()])),
    async load() {
      if (isPolicies) {
        policies.update(await get("policies"));
        return;
      }
      vhosts.update(await get("vhosts"));
      if (!isAdmin) return;
      users.update(await get("users"));
      permissions.update(await get("permissions"));
    },
  };
}
