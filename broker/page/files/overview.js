// Is all well? What should I look at?
import {el, number, rate, chart, shown} from "./dom.js";
import {get, part} from "./api.js";
import {past} from "./main.js";

/** Sentences about queues, worst first. */
function attention(list, o) {
  const said = [];
  for (const q of list) {
    const name = q.vhost === "/" ? q.name : q.name + " (" + q.vhost + ")";
    const dead = /dlq|dead/i.test(q.name);
    if (q.messages_ready > 0 && q.consumers === 0 && !dead)
      said.push({weight: q.messages_ready, q, text: name + " has " + number(q.messages_ready) + (q.messages_ready === 1 ? " message and nobody takes it." : " messages and nobody takes them.")});
    if (dead && q.messages_ready > 0) said.push({weight: q.messages_ready * 2, q, text: number(q.messages_ready) + " dead letters lie in " + name + "."});
    const grows = q.messages_details ? q.messages_details.rate : 0;
    if (grows > 1 && q.consumers > 0) said.push({weight: grows * 60, q, text: name + " grows by " + rate(grows) + " a second: its " + q.consumers + " consumers do not keep up."});
  }
  const m = o.message_stats || {};
  if (m.drop_unroutable_details && m.drop_unroutable_details.rate > 0)
    said.push({weight: 1e6, text: rate(m.drop_unroutable_details.rate) + " messages a second go to no queue and are dropped."});
  return said.sort((a, b) => b.weight - a.weight).slice(0, 7);
}

export function overview({go}) {
  const sentence = el("h1", {}, "…");
  const list = el("div", {class: "card"});
  const messages = chart("Messages a second");
  const waiting = chart("Waiting");
  const totals = el("p", {class: "soft"});
  const node = el("div", {}, el("div", {class: "head"}, sentence), list, el("div", {class: "cards"}, messages.node, waiting.node), totals);
  return {
    node,
    async load(o) {
      const columns = "name,vhost,messages,messages_details,messages_ready,consumers";
      const page = await get("queues?page=1&page_size=200&sort=messages&sort_reverse=true&columns=" + columns);
      const said = attention(page.items, o);
      sentence.textContent = said.length === 0 ? "All is well." : said.length === 1 ? "One thing needs attention." : said.length + " things need attention.";
      list.hidden = said.length === 0;
      list.replaceChildren(el("h2", {}, "Needs attention"), ...said.map((s) => el("p", {}, shown(s.text), " ",
        s.q ? el("a", {href: "#queue?vhost=" + part(s.q.vhost) + "&name=" + part(s.q.name)}, "Look") : null)));
      const h = past();
      messages.update([{label: "published", color: "in", values: h.map((x) => x.publish)}, {label: "delivered", color: "out", values: h.map((x) => x.deliver)},
        {label: "acked", color: "acked", values: h.map((x) => x.ack)}]);
      waiting.update([{label: "ready", color: "ready", values: h.map((x) => x.ready)}, {label: "unacked", color: "unacked", values: h.map((x) => x.unacked)}]);
      const t = o.object_totals;
      totals.textContent = number(t.queues) + " queues, " + number(t.exchanges) + " exchanges, " + number(t.connections) + " connections, " +
        number(t.channels) + " channels, " + number(t.consumers) + " consumers; " + o.product_name + " " + o.product_version + ", " + o.node;
      if (t.queues === 0) totals.textContent += ". There is no queue yet: connect to amqp://" + location.hostname + ":5672/ and declare one.";
    },
  };
}
