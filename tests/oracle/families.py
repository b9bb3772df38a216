"""Reference logits of tiny models of other families, by transformers 5.23 in float32.

    python tests/oracle/families.py trainer/model/tests/fixtures/families

writes FAMILY/config.json and FAMILY/logits.json. The weights are not kept: they follow from the names of the tensors, by the
formula of `values` below, which `trainer/model/src/families/tests.rs` has too.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers as hf

TOKENS = [1, 5, 17, 90, 33, 5, 64, 2, 71, 40, 8, 95, 12, 3, 77, 28]
COMMON = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
FEW_KEYS = dict(num_key_value_heads=2)
ROPE = dict(rope_parameters={"rope_type": "default", "rope_theta": 500.0})
PARTIAL = dict(rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5})
CAPS = dict(attn_logit_softcapping=2.0, final_logit_softcapping=3.0)

FAMILIES = {
    "mistral": hf.MistralConfig(**COMMON, **FEW_KEYS, **ROPE, head_dim=12, sliding_window=16),
    "qwen2": hf.Qwen2Config(**COMMON, **FEW_KEYS, **ROPE, tie_word_embeddings=True),
    "qwen3": hf.Qwen3Config(**COMMON, **FEW_KEYS, **ROPE, head_dim=16),
    "gemma": hf.GemmaConfig(**COMMON, **FEW_KEYS, **ROPE, head_dim=16),
    "gemma2": hf.Gemma2Config(**COMMON, **FEW_KEYS, **ROPE, **CAPS, head_dim=16, query_pre_attn_scalar=16,
                              sliding_window=16),
    # Candle's program of Gemma 3 goes another way for several key heads.
    **{name: hf.Gemma3TextConfig(
        **COMMON, num_key_value_heads=keys, head_dim=16, query_pre_attn_scalar=16, sliding_window=16,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                         "full_attention": {"rope_type": "default", "rope_theta": 5000.0}})
       for name, keys in [("gemma3", 1), ("gemma3-keys", 2)]},
    "phi": hf.PhiConfig(**COMMON, **PARTIAL),
    "phi3": hf.Phi3Config(**COMMON, **FEW_KEYS, **PARTIAL, sliding_window=16),
}


def values(name: str, count: int) -> np.ndarray:
    """Between -1 and 1: SplitMix64 from the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def weight(family: str, name: str, shape) -> torch.Tensor:
    """Norms lie around the value at which they do nothing; Gemma's are kept without their 1."""
    some = values(name, int(np.prod(shape)))
    if name.endswith(".bias"):
        some = some * np.float32(0.125)
    else:
        some = some * np.float32(0.25)
    if "norm" in name and name.endswith(".weight") and not family.startswith("gemma"):
        some = some + np.float32(1)
    return torch.from_numpy(some.reshape(tuple(shape)))


def main(folder: Path) -> None:
    for family, config in FAMILIES.items():
        model = hf.AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weight(family, name, parameter.shape))
            logits = model(torch.tensor([TOKENS])).logits[0]
        out = folder / family
        out.mkdir(parents=True, exist_ok=True)
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(out)
        rows = [[float(f"{value:.7g}") for value in row] for row in logits.tolist()]
        golden = {"tokens": TOKENS, "parameters": sum(p.numel() for p in model.parameters()), "logits": rows}
        (out / "logits.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
        print(family, "logits between", logits.min().item(), "and", logits.max().item(), file=sys.stderr)


if __name__ == "__main__":
    np.seterr(over="ignore")
    main(Path(sys.argv[1]))
