"""The obvious code, as a first tutorial has it: `python -m tests.benchmarks.obvious PORT PROVIDER_URL`."""

import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from openai import AsyncOpenAI

app = FastAPI()


@app.get("/")
async def page() -> str:
    return "ready"


@app.websocket("/ws")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            question = await websocket.receive_json()
            messages = [{"role": "user", "content": question["content"]}]
            stream = await client.chat.completions.create(model="mock-model", messages=messages, stream=True)
            async for chunk in stream:
                await websocket.send_json({"type": "delta", "delta": chunk.choices[0].delta.content})
            await websocket.send_json({"type": "done"})
    except WebSocketDisconnect:
        pass


if __name__ == "__main__":
    client = AsyncOpenAI(base_url=sys.argv[2], api_key="none")
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
