"""What the README takes from here: the matrix of stacks and scenarios, and pieces of the snippets."""

import pathlib
import re
import textwrap

CLIENTS = pathlib.Path(__file__).parents[1]
README = CLIENTS.parents[1] / "README.md"
MARKS = {"ok": "✓", "failed": "✗"}
LANGUAGES = {".py": "python", ".h": "cpp", ".rs": "rust", ".rb": "ruby"}

# A piece stands between two lines, the first of which has its title.
PIECE = re.compile(r"^[^\w\n]*README> ([^\n]*)\n(.*?)^[^\w\n]*<README$", re.M | re.S)


def matrices(stacks, scenarios, results):
    """The languages' stacks, and the tools."""
    tools = [stack for stack in stacks if stack.folder.name.startswith("tools")]
    languages = [stack for stack in stacks if stack not in tools]
    texts = [matrix(chosen, scenarios, results) for chosen in (languages, tools) if chosen]
    return "\nThe tools of the command line:\n\n".join(texts)


def matrix(stacks, scenarios, results):
    """A line for each scenario, a column for each stack, and the reasons of what is unsupported."""
    notes = []
    # What none can do is no news.
    done = {name for stack in stacks for name, (said, _) in results[stack.name].items() if said != "unsupported"}
    scenarios = [name for name in scenarios if name in done]

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


def pieces():
    """The marked piece of each language's snippet."""
    text = ""
    for folder in sorted({path.parent for path in CLIENTS.glob("*/stacks.txt")}):
        found = [*folder.glob("[Ss]nippet.*"), *folder.glob("src/**/[Ss]nippet.*")]
        for path in sorted(found):
            for title, code in PIECE.findall(path.read_text()):
                fence = LANGUAGES.get(path.suffix, path.suffix[1:])
                name = path.relative_to(README.parent)
                title = re.sub("`(.*?)`", r"<code>\1</code>", title)
                text += f"<details><summary>{title}</summary>\n\n```{fence}\n"
                text += textwrap.dedent(code.strip("\n") + "\n")
                text += f"```\n\nThe whole of it: [{name}]({name})\n\n</details>\n\n"
    return text.rstrip("\n") + "\n"


def put(name, text):
    """Puts a text between its marks in the README; whether it was another."""
    begin, end = f"<!-- {name}: tests/clients/interop/run --write -->\n", f"<!-- {name}: end -->\n"
    readme = README.read_text()
    before, rest = readme.split(begin)
    after = rest.split(end)[1]
    new = f"{before}{begin}\n{text}\n{end}{after}"
    if new == readme:
        return False
    README.write_text(new)
    return True
