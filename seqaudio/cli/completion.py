"""Print a script for tab completion of commands, names, options and their values, in bash, zsh or fish.

Example: seqaudio completion bash > ~/.local/share/bash-completion/completions/seqaudio
Example: eval "$(seqaudio completion zsh)"                 in ~/.zshrc; bash takes the same line in ~/.bashrc
Example: seqaudio completion fish > ~/.config/fish/completions/seqaudio.fish
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from seqaudio.cli.main import COMMANDS, SCRIPTS
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.option_groups import flat_fields, is_nested
from seqaudio.registry import Registry

SHARED = ("--use", "--quiet", "--debug", "--help")  # options of every command
BASH = """# {shell} completion of seqaudio; made by `seqaudio completion {shell}`
{head}_seqaudio() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words="" values="" names=""
  case "$COMP_CWORD:${{COMP_WORDS[1]}}:${{COMP_WORDS[2]}}" in
    1:*) names="{commands}" ;;
{cases}
  esac
  if [ -n "$values" ]; then COMPREPLY=( $(compgen -W "$values" -- "$word") ); return; fi
  if [ -n "$names" ] && [[ "$word" != -* ]]; then COMPREPLY=( $(compgen -W "$names" -- "$word") ); return; fi
  COMPREPLY=( $(compgen -W "$words" -- "$word") )
  [[ "$word" == -* ]] || COMPREPLY+=( $(compgen -f -- "$word") )
}}
complete -o filenames -F _seqaudio seqaudio
"""
ZSH = """(( $+functions[compdef] )) || { autoload -U +X compinit && compinit -i }
autoload -U +X bashcompinit && bashcompinit
"""
FISH = """# fish completion of seqaudio; made by `seqaudio completion fish`
function __seqaudio_after
    set -l words (commandline -opc)
    set -l given (count $argv)
    test (count $words) -gt $given; or return 1
    set -l last (math $given + 1)
    test "$words[2..$last]" = "$argv"
end
complete -c seqaudio -n 'test (count (commandline -opc)) -eq 1' -f
{lines}
"""


@dataclass(frozen=True)
class Config:
    """The shell."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]] = "bash"  # which shell


@dataclass(frozen=True)
class Command:
    """A command, its options with their values where these are known, and the names that may follow it."""

    words: tuple[str, ...]  # such as ("train", "forecasting")
    options: dict[str, tuple[str, ...] | None]  # values of each; (): unknown values; None: it takes no value
    names: tuple[str, ...] = ()


def main(config: Config) -> None:
    """Print the completion script, to be saved where the shell looks for it, or to be evaluated with `eval`."""
    print(script(config.shell), end="")


def script(shell: str) -> str:
    """The text of the completion script."""
    commands = list(all_commands())
    if shell == "fish":
        return FISH.format(lines="\n".join(line for command in commands for line in _fish(command)))
    head = ZSH if shell == "zsh" else ""
    cases = "\n".join(_bash(command) for command in commands)
    return BASH.format(shell=shell, head=head, commands=" ".join(SCRIPTS | COMMANDS), cases=cases)


def all_commands() -> Iterator[Command]:
    """Every command, those with the longest words first."""
    for name, scripts in (("prepare", preparations()), ("train", recipes("train.py"))):
        for own, path in scripts.items():
            yield Command((name, own), options(load(path)))
        yield Command((name,), {}, tuple(scripts))
    evaluations: dict[str, tuple[str, ...] | None] = {}
    for path in recipes("evaluate.py").values():
        evaluations |= options(load(path))
    yield Command(("evaluate",), evaluations)
    for name in COMMANDS:
        names = {"completion": get_args(Literal["bash", "zsh", "fish"]), "sweep": tuple(recipes("train.py"))}
        yield Command((name,), options(import_module(f"seqaudio.cli.{name}")), names.get(name, ()))


def options(module: ModuleType) -> dict[str, tuple[str, ...] | None]:
    """The options of a command with their values. The shell completes positional arguments as files."""
    hints = _hints(module.Config)
    found: dict[str, tuple[str, ...] | None] = {}
    for field in flat_fields(module.Config).values():
        if "Positional" in str(field.type):
            continue
        flag = hints[field.name] is bool
        name = f"--{'no-' * (field.default is True)}{field.name.replace('_', '-')}"
        found[name] = None if flag else _values(field.name, hints[field.name])
    return found | {option: () if option == "--use" else None for option in SHARED}


def _hints(config: Any) -> dict[str, Any]:
    found = get_type_hints(config)
    for field in dataclasses.fields(config):
        if is_nested(field):
            found |= _hints(field.default_factory)
    return found


def _values(name: str, hint: Any) -> tuple[str, ...]:
    """The values of an option: those of its type, or the names in the registry that it takes them from."""
    if get_origin(hint) is Literal:
        return tuple(str(value) for value in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType, tuple):
        inner = [_values(name, part) for part in get_args(hint) if part not in (type(None), ...)]
        return tuple(dict.fromkeys(value for values in inner for value in values))
    if hint is not str:
        return ()
    from seqaudio.batching import MEMORY_TASKS
    from seqaudio.cells import CELLS, INITIALISATIONS
    from seqaudio.features import PRESETS
    from seqaudio.tokens import REPRESENTATIONS

    registries: dict[str, Registry[Any]] = {
        "cell": CELLS, "initialisation": INITIALISATIONS, "features": PRESETS, "representation": REPRESENTATIONS,
        "task": MEMORY_TASKS,
    }  # fmt: skip
    return tuple(registries[name]) if name in registries else ()


def _bash(command: Command) -> str:
    first, second = (*command.words, "*")[:2]
    place = "2" if command.names else "*"
    names = f' names="{" ".join(command.names)}";' if command.names else ""
    values = "".join(f' {option}) values="{" ".join(known)}" ;;' for option, known in command.options.items() if known)
    chosen = f' case "$before" in{values} esac' if values else ""
    return f'    {place}:{first}:{second}) words="{" ".join(command.options)}";{names}{chosen} ;;'


def _fish(command: Command) -> Iterator[str]:
    if len(command.words) == 1:
        what = (SCRIPTS | COMMANDS)[command.words[0]].replace("'", "\\'")
        yield f"complete -c seqaudio -n 'test (count (commandline -opc)) -eq 1' -a {command.words[0]} -d '{what}'"
    after = f"-n '__seqaudio_after {' '.join(command.words)}'"
    if command.names:
        exact = f"-n '__seqaudio_after {' '.join(command.words)}; and test (count (commandline -opc)) -eq 2'"
        yield f"complete -c seqaudio {exact} -f -a '{' '.join(command.names)}'"
    for option, values in command.options.items():
        known = f" -x -a '{' '.join(values)}'" if values else "" if values is None else " -r"
        yield f"complete -c seqaudio {after} -l {option.removeprefix('--')}{known}"
