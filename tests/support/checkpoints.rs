//! Small checkpoints: good ones, and ways to break them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use sekisho_weights::{Dtype, ModelConfig, TensorData, to_f32_bytes, write_safetensors};
use serde_json::{Map, Value, json};

/// Bytes, and the two tokens that begin and end a text.
pub const VOCABULARY: usize = 258;

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A small Llama with arbitrary weights and a tokenizer of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Width; heads are 16 wide.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Other weights for another seed.
    pub seed: u32,
    /// Files the weights are in.
    pub shards: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { hidden: 32, layers: 2, seed: 1, shards: 1 }
    }
}

impl Recipe {
    fn config(&self) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": VOCABULARY, "hidden_size": self.hidden, "num_hidden_layers": self.layers,
            "num_attention_heads": self.hidden / 16, "num_key_value_heads": self.hidden / 16, "head_dim": 16,
            "intermediate_size": self.hidden * 8 / 3, "max_position_embeddings": 1024, "rope_theta": 10000.0,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 1,
        })
    }

    /// Writes it into a folder, which is made.
    ///
    /// # Panics
    /// When the disk does not take it.
    pub fn write(&self, dir: &Path) {
        fs_err::create_dir_all(dir).expect("a folder");
        write_json(dir, "config.json", &self.config());
        write_tokenizer(dir);
        self.write_weights(dir, &mut |_, _| {});
    }

    /// Writes a small Gemma of these sizes in its place.
    ///
    /// # Panics
    /// When the disk does not take it.
    pub fn write_gemma(&self, dir: &Path) {
        let mut config = self.config();
        for (key, value) in [
            ("model_type", "gemma"),
            ("architectures", "GemmaForCausalLM"),
            ("hidden_act", "gelu_pytorch_tanh"),
        ] {
            config[key] = if key == "architectures" { json!([value]) } else { json!(value) };
        }
        fs_err::create_dir_all(dir).expect("a folder");
        write_json(dir, "config.json", &config);
        write_tokenizer(dir);
        self.write_tensors(dir, &config, &mut |_, _| {});
    }

    /// Writes the weights after `change` has seen each tensor.
    fn write_weights(&self, dir: &Path, change: &mut dyn FnMut(&str, &mut [f32])) {
        self.write_tensors(dir, &self.config(), change);
    }

    fn write_tensors(&self, dir: &Path, config: &Value, change: &mut dyn FnMut(&str, &mut [f32])) {
        let config =
            ModelConfig::from_json("config.json", &config.to_string()).expect("a good configuration");
        let mut tensors = Vec::new();
        let mut state = self.seed;
        for (name, shape) in config.expected_tensors() {
            let mut values = vec![1.0; shape.iter().product()];
            if shape.len() > 1 {
                values.fill_with(|| arbitrary(&mut state));
            }
            change(&name, &mut values);
            let bytes = Cow::Owned(to_f32_bytes(&values));
            tensors.push(TensorData { name, dtype: Dtype::F32, shape, bytes });
        }
        let mut map = Map::new();
        let of = self.shards;
        for (i, part) in tensors.chunks(tensors.len().div_ceil(of)).enumerate() {
            let file = if of == 1 { WEIGHTS.to_owned() } else { shard(i + 1, of) };
            map.extend(part.iter().map(|tensor| (tensor.name.clone(), json!(file))));
            let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
            write_safetensors(&dir.join(&file), &format, part.iter().cloned()).expect("written");
        }
        if of > 1 {
            let total: usize = tensors.iter().map(|tensor| tensor.bytes.len()).sum();
            write_json(dir, INDEX, &json!({ "metadata": { "total_size": total }, "weight_map": map }));
        }
    }
}

/// A checkpoint that must be refused.
pub struct Hostile {
    /// What is wrong with it.
    pub name: &'static str,
    /// What its refusal must say.
    pub says: &'static [&'static str],
    /// What it was before.
    recipe: Recipe,
    spoil: fn(&Recipe, &Path),
}

impl Hostile {
    /// Writes it into a folder, which is made.
    pub fn write(&self, dir: &Path) {
        self.recipe.write(dir);
        (self.spoil)(&self.recipe, dir);
    }
}

/// One of each kind that people meet.
#[must_use]
pub fn hostile() -> Vec<Hostile> {
    let (whole, sharded) = (Recipe::default(), Recipe { shards: 3, ..Recipe::default() });
    vec![
        Hostile {
            name: "a pickle under the name of safetensors",
            says: &[
                "model.safetensors is a pickle, not safetensors. Formats that can run code are refused. Write it as safetensors",
            ],
            recipe: whole,
            spoil: |_, dir| write(dir, WEIGHTS, b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x01s."),
        },
        Hostile {
            name: "a truncated file",
            says: &[
                "model.safetensors is cut short (",
                " bytes). Announce it again when it is complete. Nothing was changed.",
            ],
            recipe: whole,
            spoil: |_, dir| {
                let bytes = read(dir, WEIGHTS);
                write(dir, WEIGHTS, &bytes[..bytes.len() - 5]);
            },
        },
        Hostile {
            name: "tensors that overlap",
            says: &[
                "model.safetensors: tensors a and b share bytes. Every tensor has its own; write the file again.",
            ],
            recipe: whole,
            spoil: |_, dir| {
                let tensor =
                    |from: u32, to: u32| json!({ "dtype": "F32", "shape": [2], "data_offsets": [from, to] });
                let header = json!({ "a": tensor(0, 8), "b": tensor(4, 12) }).to_string();
                write(
                    dir,
                    WEIGHTS,
                    &[&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 12]].concat(),
                );
            },
        },
        Hostile {
            name: "NaN in the last element",
            says: &[
                "model-00003-of-00003.safetensors: tensor model.norm.weight holds 1 NaN or Inf values. It will be neither evaluated nor released. Write it again without NaN, or take an earlier checkpoint.",
            ],
            recipe: sharded,
            spoil: |recipe, dir| {
                recipe.write_weights(dir, &mut |name, values| {
                    if let ("model.norm.weight", [.., last]) = (name, values) {
                        *last = f32::NAN;
                    }
                });
            },
        },
        Hostile {
            name: "a missing shard",
            says: &[
                "model-00002-of-00003.safetensors is missing. Announce the checkpoint again when every file is written.",
            ],
            recipe: sharded,
            spoil: |_, dir| fs_err::remove_file(dir.join(shard(2, 3))).expect("there"),
        },
        Hostile {
            name: "a configuration that does not fit",
            says: &[
                "model.safetensors: model.embed_tokens.weight has shape [258, 32]; config.json says [300, 32]. Check vocab_size.",
            ],
            recipe: whole,
            spoil: |_, dir| edit_json(dir, "config.json", |config| config["vocab_size"] = json!(300)),
        },
    ]
}

/// A byte-level BPE tokenizer without merges: every byte is a token.
///
/// # Panics
/// When the disk does not take it.
pub fn write_tokenizer(dir: &Path) {
    let mut vocabulary = Map::new();
    let mut beyond = 256;
    for byte in 0..=255_u8 {
        // GPT-2's alphabet: printable bytes are themselves, the others follow U+0100 in order.
        let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let code = if printable { u32::from(byte) } else { beyond };
        beyond += u32::from(!printable);
        let character = char::from_u32(code).expect("below the surrogates");
        vocabulary.insert(character.to_string(), json!(u32::from(byte) + 2));
    }
    let special = |id: u32, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true })
    };
    for (id, name) in ["<s>", "</s>"].into_iter().enumerate() {
        vocabulary.insert(name.to_owned(), json!(id));
    }
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<s>"), special(1, "</s>")],
        "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [] },
    });
    fs_err::create_dir_all(dir).expect("a folder");
    write_json(dir, "tokenizer.json", &tokenizer);
    write_json(dir, "tokenizer_config.json", &json!({ "bos_token": "<s>", "eos_token": "</s>" }));
}

/// Values between -0.25 and 0.25 (a linear congruential generator).
fn arbitrary(state: &mut u32) -> f32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let upper = u16::try_from(*state >> 20).expect("twelve bits");
    f32::from(upper) / 8192.0 - 0.25
}

fn shard(number: usize, of: usize) -> String {
    format!("model-{number:05}-of-{of:05}.safetensors")
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    fs_err::write(dir.join(name), bytes).expect("written");
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs_err::read(dir.join(name)).expect("there")
}

fn write_json(dir: &Path, name: &str, value: &Value) {
    write(dir, name, value.to_string().as_bytes());
}

fn edit_json(dir: &Path, name: &str, edit: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&read(dir, name)).expect("JSON");
    edit(&mut value);
    write_json(dir, name, &value);
}

/// Makes the last value of the last tensor NaN, in bfloat16.
///
/// # Panics
/// When there is no shard.
pub fn spoil(folder: &Path) {
    let mut shards: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .collect();
    shards.sort();
    let shard = shards.last().expect("a shard");
    let mut bytes = fs_err::read(shard).expect("read");
    let end = bytes.len();
    // The upper half of a quiet NaN, in bfloat16 as in float32.
    bytes[end - 2..].copy_from_slice(&[0xc0, 0x7f]);
    fs_err::write(shard, bytes).expect("written");
}
