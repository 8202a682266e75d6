"""Names of files and folders as people, phones and old archives make them, for hypothesis."""

from hypothesis import strategies as st

HARD = (
    *("[x]", "a*b?", "#", "%20", "%(x)s", "%s", "{env: HOME}", "$HOME", "~", "-i", "--", "&amp;"),
    *(
        "<b>",
        "'",
        '"',
        "a: b",
        "a\nb",
        "\r",
        "\t",
        " ",
        "a;b|c",
        "`ls`",
        "C:x",
        "a\u0308",
        "\u00e4",
    ),
    *(
        "\u202e",
        "\u2028",
        "\U0001f697",
        "\x7f",
        "\x1b[31m",
        "[link=x]",
        "[red]",
        "\u0378",
        "..a",
        "+",
    ),
)

_CHARACTERS = st.characters(codec="utf-8", exclude_characters="/\\\0")
_NAMES = st.lists(st.sampled_from(HARD) | st.text(_CHARACTERS, max_size=6), min_size=1, max_size=4)


def _fits(name: str) -> bool:
    """What a file system takes as a name, and a store as no hidden one."""
    return bool(name) and not name.startswith(".") and len(name.encode()) <= 200


FOLDER_NAMES = _NAMES.map("".join).filter(_fits)
"""One part of a path."""

PHOTO_NAMES = st.builds(
    "{}.{}".format, FOLDER_NAMES, st.sampled_from(["jpg", "JPG", "jpeg", "png"])
)
"""The same with the ending of a photo."""
