// Runs of @ag-ui/client, one after the other, as its argument says; prints what the client made of them as JSON.
// {url, threadId, runs: [{runId?, say?, tools?, context?, decide?: [{status, payload}], answers?: {tool: content}, abortAt?}]}
import { HttpAgent } from "@ag-ui/client";

const wanted = JSON.parse(process.argv[2]);
const warnings = [];
for (const level of ["warn", "error"]) {
  console[level] = (...parts) => warnings.push(parts.map(String).join(" "));
}

const agent = new HttpAgent({ url: wanted.url, threadId: wanted.threadId, initialMessages: wanted.messages ?? [] });
let pendingCalls = [];

function callNamed(id) {
  return agent.messages.flatMap((message) => message.toolCalls ?? []).find((call) => call.id === id).function.name;
}

async function run({ runId, say, tools, context, decide, answers, abortAt }) {
  const events = [];
  for (const id of answers ? pendingCalls : []) {
    agent.addMessage({ id: `answer-${id}`, role: "tool", toolCallId: id, content: answers[callNamed(id)] });
  }
  if (say) {
    agent.addMessage({ id: crypto.randomUUID(), role: "user", content: say });
  }
  const resume = decide?.map((decision, index) => ({ interruptId: agent.pendingInterrupts[index].id, ...decision }));
  const watch = {
    onEvent: ({ event }) => {
      events.push(event);
      if (event.type === abortAt) {
        agent.abortRun();
      }
    },
    onRunFinishedEvent: (finished) => {
      pendingCalls = finished.pendingToolCallIds ?? [];
    },
  };
  let error;
  await agent.runAgent({ runId, tools, context, resume }, watch).catch((thrown) => (error = thrown.message));
  return { events, error, pendingCalls, interrupts: agent.pendingInterrupts };
}

const runs = [];
for (const one of wanted.runs) {
  runs.push(await run(one));
}
process.stdout.write(JSON.stringify({ runs, messages: agent.messages, warnings }));
