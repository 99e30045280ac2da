// Follows a conversation with npm's EventSource until a run has ended and the conversation is idle; prints the events.
// {url, types}
import { EventSource } from "eventsource";

const { url, types } = JSON.parse(process.argv[2]);
const events = [];
let opened = 0;
let ended = false;
const source = new EventSource(url);
source.onopen = () => (opened += 1);

function take({ lastEventId, data }) {
  const event = JSON.parse(data);
  events.push({ id: lastEventId, event });
  ended ||= event.type === "RUN_FINISHED";
  if (ended && event.type === "STATE_SNAPSHOT" && event.snapshot.status === "idle") {
    source.close();
    process.stdout.write(JSON.stringify({ events, opened }), () => process.exit());
  }
}
for (const type of types) {
  source.addEventListener(type, take);
}
