"""The form of the sign-in page: open to whoever has a role, which is what counts here and not Django's "staff"."""

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from accounts.attempts import TooManyAttempts
from accounts.roles import Role, role_of

NO_ROLE = "This account has no role in the console. Ask an administrator for one."


class SignInForm(AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": "User name and password do not belong together, or the account is not active.",
    }

    retry_after_s: int | None = None  # there were too many attempts: how long to wait

    def clean(self) -> Any:
        try:
            return super().clean()
        except TooManyAttempts as refusal:
            self.retry_after_s = refusal.wait
            raise ValidationError(str(refusal), code="too_many") from None

    def confirm_login_allowed(self, user: Any) -> None:
        # Only asked once the password is right, so it tells nobody who has an account.
        if role_of(user) < Role.VIEWER:
            raise ValidationError(NO_ROLE, code="no_role")
