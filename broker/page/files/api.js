// What the broker is asked, over the same API that everybody else has.

let csrf = "";
let onLoggedOut = () => {};

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function whenLoggedOut(f) {
  onLoggedOut = f;
}

export async function ask(method, path, body) {
  const headers = method === "GET" ? {} : {"x-leveret-csrf": csrf, "content-type": "application/json"};
  const reply = await fetch("/api/" + path, {method, headers, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body)});
  const text = await reply.text();
  const json = text === "" ? null : JSON.parse(text);
  if (reply.status === 401 && (json === null || json.error === "not_authorized") && path !== "leveret/session") onLoggedOut();
  if (!reply.ok) {
    const reason = json && json.reason;
    throw new Refused(reply.status, typeof reason === "string" ? reason : reason ? JSON.stringify(reason) : "refused (" + reply.status + ")");
  }
  return json;
}

export const get = (path) => ask("GET", path);
export const part = encodeURIComponent;

/** Who is logged in; null: nobody. */
export async function session() {
  try {
    const s = await get("leveret/session");
    csrf = s.csrf;
    return s;
  } catch (e) {
    if (e instanceof Refused) return null;
    throw e;
  }
}

export async function logIn(user, password) {
  const s = await ask("POST", "leveret/session", {user, password});
  csrf = s.csrf;
  return s;
}

export const logOut = () => ask("DELETE", "leveret/session");
