"""The models whose training is measured, as the trainer's presets have them: config.json by name, and what an update computes."""

COMMON = {"model_type": "llama", "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": 99584}


def model(hidden, layers, heads, keys, inner, length, **more):
    return COMMON | {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": keys,
                     "head_dim": hidden // heads, "intermediate_size": inner, "max_position_embeddings": length} | more


# LLM-jp-3's 152M and 1.8B, and LLM-jp-4's 1.3B at twice the length. (config, sequences of an update, positions, recomputation)
SHAPES = {
    "1.8B": (model(2048, 24, 16, 16, 7168, 4096), 4, 4096, "light"),
    "152M": (model(512, 12, 8, 8, 2048, 4096), 16, 4096, "light"),
    "1.3B": (model(2048, 16, 16, 8, 7168, 8192, rope_theta=500000.0), 2, 8192, "light"),
}
# A shape for machines on which the scripts are tried.
TINY = {"tiny": (model(64, 2, 4, 2, 160, 64, vocab_size=320), 2, 64, "light")}


def operations(config, length):
    """Of a token, forward and backward: six for each parameter of a product, and the causal half of attention."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries, keys = (config[name] * config["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    layer = hidden * (queries + 2 * keys) + queries * hidden + 3 * hidden * inner
    layers = config["num_hidden_layers"]
    return 6 * (layers * layer + hidden * config["vocab_size"]) + 6 * layers * queries * length
