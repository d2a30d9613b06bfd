"""What a page may load and do, told to its browser: nothing of other servers, whatever has got into the page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

HEADER = "Content-Security-Policy"
# What is no page loads nothing, should a browser show it all the same.
DATA = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; script-src 'self'"
)
# Swagger UI and Redoc are started by a script in the page; Redoc searches in a worker made of a blob.
DOCUMENTATION = f"{PAGE} 'unsafe-inline'; worker-src 'self' blob:"
# unfold's pages have scripts in them, and Alpine evaluates the expressions in their attributes.
CONSOLE = f"{PAGE} 'unsafe-inline' 'unsafe-eval'"
# The first prefix that fits decides.
POLICIES = (("/admin/", CONSOLE), ("/docs", DOCUMENTATION), ("/redoc", DOCUMENTATION), ("/", PAGE))


class ContentSecurityMiddleware:
    """Adds the policy of its path to a page, and the strictest one to everything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault(HEADER, policy_of(request.path_info) if is_page else DATA)
        return response


def policy_of(path: str) -> str:
    return next((policy for prefix, policy in POLICIES if path.startswith(prefix)), PAGE)
