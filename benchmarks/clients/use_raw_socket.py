"""No library at all: a window of finished messages written in a loop, the replies counted. Nothing can be faster, so
this is the ceiling that the sink and the machine set."""

from __future__ import annotations

import socket
import ssl

import job as jobs
from job import SENDER, Job, Watch, content

WINDOW = 64
REPLIES = 3
"""To a message: MAIL, RCPT and BDAT have one line each."""


def rendered(job: Job, watch: Watch) -> None:
    text = content(job.size, 0)
    commands = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@example.org>\r\nBDAT {len(text)} LAST\r\n"
    message = commands.encode() + text
    window = message * WINDOW
    with watch:
        connection = socket.create_connection((job.host, job.port))
        if job.ca_file:
            context = ssl.create_default_context(cafile=job.ca_file)
            connection = context.wrap_socket(connection, server_hostname=job.host)
        connection.recv(1024)
        connection.sendall(b"EHLO localhost\r\n")
        connection.recv(4096)
        to_send, lines_to_hear = job.count, job.count * REPLIES
        while lines_to_hear:
            # Two windows are in flight, so that the sink always has work.
            while to_send and lines_to_hear - to_send * REPLIES < 2 * WINDOW * REPLIES:
                step = min(WINDOW, to_send)
                connection.sendall(window if step == WINDOW else message * step)
                to_send -= step
            lines_to_hear -= connection.recv(65536).count(b"\n")
    connection.sendall(b"QUIT\r\n")
    connection.recv(1024)


if __name__ == "__main__":
    jobs.main({"rendered": rendered})
