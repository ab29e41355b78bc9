// Which queue has trouble? And, of those where dead letters lie: how do I get them back?
import {el, number, rate, since, table, shown, confirm, toast} from "./dom.js";
import {ask, get, part} from "./api.js";

const path = (q) => part(q.vhost) + "/" + part(q.name);
const COLUMNS = "name,vhost,messages,messages_ready,messages_ready_details,messages_unacknowledged,messages_details,message_stats,consumers,arguments,policy,idle_since,durable,exclusive";

function rateOf(q, name) {
  const d = q.message_stats && q.message_stats[name + "_details"];
  return d ? rate(d.rate) : "–";
}

function features(q) {
  const a = q.arguments || {};
  const words = [];
  if (!q.durable) words.push("transient");
  if (q.exclusive) words.push("exclusive");
  if ("x-message-ttl" in a) words.push("ttl");
  if ("x-max-length" in a || "x-max-length-bytes" in a) words.push("limit");
  if ("x-dead-letter-exchange" in a) words.push("dlx");
  if ("x-max-priority" in a) words.push("priority");
  if (a["x-single-active-consumer"]) words.push("single active");
  if (q.policy) words.push("policy " + q.policy);
  return shown(words.join(", "));
}

export async function putBack(q) {
  const at = "leveret/queues/" + path(q) + "/move";
  const dry = await ask("POST", at, {dry_run: true});
  if (dry.would_move === 0 && dry.refused === 0) {
    toast("Nothing here says where it died.");
    return;
  }
  await confirm({
    title: "Put " + number(dry.would_move) + " dead letters back?",
    lines: ["Each goes to the queue where it died last, as it is.",
      dry.refused ? number(dry.refused) + " would be refused (no queue takes them) and stay here." : "None would be refused.",
      dry.passed_over ? number(dry.passed_over) + " do not say where they died, and stay here." : ""].filter(Boolean),
    button: "Put back " + number(dry.would_move),
    act: async () => {
      const done = await ask("POST", at, {});
      toast(number(done.moved) + " put back" + (done.refused ? ", " + number(done.refused) + " refused" : "") + ".");
    },
  });
}

export function queues({parameters, go}, isDead) {
  const view = isDead ? "dead" : "queues";
  const state = {name: parameters.get("filter") || (isDead ? "(dlq|dead)" : ""), page: Number(parameters.get("page")) || 1,
    sort: parameters.get("sort") || (isDead ? "messages" : "name"), reverse: parameters.get("reverse") ? parameters.get("reverse") === "true" : isDead,
    vhost: parameters.get("vhost") || ""};
  const move = (change) => go(view, {filter: state.name, page: 1, sort: state.sort, reverse: state.reverse, vhost: state.vhost, ...change});
  const filter = el("input", {type: "search", placeholder: isDead ? "queues of dead letters, a pattern" : "part of a name, or /pattern/", "aria-label": "Filter", onchange: () => move({filter: filter.value})});
  filter.value = state.name;
  const count = el("span", {class: "soft"});
  const pages = el("div", {class: "head"});
  const rows = table([
    {label: "Name", sort: "name", cell: (q) => shown(q.name)},
    {label: "Virtual host", sort: "vhost", cell: (q) => shown(q.vhost)},
    {label: "Ready", n: true, sort: "messages_ready", cell: (q) => number(q.messages_ready)},
    {label: "Unacked", n: true, sort: "messages_unacknowledged", cell: (q) => number(q.messages_unacknowledged)},
    {label: "In/s", n: true, sort: "message_stats.publish_details.rate", cell: (q) => rateOf(q, "publish")},
    {label: "Out/s", n: true, sort: "message_stats.deliver_get_details.rate", cell: (q) => rateOf(q, "deliver_get")},
    {label: "Consumers", n: true, sort: "consumers", cell: (q) => (q.consumers === 0 && q.messages_ready > 0 && !isDead && !/dlq|dead/i.test(q.name) ? el("span", {class: "bad"}, "none") : number(q.consumers))},
    {label: "Used", n: true, sort: "idle_since", cell: (q) => (q.idle_since ? since(Date.parse(q.idle_since)) : "–")},
    isDead ? {label: "Action", cell: (q) => el("button", {type: "button", disabled: q.messages_ready === 0, onclick: () => putBack(q).catch((e) => toast(e.message))}, "Put back")}
      : {label: "Features", cell: features},
  ], {id: path, open: (q) => go("queue", {vhost: q.vhost, name: q.name, tab: isDead ? "messages" : "overview"}),
    sorted: (by) => move({sort: by, reverse: state.sort === by ? !state.reverse : by !== "name" && by !== "vhost"})});
  const node = el("div", {}, el("div", {class: "head"}, el("h1", {}, isDead ? "Dead letters" : "Queues"), count, el("span", {class: "grow"}), filter),
    el("div", {class: "card"}, rows.node), pages);
  return {
    node,
    async load() {
      const slashed = /^\/(.*)\/$/.exec(state.name);
      const isPattern = isDead || slashed;
      const query = {page: state.page, page_size: 50, sort: state.sort, sort_reverse: state.reverse, columns: COLUMNS};
      if (state.name) query.name = slashed ? slashed[1] : state.name;
      if (isPattern) query.use_regex = true;
      const page = await get("queues" + (state.vhost ? "/" + part(state.vhost) : "") + "?" + new URLSearchParams(query));
      rows.update(page.items, state.sort, state.reverse);
      count.textContent = number(page.filtered_count) + " of " + number(page.total_count);
      const to = (n, label) => el("button", {type: "button", disabled: n < 1 || n > page.page_count, onclick: () => move({page: n})}, label);
      pages.replaceChildren(...(page.page_count > 1 ? [to(state.page - 1, "Before"), el("span", {}, "page " + state.page + " of " + page.page_count), to(state.page + 1, "Next")] : []));
      if (page.items.length === 0) pages.replaceChildren(el("p", {class: "soft"}, state.name ? "Nothing matches the filter." : "There is no queue yet."),
        ...(state.name ? [el("button", {type: "button", onclick: () => move({filter: ""})}, "Clear it")] : []));
    },
  };
}
