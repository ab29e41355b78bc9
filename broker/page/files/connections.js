// Who is connected, who is blocked?
import {el, number, rate, bytes, since, table, shown, confirm, toast} from "./dom.js";
import {ask, get, part} from "./api.js";

export function connections({parameters, go}) {
  const state = {name: parameters.get("filter") || "", sort: parameters.get("sort") || "name", reverse: parameters.get("reverse") === "true"};
  const move = (change) => go("connections", {filter: state.name, sort: state.sort, reverse: state.reverse, ...change});
  const filter = el("input", {type: "search", placeholder: "part of a name", "aria-label": "Filter", onchange: () => move({filter: filter.value})});
  filter.value = state.name;
  const count = el("span", {class: "soft"});
  const close = (c) => confirm({title: "Close the connection of " + shown(c.user_provided_name || c.name) + "?", lines: ["User " + shown(c.user) + ". What it has unacked goes back to its queues; most clients connect again."],
    button: "Close it", danger: true, act: async () => {
      await ask("DELETE", "connections/" + part(c.name));
      toast("Closed.");
    }});
  const rows = table([
    {label: "Client", sort: "user_provided_name", cell: (c) => shown(c.user_provided_name || "–")},
    {label: "Address", sort: "name", cell: (c) => shown(c.name)},
    {label: "User", sort: "user", cell: (c) => shown(c.user)},
    {label: "Virtual host", sort: "vhost", cell: (c) => shown(c.vhost)},
    {label: "Library", cell: (c) => shown([c.client_properties.product, c.client_properties.version].filter((v) => typeof v === "string").join(" "))},
    {label: "TLS", cell: (c) => (c.ssl ? "yes" : "no")},
    {label: "Channels", n: true, sort: "channels", cell: (c) => number(c.channels)},
    {label: "In/s", n: true, sort: "recv_oct_details.rate", cell: (c) => bytes(c.recv_oct_details.rate)},
    {label: "Out/s", n: true, sort: "send_oct_details.rate", cell: (c) => bytes(c.send_oct_details.rate)},
    {label: "State", sort: "state", cell: (c) => (c.state === "running" ? "running" : el("span", {class: "warn"}, shown(c.state)))},
    {label: "Since", n: true, sort: "connected_at", cell: (c) => since(c.connected_at)},
    {label: "Action", cell: (c) => el("button", {type: "button", onclick: () => close(c).catch((e) => toast(e.message))}, "Close")},
  ], {id: (c) => c.name, sorted: (by) => move({sort: by, reverse: state.sort === by ? !state.reverse : false})});
  return {
    node: el("div", {}, el("div", {class: "head"}, el("h1", {}, "Connections"), count, el("span", {class: "grow"}), filter), el("div", {class: "card"}, rows.node)),
    async load() {
      const query = {page: 1, page_size: 200, sort: state.sort, sort_reverse: state.reverse};
      if (state.name) query.name = state.name;
      const page = await get("connections?" + new URLSearchParams(query));
      rows.update(page.items, state.sort, state.reverse);
      count.textContent = number(page.filtered_count) + " of " + number(page.total_count);
    },
  };
}
