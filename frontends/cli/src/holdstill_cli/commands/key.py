"""``holdstill key``: who has a password to a sealed repository."""

from __future__ import annotations

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, Parser, command, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.passwords import GivenPasswords
from holdstill_cli.tables import printable, table


def add(commands: Commands) -> None:
    """The part of the command line."""
    does = "Add, list, change and remove the passwords of a sealed repository."
    parser = commands.add_parser("key", help=does, description=does)
    beneath: Commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands", parser_class=Parser)
    repository_option(
        command(beneath, "list", run_list, does="List the keys.", example="holdstill key list --repo /backup/repo")
    )
    adding = command(
        beneath,
        "add",
        run_add,
        does="Add a password.",
        more="The password in use stays. No data is rewritten.",
        example="holdstill key add --repo /backup/repo --label cellar",
    )
    repository_option(adding)
    _new_password(adding)
    adding.add_argument("--label", metavar="TEXT", default="", help="what the key is called")
    adding.add_argument(
        "--write-only", action="store_true", help="who knows the password can back up, and read nothing"
    )
    changing = command(
        beneath,
        "change",
        run_change,
        does="Put another password in the place of the one in use.",
        more="No data is rewritten.",
        example="holdstill key change --repo /backup/repo",
    )
    repository_option(changing)
    _new_password(changing)
    removing = command(
        beneath,
        "remove",
        run_remove,
        does="Remove a password.",
        more="Neither the one in use nor the last that may read.",
        example="holdstill key remove --repo /backup/repo 3f9ac2d1",
    )
    repository_option(removing)
    removing.add_argument("key", metavar="KEY", help="a key's id, or the beginning of one")


def _new_password(parser: Parser) -> None:
    parser.add_argument(
        "--new-password-file", metavar="FILE", help="the new password is in it (default: $HOLDSTILL_NEW_PASSWORD_FILE)"
    )
    parser.add_argument(
        "--new-password-command",
        metavar="COMMAND",
        help="this command prints it (default: $HOLDSTILL_NEW_PASSWORD_COMMAND)",
    )


def _asked_for(desk: Desk) -> bytes:
    asked = desk.asked
    new = GivenPasswords(
        asked.new_password_file, asked.new_password_command, desk.talk.secret, variable="HOLDSTILL_NEW_PASSWORD"
    )
    return new.new_password(desk.url)


def run_list(desk: Desk) -> ExitCode:
    """Do it."""
    keys = desk.engine.keys.facts(desk.url)
    rows = [
        (
            f"{each.id[:12]}{' *' if each.current else ''}",
            each.made,
            f"write only, {each.signer[:16]}" if each.write_only else "full",
            printable(each.label),
        )
        for each in keys
    ]
    return desk.answer({"keys": keys}, table(("KEY", "MADE", "KIND", "LABEL"), rows))


def run_add(desk: Desk) -> ExitCode:
    """Do it."""
    keys = desk.engine.keys
    key = keys.add(desk.url, _asked_for(desk), desk.asked.label, write_only=desk.asked.write_only)
    return desk.answer({"key": key, "write_only": desk.asked.write_only}, [f"added key {key}"])


def run_change(desk: Desk) -> ExitCode:
    """Do it."""
    key = desk.engine.keys.change(desk.url, _asked_for(desk))
    return desk.answer({"key": key}, [f"changed; the key is {key} from now on"])


def run_remove(desk: Desk) -> ExitCode:
    """Do it."""
    gone = desk.engine.keys.remove(desk.url, desk.asked.key)
    return desk.answer({"key": gone.id}, [f"removed key {gone.id} {printable(gone.label)}".rstrip()])
