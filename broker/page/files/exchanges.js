// Where would this go? What does nobody want?
import {el, number, rate, table, shown, toast} from "./dom.js";
import {ask, get, part} from "./api.js";
import {publishForm} from "./queue.js";

const label = (x) => x.name || "(default)";
const of = (x, n) => (x.message_stats && x.message_stats[n + "_details"] ? rate(x.message_stats[n + "_details"].rate) : "–");

export function exchanges({parameters, go}) {
  const state = {name: parameters.get("filter") || "", sort: parameters.get("sort") || "name", reverse: parameters.get("reverse") === "true", page: Number(parameters.get("page")) || 1};
  const move = (change) => go("exchanges", {filter: state.name, sort: state.sort, reverse: state.reverse, page: 1, ...change});
  const filter = el("input", {type: "search", placeholder: "part of a name", "aria-label": "Filter", onchange: () => move({filter: filter.value})});
  filter.value = state.name;
  const count = el("span", {class: "soft"});
  const rows = table([
    {label: "Name", sort: "name", cell: (x) => shown(label(x))},
    {label: "Virtual host", sort: "vhost", cell: (x) => shown(x.vhost)},
    {label: "Type", sort: "type", cell: (x) => shown(x.type)},
    {label: "In/s", n: true, sort: "message_stats.publish_in_details.rate", cell: (x) => of(x, "publish_in")},
    {label: "Out/s", n: true, sort: "message_stats.publish_out_details.rate", cell: (x) => of(x, "publish_out")},
    {label: "Features", cell: (x) => shown([x.durable ? "" : "transient", x.internal ? "internal" : "", x.auto_delete ? "auto-delete" : "", x.arguments["alternate-exchange"] ? "alternate " + x.arguments["alternate-exchange"] : ""].filter(Boolean).join(", "))},
  ], {id: (x) => part(x.vhost) + "/" + part(x.name), open: (x) => go("exchange", {vhost: x.vhost, name: x.name}), sorted: (by) => move({sort: by, reverse: state.sort === by ? !state.reverse : false})});
  return {
    node: el("div", {}, el("div", {class: "head"}, el("h1", {}, "Exchanges"), count, el("span", {class: "grow"}), filter), el("div", {class: "card"}, rows.node)),
    async load() {
      const query = {page: state.page, page_size: 200, sort: state.sort, sort_reverse: state.reverse};
      if (state.name) query.name = state.name;
      const page = await get("exchanges?" + new URLSearchParams(query));
      rows.update(page.items, state.sort, state.reverse);
      count.textContent = number(page.filtered_count) + " of " + number(page.total_count);
    },
  };
}

export function exchange({parameters}) {
  const vhost = parameters.get("vhost") || "/";
  const name = parameters.get("name") || "";
  const at = part(vhost) + "/" + part(name || "amq.default");
  const facts = el("p", {class: "soft"});
  const bindings = el("div", {class: "card"});
  const key = el("input", {"aria-label": "Routing key"});
  const headers = el("input", {placeholder: '{"kind": "mail"}', "aria-label": "Headers, JSON"});
  const result = el("p", {role: "status"});
  const tester = el("form", {class: "card", onsubmit: async (e) => {
    e.preventDefault();
    try {
      const body = headers.value.trim() ? {headers: JSON.parse(headers.value)} : {};
      const said = await ask("POST", "leveret/route/" + at + "?routing_key=" + part(key.value), body);
      result.textContent = said.routed ? "To " + said.queues.map(shown).join(", ") + "." : "Nowhere: no queue wants it.";
    } catch (x) {
      result.textContent = x.message;
    }
  }}, el("h2", {}, "Where would this go?"), el("label", {}, "Routing key"), key, el("label", {}, "Headers (JSON)"), headers, el("p", {}, el("button", {class: "main"}, "Ask"), " ",
    el("button", {type: "button", onclick: () => publishForm(vhost, name, key.value).catch((x) => toast(x.message))}, "Publish")), result);
  return {
    node: el("div", {}, el("div", {class: "head"}, el("h1", {}, shown(name || "(default)")), el("span", {class: "soft"}, "in " + shown(vhost))), facts, tester, bindings),
    async load() {
      const x = await get("exchanges/" + at);
      facts.textContent = x.type + ", " + (x.durable ? "durable" : "transient") + "; " + of(x, "publish_in") + "/s in, " + of(x, "publish_out") + "/s out";
      if (name === "") {
        bindings.replaceChildren(el("p", {class: "soft"}, "Each queue gets what is published with its name as the key."));
        return;
      }
      const list = await get("exchanges/" + at + "/bindings/source");
      bindings.replaceChildren(el("h2", {}, number(list.length) + " bindings"), ...list.slice(0, 500).map((b) => el("p", {}, el("b", {}, shown(b.routing_key || "(no key)")),
        Object.keys(b.arguments).length ? " " + shown(JSON.stringify(b.arguments)) : "", " to ", b.destination_type === "queue" ?
          el("a", {href: "#queue?" + new URLSearchParams({vhost, name: b.destination})}, shown(b.destination)) : el("a", {href: "#exchange?" + new URLSearchParams({vhost, name: b.destination})}, shown(b.destination)))));
    },
  };
}
