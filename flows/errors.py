"""The one error a user of the flows can cause."""


class FlowError(ValueError):
    """A mistake of the user: one line that says what, where, and what is allowed."""


def one_line(error: BaseException | str) -> str:
    """Shorten an error to one line of text.

    Args:
        error: an exception or its text.

    Returns:
        The text with every run of white space made one space; the type's name if it is empty.
    """
    text = " ".join(str(error).split())
    return text or type(error).__name__
