"""The errors a user may meet: one line that says what, where, and what is allowed."""


class UserError(ValueError):
    """Wrong input from outside: a parameter, a file, an argument. Its text is one line."""


class CollapseError(UserError):
    """The trained generator is dead: every width scores like the floor."""
