"""Print a script for tab completion of commands, names and options, in bash or zsh.

Example: seqaudio completion bash > ~/.local/share/bash-completion/completions/seqaudio
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

import tyro

from seqaudio.cli.main import COMMANDS, SCRIPTS
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.option_groups import flat_fields

SHARED = ("--use", "--quiet", "--debug", "--help")  # options of every command
SCRIPT = """# {shell} completion of seqaudio; made by `seqaudio completion {shell}`
{head}_seqaudio() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  case "$COMP_CWORD:${{COMP_WORDS[1]}}:${{COMP_WORDS[2]}}" in
    1:*) words="{commands}" ;;
{cases}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$word") )
  [ -n "$words" ] && [[ "$word" == -* || "$COMP_CWORD" == 1 ]] || COMPREPLY+=( $(compgen -f -- "$word") )
}}
complete -o filenames -F _seqaudio seqaudio
"""


@dataclass(frozen=True)
class Config:
    """The shell."""

    shell: tyro.conf.Positional[Literal["bash", "zsh"]] = "bash"  # which shell


def main(config: Config) -> None:
    """Print the completion script, to be saved where the shell looks for it, or to be evaluated with `eval`."""
    print(script(config.shell), end="")


def script(shell: str) -> str:
    """The text of the completion script."""
    cases = []
    for command, scripts in (("prepare", preparations()), ("train", recipes("train.py"))):
        cases.append(f'    2:{command}:*) words="{" ".join(scripts)}" ;;')
        for name, path in scripts.items():
            cases.append(f'    *:{command}:{name}) words="{options(load(path))}" ;;')
    cases.append(f'    *:evaluate:*) words="{" ".join(("--run --store --split", *SHARED))}" ;;')
    modules = {command: import_module(f"seqaudio.cli.{command}") for command in COMMANDS}
    cases += [f'    *:{command}:*) words="{options(module)}" ;;' for command, module in modules.items()]
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return SCRIPT.format(shell=shell, head=head, commands=" ".join(SCRIPTS | COMMANDS), cases="\n".join(cases))


def options(module: ModuleType) -> str:
    """The options of a command as one string. Positional arguments are left out: the shell completes them as files."""
    named = [field for field in flat_fields(module.Config).values() if "Positional" not in str(field.type)]
    words = [f"--{'no-' * (field.default is True)}{field.name.replace('_', '-')}" for field in named]
    return " ".join((*words, *SHARED))
