//! Facts of which a card says nothing where they are not known.

use std::collections::BTreeMap;

use sekisho_domain::lineage::{InputStage, ReleaseStage};
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::Devices;
use sekisho_domain::{Sha256, Text, Tokens};

/// What a card says beyond [`CardFacts`](super::CardFacts). Empty by default: nothing is known, and nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardExtras {
    /// Releases of the same family, this one included; the table of models and the history of releases.
    pub family: Vec<CardFamilyMember>,
    /// Tokens of this stage and of all before it.
    pub cumulative_tokens: Option<Tokens>,
    /// The tokenizer that is released.
    pub tokenizer: Option<CardTokenizer>,
    /// Subsets of the registry with their use; they take the place of the lineage's corpora and synthetic inputs.
    pub subsets: Vec<CardSubset>,
    /// What the training took, one entry for each kind and number of devices, in the order of use.
    pub compute: Vec<CardCompute>,
    /// Mean over training tokens.
    pub curve: Option<CardCurve>,
    /// The base model's scores under the same settings.
    pub base: Option<CardComparison>,
    /// The scores of the release before this one.
    pub previous: Option<CardComparison>,
    /// Where the scores were computed.
    pub environment: Option<CardEnvironment>,
    /// Evaluation items found in the training data.
    pub contamination: Option<CardContamination>,
    /// Digest of the data file behind a score, by the score's fingerprint; the `revision` of the model index.
    pub data_digests: BTreeMap<Sha256, Sha256>,
    /// Page of the scores on a service that readers can reach; the `source` of the model index.
    pub results_url: Option<String>,
    /// What is published of each part of the work.
    pub components: Vec<CardComponent>,
    /// What a licence wants credited by its name, also of the models that this one descends from.
    pub credits: Vec<CardCredit>,
    /// Restrictions on use that a licence wants passed on.
    pub restrictions: Vec<Text>,
    /// The signature in `model.sig`.
    pub signature: Option<CardSignature>,
    /// Names, in any order; the card sorts them.
    pub authors: Vec<String>,
    /// Year of the default citation.
    pub year: Option<u16>,
    /// Where questions go: a mail address or a web page.
    pub contact: Option<String>,
    /// DOI of the repository.
    pub doi: Option<String>,
    /// The release that took this one's place, `owner/name`.
    pub new_version: Option<String>,
}

/// One release of the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardFamilyMember {
    /// Display name.
    pub name: String,
    /// `owner/name` on the Hub.
    pub repo: String,
    /// Branch.
    pub revision: String,
    /// All parameters.
    pub parameters: Option<u64>,
    /// Tokens it was trained on.
    pub tokens: Option<Tokens>,
    /// Final, beta or failed.
    pub stage: ReleaseStage,
    /// Where it stands; a release that is neither out, superseded nor yanked is shown only when it is this one.
    pub state: ReleaseState,
    /// This card's release.
    pub is_this: bool,
    /// Day on which it came out, `YYYY-MM-DD` in the zone of the service.
    pub published: Option<String>,
}

/// The tokenizer that is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardTokenizer {
    /// Entries.
    pub vocabulary: u64,
    /// Of these, entries added to the base model's; none when the vocabulary was not expanded or nothing is known.
    pub added: Option<u64>,
    /// `BPE`, `Unigram` …
    pub kind: Option<String>,
    /// Of its files.
    pub digest: Option<Sha256>,
    /// Name of the tokenizer that counted the training tokens, for subsets that name none.
    pub counted_with: Option<String>,
}

/// One subset of the training data, as the registry has it, and its use in this model.
#[derive(Clone, Debug, PartialEq)]
pub struct CardSubset {
    /// Its id in the registry.
    pub id: String,
    /// ISO 639-1.
    pub language: Option<String>,
    /// At which stage it entered.
    pub stage: Option<InputStage>,
    /// Tokens trained on, repetitions included.
    pub tokens: Option<Tokens>,
    /// How often it was seen.
    pub repeats: Option<f64>,
    /// Release level; none when the registry has none.
    pub level: Option<String>,
    /// SPDX expression, `LicenseRef-…`, or a Hub licence id.
    pub license: Option<String>,
    /// Model that wrote it.
    pub generator: Option<String>,
    /// Licence of that model.
    pub generator_license: Option<String>,
    /// Name of the tokenizer that counted it.
    pub counted_with: Option<String>,
}

/// What the training took on the same devices.
#[derive(Clone, Debug, PartialEq)]
pub struct CardCompute {
    /// What computed: GPUs, or threads of a CPU.
    pub devices: Devices,
    /// Wall time.
    pub hours: f64,
}

/// The learning curve. Only means over the whole task set belong here.
#[derive(Clone, Debug, PartialEq)]
pub struct CardCurve {
    /// Name of the suite.
    pub suite: String,
    /// In the order of tokens.
    pub points: Vec<CardCurvePoint>,
    /// The figure among the released files, `learning_curve.svg`.
    pub figure: Option<String>,
}

/// One checkpoint of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardCurvePoint {
    /// Trained tokens.
    pub tokens: Tokens,
    /// Mean of the suite.
    pub mean: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Items.
    pub n: u64,
}

/// Scores of another model beside this one's.
#[derive(Clone, Debug, PartialEq)]
pub struct CardComparison {
    /// Display name.
    pub name: String,
    /// `owner/name` on the Hub.
    pub repo: Option<String>,
    /// Its scores. One whose fingerprint and metric no score of this card has is not shown.
    pub rows: Vec<CardComparisonRow>,
    /// Its mean of the card's suite, when both have all tasks.
    pub mean: Option<(f64, CardDifference)>,
    /// Whether the p values are corrected for the number of tasks (Holm).
    pub corrected: bool,
}

/// One score of the other model.
#[derive(Clone, Debug, PartialEq)]
pub struct CardComparisonRow {
    /// Settings: the same as those of this card's score.
    pub fingerprint: Sha256,
    /// Metric.
    pub metric: String,
    /// The other model's value.
    pub value: f64,
    /// Its 95 % interval; none for a reported value.
    pub range: Option<(f64, f64)>,
    /// Reported by others and not run here.
    pub reported: bool,
    /// The paired test; none for a reported value.
    pub difference: Option<CardDifference>,
}

/// This model minus the other on shared items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardDifference {
    /// Difference.
    pub delta: f64,
    /// p of the paired test.
    pub p: f64,
    /// What the test says at its level.
    pub significant: bool,
}

/// Where the scores were computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardEnvironment {
    /// Engine and its version.
    pub engine: String,
    /// `cpu`, `cuda:0` …
    pub device: String,
    /// Of the computation.
    pub dtype: String,
    /// Whether prompts began with BOS; none when tasks differ.
    pub bos: Option<bool>,
}

/// Something that is credited by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardCredit {
    /// What it is called.
    pub name: String,
    /// SPDX expression, `LicenseRef-…`, or a Hub licence id.
    pub license: String,
}

/// Evaluation items found in the training data.
#[derive(Clone, Debug, PartialEq)]
pub struct CardContamination {
    /// One sentence on how it was looked for.
    pub method: Text,
    /// Per score.
    pub rows: Vec<CardContaminatedTask>,
}

/// What was found for one score of the card.
#[derive(Clone, Debug, PartialEq)]
pub struct CardContaminatedTask {
    /// Settings of the score.
    pub fingerprint: Sha256,
    /// Metric of the score.
    pub metric: String,
    /// Items found in the training data.
    pub found: u64,
    /// Score over the items that were not found.
    pub without: Option<f64>,
}

/// One part of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardComponent {
    /// Which part.
    pub kind: CardComponentKind,
    /// How much of it is published.
    pub state: CardComponentState,
    /// Why not all of it.
    pub reason: Option<Text>,
    /// Path in the repository, or the web address where it lies.
    pub path: Option<String>,
}

/// A part of the work, in the order of the card's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardComponentKind {
    /// The model.
    Weights,
    /// Of training and evaluation.
    Code,
    /// Its text.
    TrainingData,
    /// Loss, learning rate and events.
    TrainingLogs,
    /// Outputs and scores item by item.
    EvaluationRecords,
    /// The resolved specification of the run.
    RunSpecification,
    /// Which documents were seen when.
    DataOrder,
}

/// How much of a part is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardComponentState {
    /// All of it.
    Open,
    /// Some of it.
    Partly,
    /// None of it.
    Closed,
}

/// The signature in `model.sig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardSignature {
    /// Fingerprint of the public key, as the signer publishes it.
    pub key_fingerprint: String,
    /// Who signed.
    pub signer: String,
    /// Web address of the public key.
    pub public_key: Option<String>,
}
