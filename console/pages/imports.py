"""Importing orders from an uploaded file."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST

from accounts.audit import console_actor, record
from accounts.roles import Role
from console.fields import SymbolField, choice_field
from console.jobs import job_start
from console.models import Job
from console.registry import Page
from console.site import render
from console.uploads import MEGABYTE, ToUploads, Upload
from liquidations.importing.formats import FORMATS

FORMAT_CHOICES = [
    ("", "recognise it"),
    *((format.name, f"{format.name}: {format.description}") for format in FORMATS.values()),
]
SHOWN_JOBS = 10


class ImportForm(forms.Form):
    file = forms.FileField(label="File")
    format = choice_field("Format", FORMAT_CHOICES)
    symbol = SymbolField(placeholder="", help_text="Of archive files whose name does not say it.")
    contract_size = forms.DecimalField(
        label="Contract size (USD)",
        min_value=0,
        max_digits=12,
        required=False,
        help_text="Of COIN-M contracts: 100 for BTC, 10 for the others.",
    )


def imports(request: HttpRequest, form: ImportForm | None = None) -> HttpResponseBase:
    context = {
        "form": form or ImportForm(),
        "jobs": Job.objects.filter(kind="import").order_by("-id")[:SHOWN_JOBS],
        "formats": FORMATS.values(),
        "max_mb": settings.UPLOAD_MAX_MB,
        "max_bytes": settings.UPLOAD_MAX_MB * MEGABYTE,
    }
    return render(request, "console/import.html", "Import", **context)


# Until its place is known nothing may have read the request, and the middleware would, for the token.
@csrf_exempt
def upload(request: HttpRequest) -> HttpResponseBase:
    request.upload_handlers = [ToUploads()]
    return upload_checked(request)


@csrf_protect
@require_POST
def upload_checked(request: HttpRequest) -> HttpResponseBase:
    form = ImportForm(request.POST, request.FILES)
    (handler,) = request.upload_handlers
    if isinstance(handler, ToUploads) and handler.refusal:
        form.errors.pop("file", None)
        form.add_error("file", handler.refusal)
    if not form.is_valid():
        return imports(request, form)
    return redirect("admin:console-job", import_start(request, form.cleaned_data).pk)


def import_start(request: HttpRequest, asked: dict[str, Any]) -> Job:
    upload: Upload = asked["file"]
    actor = console_actor(request)
    record(actor, "import.start", upload.name or "", bytes=upload.size)
    messages.info(request, f"{upload.name} is being imported.")
    return job_start(
        "import",
        actor,
        upload.name or "",
        file=upload.path.name,
        format=asked["format"],
        symbol=asked["symbol"],
        contract_size=str(asked["contract_size"] or ""),
    )


pages = [
    Page("import", "console-import", imports, title="Import", section="Data", icon="upload_file", order=20),
    Page("import/upload", "console-import-upload", upload, Role.OPERATOR),
]
