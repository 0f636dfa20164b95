"""Postfix's smtp-source, a test generator in C. Its time and CPU time are those of the whole program."""

from __future__ import annotations

import os
import shutil
import subprocess

import job as jobs
from job import SENDER, Job, Watch

PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))


def rendered(job: Job, watch: Watch) -> None:
    program = shutil.which("smtp-source", path=PATH) or "smtp-source"
    options = {
        "-m": job.count,
        "-s": job.connections,
        "-l": job.size,
        "-r": job.recipients,
        "-f": SENDER,
        "-t": job.recipient.format("") if job.recipients == 1 else "user@example.com",
        "-M": "localhost",
    }
    words = [str(word) for pair in options.items() for word in pair]
    with watch:
        subprocess.run([program, "-d", *words, f"inet:{job.host}:{job.port}"], check=True)


if __name__ == "__main__":
    jobs.main({"rendered": rendered, "connections": rendered, "recipients": rendered})
