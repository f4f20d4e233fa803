"""A few lines as SVG: x grows by powers of ten, y from zero."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 120, 40, 50
COLOURS = ("#0b6e4f", "#b5446e", "#2a6f97", "#9c6644")


def svg(series):
    points = [point for line in series.lines.values() for point in line]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    top = nice(max(y for _, y in points))

    def across(x):
        part = math.log(x / low) / math.log(high / low) if high > low else 0.5
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def up(y):
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(LEFT, 22, series.title, "start", 14)]
    for step in range(5):
        y = top * step / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}" '
                     'stroke="#ddd"/>')
        parts.append(text(LEFT - 8, up(y) + 4, f"{y:,g}", "end"))
    for x in sorted({x for x, _ in points}):
        parts.append(text(across(x), HEIGHT - BOTTOM + 18, f"{x:,}", "middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, series.x, "middle"))
    parts.append(f'<g transform="rotate(-90 16 {HEIGHT / 2})">'
                 f'{text(16, HEIGHT / 2, series.y, "middle")}</g>')
    for (name, line), colour in zip(series.lines.items(), COLOURS):
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5" fill="{colour}"/>'
                  for x, y in line]
        x, y = line[-1]
        parts.append(text(across(x) + 8, up(y) + 4, name, "start", colour=colour))
    return "\n".join([*parts, "</svg>", ""])


def text(x, y, words, anchor, size=12, colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}">{escape(words)}</text>')


def nice(value):
    """The next number above that divides well by four."""
    if value <= 0:
        return 1
    step = 10 ** math.floor(math.log10(value))
    return next(it * step for it in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10, 12) if it * step >= value)
