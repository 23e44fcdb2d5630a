"""File formats: from a path to :class:`~vaekit.data.formats.content.Content`, one file each."""
