"""What the numbers were measured on."""

import os
import platform
import time
from pathlib import Path

import django


def available_bytes() -> int:
    """Memory that programs can still have."""
    return memory_kib("MemAvailable") * 1024


def memory_kib(name: str) -> int:
    """A value of /proc/meminfo; 0 where there is none."""
    return int(proc_value(Path("/proc/meminfo"), name).removesuffix(" kB") or 0)


def proc_value(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    values = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in values if key.strip() == name), "")


def load() -> float:
    """Programs that wanted to run in the last minute, on average: ours and all others."""
    return os.getloadavg()[0]


def description(database: str = "") -> str:
    """Machine, date and versions in one line; ``database`` is the server's version, where there is one."""
    model = proc_value(Path("/proc/cpuinfo"), "model name") or platform.machine()
    memory = memory_kib("MemTotal") / (1 << 20)
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB; {time.strftime('%Y-%m-%d', time.gmtime())}; "
        f"Python {platform.python_version()}, Django {django.get_version()}"
        f"{f', {database_name(database)}' if database else ''}"
    )


def database_name(version: str) -> str:
    """ "10.11.6-MariaDB-0+deb12u1" → "MariaDB 10.11.6"."""
    name = "MariaDB" if "MariaDB" in version else "MySQL"
    return f"{name} {version.partition('-')[0]}"
