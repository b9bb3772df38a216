"""All pieces from end to end on stand-ins of the executable, the kernel tests, compute-sanitizer and PyTorch: that steps are taken, judged,
kept and taken up again. What the real ones do only a GPU shows. python3 -m unittest tests/gpu/test_accept.py"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import accept  # noqa: E402
import machine  # noqa: E402
import steps  # noqa: E402

# Answers with the records of the pack, made worse by what SPOILED names.
SEKISHO = '''#!{python}
import json, os, pathlib, sys, time
words, spoiled = sys.argv[1:], os.environ.get("SPOILED", "")
def of(flag, default=None):
    return words[words.index(flag) + 1] if flag in words else default
if words[0] == "train":
    steps = int(pathlib.Path(words[1]).read_text().partition("[stop]")[2].split()[2])
    folder = pathlib.Path(of("--dir")) / f"step-{{steps:06}}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("changed" if spoiled == "resume" and "--resume" in words else "weights")
    sys.exit()
if words[0] == "gpu" and "--train" in words:
    config = json.loads(pathlib.Path(of("--train")).read_text())
    rate = {{2048: 50000.0, 512: 300000.0, 64: 9.0}}[config["hidden_size"]]
    digest = "other" if spoiled == "order" and of("--recompute") == "layer" else of("--dtype")
    print(json.dumps({{"tokens_per_second": rate, "bytes": 2**34, "losses": [11.5, 11.0], "digest": digest}}))
    sys.exit()
if words[0] == "gpu":
    if "--training" in words:
        rate = 2.0 if spoiled == "slow" else 3.5
        rows = [("adamw", "268435456 values", 0.003, 0.0, rate), ("attention_train", "1 × 4096, 16 heads of 128", 0.0002, 300.0, 0.1)]
    elif "--model" in words:
        rate = 300.0 if spoiled == "slow" else 500.0
        rows = [("prefill", "128 × 64 tokens behind 512", 0.1, rate, 0.1), ("decode", "256 rows behind 512", 0.01, 10.0, 3.0),
                ("load", "1.87 B parameters", 0.8, 0.0, 0.004)]
    else:
        rows = [("copy", "131072 × 8192 f32", 0.002, 0.0, 4.2), ("matmul", "8192 × 8192 × 8192", 0.0015, 733.0, 0.3)]
    print(json.dumps([dict(zip(("name", "shape", "seconds", "teraflops", "terabytes"), row)) for row in rows]))
    sys.exit()
assert words.count("--limit") <= 1 and not os.environ.get("SEKISHO_DEVICE"), words
if spoiled == "hangs":
    time.sleep(60)
data = pathlib.Path(of("--data")).parent
name = "texts" if "--suite" in words else "choices"
lines = (data / "records" / (name + ".jsonl")).read_text().splitlines()
records = [json.loads(line) for line in lines][::-1]
if spoiled == "missing":
    records.pop()
if spoiled == "wrong" and of("--dtype") == "f32" and name == "choices":
    records[0]["loglikelihoods"][0] += 0.01
if spoiled == "sharing" and "--no-sharing" in words:
    records[0]["prompt_tokens"] += 1
out = pathlib.Path(of("--out"))
assert not out.exists(), "an earlier file would answer"
out.write_text("".join(json.dumps(record) + "\\n" for record in records))
tokens = {{"prompt": 20, "prefilled": 8, "generated": 30}}
result = {{"profile": "p@1", "task": "t", "split": "dev", "tokens": tokens}}
environment = {{"device": of("--device") + " (NVIDIA H200)", "dtype": of("--dtype", "bf16")}}
if spoiled == "device":
    environment["device"] = "cpu"
print(json.dumps({{"environment": environment, "seconds": 1.5, "results": [result]}}))
'''
KERNELS = '''#!{python}
import os, sys
if "--list" in sys.argv:
    print("cuda::tests::matmul::one: test\\ncuda::tests::twin::two: test\\n\\n2 tests, 0 benchmarks")
else:
    assert os.environ["SEKISHO_TEST_GPU"] == "0"
    print("running 1 test\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.1s")
'''
SANITIZER = '''#!{python}
import subprocess, sys
if sys.argv[2] == "racecheck":
    print("========= COMPUTE-SANITIZER\\n========= Error: Device not supported")
    sys.exit(1)
subprocess.run(sys.argv[3:], check=True)
print("========= ERROR SUMMARY: 0 errors")
'''
SUITE = {"how": "transformers 5, batch 16", "load_seconds": 2.0, "seconds": 30.0, "whole_seconds": 45.0, "prompt_tokens": [7, 9],
         "generated": 30}
COPY = {"name": "copy", "shape": "131072 × 8192 f32", "seconds": 0.002, "how": "copy_"}
PRODUCT = {"name": "matmul", "shape": "8192 × 8192 × 8192", "seconds": 0.0014, "how": "linear"}
ADAMW = {"name": "adamw", "shape": "268435456 values", "seconds": 0.0025, "how": "fused, and a copy in bf16"}
PINNED = {"name": "host_to_device", "shape": "1000 bytes, pinned", "seconds": 0.00001, "how": "copy_"}


def script(run, name, arguments, at_most):
    """What the scripts for PyTorch would print."""
    if name == "random_model.py":
        folder = pathlib.Path(arguments[arguments.index("--out") + 1])
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text("weights")
        return {"parameters": 1.87e9}
    if name == "transformers_suite.py":
        return SUITE
    if name == "torch_train.py":
        return {"tokens_per_second": 40000.0, "how": "PyTorch 2.11, torch.compile, SDPA, fused AdamW"}
    rows = [COPY, PRODUCT, PINNED] if "--ceilings" in arguments else [COPY, PRODUCT, ADAMW]
    return {"torch": "2.11", "rows": rows, "missing": []}


def pack(folder):
    """A pack of two items of each kind."""
    def record(task, item, **more):
        split = "dev" if task == "t" else "test"
        return {"profile": "p@1", "task": task, "split": split, "item": item, "prompt_sha256": "a", "prompt_tokens": 7 + 2 * item} | more

    texts = [record("t", item, output="x", decided=True) for item in range(2)]
    choices = [record("c", item, loglikelihoods=[-1.0, -2.0]) for item in range(2)]
    prompts = [{"task": "t", "item": item, "prompt": "p", "tokens": 7 + 2 * item, "max_new_tokens": 1} for item in range(2)]
    files = {"prompts.jsonl": prompts, "model/config.json": [{}], "shape.json": [{}]}
    for kind in ("records", "official"):
        files |= {f"{kind}/{name}.jsonl": lines for name, lines in
                  [("texts", texts), ("choices", choices), ("llm-jp-eval-dev100", texts), ("jcommonsenseqa-3-shots", choices)]}
    digests = {}
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    sets = {"llm-jp-eval-dev100": ["--suite", "s"], "jcommonsenseqa-3-shots": ["--task", "c", "--limit", "200"]}
    (folder / "manifest.json").write_text(json.dumps({"sets": sets, "files": digests}))


class Accepting(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        for name, text in [("sekisho", SEKISHO), ("kernels", KERNELS), ("bin/compute-sanitizer", SANITIZER)]:
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.format(python=sys.executable) if name == "sekisho" else text.replace("{python}", sys.executable))
            path.chmod(0o755)
        pack(self.folder / "pack")

    def accept(self, *pieces, spoiled="", gpu="NVIDIA H200", minutes="5", script=script, out="out"):
        """(exit status, the table, what was said meanwhile)."""
        words = [*pieces, "--binary", str(self.folder / "sekisho"), "--kernels", str(self.folder / "kernels"), "--pack",
                 str(self.folder / "pack"), "--out", str(self.folder / out), "--minutes", minutes]
        environment = {"SPOILED": spoiled, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "SEKISHO_DEVICE": "cuda:7"}
        found = (gpu, None) if gpu else (None, "no GPU: none is there")
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(machine, "find_gpu", lambda _: found))
            stack.enter_context(mock.patch.object(steps.Run, "script", script))
            stack.enter_context(mock.patch.dict(os.environ, environment))
            out = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            err = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            status = accept.main(words)
        return status, out.getvalue(), err.getvalue()

    def test_a_good_build_passes_and_is_not_asked_twice(self):
        status, table, _ = self.accept(*accept.PIECES)
        self.assertEqual(status, 0, table)
        self.assertEqual(table, (self.folder / "out/table.md").read_text())
        for row in ["| prefill | 1.8 B random weights, bf16, 128 × 64 tokens behind 512 | 500 TFLOP/s | 989 TFLOP/s (peak by the "
                    "datasheet) | 0.506× | ≥ 0.4× | ≥ 0.6× | yes |",
                    "| llm-jp-eval-dev100 | 1.8 B random weights, bf16, 2 items | 1.5 s | 30 s (transformers 5, batch 16) | 20× | ≥ 5× "
                    "| ≥ 20× | goal |",
                    "| matmul | 8192 × 8192 × 8192 | 733 TFLOP/s | 785 TFLOP/s (PyTorch, linear) | 0.933× | — | — | — |",
                    "| training | 1.8B, 4 × 4096, bf16 | 50000 tokens/s | — | — | ≥ 26500 tokens/s | ≥ 44000 tokens/s | goal |",
                    "| training beside PyTorch | 152M, 16 × 4096, bf16 | 300000 tokens/s | 40000 tokens/s (PyTorch 2.11, torch.compile, SDPA, "
                    "fused AdamW) | 7.5× | — | ≥ 1.1× | goal |",
                    "| adamw | 268435456 values | 3.5 TB/s | 4.2 TB/s (PyTorch, fused, and a copy in bf16) | 0.833× | ≥ 3 TB/s | ≥ 3.6 "
                    "TB/s | yes |",
                    "| memcheck, findings | cuda::tests::matmul, 1 tests | 0 | — | — | ≤ 0 | — | yes |"]:
            self.assertIn(row, table)
        self.assertIn("- skipped: sanitize/racecheck/matmul: compute-sanitizer is refused here: COMPUTE-SANITIZER Error: Device not "
                      "supported", table)
        self.assertTrue(table.endswith("24 steps passed, 0 failed, 1 skipped\n"), table)
        begun = (self.folder / "out/results.jsonl").read_text().count('"step"')
        status, again, said = self.accept(*accept.PIECES)
        self.assertEqual((status, said.count("passed before")), (0, 24))
        # What was skipped is tried again, and nothing else.
        self.assertEqual((self.folder / "out/results.jsonl").read_text().count('"step"'), begun + 1)
        self.assertTrue(again.endswith("24 steps passed, 0 failed, 1 skipped\n"))

    def test_what_is_wrong_is_told(self):
        for spoiled, pieces, said in [
            ("wrong", ["parity"], "Not reached: log-likelihoods in f32, largest |Δ| to lm-eval."),
            ("missing", ["parity"], "1 of 2 items are missing, the first is p@1/t/dev, item 0"),
            ("device", ["parity"], "cuda:0 in f32 was asked for, and cpu in f32 computed"),
            ("sharing", ["determinism"], "without sharing: p@1/c/test, item 1"),
            ("slow", ["suite"], "Not reached: prefill."),
            ("slow", ["optimizer"], "Not reached: adamw."),
            ("order", ["train"], "152M, 50 updates: again, nothing computed again, whole layers computed again: whole layers computed again"),
            ("resume", ["train"], "model.safetensors"),
        ]:
            with self.subTest(spoiled):
                status, table, _ = self.accept(*pieces, spoiled=spoiled, out=spoiled + pieces[0])
                self.assertEqual(status, accept.FAILED, table)
                self.assertIn(said, table)
                # Mended, the same call passes.
                status, table, _ = self.accept(*pieces, out=spoiled + pieces[0])
                self.assertEqual(status, 0, table)

    def test_what_there_was_no_time_for_is_left_and_taken_up(self):
        status, table, _ = self.accept("parity", spoiled="hangs", minutes="0.09")
        self.assertEqual(status, accept.UNFINISHED, table)
        self.assertIn("left for the next call of the same command: parity/f32/llm-jp-eval-dev100", table)
        self.assertEqual(self.accept("parity")[0], 0)

    def test_without_a_gpu_every_piece_is_skipped_and_counted(self):
        status, table, _ = self.accept(*accept.PIECES, gpu=None)
        self.assertEqual(status, 0)
        self.assertTrue(table.endswith("0 steps passed, 0 failed, 17 skipped\n"), table)
        self.assertEqual(table.count("no GPU: none is there"), 17)

    def test_other_prompts_or_less_work_beside_transformers_are_told(self):
        for change, said in [({"prompt_tokens": [7, 8]}, "transformers read other prompts"),
                             ({"generated": 40}, "Sekisho generated 30 tokens and transformers 40: not the same work")]:
            def other(run, name, arguments, at_most):
                found = script(run, name, arguments, at_most)
                return found | change if name == "transformers_suite.py" else found
            status, table, _ = self.accept("suite", script=other)
            self.assertEqual(status, accept.FAILED)
            self.assertIn(said, table)

    def test_without_pytorch_the_operations_stand_alone_and_that_is_counted(self):
        def none(run, name, arguments, at_most):
            raise steps.Skip("no PyTorch here")
        status, table, _ = self.accept("kernels", script=none)
        self.assertEqual(status, 0)
        self.assertIn("| matmul | 8192 × 8192 × 8192 | 733 TFLOP/s | — | — | — | — | — |", table)
        self.assertIn("- skipped: kernels/pytorch: no PyTorch here", table)

    def test_kernel_tests_that_would_run_on_the_cpu_are_refused(self):
        path = self.folder / "kernels"
        path.write_text(path.read_text().replace("SEKISHO_TEST_GPU", "SOMETHING_ELSE"))
        status, table, _ = self.accept("sanitize", "kernels")
        self.assertEqual(status, accept.FAILED)
        self.assertEqual(table.count("kernels does not know SEKISHO_TEST_GPU"), 2)

    def test_a_pack_that_was_changed_is_refused(self):
        (self.folder / "pack/prompts.jsonl").write_text("")
        with self.assertRaisesRegex(SystemExit, "prompts.jsonl is missing, or is not the file that was packed"):
            self.accept("parity")


if __name__ == "__main__":
    unittest.main()
