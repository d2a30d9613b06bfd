"""Debian packages: what is missing, and installing it where we may (as root or with sudo that asks nothing)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

# policy-rc.d keeps the servers that come with a package from being started by its installation.
INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\\nexit 101\\n' >$policy
    chmod 755 $policy
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
"""


class PackagesMissing(Exception):
    """Something must be installed and we may not, or could not, do it ourselves."""


def elevation() -> list[str] | None:
    """The prefix that makes a command run as root: nothing, sudo, or None when we may not."""
    if os.geteuid() == 0:
        return []
    asks_nothing = shutil.which("sudo") and not subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode
    return ["sudo", "-n"] if asks_nothing else None


def install(packages: Sequence[str], why: str) -> None:
    """Install Debian ``packages``. Raises `PackagesMissing` with a line that says what to do instead."""
    by_hand = f"{why}; install it: sudo apt-get install {' '.join(packages)}"
    prefix = elevation()
    if prefix is None or not shutil.which("apt-get"):
        raise PackagesMissing(by_hand)
    print(f"liqui: {why}; installing {' '.join(packages)}", file=sys.stderr, flush=True)
    command = [*prefix, "sh", "-c", INSTALL, "sh", *packages]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise PackagesMissing(f"apt-get could not install {' '.join(packages)} ({why})")
