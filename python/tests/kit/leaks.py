"""URIs whose password may leak into an error message."""

# The password is hunter2, in some URIs with characters before or inside it that URI syntax splits on.
LEAKS = [
    "postgresql://ana:hunter2@127.0.0.1:1/db",
    "postgresql://ana@127.0.0.1:1/db?password=hunter2",
    "postgresql://ana:hunter2@127.0.0.1:1/db?sslmode=never",
    "postgresql://ana:hunter2@127.0.0.1:1/db?passwort=hunter2",
    "postgresql://ana@127.0.0.1:1/db?passwd=hunter2",
    "postgresql://ana:hun@ter2@127.0.0.1:1/db",
    "postgresql://ana:hun/ter2@127.0.0.1:1/db",
    "postgresql://ana:hun?ter2@127.0.0.1:1/db",
    "postgresql://ana:hunter2?x=y@127.0.0.1:1/db",
    "postgresql://ana:123?hunter2=x@127.0.0.1:1/db",
    "postgresql://ana:1/x?hunter2=x@127.0.0.1:1/db",
    "postgresql://ana:hunter2#@127.0.0.1:1/db",
    "postgresql://ana:%ffhunter2@127.0.0.1:1/db",
    "postgresql://ana:hunter2@127.0.0.1:no/db",
    "postgresql://ana:hunter2@[::1/db",
    "postgresql://ana:hunter2",
    "ana:hunter2@127.0.0.1/db",
    "ana:hunter2@postgresql://127.0.0.1/db",
    "psql:ana:hunter2@127.0.0.1/db",
    "oracle://ana:hunter2@127.0.0.1/db",
    "mssql://ana:hunter2@127.0.0.1/db",
]
