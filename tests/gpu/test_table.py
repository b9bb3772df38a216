"""What compares and what judges: python3 -m unittest tests/gpu/test_table.py"""

import json
import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import journal  # noqa: E402
import kernels  # noqa: E402
import records  # noqa: E402
import sanitize  # noqa: E402
import table  # noqa: E402
import torch_rows  # noqa: E402
from steps import Skip  # noqa: E402


def choice(item, values, prompt="a"):
    return {"profile": "p@1", "task": "t", "split": "test", "item": item, "prompt_sha256": prompt, "loglikelihoods": values}


def text(item, output, **more):
    return {"profile": "p@1", "task": "t", "split": "dev", "item": item, "prompt_sha256": "a", "output": output} | more


def by_key(*all_records):
    return {records.key(record): record for record in all_records}


class Records(unittest.TestCase):
    def wrong(self, ours, theirs, said):
        with self.assertRaisesRegex(records.Wrong, said):
            records.agreement(ours, theirs)

    def test_distances_are_those_of_the_answers(self):
        ours = by_key(choice(0, [-1.0, -2.5]), choice(1, [-3.0, -4.0]))
        theirs = by_key(choice(0, [-1.0, -2.0]), choice(1, [-3.25, -4.0]))
        found = records.agreement(ours, theirs)
        self.assertEqual((found.items, found.largest, found.mean_distance, found.mean), (2, 0.5, 0.1875, -0.0625))

    def test_an_item_that_is_missing_or_too_much_is_told(self):
        both, one = by_key(choice(0, [-1.0]), choice(7, [-1.0])), by_key(choice(0, [-1.0]))
        self.wrong(one, both, r"1 of 2 items are missing, the first is p@1/t/test, item 7")
        self.wrong(both, one, r"1 items are there that nobody asked for, the first is p@1/t/test, item 7")
        self.wrong({}, {}, "there is no item to compare")

    def test_another_prompt_other_answers_and_no_numbers_are_told(self):
        right = by_key(choice(0, [-1.0, -2.0]))
        self.wrong(by_key(choice(0, [-1.0, -2.0], "b")), right, "item 0 was asked with another prompt")
        self.wrong(by_key(choice(0, [-1.0])), right, "has 1 log-likelihoods, and 2 are expected")
        for value in (float("nan"), float("-inf"), None):
            self.wrong(by_key(choice(0, [-1.0, value])), right, "a log-likelihood that is no number")
        self.wrong(by_key(text(0, "x") | {"split": "test"}), right, "has 0 log-likelihoods")
        self.wrong(by_key(choice(0, [-1.0]) | {"split": "dev"}), by_key(text(0, "x")), "has no text")

    def test_a_text_is_wrong_where_it_was_decided(self):
        theirs = by_key(text(0, "a", decided=True), text(1, "b", decided=False), text(2, "c", decided=True))
        found = records.agreement(by_key(text(0, "a"), text(1, "x"), text(2, "y")), theirs)
        self.assertEqual((found.texts, found.equal_texts), (3, 1))
        self.assertEqual(found.clearly_wrong, ["p@1/t/dev, item 2"])

    def test_files_differ_by_bytes_and_not_by_order(self):
        with tempfile.TemporaryDirectory() as folder:
            one, other = pathlib.Path(folder, "one"), pathlib.Path(folder, "other")
            lines = [json.dumps(choice(item, [-1.5])) for item in range(3)]
            one.write_text("\n".join(lines) + "\n")
            other.write_text("\n".join(reversed(lines)) + "\n")
            self.assertEqual(records.differing(one, other), [])
            other.write_text("\n".join([*lines[:2], lines[2].replace("-1.5", "-1.50")]) + "\n")
            self.assertEqual(records.differing(one, other), [("p@1", "t", "test", 2)])
            other.write_text("\n".join(lines[:2]) + "\n")
            with self.assertRaisesRegex(records.Wrong, "items are there that nobody asked for"):
                records.differing(one, other)

    def test_a_line_that_is_cut_short_or_there_twice_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "records.jsonl")
            line = json.dumps(choice(0, [-1.0]))
            path.write_text(f"{line}\n{line[:20]}")
            with self.assertRaisesRegex(records.Wrong, "records.jsonl, line 2 is no record"):
                records.read(path)
            path.write_text(f"{line}\n{line}\n")
            with self.assertRaisesRegex(records.Wrong, "line 2: p@1/t/test, item 0 is there twice"):
                records.read(path)


class Table(unittest.TestCase):
    def row(self, ours, **more):
        return {"row": "r", "shape": "s", "ours": ours, "unit": "s"} | more

    def test_a_row_below_what_is_required_is_told(self):
        least = {"of": "ratio", "sense": "least", "required": 0.4, "goal": 0.6}
        for ratio, expected in [(0.39, "no"), (0.4, "yes"), (0.59, "yes"), (0.6, "goal"), (None, "no"), (float("nan"), "no")]:
            self.assertEqual(table.verdict(self.row(1.0, ratio=ratio, asked=least)), expected, ratio)
        most = {"of": "ours", "sense": "most", "required": 1.0, "goal": 0.5}
        for ours, expected in [(1.01, "no"), (1.0, "yes"), (0.5, "goal"), (float("nan"), "no"), (float("inf"), "no")]:
            self.assertEqual(table.verdict(self.row(ours, asked=most)), expected, ours)
        self.assertEqual(table.verdict(self.row(1.0)), "—")

    def test_what_the_machine_cannot_do_is_not_believed(self):
        asked = {"of": "ours", "sense": "least", "required": 1.0}
        self.assertEqual(table.verdict(self.row(4.85, ceiling=4.8, asked=asked)), "yes")
        row = self.row(5.5, ceiling=4.8, asked=asked)
        self.assertEqual(table.verdict(row), "no")
        self.assertIn("more than the machine can do", table.render([self.entry([row], "failed")], {}))

    def entry(self, rows, state, said="", at="2026-01-01 00:00 UTC"):
        return {"step": "piece/step", "state": state, "said": said, "rows": rows, "at": at}

    def test_the_table_says_everything_once(self):
        asked = {"of": "ratio", "sense": "least", "required": 5.0, "goal": 20.0}
        row = self.row(1.25, beside=26.0, beside_what="transformers", ratio=20.8, asked=asked, note="warm")
        entries = [self.entry([row], "passed"), self.entry([], "skipped", "no GPU"), self.entry([], "failed", "it broke")]
        found = table.render(entries, {"device": "D", "commit": ""})
        self.assertIn("| r | s | 1.25 s | 26 s (transformers) | 20.8× | ≥ 5× | ≥ 20× | goal |", found)
        self.assertIn("- skipped: piece/step: no GPU", found)
        self.assertIn("- failed: piece/step: it broke", found)
        self.assertIn("- r, s: warm", found)
        self.assertTrue(found.startswith("date: 2026-01-01 00:00 UTC  \ndevice: D\n\n"), found)
        entries.append(self.entry([row], "passed", at="2026-01-02 00:00 UTC"))
        self.assertIn("date: 2026-01-01 00:00 UTC to 2026-01-02 00:00 UTC", table.render(entries, {}))
        self.assertTrue(found.endswith("1 steps passed, 1 failed, 1 skipped\n"))

    def test_figures(self):
        for value, expected in [(0.001, "0.001"), (1.5e-5, "1.5e-05"), (788.4, "788"), (12345.6, "12346"), (0, "0"), (0.41666, "0.417")]:
            self.assertEqual(table.figure(value), expected)


class Journal(unittest.TestCase):
    def test_a_call_goes_on_where_the_last_one_was_cut_off(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "results.jsonl")
            first = journal.Journal(path, {"binary": "a"})
            first.tell({"device": "D"})
            first.add("one", journal.PASSED, "", 1.0, [{"row": "r"}], {"kept": 1})
            first.add("two", journal.FAILED, "", 1.0)
            first.add("three", journal.SKIPPED, "", 1.0)
            path.write_text(path.read_text() + '{"step": "four", "sta')
            again = journal.Journal(path, {"binary": "a"})
            self.assertEqual(again.passed("one")["kept"], {"kept": 1})
            # What failed or could not be done is tried again.
            self.assertEqual([again.passed(step) for step in ("two", "three", "four")], [None] * 3)
            again.add("two", journal.PASSED, "", 1.0)
            steps, facts = journal.read(path)
            self.assertEqual((list(steps), facts), (["one", "two", "three"], {"device": "D"}))
            self.assertEqual(steps["two"]["state"], "passed")

    def test_results_of_another_executable_do_not_count(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "results.jsonl")
            journal.Journal(path, {"binary": "a"}).add("one", journal.PASSED, "", 1.0)
            other = journal.Journal(path, {"binary": "b"})
            self.assertIsNone(other.passed("one"))
            other.add("two", journal.PASSED, "", 1.0)
            self.assertEqual(list(journal.read(path)[0]), ["two"])
            self.assertTrue(journal.Journal(path, {"binary": "a"}).passed("one"))


class Tools(unittest.TestCase):
    TESTS = "running 12 tests\ntest result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 80 filtered out; finished in 3.1s\n"

    def test_what_a_sanitizer_found_is_counted(self):
        clean = self.TESTS + "========= ERROR SUMMARY: 0 errors\n"
        row = sanitize.judge("memcheck", "matmul", 0, clean).rows[0]
        self.assertEqual((row["ours"], row["shape"], table.verdict(row)), (0, "cuda::tests::matmul, 12 tests", "yes"))
        races = self.TESTS + "========= Error: Race reported\n========= RACECHECK SUMMARY: 3 hazards displayed (2 errors, 1 warning)\n"
        row = sanitize.judge("racecheck", "matmul", 1, races).rows[0]
        self.assertEqual((row["ours"], table.verdict(row)), (3, "no"))
        self.assertIn("Race reported", row["note"])

    def test_a_refused_sanitizer_is_skipped_in_its_own_words(self):
        with self.assertRaisesRegex(Skip, "refused here: COMPUTE-SANITIZER Error: Device not supported"):
            sanitize.judge("memcheck", "matmul", 1, "========= COMPUTE-SANITIZER\n========= Error: Device not supported\n")
        with self.assertRaisesRegex(Skip, "refused here: Error: Device not supported"):
            said = "========= Error: Device not supported\n" + self.TESTS + "========= ERROR SUMMARY: 1 error\n"
            sanitize.judge("memcheck", "matmul", 1, said)

    def test_tests_that_never_reach_the_gpu_or_fail_are_told(self):
        never = self.TESTS + "========= Error: Target application terminated before first instrumented API call\n"
        with self.assertRaisesRegex(records.Wrong, "did nothing on a GPU"):
            sanitize.judge("memcheck", "matmul", 0, never)
        failed = self.TESTS.replace("ok. 12 passed; 0 failed", "FAILED. 11 passed; 1 failed") + "========= ERROR SUMMARY: 0 errors\n"
        with self.assertRaisesRegex(records.Wrong, "did not pass under it"):
            sanitize.judge("memcheck", "matmul", 101, failed)

    def test_kernel_tests_are_counted(self):
        found = kernels.counted(0, self.TESTS, "skipped: no test data at x\n")
        self.assertEqual((found.rows[0]["ours"], found.said), (0, "12 passed, of which 1 said that they skip something."))
        failed = "failures:\n    cuda::tests::matmul::a\n\n" + self.TESTS.replace("ok. 12 passed; 0", "FAILED. 11 passed; 1")
        with self.assertRaisesRegex(records.Wrong, r"1 kernel tests failed \(exit 101\): cuda::tests::matmul::a"):
            kernels.counted(101, failed, "")
        with self.assertRaisesRegex(records.Wrong, "no kernel test ran"):
            kernels.counted(0, self.TESTS.replace("12 passed", "0 passed"), "")
        with self.assertRaisesRegex(records.Wrong, "before they were counted: a fault"):
            kernels.counted(-6, "running 12 tests\n", "a fault")

    def test_shapes_are_read_as_they_are_written(self):
        for shape, expected in [("131072 × 8192 f32", [131072, 8192]), ("256 × 99584 × 2048", [256, 99584, 2048]),
                                ("4 × 4096, 16 heads of 128", [4, 4096, 16, 128]),
                                ("256 rows behind 2048, 16 heads of 128", [256, 2048, 16, 128])]:
            self.assertEqual(torch_rows.numbers(shape), expected)

    def test_every_operation_that_is_measured_has_a_row_of_pytorch(self):
        source = pathlib.Path(__file__).parent.parent.parent / "trainer/model/src/cuda/bench.rs"
        names = set(re.findall(r'name: "(\w+)"', source.read_text()))
        self.assertGreater(len(names), 5)
        self.assertEqual([name for name in names if not hasattr(torch_rows.Bench, f"row_{name}")], [])

if __name__ == "__main__":
    unittest.main()
