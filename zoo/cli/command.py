"""Commands and groups whose help rich-click draws; rich-click is imported when help is asked for, and not before."""

from __future__ import annotations

from typing import Any

import click

from zoo.errors import UnknownNameError, ZooError


class Command(click.Command):
    """A command; `section` is the panel of its group's help that lists it."""

    def __init__(self, *args: Any, section: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raises ZooError for an option of it that is written as a setting (`device=cpu`)."""
        for setting in ctx.params.get("overrides", ()):
            key, _, value = setting.partition("=")
            option = next((p for p in self.params if f"--{key}" in p.opts), None)
            if option is not None and key != "data":  # which is a block of recipes as well
                raise ZooError(
                    f"{key} is an option of {ctx.command_path}, not a setting", hint=f"--{key} {value}".strip()
                )
        return super().invoke(ctx)

    def get_help(self, ctx: click.Context) -> str:
        return rich_help(self, ctx)


class Group(click.Group):
    """A group whose commands keep their order, and that answers an unknown one with the nearest names."""

    command_class = Command

    def get_help(self, ctx: click.Context) -> str:
        return rich_help(self, ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing and not name.startswith("-"):
            group = "" if ctx.parent is None else f"{self.name} "
            raise UnknownNameError(f"{group}command", name, self.commands, hint=f"{ctx.command_path} --help")
        return super().resolve_command(ctx, args)


def rich_help(command: click.Command, ctx: click.Context) -> str:
    """Return the help of a command as rich-click draws it for one of its own with the same parameters and commands."""
    import rich_click

    described: dict[str, Any] = {"name": command.name, "params": command.params, "help": command.help}
    twin: rich_click.RichCommand
    if isinstance(command, click.Group):
        commands: dict[str, click.Command] = {
            name: rich_click.RichCommand(name=name, help=each.help, panel=getattr(each, "section", None))
            for name, each in command.commands.items()
        }
        twin = rich_click.RichGroup(
            commands=commands, invoke_without_command=command.invoke_without_command, **described
        )
        twin.list_commands = lambda ctx: list(commands)  # type: ignore[method-assign]  # in order, not by the alphabet
    else:
        twin = rich_click.RichCommand(**described)
    names = ctx.help_option_names
    return rich_click.RichContext(twin, info_name=ctx.info_name, parent=ctx.parent, help_option_names=names).get_help()
