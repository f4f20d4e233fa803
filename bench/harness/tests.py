"""Tests of the arithmetic: python3 -m unittest bench.harness.tests"""

import unittest

from . import counts, plot, table
from .growth import Series

FAST = [{"cpu": 10.0}, {"cpu": 12.0}, {"cpu": 30.0}]
SLOW = [{"cpu": 20.0}, {"cpu": 36.0}, {"cpu": 60.0}]


class Named:
    def __init__(self, title):
        self.title = title


class Tables(unittest.TestCase):
    def test_one_bad_round_does_not_move_the_figure(self):
        self.assertEqual(table.median(FAST, "cpu"), 12.0)

    def test_the_spread_is_half_of_the_way_from_least_to_most(self):
        self.assertAlmostEqual(table.spread(FAST, "cpu"), 10 / 12 * 100)

    def test_ratios_are_of_the_same_round(self):
        text = table.ratios({"a": FAST, "b": SLOW}, {"a": Named("A"), "b": Named("B")}, "cpu")
        self.assertEqual(text.splitlines()[2:], ["| A | 1.00 | 0.50 |", "| B | 2.00 | 1.00 |"])


class Counts(unittest.TestCase):
    def test_a_budget_is_read_as_it_is_written(self):
        counted = {"job": 1_234_567, "no such job": 12}
        self.assertEqual(counts.parse(counts.text(counted)), counted)

    def test_five_percent_either_way_are_borne_and_no_more(self):
        budget = {"a": 1000, "b": 1000, "c": 1000, "d": 1000}
        counted = {"a": 1050, "b": 950, "c": 1051, "d": 949}
        complaints, gains = counts.compare(budget, counted)
        self.assertEqual([line[:8] for line in complaints], ["c: +5.1%"])
        self.assertEqual([line[:8] for line in gains], ["d: -5.1%"])

    def test_what_is_on_one_side_only_is_said(self):
        complaints, _ = counts.compare({"a": 1}, {"b": 1})
        self.assertEqual(complaints, ["a: in the budget, and not counted", "b: not in the budget"])


class Plots(unittest.TestCase):
    def test_the_scale_reaches_above_all_points(self):
        for value in (0.7, 1, 1.01, 11, 99, 3856):
            self.assertGreaterEqual(plot.nice(value), value)
            self.assertLess(plot.nice(value), value * 1.5 + 1e-9)

    def test_a_sentence_says_what_grows_how(self):
        line = Series("s", "Memory", "jobs", "MiB", "MiB", {"jobgate": [(10, 2.0), (1000, 3.0)]})
        self.assertEqual(list(line.sentences()), [
            "jobgate: 2.0 MiB with 10 jobs, 3.0 with 1,000: 1.50 times as much for 100 times as many."])

    def test_words_can_not_break_a_picture(self):
        line = Series("s", "a < b & c", "x", "y", "", {"one": [(1, 1)]})
        self.assertIn("a &lt; b &amp; c", plot.svg(line))
