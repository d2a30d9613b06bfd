"""Fields that several of the console's forms have."""

from typing import Any

from django import forms

from liquidations.domain import canonical_symbol, parse_timestamp_ms


class SymbolField(forms.CharField):
    """A symbol in any spelling; "" for any."""

    def __init__(self, placeholder: str = "any", **options: Any) -> None:
        widget = forms.TextInput({"placeholder": placeholder, "autocapitalize": "characters", "size": 14})
        super().__init__(label="Symbol", max_length=64, required=False, widget=widget, **options)

    def clean(self, value: Any) -> str:
        return canonical_symbol(super().clean(value))


class UtcField(forms.CharField):
    """A time in UTC as Unix milliseconds; ``default_ms`` where it is left empty."""

    def __init__(self, label: str, default_ms: int) -> None:
        widget = forms.TextInput({"type": "datetime-local", "step": "1"})
        super().__init__(label=f"{label} (UTC)", max_length=40, required=False, widget=widget)
        self.default_ms = default_ms

    def clean(self, value: Any) -> int:
        text = super().clean(value)
        try:
            return max(parse_timestamp_ms(text), 0) if text else self.default_ms
        except (ValueError, OverflowError):
            raise forms.ValidationError(f"{text!r} is not a time such as 2026-11-21T14:00.") from None


def choice_field(label: str, choices: list[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, required=False)


def check_window(cleaned: dict[str, Any]) -> None:
    """Raises `forms.ValidationError` when a window ends before it begins."""
    start_ms, end_ms = cleaned.get("start"), cleaned.get("end")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise forms.ValidationError("The time in From is later than that in Until.")
