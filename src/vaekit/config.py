"""Parts and their documents under the name that code outside vaekit imports: see :mod:`vaekit.parts.record`."""

from vaekit.parts.record import completed, from_document, is_part, part, parts, slots, to_document

__all__ = ["completed", "from_document", "is_part", "part", "parts", "slots", "to_document"]
