"""Writes a checkpoint with random weights: a published shape, for measurements that do not ask what a model knows.

    python3 tests/gpu/random_model.py --pack PACK --out DIR [--device cuda:0]

The shape is PACK/shape.json, the tokenizer PACK/model's: it knows 8,000 of the 99,584 ids, the output layer all of them. Weights are
normal with a standard deviation of 0.02, as the published models begin, norms are 1; bf16. The folder appears when it is complete.
"""

import argparse
import json
import pathlib
import shutil
import struct
import sys

from steps import NOT_HERE, pytorch

STD = 0.02
SEED = 1


def tensors(config):
    """Name → shape, in the order of the file."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    queries, keys = (config[name] * config["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    yield "model.embed_tokens.weight", [vocabulary, hidden]
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        yield f"{name}.input_layernorm.weight", [hidden]
        yield f"{name}.self_attn.q_proj.weight", [queries, hidden]
        yield f"{name}.self_attn.k_proj.weight", [keys, hidden]
        yield f"{name}.self_attn.v_proj.weight", [keys, hidden]
        yield f"{name}.self_attn.o_proj.weight", [hidden, queries]
        yield f"{name}.post_attention_layernorm.weight", [hidden]
        yield f"{name}.mlp.gate_proj.weight", [inner, hidden]
        yield f"{name}.mlp.up_proj.weight", [inner, hidden]
        yield f"{name}.mlp.down_proj.weight", [hidden, inner]
    yield "model.norm.weight", [hidden]
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", [vocabulary, hidden]


def header(shapes):
    """The head of a safetensors file: the length, then where each tensor lies."""
    about, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 2 * size_of(shape)
        about[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(about, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def size_of(shape):
    """Values of a shape."""
    size = 1
    for dimension in shape:
        size *= dimension
    return size


def bits(torch, values):
    """The bytes of a bf16 tensor."""
    return values.view(torch.int16).cpu().numpy().tobytes()


def write(torch, path, shapes, device):
    generator = torch.Generator(device=device)
    generator.manual_seed(SEED)
    with path.open("wb") as file:
        file.write(header(shapes))
        for name, shape in shapes.items():
            if len(shape) == 1:
                values = torch.ones(shape, dtype=torch.bfloat16, device=device)
            else:
                values = torch.randn(shape, generator=generator, device=device, dtype=torch.float32).mul_(STD).to(torch.bfloat16)
            file.write(bits(torch, values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pack", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--device", default="cuda:0")
    args = parser.parse_args()
    torch = pytorch(gpu=False)
    if torch is None:
        return NOT_HERE
    config = json.loads((args.pack / "shape.json").read_text())
    shapes = dict(tensors(config))
    making = args.out.with_name(f"{args.out.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(args.pack / "model" / name, making / name)
    (making / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write(torch, making / "model.safetensors", shapes, args.device)
    making.rename(args.out)
    print(json.dumps({"parameters": sum(size_of(shape) for shape in shapes.values())}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
