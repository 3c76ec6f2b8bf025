"""The wizard's colours."""

from textual.theme import Theme

THEME = Theme(
    name="hypernet",
    primary="#87afd7",
    secondary="#87afd7",
    accent="#87afd7",
    foreground="#d0d0d0",
    background="#121212",
    surface="#1c1c1c",
    panel="#303030",
    warning="#d7af5f",
    error="#d75f5f",
    success="#87af5f",
    variables={"focused": "#444444"},
)
"""All of these are in the palette of 256 colours, which is what SSH usually leaves. The field with the focus has a
colour of a name of its own: Textual takes no notice of `boost` where `panel` is given."""
