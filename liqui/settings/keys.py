"""What is secret: the keys that sign, which are made once when embedded, and the operators' token."""

import os
import secrets
from pathlib import Path

from liqui.settings.reader import Reader

MIN_TOKEN = 16
# Of the secret that signs with it, in characters: as long as the signature (RFC 7518).
JWT_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}


def read_token(reader: Reader) -> str:
    token = reader.text("LIQUI_TOKEN")
    if token and len(token) < MIN_TOKEN:
        # Never the value: it would be in every log.
        reader.report(
            "liqui.E001",
            f"LIQUI_TOKEN has {len(token)} characters; fewer than {MIN_TOKEN} can be guessed.",
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


def read_secret_key(reader: Reader, home: Path, *, embedded: bool) -> str:
    """``SECRET_KEY``, required on a server; when embedded made once and kept in ``home``."""
    key = reader.text("SECRET_KEY")
    if key or not embedded:
        if not key:
            reader.report(
                "liqui.E005",
                "SECRET_KEY is not set; it is required with a database server.",
                "Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
            )
        return key or "unset: liqui.E005 keeps every process from starting with this"
    return kept_secret(reader, home / "secret_key")


def read_jwt_secret(reader: Reader, home: Path, shortest: int, *, embedded: bool) -> str:
    """``JWT_SECRET``, which signs access tokens; required on a server; when embedded made once and kept in ``home``."""
    secret = reader.text("JWT_SECRET")
    if not secret and embedded:
        return kept_secret(reader, home / "jwt_secret")
    if len(secret) < shortest:
        # Never the value: it would be in every log.
        has = f"has {len(secret)} characters" if secret else "is not set; it is required with a database server"
        reader.report(
            "liqui.E009",
            f"JWT_SECRET {has}; {shortest} characters are needed at least.",
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(64))'",
        )
        return "unset: liqui.E009 keeps every process from starting with this"
    return secret


def kept_secret(reader: Reader, path: Path) -> str:
    """The secret in this file, which is made at the first time, for its owner's eyes only."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
    except (OSError, ValueError):
        # It is there already, or `prepare_folders` has said why it cannot be.
        pass
    try:
        key = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        key = ""
        if not reader.problems:
            reader.report("liqui.E006", f"{path} cannot be read: {error}.", "Delete it: a new one will be made.")
    return key or secrets.token_urlsafe(64)
