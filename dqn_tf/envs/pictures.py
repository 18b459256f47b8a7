"""Which observations are pictures, and how their axes lie."""

from __future__ import annotations

# Below this the Nature torso's three convolutions have nothing left to see. So large an array is a
# picture whatever its type; a smaller one only if its space says pixels.
LARGE = 36
SMALLEST = 8
MOST_CHANNELS = 16  # of an axis that holds colours, kinds or stacked frames

# The axes of an observation by layout: height, width, channels, and successive frames (stack).
# Each with the order of a batch's axes in which the picture is [B, H, W, ...], channels last.
CHANNELS_LAST = {
    "HW": (0, 1, 2),
    "HWC": (0, 1, 2, 3),
    "CHW": (0, 2, 3, 1),
    "SHWC": (0, 2, 3, 1, 4),
    "SCHW": (0, 3, 4, 1, 2),
}
WORDS = {
    "HW": "one channel",
    "HWC": "channels last",
    "CHW": "channels or stacked frames first",
    "SHWC": "stacked frames first, channels last",
    "SCHW": "stacked frames first, then channels",
}


def picture_layout(shape: tuple[int, ...], has_pixels: bool) -> str:
    """Return the layout of a picture, one of CHANNELS_LAST; empty if this is none.

    `has_pixels` says that the space is one of bytes from 0 to 255. Where both ends could hold the
    channels, they are last.
    """
    smallest = SMALLEST if has_pixels else LARGE
    if len(shape) == 2 and has_pixels and min(shape) >= smallest:
        return "HW"
    if len(shape) == 3 and min(shape[:2]) >= LARGE:
        return "HWC"
    layouts = [name for name in ("HWC", "CHW", "SHWC", "SCHW") if len(name) == len(shape)]
    for layout in layouts:
        sizes = dict(zip(layout, shape, strict=True))
        few = [sizes[axis] for axis in "SC" if axis in sizes]
        if min(sizes["H"], sizes["W"]) >= smallest and min(few) >= 1 and max(few) <= MOST_CHANNELS:
            return layout
    return ""


def picture_shape(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    """Return height, width and channels of a picture; the channels of all its frames together."""
    sizes = dict(zip(layout, shape, strict=True))
    return sizes["H"], sizes["W"], sizes.get("S", 1) * sizes.get("C", 1)
