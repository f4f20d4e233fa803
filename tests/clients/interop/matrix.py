"""The matrix of stacks and scenarios, as a table of Markdown."""

import pathlib

README = pathlib.Path(__file__).parents[3] / "README.md"
BEGIN, END = "<!-- interop: made by tests/clients/interop/run --write -->\n", "<!-- interop: end -->\n"
MARKS = {"ok": "✓", "failed": "✗"}


def table(stacks, scenarios, results):
    """A line for each scenario, a column for each stack, and the reasons of what is unsupported."""
    notes = []

    def mark(stack, name):
        said, why = results[stack.name].get(name, ("", ""))
        if said != "unsupported":
            return MARKS.get(said, "")
        if why not in notes:
            notes.append(why)
        return str(notes.index(why) + 1)

    lines = ["| | " + " | ".join(stack.title for stack in stacks) + " |"]
    lines.append("|---" * (len(stacks) + 1) + "|")
    for name in scenarios:
        marks = " | ".join(mark(stack, name) for stack in stacks)
        lines.append(f"| `{name}` | {marks} |")
    lines.append("")
    lines += [f"{number}. {why}" for number, why in enumerate(notes, 1)]
    lines += [""] if notes else []
    lines.append("Versions: " + "; ".join(f"{stack.title} {stack.version}" for stack in stacks) + ".")
    return "\n".join(lines) + "\n"


def write(text):
    """Puts the table between its marks in the README."""
    readme = README.read_text()
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
