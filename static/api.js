// The REST doors the page uses. Every failure is an Error whose message a person can read.

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (cause) {
    throw new Error("The server cannot be reached.", { cause });
  }
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? null : response.json();
}

async function failure(response) {
  const body = await response.json().catch(() => ({}));
  const message = body.message ?? body.detail?.message ?? body.detail ?? response.statusText;
  const text = typeof message === "string" && message ? message : `The server answered ${response.status}.`;
  return Object.assign(new Error(text), { status: response.status });
}

const json = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const conversation = (id) => `/api/conversations/${encodeURIComponent(id)}`;

export const getHealth = () => request("/healthz");
export const getAgents = () => request("/api/agents");
export const getFlow = () => request("/api/flow");
export const getConversation = (id) => request(conversation(id));
export const getRuns = (id) => request(`${conversation(id)}/runs`);
export const createConversation = (fields) => request("/api/conversations", json("POST", fields));
export const changeConversation = (id, fields) => request(conversation(id), json("PATCH", fields));
export const sendCommand = (id, command) => request(`${conversation(id)}/commands`, json("POST", command));
export const deleteConversation = (id) => request(conversation(id), { method: "DELETE", keepalive: true });

/** {conversations: [...], next?} newest first; `before` is a former answer's `next`. */
export function listConversations({ query = "", before = null, limit = 40 } = {}) {
  const search = new URLSearchParams({ limit });
  if (query) search.set("query", query);
  if (before) search.set("before", before);
  return request(`/api/conversations?${search}`);
}

/** Sends one file; `progress` is called with 0…1. XMLHttpRequest, because fetch cannot tell how much has gone. */
export function uploadFile(id, file, progress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const body = new FormData();
    body.append("file", file);
    sending.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
    sending.onload = () => (sending.status < 300 ? resolve() : reject(new Error(uploadError(sending))));
    sending.onerror = () => reject(new Error("The server cannot be reached."));
    sending.open("POST", `${conversation(id)}/files`);
    sending.send(body);
  });
}

function uploadError({ status, responseText }) {
  try {
    const { message, detail } = JSON.parse(responseText);
    return message ?? detail?.message ?? detail;
  } catch {
    return `The server answered ${status}.`;
  }
}
