"""Whether growing Markdown is, where it ends now, inside code: a fenced block or a `span`."""


class CodeSpans:
    """`see` the text in pieces: a backtick, a tilde or a line break each alone, anything else in runs of any length."""

    def __init__(self) -> None:
        self._fence: tuple[str, int] | None = None
        self._opening = False
        """The line of the fence has not ended: another run of backticks on it shows that it is a span after all."""
        self._span = 0
        self._char, self._count = "", 0
        self._blank = True
        """Nothing but indentation and quote marks on this line so far."""

    @property
    def inside(self) -> bool:
        """Valid once the piece that follows the last backtick or tilde was seen."""
        return bool(self._fence or self._span)

    def see(self, piece: str) -> None:
        if piece in ("`", "~"):
            if piece != self._char:
                self._end_run()
            self._char, self._count = piece, self._count + 1
            return
        self._end_run()
        if piece == "\n":
            self._blank, self._opening, self._span = True, False, 0  # a span over a line break is not worth a lost call
        elif piece.strip(" \t\r>"):
            self._blank = False

    def _end_run(self) -> None:
        char, count, begins = self._char, self._count, self._blank
        self._char, self._count = "", 0
        if not count:
            return
        self._blank = False
        if self._fence:
            closes = begins and count >= self._fence[1]
            if char == self._fence[0] and (closes or (self._opening and char == "`")):
                self._fence = None
        elif begins and count >= 3:
            self._fence, self._opening = (char, count), True
        elif char == "`":
            self._span = 0 if self._span == count else self._span or count


if __name__ == "__main__":
    spans = CodeSpans()
    for seen in ("Use ", "`", "<b>", "`", " here"):
        spans.see(seen)
        print(repr(seen), spans.inside)
