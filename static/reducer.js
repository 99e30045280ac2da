// What the page knows of one conversation, folded from its events. Pure: (chat, event) → chat, nothing drawn, nothing sent.
//
// chat = {
//   server:   the last STATE_SNAPSHOT (see docs/protocol.md),
//   messages: [{id, role: user|assistant|reasoning|notice, content, name, status, callIds, streaming, tail, startedAt, endedAt, ms}],
//   calls:    {toolCallId: {id, name, args, open, output, result: {content, error, status, ms}, startedAt, endedAt}},
//   run:      {id, steps: [{node, startedAt, ms}], outcome} of the run seen last, or null,
//   retry:    {attempt, reason, waitSeconds} while the model is being asked again, or null,
//   eventId:  the last event's id, to come back to this place,
//   loaded:   whether the first snapshot has arrived }

import { applyPatch } from "./json_patch.js";

const NOTHING = { version: -1, conversation: null, status: "idle", queue: [], interrupts: [], lastError: null, usage: null };

export function emptyChat() {
  return { server: NOTHING, messages: [], calls: {}, run: null, retry: null, eventId: null, loaded: false };
}

/** A frame's events at once: adjacent deltas are joined first, so that many small ones cost one step. */
export function fold(chat, events) {
  return joinDeltas(events).reduce(reduce, chat);
}

export function reduce(chat, event) {
  const handle = HANDLERS[event.type];
  const next = handle ? handle(chat, event) : chat;
  const eventId = event.metadata?.eventId;
  return eventId ? { ...next, eventId } : next;
}

/** A new socket may come from a restarted server, whose versions count from wherever they please. */
export function reattached(chat) {
  return { ...chat, server: { ...chat.server, version: -1 } };
}

/** The text a reader who has drawn `length` characters of a message lacks; independent of how long the message is. */
export function textAfter(message, length) {
  if (!message.tail) return message.content.slice(length);
  const pieces = [];
  for (let piece = message.tail; piece && piece.end > length; piece = piece.before) pieces.push(piece.text);
  return pieces.reverse().join("");
}

/** waiting, preparing, running, completed, failed, rejected, cancelled, interrupted, unknown or decided. */
export function callStatus(chat, call) {
  if (call.result) return call.result.status ?? (call.result.error ? "failed" : "completed");
  if (chat.server.interrupts.some((interrupt) => interrupt.toolCallId === call.id)) return "waiting";
  if (chat.server.status === "awaiting") return "decided";
  if (chat.server.status === "idle") return "cancelled";
  return call.open ? "preparing" : "running";
}

const HANDLERS = {
  MESSAGES_SNAPSHOT: (chat, { messages }) => {
    const known = new Map(chat.messages.map((message) => [message.id, message]));
    const visible = messages.filter((message) => ["user", "assistant", "reasoning"].includes(message.role));
    return {
      ...chat,
      messages: visible.map((message) => keepIfSame(known.get(message.id), messageFrom(message))),
      calls: callsFrom(messages, chat.calls),
    };
  },
  STATE_SNAPSHOT: (chat, { snapshot }) => withServer(chat, { ...NOTHING, ...snapshot }),
  STATE_DELTA: (chat, { delta }) => withServer(chat, applyPatch(chat.server, delta)),

  RUN_STARTED: (chat, { runId, input }) => {
    const known = new Set(chat.messages.map((message) => message.id));
    const fresh = (input?.messages ?? []).filter((message) => !known.has(message.id));
    const said = fresh.filter((message) => message.role === "user").map(messageFrom);
    const answered = fresh.filter((message) => message.role === "tool").reduce(withResult, chat);
    return { ...answered, run: { id: runId, steps: [], outcome: null }, retry: null, messages: [...chat.messages, ...said] };
  },
  RUN_FINISHED: (chat, { outcome }) => endRun(chat, outcome?.type ?? "success"),
  RUN_ERROR: (chat) => endRun(chat, "error"),
  STEP_STARTED: (chat, { stepName, timestamp }) =>
    withSteps(chat, (steps) => [...steps, { node: stepName, startedAt: timestamp, ms: null }]),
  STEP_FINISHED: (chat, { stepName, timestamp }) =>
    withSteps(chat, (steps) => steps.map((step) =>
      step.node === stepName && step.ms === null ? { ...step, ms: timestamp - step.startedAt } : step)),

  TEXT_MESSAGE_START: (chat, event) => open(chat, event, event.role ?? "assistant"),
  TEXT_MESSAGE_CONTENT: append,
  TEXT_MESSAGE_END: close,
  REASONING_MESSAGE_START: (chat, event) => open(chat, event, "reasoning"),
  REASONING_MESSAGE_CONTENT: append,
  REASONING_MESSAGE_END: close,

  TOOL_CALL_START: (chat, { toolCallId: id, toolCallName: name, parentMessageId, timestamp }) => {
    const parent = parentMessageId ?? id;
    const known = chat.messages.some((message) => message.id === parent);
    const messages = known ? chat.messages : [...chat.messages, messageFrom({ id: parent, role: "assistant" })];
    const call = { id, name, args: "", open: true, output: "", result: null, startedAt: timestamp, endedAt: null };
    const started = { ...chat, messages, retry: null, calls: { ...chat.calls, [id]: call } };
    return withMessage(started, parent, (message) => ({ ...message, callIds: [...message.callIds, id] }));
  },
  TOOL_CALL_ARGS: (chat, { toolCallId, delta }) =>
    withCall(chat, toolCallId, (call) => ({ ...call, args: call.args + delta })),
  TOOL_CALL_END: (chat, { toolCallId }) => withCall(chat, toolCallId, (call) => ({ ...call, open: false })),
  TOOL_CALL_RESULT: (chat, event) => withCall(chat, event.toolCallId, (call) => ({
    ...call, open: false, result: resultFrom(event), endedAt: event.timestamp })),

  CUSTOM: (chat, event) => CUSTOM_HANDLERS[event.name]?.(chat, event) ?? chat,
};

const CUSTOM_HANDLERS = {
  tool_output: (chat, { value, timestamp }) => withCall(chat, value.toolCallId, (call) => ({
    ...call, output: call.output + value.text, startedAt: call.output ? call.startedAt : timestamp })),
  retry: (chat, { value }) => ({ ...chat, retry: value }),
  notice: (chat, { value, metadata }) => {
    const id = metadata?.eventId ?? `notice-${chat.messages.length}`;
    return { ...chat, messages: [...chat.messages, messageFrom({ id, role: "notice", content: value.text })] };
  },
};

function open(chat, { messageId: id, name, timestamp }, role) {
  const message = { ...messageFrom({ id, role, name }), streaming: true, startedAt: timestamp };
  const others = chat.messages.filter((other) => other.id !== id);
  return { ...chat, retry: null, messages: [...others, message] };
}

function append(chat, { messageId, delta }) {
  return withMessage(chat, messageId, (message) => {
    const content = message.content + delta;
    return { ...message, content, tail: { text: delta, end: content.length, before: message.tail } };
  });
}

function close(chat, { messageId, metadata, timestamp }) {
  return withMessage(chat, messageId, (message) => ({
    ...message, streaming: false, tail: null, endedAt: timestamp, status: metadata?.status ?? message.status }));
}

function endRun(chat, outcome) {
  const status = { cancelled: "interrupted", error: "failed" }[outcome] ?? "complete";
  const closed = chat.messages.map((message) =>
    message.streaming ? { ...message, streaming: false, tail: null, status } : message);
  return { ...chat, messages: closed, retry: null, run: { ...chat.run, outcome } };
}

function withServer(chat, server) {
  return server.version < chat.server.version ? chat : { ...chat, server, loaded: true };
}

function withSteps(chat, change) {
  return chat.run ? { ...chat, run: { ...chat.run, steps: change(chat.run.steps) } } : chat;
}

function withMessage(chat, id, change) {
  const index = chat.messages.findLastIndex((message) => message.id === id);
  return index < 0 ? chat : { ...chat, messages: chat.messages.with(index, change(chat.messages[index])) };
}

function withCall(chat, id, change) {
  return chat.calls[id] ? { ...chat, calls: { ...chat.calls, [id]: change(chat.calls[id]) } } : chat;
}

/** What another client's own tool returned: it comes with that client's next run. */
function withResult(chat, message) {
  return withCall(chat, message.toolCallId, (call) => ({ ...call, open: false, result: resultFrom(message) }));
}

function messageFrom({ id, role, content, name, toolCalls, metadata }) {
  return {
    id, role, name: name ?? null, content: plainText(content), status: metadata?.status ?? "complete",
    callIds: (toolCalls ?? []).map((call) => call.id), streaming: false, tail: null,
    startedAt: null, endedAt: null, ms: metadata?.durationMs ?? null,
  };
}

// An unchanged message stays the same object, so that it is not drawn again.
function keepIfSame(old, fresh) {
  if (!old || old.streaming || old.content !== fresh.content || old.status !== fresh.status) return fresh;
  return old.callIds.join() === fresh.callIds.join() ? old : fresh;
}

function callsFrom(messages, old) {
  const calls = {};
  for (const message of messages) {
    for (const { id, function: called } of message.toolCalls ?? []) {
      const { output = "", startedAt = null, endedAt = null } = old[id] ?? {};
      calls[id] = { id, name: called.name, args: called.arguments, open: false, output, result: null, startedAt, endedAt };
    }
    const call = message.role === "tool" && calls[message.toolCallId];
    if (call) call.result = resultFrom(message);
  }
  return calls;
}

function resultFrom({ content, error, metadata }) {
  const status = metadata?.outcome ?? (metadata?.status === "complete" ? null : metadata?.status) ?? null;
  return { content, error: error ?? null, status, ms: metadata?.durationMs ?? null, edited: metadata?.editedArguments ?? null };
}

function plainText(content) {
  if (Array.isArray(content)) return content.map((part) => part.text ?? "").join("");
  return content ?? "";
}

const DELTA_OWNER = { TEXT_MESSAGE_CONTENT: "messageId", REASONING_MESSAGE_CONTENT: "messageId", TOOL_CALL_ARGS: "toolCallId" };

function joinDeltas(events) {
  const joined = [];
  for (const event of events) {
    const last = joined.at(-1);
    const owner = DELTA_OWNER[event.type];
    const continues = owner && last?.type === event.type && last[owner] === event[owner];
    if (continues) joined[joined.length - 1] = { ...event, delta: last.delta + event.delta };
    else joined.push(event);
  }
  return joined;
}
