"""Errors that a user can mend, and nothing else."""


class AppError(Exception):
    """Something the user can mend: shown without a traceback, exit code 1.

    Args:
        title: A few words, e.g. "No pictures found".
        message: What happened and where (file, field, value).
        hint: What to do about it; an option or command that does it stands in brackets, e.g. "(--name)", as the wizard
            leaves these out.
    """

    def __init__(self, title: str, message: str, hint: str = "") -> None:
        super().__init__(title, message, hint)
        self.title = title
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """One paragraph: title, message and hint."""
        return " ".join(part for part in (f"{self.title}: {self.message}", self.hint) if part)
