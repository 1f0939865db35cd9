"""Makes text out of whatever bytes a process printed, so that showing it cannot do anything to a terminal."""

from __future__ import annotations

import re

# Nothing to do for such bytes; most output is like this.
_PLAIN = bytes([0x09, 0x0A, *range(0x20, 0x7F)])

_SGR_CODE = r"(?:0?[0-479]|2[1-9]|3[0-79]|4[0-79]|9[0-7]|10[0-7]|[34]8[;:]5[;:]\d{1,3}|[34]8[;:]2(?:[;:]\d{1,3}){3})"
_COLOUR = re.compile(rf"\x1b\[(?:{_SGR_CODE}?(?:;{_SGR_CODE}?)*)m")
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: move the cursor, erase, set modes
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC and its kin, ended: title, clipboard, link
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI as one C1 character
)
_COLOUR_OR_SEQUENCE = re.compile(rf"({_COLOUR.pattern})|{_SEQUENCE.pattern}")

# C0 but tab, DEL and C1; what reorders or breaks lines (bidi, U+2028/9); lone surrogates; the byte order mark.
_HARMFUL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_RESET = "\x1b[0m"


def is_plain(payload: bytes) -> bool:
    """Whether `payload` is printable ASCII with tabs and line ends, so that it may be shown as it is."""
    # Deleting them and seeing whether anything is left is five times as fast as a search with a pattern.
    return not payload.translate(None, _PLAIN)


def last_state(line: bytes) -> bytes:
    """What a terminal would show of a line in the end: a progress bar's last state. No line end, no CR."""
    line = line.rstrip(b"\r\n")
    return line[line.rfind(b"\r") + 1 :] if b"\r" in line else line


def harmless(line: bytes, *, is_coloured: bool) -> str:
    """One line, with or without its end, as text that is safe to print.

    Bytes that are no UTF-8 become U+FFFD; escape sequences go, plain colours stay where `is_coloured` (and are
    reset at the end); other control characters are shown as pictures or as `<U+...>`.
    """
    state = last_state(line)
    text = state.decode("utf-8", "replace")
    if is_plain(state) and b"\n" not in state:
        return text
    has_colour = False
    if "\x1b" in text or "\x9b" in text:
        text, has_colour = _without_sequences(text, is_coloured=is_coloured)
    if "\b" in text:
        text = _backspaced(text)
    if not has_colour:
        return _HARMFUL.sub(_picture, text)
    parts = _COLOUR.split(text)
    colours = [*_COLOUR.findall(text), _RESET]
    return "".join(_HARMFUL.sub(_picture, part) + colour for part, colour in zip(parts, colours, strict=True))


def _without_sequences(text: str, *, is_coloured: bool) -> tuple[str, bool]:
    if not is_coloured:
        return _SEQUENCE.sub("", text), False
    cleaned = _COLOUR_OR_SEQUENCE.sub(lambda found: found[1] or "", text)
    return cleaned, _COLOUR.search(cleaned) is not None


def _backspaced(text: str) -> str:
    # Older progress bars step back with backspaces instead of a carriage return.
    shown: list[str] = []
    for part in re.split(f"({_COLOUR.pattern}|\b)", text):
        if part != "\b":
            shown.extend([part] if part.startswith("\x1b[") else part)
        elif shown and not shown[-1].startswith("\x1b"):
            shown.pop()
    return "".join(shown)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"
