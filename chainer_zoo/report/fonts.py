"""Fonts for names in any script, which the font that matplotlib draws with may lack."""

from __future__ import annotations

import os
from collections.abc import Iterable

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

#: The font that comes with matplotlib: Latin, Greek, Cyrillic and many signs.
DEFAULT = 'DejaVu Sans'


def find(texts: Iterable[str]) -> tuple[list[str], frozenset[str]]:
    """Find fonts on this machine that have all characters of some texts.

    Args:
        texts: What is to be drawn.

    Returns:
        Names of font families, each for what those before it lack; and the characters that no
        font has.
    """
    default = font_manager.get_font(font_manager.findfont(DEFAULT))
    missing = set().union(*texts) - _characters(default)
    families = [DEFAULT]
    if missing:
        for path in sorted(font_manager.findSystemFonts(), key=_preference):
            try:
                font = font_manager.get_font(path)
                found = missing & _characters(font)
                if found and font.scalable:  # bitmap fonts of a fixed size are not drawn
                    # matplotlib keeps a list, which fonts installed since then are not in
                    font_manager.fontManager.addfont(path)
                    families.append(font.family_name)
                    missing -= found
            except Exception:  # a damaged font ends in errors of many kinds: others may do
                continue
            if not missing:
                break
    return families, frozenset(missing)


def _characters(font: FT2Font) -> set[str]:
    return {chr(code) for code in font.get_charmap()}


def _preference(path: str) -> tuple[bool, bool, str]:
    """Sort upright sans-serif fonts of normal weight first."""
    name = os.path.basename(path)
    slanted_or_bold = any(word in name for word in ('Bold', 'Black', 'Light', 'Italic', 'Oblique'))
    return slanted_or_bold, 'Serif' in name or 'Mono' in name, path


def drawable(text: str, missing: frozenset[str]) -> str:
    r"""Return a text in which characters that no font has are written as ``\u6f22``."""
    return ''.join(c.encode('unicode_escape').decode('ascii') if c in missing else c for c in text)
