"""What a list is searched for."""

from tui.widgets.prompt_input import PromptInput


class FilterInput(PromptInput):
    """Part of what is looked for; the style sheets hide it until it is begun.

    Args:
        whole: What it is part of, e.g. "name".
    """

    def __init__(self, whole: str) -> None:
        super().__init__(placeholder=f"part of a {whole}; Enter goes to the list, Esc shows all", id="filter")

    def begin(self) -> None:
        """Show it and take the focus."""
        self.display = True
        self.focus()

    def drop(self) -> None:
        """Look for nothing, and hide."""
        self.value, self.display = "", False
