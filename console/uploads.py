"""Files that operators upload: streamed to LIQUI_HOME/uploads under names of ours, and removed after a day."""

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile

MEGABYTE = 1 << 20
KEPT_FREE_BYTES = 256 * MEGABYTE  # of the disk, as the collector's spool does
KEPT_SECONDS = 86_400


def uploads_folder() -> Path:
    return settings.LIQUI_HOME / "uploads"


class Upload(UploadedFile):
    """An uploaded file on the disk. ``name`` is what the uploader called it: for showing, never for opening."""

    def __init__(self, path: Path, name: str, size: int) -> None:
        super().__init__(name=name, size=size)
        self.path = path


class ToUploads(FileUploadHandler):
    """Writes files as they come, without memory for them; ``refusal`` says why one was not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal = ""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        folder = uploads_folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self.file: Any = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.size += len(raw_data)
        if self.size > settings.UPLOAD_MAX_MB * MEGABYTE:
            self.refuse(f"The file is larger than {settings.UPLOAD_MAX_MB} MB (UPLOAD_MAX_MB). Pack it, or cut it up.")
        if shutil.disk_usage(self.path.parent).free < KEPT_FREE_BYTES:
            self.refuse("The disk of LIQUI_HOME is full.")
        self.file.write(raw_data)

    def refuse(self, why: str) -> None:
        self.refusal = why
        self.upload_interrupted()
        raise SkipFile

    def file_complete(self, file_size: int) -> Upload:
        self.file.close()
        return Upload(self.path, self.file_name or "file", file_size)

    def upload_interrupted(self) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)


def uploads_remove() -> None:
    """Remove what is a day old; whoever has not imported it by then uploads it again."""
    before = time.time() - KEPT_SECONDS
    for path in uploads_folder().glob("*"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
