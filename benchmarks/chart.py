"""Draw the recorded results as charts of horizontal bars, in SVG: a panel for each database.

The file is text that follows from the records alone, so that a test can draw it again and compare. Its colours follow
the reader's light or dark mode.
"""

from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from benchmarks.contenders import CONTENDERS

OURS = "industrydb"
WIDTH = 640
NAMES = 104  # the bars begin here
VALUES = 84  # kept free behind the bars, for the numbers
BAR = 15
STEP = 22
HEAD = 34
GAP = 12
VALUE = 56  # the width of a number
# A bar that would dwarf the others is cut a bit beyond the longest of them; its number stays the true one.
CUT = 1.12

STYLE = """
  text { font: 15px -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Helvetica, sans-serif; fill: #24292f; }
  .head { font-weight: 600; }
  .note { font-size: 13px; fill: #57606a; }
  .ours { fill: #d1592a; }
  .other { fill: #8fa3b8; }
  .bound { stroke: #24292f; stroke-dasharray: 4 3; }
  .cut { stroke: #ffffff; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9ea7b3; }
    .ours { fill: #f0824f; }
    .other { fill: #5d7189; }
    .bound { stroke: #e6edf3; }
    .cut { stroke: #1c2128; }
  }
""".strip("\n")


class Panel(NamedTuple):
    """The bars of one database, and the program that receives the same rows and stores nothing."""

    title: str
    seconds: dict[str, float]
    bound: str
    bound_seconds: float | None


def panel(title: str, result: dict[str, Any], field: str, bound: str) -> Panel:
    """Return the contenders' seconds of a record, the fewest first."""
    medians = result["contenders"]
    seconds = {name: values[field] for name, values in medians.items() if name in CONTENDERS}
    rows = f"{title}: {result['rows'] / 1e6:.0f} million rows"
    marked = medians[bound][field] if field == "first_seconds" else None
    return Panel(rows, dict(sorted(seconds.items(), key=lambda item: item[1])), bound, marked)


def svg(heading: str, panels: list[Panel]) -> str:
    """Return a chart of the panels, one below the other."""
    height = sum(HEAD + STEP * len(shown.seconds) + GAP for shown in panels)
    top, parts = 0, []
    for shown in panels:
        parts += _bars(shown, top)
        top += HEAD + STEP * len(shown.seconds) + GAP
    lines = "\n".join(parts)
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    return f"{frame}\n<title>{escape(heading)}</title>\n<style>\n{STYLE}\n</style>\n{lines}\n</svg>\n"


def _bars(shown: Panel, top: int) -> list[str]:
    """Return the elements of one panel, whose upper edge is `top`."""
    counted = [taken for name, taken in shown.seconds.items() if not CONTENDERS[name].slow]
    room = WIDTH - NAMES - VALUES
    scale = room / (CUT * max(counted))
    bound = None if shown.bound_seconds is None else shown.bound_seconds * scale
    parts = [f'<text class="head" x="0" y="{top + 20}">{escape(shown.title)}</text>']
    for number, (name, taken) in enumerate(shown.seconds.items()):
        y = top + HEAD + STEP * number
        length = min(taken * scale, room)
        kind = "ours" if name == OURS else "other"
        parts.append(f'<text x="{NAMES - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
        if taken * scale > room:
            x = NAMES + room - 14
            parts.append(f'<path class="cut" d="M{x} {y + BAR + 2}l6 -{BAR + 4}"/>')
        after = bound if bound is not None and length <= bound <= length + VALUE else length
        weight = ' class="head"' if name == OURS else ""
        parts.append(f'<text{weight} x="{NAMES + after + 7:.1f}" y="{y + 13}">{taken:.1f} s</text>')
    if bound is not None:
        x = NAMES + bound
        bottom = top + HEAD + STEP * len(shown.seconds) - STEP + BAR + 4
        note = f"{escape(shown.bound)}, {shown.bound_seconds:.1f} s"
        parts.append(f'<path class="bound" d="M{x:.1f} {top + HEAD - 5}V{bottom}"/>')
        parts.append(f'<text class="note" x="{WIDTH}" y="{top + 20}" text-anchor="end">dashed: {note}</text>')
    return parts
