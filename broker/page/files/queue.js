// One queue: does it keep up, what stands in it, who holds what, what rules hold.
import {el, number, bytes, since, table, chart, shown, shownLines, confirm, toast} from "./dom.js";
import {ask, get, part} from "./api.js";
import {putBack} from "./queues.js";

const TABS = [["overview", "Overview"], ["messages", "Messages"], ["unacked", "Unacked"], ["consumers", "Consumers"], ["routing", "Routing"], ["settings", "Settings"]];

function bodyOf(m) {
  let text = m.payload;
  if (m.payload_encoding === "string") {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch (e) { /* It is no JSON. */ }
  } else text = "(base64) " + text;
  const left = m.payload_bytes - m.payload.length;
  return shownLines(text) + (m.payload_encoding === "string" && left > 0 ? "\n… (" + bytes(m.payload_bytes) + " in all)" : "");
}

function messageCard(m) {
  const p = {...m.properties};
  const headers = p.headers || {};
  delete p.headers;
  return el("details", {class: "card"}, el("summary", {}, "#" + m.position + "  ", shown(m.exchange || "(default)") + " / " + shown(m.routing_key),
    el("span", {class: "soft"}, "  " + m.state + ", " + bytes(m.payload_bytes) + ", came " + since(m.published_ms) + " ago" +
      (m.failed_deliveries ? ", failed " + m.failed_deliveries + " times" : "") + (m.died ? ", died of " + shown(m.died.reason) + " in " + shown(m.died.queue) : ""))),
  el("dl", {}, Object.entries(p).flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, shown(v))]),
    Object.entries(headers).flatMap(([k, v]) => [el("dt", {}, shown(k)), el("dd", {}, shown(typeof v === "string" ? v : JSON.stringify(v)))])),
  el("pre", {}, bodyOf(m)));
}

function publishForm(vhost, exchange, key) {
  const routing = el("input", {value: key});
  const payload = el("textarea", {rows: 5});
  const headers = el("textarea", {rows: 2, placeholder: '{"customer": "ada"}'});
  const persistent = el("input", {type: "checkbox", checked: true});
  const body = el("div", {}, el("label", {}, "Routing key"), routing, el("label", {}, "Headers (JSON)"), headers, el("label", {}, "Body"), payload,
    el("p", {}, persistent, " persistent"));
  return confirm({title: "Publish", body, button: "Publish", act: async () => {
    const properties = {delivery_mode: persistent.checked ? 2 : 1};
    if (headers.value.trim()) properties.headers = JSON.parse(headers.value);
    const said = await ask("POST", "exchanges/" + part(vhost) + "/" + part(exchange || "amq.default") + "/publish",
      {properties, routing_key: routing.value, payload: payload.value, payload_encoding: "string"});
    toast(said.routed ? "Published and confirmed." : "Confirmed, but no queue took it.");
  }});
}
export {publishForm};

function actions(q, go) {
  const at = part(q.vhost) + "/" + part(q.name);
  const button = (label, act) => el("button", {type: "button", onclick: () => act().catch((e) => toast(e.message))}, label);
  return [
    button("Publish", () => publishForm(q.vhost, "", q.name)),
    button("Put dead letters back", () => putBack(q)),
    button("Move", async () => {
      const to = el("input", {"aria-label": "Queue"});
      await confirm({title: "Move all ready messages", lines: ["From " + shown(q.name) + ", " + number(q.messages_ready) + " messages, as they are."],
        body: el("div", {}, el("label", {}, "To the queue"), to), button: "Move", act: async () => {
          const done = await ask("POST", "leveret/queues/" + at + "/move", {to: {queue: to.value}});
          toast(number(done.moved) + " moved, " + number(done.refused) + " refused.");
        }});
    }),
    button("Purge", () => confirm({title: "Purge " + shown(q.name) + "?", danger: true, name: q.name, button: "Purge " + number(q.messages_ready) + " messages",
      lines: [number(q.messages_ready) + " ready messages are dropped for good; they are not dead-lettered. " + number(q.messages_unacknowledged) + " unacked ones stay with their consumers.", "There is no undo."],
      act: async () => {
        await ask("DELETE", "queues/" + at + "/contents");
        toast("Purged.");
      }})),
    button("Delete", async () => {
      const gone = await confirm({title: "Delete " + shown(q.name) + "?", danger: true, name: q.name, button: "Delete the queue and " + number(q.messages) + " messages",
        lines: [number(q.consumers) + " consumers are cancelled, its bindings go with it. There is no undo."], act: () => ask("DELETE", "queues/" + at)});
      if (gone) go("queues");
    }),
  ];
}

export function queue({parameters, go}) {
  const vhost = parameters.get("vhost") || "/";
  const name = parameters.get("name") || "";
  const tab = parameters.get("tab") || "overview";
  const at = part(vhost) + "/" + part(name);
  const buttons = el("div", {class: "head"});
  const place = el("div");
  const numbers = el("p", {class: "soft"});
  const node = el("div", {}, el("div", {class: "head"}, el("h1", {}, shown(name)), el("span", {class: "soft"}, "in " + shown(vhost)), el("span", {class: "grow"}), buttons), numbers,
    el("nav", {class: "tabs", "aria-label": "Parts"}, TABS.map(([id, label]) => el("a", {href: "#queue?" + new URLSearchParams({vhost, name, tab: id}),
      "aria-current": id === tab ? "page" : null}, label))), place);
  const past = [];
  const flow = chart("Messages a second");
  const waiting = chart("Waiting");
  const consumers = table([
    {label: "Consumer", cell: (c) => shown(c.consumer_tag)},
    {label: "Channel", cell: (c) => shown(c.channel_details.name)},
    {label: "User", cell: (c) => shown(c.channel_details.user || "")},
    {label: "Unacked", n: true, cell: (c) => number(c.messages_unacknowledged)},
    {label: "Prefetch", n: true, cell: (c) => (c.prefetch_count === 0 ? "no limit" : number(c.prefetch_count))},
    {label: "Acks", cell: (c) => (c.ack_required ? "yes" : "no")},
    {label: "State", cell: (c) => c.activity_status},
  ], {id: (c) => c.channel_details.name + "/" + c.consumer_tag, sorted: () => {}});
  let from = 0;
  let made = null;
  const make = (...parts) => made === tab || (place.replaceChildren(...parts), made = tab);
  const loads = {
    async overview(q) {
      make(el("div", {class: "cards"}, flow.node, waiting.node), el("div", {class: "card"}, el("h2", {}, "Consumers"), consumers.node));
      const r = (n) => (q.message_stats && q.message_stats[n + "_details"] ? q.message_stats[n + "_details"].rate : 0);
      past.push({publish: r("publish"), deliver: r("deliver_get"), ack: r("ack"), ready: q.messages_ready, unacked: q.messages_unacknowledged});
      if (past.length > 300) past.shift();
      flow.update([{label: "in", color: "in", values: past.map((x) => x.publish)}, {label: "out", color: "out", values: past.map((x) => x.deliver)}, {label: "acked", color: "acked", values: past.map((x) => x.ack)}]);
      waiting.update([{label: "ready", color: "ready", values: past.map((x) => x.ready)}, {label: "unacked", color: "unacked", values: past.map((x) => x.unacked)}]);
      consumers.update(q.consumer_details);
    },
    async messages() {
      if (made === tab) return; /* What is read does not move away: the buttons ask for more. */
      const list = el("div");
      const more = el("button", {type: "button", onclick: () => page().catch((e) => toast(e.message))}, "More");
      const page = async () => {
        const said = await get("leveret/queues/" + at + "/messages?count=25&from=" + from);
        list.append(...said.messages.map(messageCard));
        if (list.childElementCount === 0) list.append(el("p", {class: "soft"}, "It is empty."));
        more.hidden = said.next === null;
        from = said.next || 0;
      };
      await page();
      make(el("p", {class: "soft"}, "Looking only: nothing is taken, marked or counted."), list, more);
    },
    async unacked() {
      const said = await get("leveret/queues/" + at + "/messages?state=unacked&count=100&truncate=0");
      make(place.firstChild || "");
      place.replaceChildren(said.messages.length === 0 ? el("p", {class: "soft"}, "Nobody holds anything.") : el("div", {class: "card scroll"}, el("table", {}, el("thead", {}, el("tr", {},
        ["Position", "Came", "Key", "Held by", "Consumer", "Failed before"].map((h) => el("th", {scope: "col"}, h)))),
      el("tbody", {}, said.messages.map((m) => el("tr", {}, [m.position, since(m.published_ms) + " ago", shown(m.routing_key), shown(m.channel || "–"), shown(m.consumer_tag || "(get)"), m.failed_deliveries]
        .map((v) => el("td", {}, v))))))));
    },
    async consumers(q) {
      make(el("div", {class: "card"}, consumers.node));
      consumers.update(q.consumer_details);
    },
    async routing(q) {
      const list = await get("queues/" + at + "/bindings");
      const a = {...(q.effective_policy_definition || {}), ...q.arguments};
      const dlx = a["x-dead-letter-exchange"] ?? a["dead-letter-exchange"];
      place.replaceChildren(el("div", {class: "card"}, el("h2", {}, "How messages get here"), list.map((b) => el("p", {}, b.source === "" ? "by its name, over the default exchange" :
        ["from ", el("a", {href: "#exchange?" + new URLSearchParams({vhost, name: b.source})}, shown(b.source)), " with key ", el("b", {}, shown(b.routing_key || "(none)")),
          Object.keys(b.arguments).length ? " and " + shown(JSON.stringify(b.arguments)) : ""]))),
      el("div", {class: "card"}, el("h2", {}, "Where dead letters go"), el("p", {}, dlx === undefined ? "Nowhere: they are dropped." : dlx === "" ? "Over the default exchange." : "To the exchange " + shown(dlx) + ".")));
    },
    async settings(q) {
      const rows = [];
      for (const [k, v] of Object.entries(q.arguments)) rows.push([k, JSON.stringify(v), "argument"]);
      for (const [k, v] of Object.entries(q.effective_policy_definition || {})) rows.push([k, JSON.stringify(v), "x-" + k in q.arguments ? "policy, but the argument holds" : "policy"]);
      place.replaceChildren(el("div", {class: "card"}, el("h2", {}, "In force"), el("dl", {}, el("dt", {}, "durable"), el("dd", {}, q.durable ? "yes" : "no"), el("dt", {}, "type"), el("dd", {}, shown(q.type)),
        el("dt", {}, "policy"), el("dd", {}, shown(q.policy || "none")), el("dt", {}, "operator policy"), el("dd", {}, shown(q.operator_policy || "none")),
        rows.flatMap(([k, v, f]) => [el("dt", {}, shown(k)), el("dd", {}, shown(v) + " (" + f + ")")]))));
    },
  };
  return {
    node,
    async load() {
      const q = await get("queues/" + at);
      numbers.textContent = number(q.messages_ready) + " ready (" + bytes(q.message_bytes_ready) + "), " + number(q.messages_unacknowledged) + " unacked, " +
        (q.messages_delayed ? number(q.messages_delayed) + " waiting for their time, " : "") + number(q.consumers) + " consumers";
      if (!buttons.firstChild || buttons.dataset.ready !== String(q.messages_ready)) {
        buttons.replaceChildren(...actions(q, go));
        buttons.dataset.ready = q.messages_ready;
      }
      await (loads[tab] || loads.overview)(q);
    },
  };
}
