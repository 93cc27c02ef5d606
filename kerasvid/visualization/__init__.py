"""Videos and metrics as figures, GIF and MP4 files, and in notebooks."""

from kerasvid.visualization.notebook import show

__all__ = ["show"]
