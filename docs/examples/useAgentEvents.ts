import { EventType, type AGUIEvent } from "@ag-ui/core";
import { useEffect, useState } from "react";

/** What STATE_SNAPSHOT holds; docs/protocol.md has all of it. */
export interface ConversationState {
  version: number;
  conversation: { id: string; title: string; agent: string };
  status: "idle" | "running" | "awaiting" | "stopping";
  runId?: string;
  queue: { id: string; content: string; held: boolean }[];
  lastError?: { message: string; code: string };
}

export interface AgentEvents {
  /** Since the last MESSAGES_SNAPSHOT, which stands for everything before it. */
  events: AGUIEvent[];
  state: ConversationState | undefined;
  isConnected: boolean;
}

/** Follows a conversation live. After a lost connection the browser comes back by itself, where it was. */
export function useAgentEvents(conversationId: string, server = ""): AgentEvents {
  const [events, setEvents] = useState<AGUIEvent[]>([]);
  const [state, setState] = useState<ConversationState>();
  const [isConnected, setConnected] = useState(false);

  useEffect(() => {
    const source = new EventSource(`${server}/events/${encodeURIComponent(conversationId)}`);
    const take = ({ data }: MessageEvent<string>) => {
      const event = JSON.parse(data) as AGUIEvent;
      setEvents((earlier) => (event.type === EventType.MESSAGES_SNAPSHOT ? [event] : [...earlier, event]));
      if (event.type === EventType.STATE_SNAPSHOT) {
        setState(event.snapshot as ConversationState);
      }
    };
    source.onopen = () => setConnected(true);
    source.onerror = () => setConnected(false);
    for (const type of Object.values(EventType)) {
      source.addEventListener(type, take);
    }
    return () => {
      source.close();
      setEvents([]);
      setState(undefined);
      setConnected(false);
    };
  }, [conversationId, server]);

  return { events, state, isConnected };
}
