"""Every key of the wizard: the action's id, what it is called and what it does; users may give it another key.

Ids read SCREEN.ACTION. `keys.toml` in the configuration folder maps ids to keys, e.g. `"train.pause" = "f5"`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding, BindingType

from trainer.errors import AppError
from trainer.text import nearest, printable


@dataclass(frozen=True)
class Key:
    """One action and the keys that do it."""

    id: str
    keys: str
    """Textual's names, separated by commas; the first one is shown."""
    description: str
    """What the last line of a screen says."""
    tooltip: str
    """What help and the palette say."""

    @property
    def action(self) -> str:
        """The part of the id that names the method `action_*`."""
        return self.id.rpartition(".")[2].replace("-", "_")


KEYS = (
    Key("app.help", "f1,question_mark", "help", "Say what this screen is for and what its keys do"),
    Key("app.commands", "ctrl+p", "commands", "Search all that can be done here by name"),
    Key("app.doctor", "f2", "doctor", "Look at this machine: card, driver, torch, disk, terminal, logout, models"),
    Key("app.leave", "ctrl+q,q", "leave", "Leave the wizard; runs go on without it"),
    Key("home.open", "enter", "open", "Go on with the project where it was left, or attach to the run"),
    Key("home.new", "n", "new project", "Begin a project: pictures, base model, settings, training"),
    Key("home.steps", "e", "steps", "Walk through the steps of the project again: folders, crop, captions, settings"),
    Key("home.train", "t", "train", "Start training the project with its settings (asks first)"),
    Key("home.demo", "d", "demo", "Train a small network on the embedded demo model, as a first try"),
    Key("home.filter", "slash", "find", "Show only names that hold what you type; Esc shows all again"),
    Key("step.next", "ctrl+n", "next", "Keep the answers and go on to the next step"),
    Key("step.back", "escape", "back", "Back to the step before, from the first one to the projects; nothing is lost"),
    Key("folders.browse", "ctrl+o", "browse", "Choose a folder or a model by walking through the folders"),
    Key("folders.empty", "ctrl+r", "empty", "Forget what was typed here, and begin with empty fields"),
    Key("folders.copy", "ctrl+y", "copy line", "Copy the line that brings pictures here, for the other computer"),
    Key("settings.save-preset", "ctrl+s", "preset", "Save the settings as a preset of your own"),
    Key("settings.fit", "ctrl+r", "fit", "Take the first way to compute it that fits into the free memory"),
    Key("review.copy", "ctrl+y", "copy command", "Copy the command line that starts the same run"),
    Key("browse.open", "enter,right", "open", "Go into the chosen folder"),
    Key("browse.choose", "space", "choose", "Take this folder"),
    Key("browse.parent", "left,backspace", "up", "Go to the folder above"),
    Key("browse.filter", "slash", "find", "Show only names that hold what you type; Esc shows all again"),
    Key("browse.hidden", "full_stop", "hidden", "Show names that begin with a dot, or hide them again"),
    Key("crop.left", "left", "left", "Move the frame to the left"),
    Key("crop.right", "right", "right", "Move the frame to the right"),
    Key("crop.up", "up", "up", "Move the frame up, while the picture has the focus (Tab)"),
    Key("crop.down", "down", "down", "Move the frame down, while the picture has the focus (Tab)"),
    Key("crop.left_fine", "shift+left,H", "a little left", "Move the frame a little to the left"),
    Key("crop.right_fine", "shift+right,L", "a little right", "Move the frame a little to the right"),
    Key("crop.up_fine", "shift+up,K", "a little up", "Move the frame a little up"),
    Key("crop.down_fine", "shift+down,J", "a little down", "Move the frame a little down"),
    Key("crop.closer", "plus,equals_sign", "closer", "Make the frame smaller, so that the subject is larger"),
    Key("crop.wider", "minus", "wider", "Make the frame larger"),
    Key("crop.later", "j,pagedown", "next picture", "Choose the next picture"),
    Key("crop.earlier", "k,pageup", "picture before", "Choose the picture before"),
    Key("crop.center", "c", "centre", "Put this picture's frame into the middle"),
    Key("crop.focal", "f", "focal point", "Put this picture's frame where most is to be seen"),
    Key("crop.face", "a", "face", "Put this picture's frame around the faces on it"),
    Key("crop.reset", "r", "as all", "Frame this picture as all others are framed"),
    Key("crop.same", "s", "all like this", "Frame all pictures by this one's mode; frames made by hand stay"),
    Key("crop.flip", "m", "mirror", "Add a mirrored copy of every picture, or no longer"),
    Key("crop.leave_out", "x,space", "leave out", "Leave this picture out, or take it back; no file is touched"),
    Key("crop.undo", "u", "undo", "Take the last change back"),
    Key("crop.options", "o", "options", "Size, shape and framing of all pictures"),
    Key("crop.report", "i", "findings", "Read all that was found on the pictures, and what is advised"),
    Key("crop.filter", "slash", "find", "Show only pictures whose line holds what you type; Esc shows all again"),
    Key("crop.cancel", "t", "stop the work", "Stop looking at or cropping pictures; what is done stays done"),
    Key("crop.accept", "enter", "accept", "From the list to the frame, from there to the next step"),
    Key(
        "caption.edit",
        "e",
        "edit",
        "Edit this picture's caption; Esc leaves it, Page Up and Down change the picture",
    ),
    Key("caption.write", "w", "write captions", "Choose where captions come from, and have them written"),
    Key("caption.replace", "r", "replace", "Search and replace in all captions, with a look at what changes"),
    Key("caption.around", "b", "before, after", "Put a text before or after every caption"),
    Key("caption.tags", "g", "tags", "See how often each tag is used, and remove one everywhere"),
    Key("caption.sort", "s", "sort tags", "Sort each caption's tags, the most frequent first, and drop repeated ones"),
    Key("caption.undo", "u", "undo", "Take the last change of captions back, whether made here or by a captioner"),
    Key("caption.report", "i", "findings", "Read all that is remarkable about the captions"),
    Key("caption.filter", "slash", "find", "Show only pictures whose line holds what you type; Esc shows all again"),
    Key("caption.cancel", "t", "stop the work", "Stop writing captions; those written stay, and the rest can follow"),
    Key("caption.accept", "enter", "accept", "Go on to the next step"),
    Key("tags.remove", "x,delete", "remove", "Remove the chosen tag from every caption (asks first)"),
    Key("train.pause", "p", "pause", "Pause after the present step, keeping all loaded; again to go on"),
    Key("train.save", "s", "save", "Save a checkpoint now"),
    Key("train.preview", "v", "preview", "Draw a preview now"),
    Key("train.edit", "e", "edit", "Change the learning rate or the preview prompt while it runs"),
    Key("train.stop", "x", "stop", "Save and stop the run (asks first); r goes on later"),
    Key("train.resume", "r", "resume", "Go on with a run that stopped, failed or was lost"),
    Key("train.answer", "a", "answer", "Answer what the run asks"),
    Key("train.log", "l", "log", "Read the whole story of the run and what its worker printed"),
    Key("train.earlier", "left", "earlier preview", "Look at the preview before this one"),
    Key("train.later", "right", "later preview", "Look at the next preview; after the last the newest follows"),
    Key("train.freeze", "space", "freeze", "Freeze the display or let it go on; the run is not touched"),
    Key("train.back", "escape", "back", "Back to the projects; the run goes on"),
    Key("train.results", "u", "results", "Look at what came of the run, and use it: compare, try, rewind, install"),
    Key("results.earlier", "left", "earlier step", "Choose the step before"),
    Key("results.later", "right", "later step", "Choose the next step"),
    Key("results.best", "b", "best", "Choose the best step"),
    Key("results.compare", "c", "compare", "Keep this step on the right and look at others beside it; again to end"),
    Key("results.stronger", "plus,equals_sign", "stronger", "Raise the strength of the tag and of what is tried"),
    Key("results.weaker", "minus", "weaker", "Lower the strength of the tag and of what is tried"),
    Key("results.try", "t", "try a prompt", "Draw a prompt with this step, here; arrows and + - draw it anew"),
    Key(
        "results.grid", "g", "grid", "Draw one prompt by several steps at several strengths, and take the best picture"
    ),
    Key(
        "results.rewind",
        "r",
        "rewind",
        "Go back to this step and on from there in a new run, with a lower rate, say",
    ),
    Key("results.install", "i", "install", "Put this step into A1111 or ComfyUI and copy its tag"),
    Key("results.export", "e", "export", "Write this step as a LoRA or as merged weights, for other programs"),
    Key("results.report", "o", "report", "Write the run's report, one page with everything in it, and say where it is"),
    Key("results.copy-tag", "y", "copy tag", "Copy the tag that switches the network on in a prompt"),
    Key(
        "results.fetch",
        "f",
        "copy scp line",
        "Copy the line that fetches this checkpoint to the other computer, named as in the tag",
    ),
    Key("results.log", "l", "log", "Read the whole story of the run and what its worker printed"),
    Key("results.back", "escape", "back", "Back to where you came from"),
    Key("grid.earlier", "left", "earlier", "Look at the same strength of the step before"),
    Key("grid.later", "right", "later", "Look at the same strength of the next step"),
    Key("grid.stronger", "up", "stronger", "Look at the same step at the next higher strength"),
    Key("grid.weaker", "down", "weaker", "Look at the same step at the next lower strength"),
    Key(
        "grid.take",
        "enter",
        "take",
        "Mark this picture as the best; the results go on with its step and strength",
    ),
    Key("grid.new", "n", "new grid", "Choose steps, strengths and a prompt, and have them drawn"),
    Key("grid.cancel", "t", "stop the work", "Stop drawing; what is drawn stays, and the rest can follow"),
    Key("grid.back", "escape", "back", "Back to the results; the drawing goes on"),
    Key("recover.accept", "enter", "go on", "Go on in the chosen way"),
    Key("recover.log", "l", "log", "Read the whole story of the run and what its worker printed"),
    Key("recover.back", "escape", "back", "Back to the run; the question stays open"),
    Key("log.worker", "w", "worker's output", "Change between the run's story and what its worker printed"),
    Key("log.back", "escape,l", "back", "Back to the run"),
    Key("doctor.again", "r", "look again", "Look at the machine once more"),
    Key("doctor.back", "escape", "back", "Close the doctor"),
    Key("dialog.yes", "y", "yes", "Do it"),
    Key("dialog.no", "n,escape", "no", "Leave everything as it is"),
    Key("dialog.close", "escape,enter", "close", "Close this"),
    Key("dialog.accept", "ctrl+n", "accept", "Take over what is written here"),
    Key("dialog.cancel", "escape", "cancel", "Close without changing anything"),
)
"""All actions, in the order of help and palette."""

_STEP_SCREENS = ("folders", "crop", "caption", "settings", "review")
_BY_ID = {key.id: key for key in KEYS}
_NAMES = {
    "question_mark": "?", "slash": "/", "escape": "Esc", "enter": "Enter", "space": "Space",
    "left": "Left", "right": "Right", "up": "Up", "down": "Down", "tab": "Tab", "delete": "Delete",
    "plus": "+", "minus": "-", "equals_sign": "=", "full_stop": ".",
}  # fmt: skip
_LONG_NAMES = {name: key for key, name in _NAMES.items() if len(name) == 1}
_own_keys: dict[str, str] = {}


def bindings(*ids: str) -> list[BindingType]:
    """Return the bindings of actions."""
    return [_binding(_BY_ID[id_]) for id_ in ids]


def _binding(key: Key) -> Binding:
    return Binding(key.keys, key.action, key.description, show=False, tooltip=key.tooltip, id=key.id)


def key_of(id_: str) -> Key:
    """Return the action with an id."""
    return _BY_ID[id_]


def key_name(key: str) -> str:
    """Return a key as people write it: "Ctrl+Q", "F1", "/"."""
    *modifiers, plain = key.split("+")
    name = _NAMES.get(plain, plain.upper() if modifiers or (plain[0] == "f" and plain[1:].isdigit()) else plain)
    return "+".join([*(modifier.capitalize() for modifier in modifiers), name])


def use_keymap(keymap: Mapping[str, str]) -> None:
    """Let what is said of keys name the user's own."""
    _own_keys.clear()
    _own_keys.update(keymap)


def key_for(id_: str) -> str:
    """Return the first key of an action as people write it, the user's own where there is one."""
    return key_name(_keys_of(id_, _own_keys)[0])


def keymap_path() -> Path:
    """Return where the user's own keys belong."""
    from platformdirs import user_config_path

    return user_config_path("hypernet-wizard") / "keys.toml"


def read_keymap(path: Path) -> tuple[dict[str, str], AppError | None]:
    """Return the user's own keys by action id, none when there is no file, and what is wrong with those left out."""
    try:
        if not path.exists():
            return {}, None
        import tomllib  # takes longer than anything else here

        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        told = f"{printable(path)}: {printable(error)}."
        return {}, AppError("Unusable keys", told, "The usual keys are used.")
    problems = {id_: problem for id_, keys in tree.items() if (problem := _problem(id_, keys))}
    keymap = {id_: keys for id_, keys in tree.items() if id_ not in problems}
    # The one left out has its usual key again, which may be another's own.
    while clash := _first_clash(keymap):
        id_, other, key = clash
        problems[id_] = (
            f'"{id_}" ({_BY_ID[id_].description}) can\'t have {key_name(key)}: '
            f'"{other}" ({_BY_ID[other].description}) has it.'
        )
        del keymap[id_]
    if not problems:
        return keymap, None
    hint = 'Lines read "train.pause" = "f5". What is named here has its usual key; all other lines hold.'
    return keymap, AppError("Unusable keys", "\n".join([f"{printable(path)}:", *problems.values()]), hint)


def _problem(id_: str, keys: object) -> str:
    if id_ not in _BY_ID:
        return f'There is no action "{printable(id_, 60)}".{nearest(id_, _BY_ID)}'
    return "" if isinstance(keys, str) and keys.strip(" ,") else f'"{id_}" needs a key in quotes.'


def _first_clash(keymap: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return an action with an own key, another one on the same screen that has it too, and the key."""
    for id_ in reversed(list(keymap)):
        for other in _BY_ID:
            if other != id_ and _meet(id_, other):
                shared = set(_keys_of(id_, {})) & set(_keys_of(other, {}))
                for key in _keys_of(id_, keymap):
                    if key in _keys_of(other, keymap) and key not in shared:
                        return id_, other, key
    return None


def _meet(*ids: str) -> bool:
    """Tell whether two actions can be had on one screen."""
    screens = {id_.partition(".")[0] for id_ in ids}
    return len(screens) == 1 or "app" in screens or ("step" in screens and not screens.isdisjoint(_STEP_SCREENS))


def _keys_of(id_: str, keymap: Mapping[str, str]) -> list[str]:
    keys = (key.strip() for key in keymap.get(id_, _BY_ID[id_].keys).split(","))
    return [_LONG_NAMES.get(key, key) for key in keys if key]
