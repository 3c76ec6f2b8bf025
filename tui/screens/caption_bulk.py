"""The keys that change many captions at once; each shows first what would change."""

from collections.abc import Callable, Mapping

from trainer.captions.edit import replaced, sorted_tags, tag_counts, with_prefix, with_suffix, without_tag
from trainer.errors import AppError
from tui.screens.caption_work import CaptionWork
from tui.widgets.fields import Choice, ChoiceField, TextField
from tui.widgets.form_dialog import FormDialog
from tui.widgets.tag_list import TagList

_KINDS = (
    Choice("plain", "plain", "Find exactly this text."),
    Choice("regex", "regular expression", r"Groups are \1, \2, … in the replacement."),
)


class BulkActions(CaptionWork):
    """Actions on all captions that there are."""

    def _ask(
        self, title: str, rows: list[tuple[str, TextField | ChoiceField]], do: Callable[[dict[str, str]], None]
    ) -> None:
        def accepted(values: dict[str, str] | None) -> None:
            if values is not None:
                try:
                    do(values)
                except AppError as error:
                    self.show_trouble(error)

        self.app.push_screen(FormDialog(title, rows), accepted)

    def action_replace(self) -> None:
        """Search and replace."""

        def do(values: Mapping[str, str]) -> None:
            find, by = values["find"], values["by"]
            changes = replaced(self._texts, find, by, regex=values["kind"] == "regex")
            self._offer(changes, f"replacing {find} by {by}", "Replace")

        self._ask(
            "Search and replace in all captions",
            [
                ("Find", TextField("What to look for.", _not_empty, id="find")),
                ("Replace by", TextField("What takes its place; empty removes it.", id="by")),
                ("Kind", ChoiceField("How it is looked for.", _KINDS, id="kind")),
            ],
            do,
        )

    def action_around(self) -> None:
        """Put texts before and after all captions."""

        def do(values: Mapping[str, str]) -> None:
            texts = self._texts
            changes = with_prefix(texts, values["prefix"])
            changes |= with_suffix({**texts, **changes}, values["suffix"])
            self._offer({n: t for n, t in changes.items() if t != texts[n]}, "texts before and after", "Add")

        self._ask(
            "Before and after every caption",
            [
                ("Before", TextField("Written as it is, with its spaces and commas; e.g. “gollum, ”", id="prefix")),
                ("After", TextField("Written as it is; e.g. “, oil painting”", id="suffix")),
            ],
            do,
        )

    def action_tags(self) -> None:
        """Show tags, and remove one."""
        texts = self._texts

        def chosen(tag: str | None) -> None:
            if tag is not None:
                self._offer(without_tag(self._texts, tag), f"removing {tag}", "Remove")

        self.app.push_screen(TagList(tag_counts(texts), len(texts)), chosen)

    def action_sort(self) -> None:
        """Sort tags."""
        self._offer(sorted_tags(self._texts, by_count=True), "sorting tags", "Sort")


def _not_empty(text: str) -> str:
    return "" if text else "Type what to look for."
