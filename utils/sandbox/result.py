"""What a call said and wrote, as the model reads it and the person sees it: one text, then the pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.sandbox import workspace as files
from utils.sandbox.limits import SandboxLimits
from utils.toolkit import ToolContext, ToolResult

if TYPE_CHECKING:
    from utils.sandbox.kernel import Reply


def tool_result(
    notice: str, reply: "Reply", new: list[files.Entry], limits: SandboxLimits, context: ToolContext
) -> ToolResult:
    """`notice`, then `reply`, then the names of the `new` files; pictures follow by address. Blocking."""
    pictures = _pictures(reply, new, context.workspace, limits.images)
    names = ", ".join(f"{file.name} ({file.size:,} bytes)" for file in new if file.name not in reply.images)
    said = [notice, reply.text.rstrip("\n"), reply.value, reply.error, *_remarks(reply, limits)]
    text = "\n".join(filter(None, [*said, names and f"Files written: {names}"])) or "(no output)"
    if not pictures:
        return text
    return [{"type": "text", "text": text}, *(_image(context.file_url(name)) for name in pictures)]


def _remarks(reply: "Reply", limits: SandboxLimits) -> list[str]:
    """What went otherwise than the code says."""
    remarks = []
    if reply.cut:
        remarks.append(f"[The output was cut after {limits.output_bytes // 1000} kB.]")
    if reply.timed_out:
        remarks.append(f"[Stopped: it ran longer than {limits.seconds:g} s. What it did until then is done.]")
    if reply.ended:
        remarks.append(f"[Python was ended: {reply.ended}. All variables are gone; the files are kept.]")
    return remarks


def _pictures(reply: "Reply", new: list[files.Entry], workspace: Path, most: int) -> list[str]:
    """The figures that were shown; where code showed none but saved some, those."""
    names = reply.images or [file.name for file in new]
    return [name for name in names if files.is_png(workspace, name)][:most]


def _image(url: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "url", "value": url, "mimeType": "image/png"}}
