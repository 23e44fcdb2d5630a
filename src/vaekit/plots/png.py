"""PNG of a figure."""

from __future__ import annotations

import io

from matplotlib.figure import Figure
from PIL import Image


def png(picture: Figure | Image.Image, dpi: int = 110) -> bytes:
    """The PNG file of a matplotlib figure or of an image."""
    buffer = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(buffer, format="png", dpi=dpi)
    else:
        picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
