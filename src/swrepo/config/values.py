"""Text of settings -> numbers, switches, lists; each ConfigError names the parameter, its place and what fits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from swrepo.config.files import Setting
from swrepo.errors import ConfigError

_TRUE = frozenset({"yes", "on", "1", "true"})
_FALSE = frozenset({"no", "off", "0", "false", ""})
_LARGEST = 1 << 31


@dataclass(frozen=True, slots=True)
class Values:
    """Typed access to settings."""

    settings: Mapping[str, Setting]

    def text(self, name: str) -> str | None:
        """The value without blanks around it; None where it is unset or empty."""
        setting = self.settings.get(name)
        return setting.value.strip() or None if setting else None

    def items(self, name: str, separators: str) -> list[str]:
        """The non-empty pieces between any of `separators`."""
        pieces = re.split(f"[{re.escape(separators)}]", self.text(name) or "")
        return [piece.strip() for piece in pieces if piece.strip()]

    def number(self, name: str, default: int, least: int = 0, most: int = _LARGEST - 1) -> int:
        """A whole number."""
        text = self.text(name)
        if text is None:
            return default
        digits = text[1:] if least < 0 and text.startswith("-") else text
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or not least <= int(text) <= most:
            bound = f"from {least} up" if most == _LARGEST - 1 else f"from {least} to {most}"
            raise self.refuse(name, f"a whole number {bound}")
        return int(text)

    def switch(self, name: str, *, default: bool) -> bool:
        """Yes or no, in the original's words."""
        if name not in self.settings:
            return default
        text = (self.text(name) or "").lower()
        if text not in _TRUE | _FALSE:
            raise self.refuse(name, "yes or no")
        return text in _TRUE

    def time(self, name: str) -> datetime | None:
        """A moment of UTC, such as 2024-12-31T23:59:59Z; a time zone may be given."""
        text = self.text(name)
        if text is None:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise self.refuse(name, "a time such as 2024-12-31T23:59:59Z") from error
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found

    def urls(self, name: str) -> tuple[str, ...]:
        """URLs with `;` between them, without a slash at the end."""
        urls = tuple(url.rstrip("/") for url in self.items(name, ";"))
        if not all(url.startswith(("http://", "https://", "file://")) for url in urls):
            raise self.refuse(name, "a list of http://, https:// or file:// URLs with ';' between them")
        return urls

    def refuse(self, name: str, expected: str) -> ConfigError:
        """The error for a value that does not fit."""
        setting = self.settings[name]
        return ConfigError(f"{setting.origin}: {name}={setting.value!r} is not {expected}")
