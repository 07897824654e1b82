"""The errors a user may meet: one line that says what, where, and what is allowed."""


class UserError(ValueError):
    """Wrong input from outside: a parameter, a file, an argument. Its text is one line."""


class CollapseError(UserError):
    """The trained generator is dead: every width scores like the floor."""


def one_line(message: object) -> str:
    """Write a message in one line that every terminal takes.

    Args:
        message: Any; names of files in it may hold line ends, or bytes that are no text.

    Returns:
        The same, with escapes where they are needed.
    """
    text = str(message).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: Exception) -> str:
    """Shorten what a library says.

    Args:
        error: Of any kind.

    Returns:
        Its first line, or its kind where it says nothing.
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
