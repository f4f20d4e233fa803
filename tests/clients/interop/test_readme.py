"""Whether what was played is compared with what the README says."""

import types
import unittest
from unittest import mock

import readme

MATRIX = """
| | One | Two |
|---|---|---|
| `good` | ✓ | ✓ 1 |
| `cannot` | ✓ | 2 |

1. a note
2. a reason
"""
STACKS = [types.SimpleNamespace(name="one", title="One"), types.SimpleNamespace(name="two", title="Two")]


class Readme(unittest.TestCase):
    def differences(self, one, two):
        text = MATRIX.join(readme.marks("matrix"))
        with mock.patch.object(readme, "README", mock.Mock(read_text=lambda: text)):
            return readme.differences(STACKS, {"one": one, "two": two})

    def test_a_matrix_is_read_as_it_was_written(self):
        self.assertEqual(readme.kept(MATRIX), {
            ("One", "good"): "ok", ("Two", "good"): "ok",
            ("One", "cannot"): "ok", ("Two", "cannot"): "unsupported",
        })
        stacks = [types.SimpleNamespace(name=name, title=name, version="1") for name in ("a", "b")]
        results = {"a": {"s": ("ok", "")}, "b": {"s": ("unsupported", "why")}}
        written = readme.kept(readme.matrix(stacks, ["s"], results))
        self.assertEqual(written, {("a", "s"): "ok", ("b", "s"): "unsupported"})

    def test_what_is_as_it_was_is_no_difference(self):
        same = {"good": ("ok", ""), "cannot": ("ok", "a note")}, {"cannot": ("unsupported", "why")}
        self.assertEqual(self.differences(*same), [])

    def test_what_a_stack_can_no_more_and_what_it_can_now_are_differences(self):
        self.assertEqual(self.differences({"good": ("unsupported", "why")}, {"cannot": ("ok", "")}), [
            "One, good: unsupported now, ok in the README",
            "Two, cannot: ok now, unsupported in the README",
        ])

    def test_a_scenario_that_is_new_is_a_difference_if_it_is_played(self):
        new = {"new": ("ok", "")}, {"new": ("unsupported", "why")}
        self.assertEqual(self.differences(*new), ["One, new: ok now, unsupported in the README"])

    def test_each_snippet_has_a_section_that_the_readme_leads_to(self):
        self.assertEqual(readme.sections().count("\n## ") + 1, len(readme.snippets()))
        self.assertIn("](docs/clients.md#node-by-grpcgrpc-js)", readme.links())
        self.assertNotIn("DOCS>", readme.sections())


if __name__ == "__main__":
    unittest.main()
