"""Read QR codes, as phones do."""

from io import BytesIO

import zxingcpp
from PIL import Image, ImageOps


def read_picture(png: bytes) -> str:
    """Return what the QR code on a picture says."""
    return _read(Image.open(BytesIO(png)))


def read_rows(rows: list[str]) -> str:
    """Return what rows of 0 and 1 say, drawn with light modules around them."""
    drawn = Image.new("L", (len(rows[0]), len(rows)))
    drawn.putdata([0 if each == "1" else 255 for row in rows for each in row])
    drawn = ImageOps.expand(drawn, border=4, fill=255)
    return _read(drawn.resize((4 * drawn.width, 4 * drawn.height)))


def _read(picture: Image.Image) -> str:
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)
