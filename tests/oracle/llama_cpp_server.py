"""Serves a Hugging Face Llama folder with llama.cpp's own HTTP server: `llama_cpp_server.py FOLDER NAME FILE.gguf`.

The weights are written as GGUF in f32 first, and keys and values are kept in f32, so that nothing but the order of
sums differs from the folder's numbers. Prints `{"url": …}` when it listens, and ends when its standard input does.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

CONTEXT = 2048
SLOTS = 2


def tensors(folder):
    """Name and f32 array of every tensor, read without a tensor library."""
    for file in sorted(folder.glob("*.safetensors")):
        with open(file, "rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(size))
            for name, entry in header.items():
                if name == "__metadata__":
                    continue
                begin, end = entry["data_offsets"]
                opened.seek(8 + size + begin)
                raw = opened.read(end - begin)
                yield name, widened(raw, entry["dtype"]).reshape(entry["shape"])


def widened(raw, dtype):
    if dtype == "BF16":
        return (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32)


def paired(weight, heads):
    """Rows of a query or key projection from transformers' halves to llama.cpp's pairs."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def vocabulary(writer, folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    ids = {**tokenizer["model"]["vocab"], **{added["content"]: added["id"] for added in tokenizer["added_tokens"]}}
    tokens = sorted(ids, key=ids.get)
    special = {added["content"] for added in tokenizer["added_tokens"]}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    byte_level = "ByteLevel" in json.dumps(tokenizer["pre_tokenizer"])
    writer.add_tokenizer_model("gpt2" if byte_level else "llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    if byte_level:
        writer.add_token_merges(merges)
    else:
        rank = {merge.replace(" ", ""): -float(place) for place, merge in enumerate(merges)}
        writer.add_token_scores([rank.get(token, -1e6) for token in tokens])
    kind = lambda token: (
        gguf.TokenType.CONTROL if token in special
        else gguf.TokenType.BYTE if not byte_level and token.startswith("<0x")
        else gguf.TokenType.NORMAL
    )
    writer.add_token_types([kind(token) for token in tokens])


def write(folder, file):
    config = json.loads((folder / "config.json").read_text())
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(file, "llama")
    # Room for prompts that their profile does not cut.
    writer.add_context_length(max(CONTEXT, config["max_position_embeddings"]))
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    vocabulary(writer, folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, array in tensors(folder):
        if name.endswith("q_proj.weight"):
            array = paired(array, heads)
        if name.endswith("k_proj.weight"):
            array = paired(array, groups)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(file, name):
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.model_alias = {name}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel = SLOTS * CONTEXT, SLOTS
    # Its threads spin while they wait, and other tests run beside it.
    params.cpuparams.n_threads = 1
    params.warmup = False
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(params)
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    folder, name, file = sys.argv[1:]
    write(Path(folder), file)
    serve(file, name)
