"""A plain Llama in PyTorch for machines without transformers: SDPA, a cache of fixed size, padding on the left, greedy."""

import json
import struct

import torch
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu


def read_safetensors(path, device):
    """Name → tensor on the device, of a bf16 file."""
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        about, start = json.loads(file.read(length)), 8 + length
    mapped = torch.from_file(str(path), size=path.stat().st_size, dtype=torch.uint8)
    found = {}
    for name, tensor in about.items():
        if name != "__metadata__":
            first, last = tensor["data_offsets"]
            # Copied first: a view as bf16 must begin at an even address of its own storage.
            values = mapped[start + first:start + last].to(device)
            found[name] = values.view(torch.bfloat16).view(tensor["shape"])
    return found


class Llama:
    """Weights of a folder on a device, and a cache for `rows` sequences of at most `length` tokens."""

    def __init__(self, folder, device, rows, length):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = read_safetensors(folder / "model.safetensors", device)
        layers, keys, dim = (self.config[name] for name in ("num_hidden_layers", "num_key_value_heads", "head_dim"))
        self.cache = torch.zeros([layers, 2, rows, keys, length, dim], dtype=torch.bfloat16, device=device)
        frequencies = self.config["rope_theta"] ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
        angles = torch.outer(torch.arange(length, device=device, dtype=torch.float32), frequencies)
        self.cos, self.sin = (torch.cat([part, part], 1).to(torch.bfloat16) for part in (angles.cos(), angles.sin()))
        self.device = device

    def norm(self, x, name):
        return rms_norm(x, (x.shape[-1],), self.weights[f"{name}.weight"], self.config["rms_norm_eps"])

    def heads(self, x, name):
        rows, length, _ = x.shape
        return linear(x, self.weights[f"{name}.weight"]).view(rows, length, -1, self.config["head_dim"]).transpose(1, 2)

    def rotated(self, x, positions):
        half = x.shape[-1] // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * self.cos[positions][:, None] + turned * self.sin[positions][:, None]

    def attention(self, x, layer, positions, at, mask):
        """Writes keys and values to the cache from `at` on, and attends to everything up to there that the mask lets through."""
        name = f"model.layers.{layer}.self_attn"
        q, k = (self.rotated(self.heads(x, f"{name}.{part}_proj"), positions) for part in "qk")
        rows, length = x.shape[:2]
        keys, values = self.cache[layer, 0, :rows], self.cache[layer, 1, :rows]
        keys[:, :, at:at + length] = k
        values[:, :, at:at + length] = self.heads(x, f"{name}.v_proj")
        shared = self.config["num_attention_heads"] != self.config["num_key_value_heads"]
        mixed = scaled_dot_product_attention(q, keys[:, :, :at + length], values[:, :, :at + length], attn_mask=mask,
                                             enable_gqa=shared)
        return linear(mixed.transpose(1, 2).reshape(rows, length, -1), self.weights[f"{name}.o_proj.weight"])

    def likeliest(self, tokens, positions, at, mask):
        """The likeliest token after the last one of each row."""
        x = self.weights["model.embed_tokens.weight"][tokens]
        for layer in range(self.config["num_hidden_layers"]):
            name = f"model.layers.{layer}"
            x = x + self.attention(self.norm(x, f"{name}.input_layernorm"), layer, positions, at, mask)
            y = self.norm(x, f"{name}.post_attention_layernorm")
            gate, up = (linear(y, self.weights[f"{name}.mlp.{part}_proj.weight"]) for part in ("gate", "up"))
            x = x + linear(silu(gate) * up, self.weights[f"{name}.mlp.down_proj.weight"])
        return linear(self.norm(x[:, -1], "model.norm"), self.weights["lm_head.weight"]).argmax(-1)

    @torch.inference_mode()
    def generate(self, prompts, limit, end):
        """Greedy tokens of each prompt, at most `limit`, up to and with `end`; all rows go on until the last one has ended."""
        rows, longest = len(prompts), max(map(len, prompts))
        padding = torch.tensor([longest - len(prompt) for prompt in prompts], device=self.device)
        tokens = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=self.device)
        slots = torch.arange(longest + limit, device=self.device)
        real = slots[None, :] >= padding[:, None]
        positions = (slots[None, :] - padding[:, None]).clamp(min=0)
        causal = slots[:longest, None] >= slots[None, :longest]
        mask = (real[:, None, None, :longest] & causal) | torch.eye(longest, dtype=torch.bool, device=self.device)
        token = self.likeliest(tokens, positions[:, :longest], 0, mask)
        found, ended = [token], token == end
        for at in range(longest, longest + limit - 1):
            if bool(ended.all()):
                break
            token = self.likeliest(token[:, None], positions[:, at:at + 1], at, real[:, None, None, :at + 1])
            found.append(token)
            ended |= token == end
        return torch.stack(found, 1).tolist()
