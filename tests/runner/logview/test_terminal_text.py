import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.logview.terminal_text import harmless, is_plain, last_state

# What a process printed | what a person sees plain | what a person sees on a coloured terminal.
GOLDEN = [
    (b"hello", "hello", "hello"),
    (b"tab\there", "tab\there", "tab\there"),
    (b"caf\xc3\xa9 \xe2\x98\x83", "café ☃", "café ☃"),
    (b"bad \xff\xfe utf-8", "bad \ufffd\ufffd utf-8", "bad \ufffd\ufffd utf-8"),
    (b"surrogate \xed\xa0\x80", "surrogate \ufffd\ufffd\ufffd", "surrogate \ufffd\ufffd\ufffd"),
    (b"nul\x00bell\x07del\x7f", "nul␀bell␇del␡", "nul␀bell␇del␡"),
    (b"dos line\r\n", "dos line", "dos line"),
    (b"\r 10%\r 50%\r100%\n", "100%", "100%"),
    (b" 10%\r 50%\r", " 50%", " 50%"),
    (b"\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"),
    (b"\x1b[1;38;5;200mpink", "pink", "\x1b[1;38;5;200mpink\x1b[0m"),
    (b"\x1b[38;2;1;2;3mrgb", "rgb", "\x1b[38;2;1;2;3mrgb\x1b[0m"),
    (b"\x1b[8mhidden\x1b[5mblink", "hiddenblink", "hiddenblink"),
    (b"\x1b[2J\x1b[1;1Hcleared", "cleared", "cleared"),
    (b"\x1b[?25l\x1b[2Kcursor", "cursor", "cursor"),
    (b"\x1b]0;title\x07text", "text", "text"),
    (b"\x1b]52;c;ZXZpbA==\x1b\\text", "text", "text"),
    (b"\x1b]8;;http://x\x07link\x1b]8;;\x07", "link", "link"),
    (b"\x1bPq#0\x1b\\sixel", "sixel", "sixel"),
    (b"\x1b]0;never ends", "␛]0;never ends", "␛]0;never ends"),
    (b"\x1bc reset", "␛c reset", "␛c reset"),
    (b"\xc2\x9b31mC1", "C1", "C1"),
    (b"\xc2\x85next", "<U+0085>next", "<U+0085>next"),
    (b"abc\b\b\bxyz", "xyz", "xyz"),
    (b"\b\b1", "1", "1"),
    (b"admin\xe2\x80\xaegnp.exe", "admin<U+202E>gnp.exe", "admin<U+202E>gnp.exe"),
    (b"\xe2\x81\xa6isolate", "<U+2066>isolate", "<U+2066>isolate"),
    (b"\xef\xbb\xbfbom", "<U+FEFF>bom", "<U+FEFF>bom"),
    (b"line\xe2\x80\xa8sep", "line<U+2028>sep", "line<U+2028>sep"),
    (b"\x1b[31m\x00\x1b[2Kx", "␀x", "\x1b[31m␀x\x1b[0m"),
]


@pytest.mark.parametrize(("printed", "plain", "coloured"), GOLDEN)
def test_text_as_a_person_sees_it(printed: bytes, plain: str, coloured: str) -> None:
    """Whatever was printed is shown harmlessly, and says what it said."""
    assert harmless(printed, is_coloured=False) == plain
    assert harmless(printed, is_coloured=True) == coloured


@given(st.binary(max_size=200) | st.text("\x1b[]0;1m\x07\\\x9b\x90P?25hJ\r\n\b\x00a", max_size=60).map(str.encode))
def test_nothing_harmful_gets_through(printed: bytes) -> None:
    """No bytes at all yield a control character, plainly; with colours only SGR sequences remain."""
    text = harmless(printed, is_coloured=False)
    assert all(character == "\t" or ord(character) >= 0x20 for character in text)
    assert not set(text) & {"\x7f", "\x9b", "\u202e", "\u2066"}
    coloured = harmless(printed, is_coloured=True)
    assert coloured.count("\x1b") == coloured.count("\x1b[")
    assert coloured.encode() is not None


@given(st.binary(max_size=100))
def test_plain_bytes_are_shown_as_they_are(printed: bytes) -> None:
    """What counts as plain needs no change."""
    if is_plain(printed) and b"\n" not in printed:
        assert harmless(printed, is_coloured=True).encode() == printed == last_state(printed)
