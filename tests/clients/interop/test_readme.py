"""Whether what was played is compared with what the README says."""

import pathlib
import tempfile
import types
import unittest
from unittest import mock

import readme

MATRIX = """
| | One | Two |
|---|---|---|
| `good` | ✓ | ✓ 1 |
| `cannot` | ✓ | 2 |
| `unsaid` | ✓ |  |

1. a note
2. a reason
"""
STACKS = [types.SimpleNamespace(name="one", title="One"), types.SimpleNamespace(name="two", title="Two")]


class Readme(unittest.TestCase):
    def differences(self, one, two, **more):
        text = MATRIX.join(readme.marks("matrix"))
        with mock.patch.object(readme, "README", mock.Mock(read_text=lambda: text)):
            return readme.differences(STACKS, {"one": one, "two": two}, **more)

    def test_a_matrix_is_read_as_it_was_written(self):
        self.assertEqual(readme.kept(MATRIX), {
            ("One", "good"): "ok", ("Two", "good"): "ok",
            ("One", "cannot"): "ok", ("Two", "cannot"): "unsupported", ("One", "unsaid"): "ok",
        })
        stacks = [types.SimpleNamespace(name=name, title=name, version="1") for name in ("a", "b")]
        results = {"a": {"s": ("ok", ""), "t": ("failed", "why")}, "b": {"s": ("unsupported", "why")}}
        written = readme.kept(readme.matrix(stacks, ["s", "t"], results))
        self.assertEqual(written, {("a", "s"): "ok", ("b", "s"): "unsupported", ("a", "t"): "failed"})

    def test_what_is_as_it_was_is_no_difference(self):
        same = {"good": ("ok", ""), "cannot": ("ok", "a note")}, {"cannot": ("unsupported", "why")}
        self.assertEqual(self.differences(*same), [])

    def test_what_a_stack_can_no_more_and_what_it_can_now_are_differences(self):
        self.assertEqual(self.differences({"good": ("unsupported", "why")}, {"cannot": ("ok", "")}), [
            "One, good: unsupported now, ok in the README",
            "Two, cannot: ok now, unsupported in the README",
        ])

    def test_what_the_readme_does_not_have_is_a_difference_whatever_came_of_it(self):
        new = {"new": ("ok", "")}, {"new": ("unsupported", "why"), "unsaid": ("unsupported", "why")}
        self.assertEqual(self.differences(*new), [
            "One, new: ok now, nothing in the README",
            "Two, new: unsupported now, nothing in the README",
            "Two, unsaid: unsupported now, nothing in the README",
        ])

    def test_what_is_played_no_more_is_a_difference_where_all_is_played(self):
        some = {"good": ("ok", ""), "unsaid": ("ok", "")}, {"good": ("ok", "")}
        self.assertEqual(self.differences(*some), [])
        self.assertEqual(self.differences(*some, everything=True), [
            "One, cannot: nothing now, ok in the README",
            "Two, cannot: nothing now, unsupported in the README",
        ])

    def test_a_failure_is_told_as_such_and_is_no_difference_besides(self):
        self.assertEqual(self.differences({"good": ("failed", "why")}, {"new": ("failed", "why")}), [])

    def test_each_snippet_has_a_section_that_the_readme_leads_to(self):
        self.assertEqual(readme.sections().count("\n## ") + 1, len(readme.snippets()))
        self.assertIn("](docs/clients.md#node-by-grpcgrpc-js)", readme.links())
        self.assertNotIn("DOCS>", readme.sections())

    def test_only_sources_are_snippets(self):
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root, "stack")
            folder.mkdir()
            (folder / "stacks.txt").touch()
            (folder / "snippet.py").write_text("# DOCS> Source: how\ncode\n")
            (folder / "snippet.pyc").write_bytes(b"\xff\x00")
            (folder / "snippet.py.orig").write_text("# DOCS> Left over: how\ncode\n")
            (folder / "snippets").mkdir()
            with mock.patch.multiple(readme, CLIENTS=pathlib.Path(root), ROOT=pathlib.Path(root)):
                self.assertEqual(list(readme.snippets()), ["Source: how"])


if __name__ == "__main__":
    unittest.main()
