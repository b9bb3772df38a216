/// Why a server could not be used. The text is the sentence shown to people: the address, what happened there, the way on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// What was given is no address.
    #[error(
        "\"{url}\" is no address of a server; write --engine http://HOST:PORT (a key goes into SEKISHO_ENGINE_TOKEN)"
    )]
    Address {
        /// What was given.
        url: String,
    },
    /// Nobody answered.
    #[error(
        "no server answers at {url} ({reason}); start it, or correct --engine. With --out what was answered is kept, and the same command goes on from there."
    )]
    Away {
        /// The address.
        url: String,
        /// The network's words.
        reason: String,
    },
    /// An answer did not come in time.
    #[error(
        "{url} gave no answer within {seconds} s; see what it is doing, and give it longer with --engine-timeout or less at once with --engine-concurrency. With --out what was answered is kept."
    )]
    Silent {
        /// The address.
        url: String,
        /// Seconds waited.
        seconds: u64,
    },
    /// The server said no, or was busy or broken for too long.
    #[error(
        "{url} answers {status}: {words}. Mend that on the server; with --out the same command goes on from what was answered."
    )]
    Refused {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
        /// The beginning of its answer.
        words: String,
    },
    /// The key is missing or wrong.
    #[error("{url} asks for another key ({status}); put it into SEKISHO_ENGINE_TOKEN")]
    Key {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// Something answered that is no completions server.
    #[error("{url} gives no answer of a completions server: {reason}. Check that --engine names one.")]
    Unreadable {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A model that the server has not.
    #[error("{url} has no model \"{wanted}\" but {}; give one of them with --engine-model", listed(.has))]
    UnknownModel {
        /// The address.
        url: String,
        /// The model that was asked for.
        wanted: String,
        /// Those it has.
        has: Vec<String>,
    },
    /// An answer that cannot be believed.
    #[error("{url} {fault}; no score is made of such an answer")]
    Fault {
        /// The address.
        url: String,
        /// What it did, and the way on.
        fault: Fault,
    },
    /// A server that wants texts and no token ids, so that prompts would not be the harness's.
    #[error(
        "{url} does not take a prompt as token ids ({words}), and only these are the harness's prompt; serve the model with vLLM, SGLang or llama.cpp's llama-server"
    )]
    NoTokenIds {
        /// The address.
        url: String,
        /// Its refusal.
        words: String,
    },
    /// A server that gives no log-likelihoods of given tokens.
    #[error(
        "{url} cannot tell the log-likelihood of a given text: with prompt_logprobs it {ranked}; with echo and logprobs it {echoed}; with logit_bias and logprobs it {forced}. Serve the model with vLLM or SGLang, or choose tasks that only generate."
    )]
    NoLikelihoods {
        /// The address.
        url: String,
        /// What came of vLLM's way.
        ranked: String,
        /// What came of OpenAI's way.
        echoed: String,
        /// What came of llama.cpp's way.
        forced: String,
    },
    /// The server does not say how long a sequence may be.
    #[error(
        "{url} does not say how many tokens a prompt may have (max_model_len); give its context with --max-length"
    )]
    NoContext {
        /// The address.
        url: String,
    },
    /// `--max-length` above what the server takes.
    #[error(
        "{url} takes {have} tokens and --max-length is {wanted}; give at most {have}, or serve with a longer context"
    )]
    ShortContext {
        /// The address.
        url: String,
        /// Tokens it takes.
        have: usize,
        /// Tokens asked for.
        wanted: usize,
    },
    /// A sequence that the profile does not cut and the server would.
    #[error(
        "{url} takes {have} tokens, and this item needs {need}, which its profile does not cut; serve with a longer context"
    )]
    TooLong {
        /// The address.
        url: String,
        /// Tokens it takes.
        have: usize,
        /// Tokens of prompt and answer.
        need: usize,
    },
    /// The tokenizer of the folder is not the server's.
    #[error(
        "{url} cuts a test sentence into {theirs} tokens, the tokenizer in --model into {ours}; give the folder of the tokenizer that the server uses"
    )]
    OtherTokenizer {
        /// The address.
        url: String,
        /// Tokens by our tokenizer, without special ones.
        ours: u64,
        /// Tokens by the server's.
        theirs: u64,
    },
}

/// What a server did that makes an answer worthless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another model answered.
    #[error(
        "answers as model \"{have}\" when \"{wanted}\" is asked; let it serve that one alone, or correct --engine-model"
    )]
    OtherModel {
        /// The model that was asked for.
        wanted: String,
        /// The one that answered.
        have: String,
    },
    /// Not exactly one answer.
    #[error("gives {0} answers to one prompt; update it, or take what stands in between away")]
    Choices(usize),
    /// The one answer is not the first.
    #[error("numbers the one answer {0} and not 0; update it, or take what stands in between away")]
    Index(u64),
    /// An answer that somebody ended.
    #[error("broke an answer off (finish_reason \"{0}\"); see in its log why")]
    BrokenOff(String),
    /// No word on how much was read.
    #[error(
        "does not say how many tokens it read (usage.prompt_tokens), so a cut prompt would not be noticed; serve with another engine"
    )]
    NoUsage,
    /// The prompt was cut, or tokens were added.
    #[error(
        "read {read} tokens where {sent} were sent; it cuts prompts or adds tokens of its own, turn that off"
    )]
    OtherPrompt {
        /// Tokens sent.
        sent: u64,
        /// Tokens read.
        read: u64,
    },
    /// An answer was cut short.
    #[error("ended an answer after {have} of {wanted} tokens for want of room; serve with a longer context")]
    CutAnswer {
        /// Tokens generated.
        have: u64,
        /// Tokens it might have generated.
        wanted: u64,
    },
    /// An answer above its limit.
    #[error(
        "wrote {have} tokens where {wanted} were the limit; it ignores max_tokens, serve with another engine"
    )]
    LongAnswer {
        /// Tokens generated.
        have: u64,
        /// Tokens allowed.
        wanted: u64,
    },
    /// Log-probabilities for another number of tokens.
    #[error(
        "gives log-probabilities of {have} tokens where {wanted} were sent; update it, or serve with another engine"
    )]
    OtherCount {
        /// Tokens sent.
        wanted: usize,
        /// Log-probabilities there.
        have: usize,
    },
    /// A log-probability that is none.
    #[error(
        "gives a log-probability that is missing, not finite or above 0; the weights or their precision are broken there"
    )]
    NotANumber,
    /// No word on the likeliest token.
    #[error(
        "does not say which token is the likeliest (top_logprobs), and this task asks for it; serve with another engine"
    )]
    NoLikeliest,
    /// The token that was to be scored is not in the answer.
    #[error(
        "gives no log-probability of the token that was asked for; update it, or serve with another engine"
    )]
    OtherToken,
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none at all".to_owned();
    }
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
