"""What ``ssh`` says when it ends with 255, in our words.

Its messages are of OpenSSH (sshconnect.c, ssh.c, clientloop.c) in the language C; what is not known here is the end of
a connection, of which nobody knows what was done before it.
"""

from __future__ import annotations

from typing import Final

from holdstill.errors import HostKeyRefused, LoginRefused, MachineError, MachineLost, MachineUnreachable

#: nothing was begun over there when it says one of these
_NO_WAY: Final = (
    "Could not resolve hostname",
    "Connection refused",
    "No route to host",
    "Network is unreachable",
    "Connection timed out",
    "Operation timed out",
    "kex_exchange_identification",
    "Connection timed out during banner exchange",
    "Bad configuration option",
    "no matching ",
    "Bad owner or permissions",
    "Can't open user config file",
)
#: it was connected when it said one of these, whatever it says was the cause (packet.c, clientloop.c)
_ON_THE_WAY: Final = ("Read from remote host", "client_loop: ", "ssh_packet_", "ssh_dispatch_run_fatal")


def of_ssh(url: str, said: str) -> MachineError:
    """The error for this end of ``ssh``; ``said`` is what it wrote on standard error."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return HostKeyRefused(
            "its host key is another one than is known here: it is another machine, or somebody is between",
            subject=url,
            next_step="ask whoever runs it; if its key was changed: ssh-keygen -R HOST, and make the new one known",
        )
    if "Host key verification failed" in said or "host key is known for" in said:
        return HostKeyRefused(
            "its host key is not known here",
            subject=url,
            next_step="log in once by hand (ssh HOST) and compare the fingerprint, or put the key into known_hosts",
        )
    if "Permission denied (" in said or "Too many authentication failures" in said:
        return LoginRefused(
            f"it does not let us in: {last}",
            subject=url,
            next_step="see to it that `ssh -o BatchMode=yes HOST true` works: by a key, without a question",
        )
    if any(each in said for each in _NO_WAY) and not any(each in said for each in _ON_THE_WAY):
        return MachineUnreachable(
            f"it cannot be reached: {last}", subject=url, next_step="try `ssh HOST`; is the name right, does it listen?"
        )
    return MachineLost(
        f"the connection ended ({last}); whether what was asked was done there is not known",
        subject=url,
        next_step="try again when it can be reached; `holdstill recover` looks after what may be held there",
    )
