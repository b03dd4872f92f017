"""`botwatch completion`: the script that a shell needs to complete commands."""

from typing import Annotated, Literal

import typer
from typer._completion_shared import get_completion_script

from botwatch.cli.exit_codes import OK

app = typer.Typer()


@app.command()
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell.")],
) -> int:
    """Print a script that completes commands and options.

    bash: `source <(botwatch completion bash)` in ~/.bashrc; zsh: the same in ~/.zshrc; fish: `botwatch
    completion fish > ~/.config/fish/completions/botwatch.fish`.
    """
    print(get_completion_script(prog_name="botwatch", complete_var="_BOTWATCH_COMPLETE", shell=shell))
    return OK
