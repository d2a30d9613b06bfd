from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        # Imported for what importing does: receivers and the schema's extension register themselves.
        from accounts import authentication, signals  # noqa: F401
