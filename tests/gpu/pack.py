"""Makes what tests/gpu/accept.sh needs of the oracle and the data, beside the CPU's answers; called by pack.sh, which says how.

The CPU's answers are what a GPU is held against, so they are held here against what lm-eval and llm-jp-eval found on the same checkpoint,
item by item. (`evaluator/tests/it/agreement.rs` does the same with more of their results.)
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tomllib

import records

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "oracle"))
import speed  # noqa: E402  (it knows llm-jp-eval's prompts)

# Below it a greedy choice may fall the other way by rounding, in any program.
DECIDED = 1e-3
# What another program may differ by in f32: the oracle's README calls it generous.
BOUND = 1e-3
LLM_JP_EVAL, ORACLE = "llm-jp-eval@1.3", "oracle@1"
SHAPE = "llm-jp-3-1.8b"
MODEL_FILES = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"]
DATA = ["jglue/jcommonsenseqa-v1.3/train-v1.3.json", "jglue/jcommonsenseqa-v1.3/valid-v1.3.json", "jemhopqa/train.json",
        "jemhopqa/dev.json", "niilc/NIILC-ECQA2015_dev.xml", "niilc/NIILC-ECQA2015_test.xml", "openbookqa/openbook_qa.jsonl",
        "winogrande/winogrande.jsonl"]
TASKS = ["o_jcommonsenseqa", "o_openbookqa", "o_winogrande"]


def likelihoods(tasks, shots):
    return ["--profile", "oracle", "--task", ",".join(tasks), "--shots", str(shots), "--limit", "200"]


# Name → arguments of `sekisho eval`, file of the official results. Texts behind examples; five answers behind three examples, the same
# for all; short prompts that share nothing, and a context for each answer.
SETS = {
    "llm-jp-eval-dev100": (["--suite", "llm-jp-eval-dev100"], "llmjp_v13.jsonl"),
    "jcommonsenseqa-3-shots": (likelihoods(["o_jcommonsenseqa"], 3), "lmeval_jcqa_3shot.jsonl"),
    "choices-0-shots": (likelihoods(TASKS, 0), "lmeval_zeroshot.jsonl"),
}


def copy_inputs(oracle, data, out):
    model = oracle / "mini-ja-en/step-0800"
    wanted = [(model / name, out / "model" / name) for name in MODEL_FILES]
    wanted += [(path, out / "model" / path.name) for path in model.glob("*.safetensors")]
    wanted += [(data / "bench" / name, out / "data/bench" / name) for name in DATA]
    # Each set goes with its licence and with where it comes from.
    for folder in sorted({name.partition("/")[0] for name in DATA}):
        told = [path for path in (data / "bench" / folder).iterdir() if path.name.startswith(("LICENSE", "SOURCE"))]
        wanted += [(path, out / "data/bench" / folder / path.name) for path in told]
    wanted += [(pathlib.Path(speed.__file__).parent / f"tasks/{task}.toml", out / f"tasks/{task}.toml") for task in TASKS]
    for source, target in wanted:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def answer(sekisho, out, name, arguments):
    """The CPU's records of a set, in the order of their names."""
    path = out / "records" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    command = [sekisho, "eval", "--device", "cpu", "--model", out / "model", "--data", out / "data", "--tasks", out / "tasks"]
    subprocess.run([*command, *arguments, "--out", path, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    found = records.read(path)
    records.write(path, found)
    path.with_name(f"{path.name}.key").unlink()
    return found


def official(path):
    """What the official tools found, as records: of llm-jp-eval the prompts without BOS, as its profile asks them."""
    found = {}
    for line in path.read_text().splitlines():
        golden = json.loads(line)
        if "text" in golden and not golden["add_special_tokens"]:
            task, split, item = golden["id"].split("/")
            record = {"profile": LLM_JP_EVAL, "task": task, "split": split, "item": int(item),
                      "output": golden["text"].partition("\n\n")[0], "decided": golden["min_top2_margin"] >= DECIDED}
        elif "loglikelihood" in golden:
            task, item = golden["id"].split("/")
            record = {"profile": ORACLE, "task": task, "split": "test", "item": int(item),
                      "loglikelihoods": golden["loglikelihood"]}
        else:
            continue
        record |= {"prompt_sha256": golden["prompt_sha256"], "prompt_tokens": golden["prompt_tokens"]}
        found[records.key(record)] = record
    return found


def hold(name, ours, goldens, out):
    """Holds the CPU's records against the official results, and keeps those of the same items."""
    theirs = {key: golden for key, golden in goldens.items() if key in ours}
    found = records.agreement(ours, theirs)
    for key, golden in theirs.items():
        if ours[key]["prompt_tokens"] != golden["prompt_tokens"]:
            raise records.Wrong(f"{records.name(key)} has another number of tokens than the official tool found")
    if found.largest > BOUND or found.clearly_wrong:
        raise records.Wrong(f"{name}: |Δ| up to {found.largest:.1e} nats, other texts in {found.clearly_wrong}")
    (out / "official").mkdir(exist_ok=True)
    records.write(out / "official" / f"{name}.jsonl", theirs)
    print(f"{name}: {found.items} items as the official tools found them: {len(found.differences)} log-likelihoods within "
          f"{found.largest:.1e} nats, {found.equal_texts} of {found.texts} texts equal", file=sys.stderr)


def write_prompts(sekisho, out, ours):
    """The prompts of llm-jp-eval-dev100 for other programs: each is the text whose digest our record names."""
    build = [sekisho, "data", "build", "--profile", LLM_JP_EVAL, "--task", ",".join(speed.TASKS)]
    subprocess.run([*build, "--data", out / "data", "--out", out / "built"], check=True, stdout=subprocess.DEVNULL)
    lines = []
    for task, item, prompt, limit in speed.prompts(out / "built", 100):
        record = ours[LLM_JP_EVAL, task, "dev", item]
        if hashlib.sha256(prompt.encode()).hexdigest() != record["prompt_sha256"]:
            raise records.Wrong(f"{task}, item {item}: the prompt is not the one that was asked")
        lines.append({"task": task, "item": item, "prompt": prompt, "tokens": record["prompt_tokens"], "max_new_tokens": limit})
    if len(lines) != len(ours):
        raise records.Wrong(f"{len(lines)} prompts were made, and {len(ours)} were asked")
    shutil.rmtree(out / "built")
    (out / "prompts.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def shape(sekisho):
    """config.json of the model with random weights: the published shape, as the trainer's preset has it."""
    text = subprocess.run([sekisho, "presets", SHAPE], check=True, capture_output=True, text=True).stdout
    model = tomllib.loads(text)["model"]
    width = model["hidden_size"] // model["num_attention_heads"]
    model.pop("scaled_embedding")
    rope = {"rope_theta": model["rope_theta"], "rope_type": "default"}
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **model, "head_dim": width, "hidden_act": "silu",
            "attention_bias": False, "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 2, "rope_parameters": rope,
            "dtype": "bfloat16", "torch_dtype": "bfloat16"}


def write_manifest(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    digests = {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    sets = {name: arguments for name, (arguments, _) in SETS.items()}
    (out / "manifest.json").write_text(json.dumps({"sets": sets, "files": digests}, indent=1, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser()
    for name in ("sekisho", "oracle", "data", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    args = parser.parse_args()
    copy_inputs(args.oracle, args.data, args.out)
    ours = {}
    for name, (arguments, goldens) in SETS.items():
        ours[name] = answer(args.sekisho, args.out, name, arguments)
        hold(name, ours[name], official(args.oracle / "goldens/step-0800" / goldens), args.out)
    write_prompts(args.sekisho, args.out, ours["llm-jp-eval-dev100"])
    (args.out / "shape.json").write_text(json.dumps(shape(args.sekisho), indent=1) + "\n")
    write_manifest(args.out)


if __name__ == "__main__":
    try:
        main()
    except records.Wrong as error:
        sys.exit(f"no pack: {error}")
