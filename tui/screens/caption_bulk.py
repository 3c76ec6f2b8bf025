"""The keys that change many captions at once; each shows first what would change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from textual import on
from textual.message import Message

from trainer.captions.edit import replaced, sorted_tags, tag_counts, with_prefix, with_suffix, without_tag
from trainer.captions.patterns import problem_of
from tui.screens.caption_work import CaptionWork
from tui.widgets.fields import Choice, ChoiceField, TextField
from tui.widgets.form_dialog import FormDialog
from tui.widgets.tag_list import TagList

_KINDS = (
    Choice("plain", "plain", "Find exactly this text."),
    Choice("regex", "regular expression", r"Groups are \1, \2, … in the replacement."),
)


class BulkActions(CaptionWork):
    """Actions on all captions that there are; what takes long for thousands is done in a thread."""

    @dataclass
    class _Proposed(Message):
        """It is known what would change."""

        texts: Mapping[str, str]
        changes: Mapping[str, str]
        what: str
        yes: str

    @dataclass
    class _Counted(Message):
        """The tags were counted."""

        counts: list[tuple[str, int]]
        total: int

    def _propose(self, make: Callable[[Mapping[str, str]], dict[str, str]], what: str, yes: str) -> None:
        """Find out what would change, then offer it.

        Args:
            make: From all captions to those that change.
            what: The change, as a phrase.
            yes: What to press for it.
        """

        def work() -> None:
            texts = self._texts
            try:
                changes = make(texts)
            finally:
                self._is_looking = False
            self.post_message(self._Proposed(texts, changes, what, yes))

        self._is_looking = True
        self.in_background(work, f"looking what would change by {what}", "propose")

    @on(_Proposed)
    def offer_proposed(self, event: _Proposed) -> None:
        """Offer what would change, but for captions that were changed meanwhile."""
        self.say_help()
        now = self._texts
        same = {name: text for name, text in event.changes.items() if now.get(name) == event.texts[name]}
        self._offer(same, event.what, event.yes)

    def _ask(
        self, title: str, rows: list[tuple[str, TextField | ChoiceField]], do: Callable[[dict[str, str]], None]
    ) -> None:
        def accepted(values: dict[str, str] | None) -> None:
            if values is not None:
                do(values)

        self.app.push_screen(FormDialog(title, rows), accepted)

    def action_replace(self) -> None:
        """Search and replace."""

        def do(values: Mapping[str, str]) -> None:
            find, by, is_regex = values["find"], values["by"], values["kind"] == "regex"
            what = f"replacing {find} by {by}"
            self._propose(lambda texts: replaced(texts, find, by, regex=is_regex), what, "Replace")

        def find_problem(text: str) -> str:
            problem = problem_of(text) if kind.value == "regex" else ""
            return f"Not a regular expression, {problem}." if problem else _not_empty(text)

        def by_problem(text: str) -> str:
            is_regex = kind.value == "regex" and not problem_of(find.meant)
            problem = problem_of(find.meant, text) if is_regex else ""
            return f"Not a replacement: {problem}." if problem else ""

        find = TextField("What to look for.", find_problem, id="find")
        by = TextField("What takes its place; empty removes it.", by_problem, id="by")
        kind = ChoiceField("How it is looked for.", _KINDS, id="kind")
        self._ask("Search and replace in all captions", [("Find", find), ("Replace by", by), ("Kind", kind)], do)

    def action_around(self) -> None:
        """Put texts before and after all captions."""

        def do(values: Mapping[str, str]) -> None:
            before, after = values["prefix"], values["suffix"]
            self._propose(lambda texts: _around(texts, before, after), "texts before and after", "Add")

        self._ask(
            "Before and after every caption",
            [
                ("Before", TextField("A space follows it; e.g. “a photo of” or “gollum,”", id="prefix")),
                (
                    "After",
                    TextField("A space goes before it, except before a comma; e.g. “, oil”", id="suffix"),
                ),
            ],
            do,
        )

    def action_tags(self) -> None:
        """Show tags, and remove one."""

        def work() -> None:
            texts = self._texts
            self.post_message(self._Counted(tag_counts(texts), len(texts)))

        self.in_background(work, "counting tags", "propose")

    @on(_Counted)
    def show_tags(self, event: _Counted) -> None:
        """Show the tags."""

        def chosen(tag: str | None) -> None:
            if tag is not None:
                self._propose(lambda texts: without_tag(texts, tag), f"removing {tag}", "Remove")

        self.app.push_screen(TagList(event.counts, event.total), chosen)

    def action_sort(self) -> None:
        """Sort tags."""
        self._propose(lambda texts: sorted_tags(texts, by_count=True), "sorting tags", "Sort")


def _around(texts: Mapping[str, str], before: str, after: str) -> dict[str, str]:
    """Return the captions that change when texts are put before and after all; one space separates words."""
    prefix = f"{before.rstrip()} " if before.strip() else ""
    suffix = after if after[:1] in (" ", *",.;:!?") else f" {after}"
    changes = with_prefix(texts, prefix)
    changes |= with_suffix({**texts, **changes}, suffix if after.strip() else "")
    return {name: text for name, text in changes.items() if text != texts[name]}


def _not_empty(text: str) -> str:
    return "" if text else "Type what to look for."
