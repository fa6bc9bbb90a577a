"""The built-in images: ten drawn shapes, to try things out without a network.

Each image, 32x32 and in colour, shows one shape on a shaded background, with small clutter below
and above it and noise over all. The shape is lighter than the background; its place, size,
proportions, angle (up to 34 degrees either way) and colour are random. Only the shape tells the
class: a linear classifier gets a quarter right, a small ResNeXt four fifths after three epochs.
"""

from __future__ import annotations

import numpy as np

from chainer_zoo.data.dataset import Dataset
from chainer_zoo.errors import UserError
from chainer_zoo.records import shown

_SIZE = 32
_MAX_IMAGES = 10**6
_CHUNK = 512  # images drawn at a time, so that the working memory stays small


def _box(u, v, width, height):
    """Return the distance from a box around the origin, negative inside."""
    return np.maximum(np.abs(u) - width, np.abs(v) - height)


def _disc(u, v, radius):
    return np.sqrt(u * u + v * v) - radius


def _regular(u, v, corners, radius):
    """Return the distance from a regular polygon, its sides ``radius`` away from its centre."""
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.max([u * np.sin(a) - v * np.cos(a) for a in angles], axis=0) - radius


def _star(u, v):
    angle = np.arctan2(u, -v)
    part = 2 * np.pi / 5
    angle = np.abs((angle + part / 2) % part - part / 2)
    radius = np.sqrt(u * u + v * v)
    # Mirrored about a tip, one edge is left: from the tip to a notch half a part further.
    tip = np.array([1.05, 0.0])
    notch = 0.42 * np.array([np.cos(part / 2), np.sin(part / 2)])
    across = (notch - tip)[::-1] * [1, -1] / np.linalg.norm(notch - tip)
    return (radius * np.cos(angle) - tip[0]) * across[0] + radius * np.sin(angle) * across[1]


def _heart(u, v):
    """A square on its corner with a disc on the middle of each upper side."""
    half = 0.52  # of a side
    u, v = np.abs(u), v - 0.08
    lobe = _disc(u - half * np.sqrt(0.5), v + half * np.sqrt(0.5), half)
    return np.minimum(lobe, (u + np.abs(v)) * np.sqrt(0.5) - half)


# Signed distance, in units of the shape's size, from the shape's edge; v points down.
_SHAPES = (
    ('disc', lambda u, v: _disc(u, v, 0.85)),
    ('ring', lambda u, v: np.abs(_disc(u, v, 0.75)) - 0.2),
    ('triangle', lambda u, v: _regular(u, v + 0.1, 3, 0.5)),
    ('square', lambda u, v: _box(u, v, 0.75, 0.75)),
    ('bar', lambda u, v: _box(u, v, 1.05, 0.28)),
    ('cross', lambda u, v: np.minimum(_box(u, v, 0.95, 0.27), _box(u, v, 0.27, 0.95))),
    ('star', _star),
    ('crescent', lambda u, v: np.maximum(_disc(u, v, 0.9), -_disc(u - 0.5, v, 0.75))),
    ('heart', _heart),
    (
        'corner',
        lambda u, v: np.minimum(_box(u + 0.55, v, 0.28, 0.85), _box(u, v - 0.55, 0.83, 0.28)),
    ),
)
LABEL_NAMES = tuple(name for name, _ in _SHAPES)


def read(train: int = 5000, test: int = 1000, seed: int = 0) -> Dataset:
    """Draw the set.

    Args:
        train: Images to train with. All classes come equally often, give or take one.
        test: Images to test with. They do not depend on how many there are to train with.
        seed: Another seed draws other images of the same kind.

    Returns:
        32x32 images in random order. The same arguments draw the same images.

    Raises:
        UserError: If a number of images is below 1 or above a million.
    """
    if not (1 <= train <= _MAX_IMAGES and 1 <= test <= _MAX_IMAGES):
        raise UserError(
            f'cannot draw {shown(train)} images to train and {shown(test)} to test with: 1 to '
            f'{_MAX_IMAGES:,} of each can be drawn'
        )
    return Dataset(
        *_draw(train, np.random.RandomState([seed, 0])),
        *_draw(test, np.random.RandomState([seed, 1])),
        LABEL_NAMES,
        f'built-in drawn shapes (seed {seed})',
    )


def _draw(n: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 (n, 3, 32, 32) and int32 (n,)."""
    y = rng.permutation(np.arange(n) % len(_SHAPES)).astype(np.int32)
    x = np.empty((n, 3, _SIZE, _SIZE), dtype=np.uint8)
    for i in range(0, n, _CHUNK):
        x[i : i + _CHUNK] = _draw_chunk(y[i : i + _CHUNK], rng)
    return x, y


def _draw_chunk(y: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Return uint8 (n, 3, 32, 32) images of the classes ``y`` (n,)."""
    n = len(y)
    grid = (np.arange(_SIZE, dtype=np.float32) - (_SIZE - 1) / 2) / (_SIZE / 2)  # -1..1
    down, right = grid[:, None], grid[None, :]

    def uniform(low, high, *shape):
        return rng.uniform(low, high, (n,) + shape).astype(np.float32)

    def colours(far_from=None):
        """Return colours (n, 3, 1, 1); drawn again where they hardly differ from others."""
        colour = uniform(20, 120, 3) if far_from is None else uniform(130, 235, 3)
        while far_from is not None:
            close = np.abs(colour - far_from[:, :, 0, 0]).max(axis=1) < 70
            if not close.any():
                break
            colour[close] = rng.uniform(130, 235, (int(close.sum()), 3))
        return colour[:, :, None, None]

    def paint(x, distance, colour, scale):
        """Lay a shape over ``x``, its edge a pixel wide."""
        cover = np.clip(0.5 - distance * scale * (_SIZE / 2), 0, 1)[:, None]
        x += cover * (colour - x)

    def local(scale, reach, turns):
        """Return coordinates (n, 32, 32) in a turned and shifted shape of size ``scale``."""
        turn = uniform(-turns, turns, 1, 1)
        u, v = right - uniform(-reach, reach, 1, 1), down - uniform(-reach, reach, 1, 1)
        cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
        return u * cos + v * sin, v * cos - u * sin

    base = colours()
    slope = uniform(-40, 40, 3, 2)
    x = base + slope[:, :, :1, None] * down + slope[:, :, 1:, None] * right  # (n, 3, 32, 32)

    def clutter(pieces):
        for _ in range(pieces):
            scale = uniform(0.1, 0.25, 1, 1)
            u, v = local(scale, 1.0, np.pi)
            long = uniform(0.2, 1.0, 1, 1)
            round_ = uniform(0, 1, 1, 1) < 0.5
            distance = np.where(round_, _disc(u, v, long), _box(u, v, 1.0, long))
            paint(x, distance, colours(), scale)

    clutter(2)
    scale = uniform(0.42, 0.7, 1, 1)
    u, v = local(scale, 0.35, 0.6)
    u *= uniform(0.85, 1.2, 1, 1)  # a little narrower or wider
    distance = np.empty_like(u)
    for label, (_, shape) in enumerate(_SHAPES):
        mine = y == label
        distance[mine] = shape(u[mine], v[mine])
    paint(x, distance, colours(far_from=base), scale)
    clutter(2)
    x += uniform(2, 14, 1, 1, 1) * rng.standard_normal(x.shape).astype(np.float32)
    return np.clip(x + 0.5, 0, 255).astype(np.uint8)
