"""What the docs take from here: the matrix of stacks and scenarios, and the snippets."""

import pathlib
import re

CLIENTS = pathlib.Path(__file__).parents[1]
ROOT = CLIENTS.parents[1]
README, PAGE = ROOT / "README.md", ROOT / "docs/clients.md"
COMMAND = "tests/clients/interop/run --write"
MARKS = {"ok": "✓", "failed": "✗"}

# What a snippet's source is, by its suffix; what else bears the name, caches and the like, is none.
LANGUAGES = {
    ".go": "go", ".h": "cpp", ".java": "java", ".js": "js", ".kt": "kotlin", ".py": "python", ".rb": "ruby",
    ".rs": "rust",
}

# A snippet's first line has its title.
TITLE = re.compile(r"\W*DOCS> ([^\n]*)\n")


def matrices(stacks, scenarios, results):
    """The languages' stacks, and the tools."""
    tools = [stack for stack in stacks if stack.folder.name.startswith("tools")]
    languages = [stack for stack in stacks if stack not in tools]
    texts = [matrix(chosen, scenarios, results) for chosen in (languages, tools) if chosen]
    return "\nThe tools of the command line:\n\n".join(texts)


def matrix(stacks, scenarios, results):
    """A line for each scenario, a column for each stack, and the reasons of what is unsupported."""
    notes = []
    def mark(stack, name):
        said, why = results[stack.name].get(name, ("", ""))
        if said == "failed" or not why:
            return MARKS.get(said, "")
        if why not in notes:
            notes.append(why)
        return f"{MARKS.get(said, '')} {notes.index(why) + 1}".strip()

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


def kept(text):
    """By stack's title and scenario, what a matrix says: ok, failed or unsupported. What is empty says nothing."""
    said, titles = {}, []
    for line in text.splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else [""]
        if name.startswith("`"):
            for title, cell in zip(titles, cells):
                if cell:
                    said[title, name.strip("`")] = next(
                        (word for word, mark in MARKS.items() if mark in cell), "unsupported")
        elif cells and not name:
            titles = cells
    return said


def differences(stacks, results, everything=False):
    """What was played and is not as the README's matrix has it, and what that has and `everything` has not."""
    before = kept(between("matrix", README.read_text()))
    found = []
    for stack in stacks:
        for name, (said, _) in results[stack.name].items():
            old = before.pop((stack.title, name), "nothing")
            if said not in ("failed", old):
                found.append(f"{stack.title}, {name}: {said} now, {old} in the README")
    if everything:
        found += [f"{title}, {name}: nothing now, {old} in the README" for (title, name), old in before.items()]
    return found


def snippets():
    """By title, the path and the text of each language's snippet."""
    found = {}
    for folder in sorted({path.parent for path in CLIENTS.glob("*/stacks.txt")}):
        for path in sorted([*folder.glob("[Ss]nippet*"), *folder.glob("src/**/[Ss]nippet*")]):
            title = TITLE.match(path.read_text()) if path.suffix in LANGUAGES else None
            if title:
                found[title[1]] = path.relative_to(ROOT), path.read_text()[title.end():]
    return found


def sections():
    """A section for each snippet."""
    texts = []
    for title, (path, code) in snippets().items():
        name, _, install = title.partition(": ")
        texts.append(f"## {name}\n\n{install}; [{path}](../{path})\n\n```{LANGUAGES[path.suffix]}\n{code}```\n")
    return "\n".join(texts)


def links():
    """A line that leads to each section."""
    names = [title.partition(": ")[0] for title in snippets()]
    anchors = [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in names]
    return " ·\n".join(f"[{name}](docs/clients.md#{anchor})" for name, anchor in zip(names, anchors)) + "\n"


def marks(name):
    return f"<!-- {name}: {COMMAND} -->\n", f"<!-- {name}: end -->\n"


def between(name, text):
    begin, end = marks(name)
    return text.split(begin)[1].split(end)[0]


def put(path, name, text):
    """Puts a text between its marks in a file; whether it was another."""
    begin, end = marks(name)
    old = path.read_text()
    before, rest = old.split(begin)
    new = f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"
    path.write_text(new)
    return new != old
