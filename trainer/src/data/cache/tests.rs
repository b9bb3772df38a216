use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop};
use proptest::{prop_assert_eq, proptest};
use sekisho_domain::Sha256;
use sekisho_model::Tokenizer;

use super::{Cache, Known, Opening};
use crate::data::jsonl::Text;
use crate::data::tests::{spec, tokenizer};
use crate::data::{Data, DataError, Span};

/// What happened while a text was opened.
#[derive(Debug, Default)]
struct Heard {
    notes: Vec<String>,
    /// Whether it was tokenised.
    read: bool,
}

/// Its documents as tokens.
fn documents(file: &Path, tokenizer: &Tokenizer, cache: &Cache) -> (Result<Vec<Vec<u32>>, DataError>, Heard) {
    let mut heard = Heard::default();
    let text = Text::new(tokenizer).expect("it ends documents");
    let opened = cache.sha256(file).map_err(DataError::from).and_then(|sha256| {
        cache.tokens(file, sha256, &text, &mut |news| match news {
            Opening::Note(note) => heard.notes.push(note.to_owned()),
            Opening::Reading { .. } => heard.read = true,
        })
    });
    cache.tell(&mut |news| {
        if let Opening::Note(note) = news {
            heard.notes.push(note.to_owned());
        }
    });
    let read = opened.and_then(|stored| {
        let all = 0..stored.documents();
        all.map(|document| {
            let span = Span { document: document as usize, from: 0, to: stored.length(document)? };
            let mut tokens = Vec::new();
            stored.read(&[span], &mut tokens).map(|()| tokens)
        })
        .collect()
    });
    (read, heard)
}

fn write(file: &Path, texts: &[String]) {
    let lines: String =
        texts.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
    fs_err::write(file, lines).expect("written");
}

/// The tokens of letters, by hand.
fn by_hand(texts: &[String]) -> Vec<Vec<u32>> {
    let id = |letter| match letter {
        'a' => 1,
        'b' => 2,
        _ => 3,
    };
    texts.iter().map(|text| text.chars().map(id).chain([0]).collect()).collect()
}

fn some_texts() -> Vec<String> {
    (1..40).map(|n| "abあ".chars().cycle().take(n * 7 % 23 + 1).collect()).collect()
}

/// A text, a tokenizer, and a place for a cache.
struct Bench {
    folder: tempfile::TempDir,
    tokenizer: Tokenizer,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder.path().join("a.jsonl"), &some_texts());
        let tokenizer = tokenizer(folder.path(), true);
        Self { folder, tokenizer }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("a.jsonl")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Opens the text as a process of its own would, and holds it against the tokens by hand.
    fn open(&self) -> Heard {
        let (found, heard) = documents(&self.file(), &self.tokenizer, &Cache::at(Some(&self.root())));
        assert_eq!(found.expect("tokens"), by_hand(&some_texts()), "{heard:?}");
        heard
    }

    /// Names in the folder of tokens that are no locks.
    fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.root().join("tokens")).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }

    fn tokens(&self) -> PathBuf {
        let [name] = &self.names()[..] else { panic!("{:?}", self.names()) };
        self.root().join("tokens").join(name)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cold_warm_and_without_a_cache_are_the_same(
        texts in prop::collection::vec("[abあ]{1,30}", 4..60),
        order in prop::sample::select(vec!["megatron", "permutation", "sequential"]),
        seed in any::<u16>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let tokenizer = tokenizer(folder.path(), true);
        write(&folder.path().join("a.jsonl"), &texts);
        let root = folder.path().join("cache");
        let mixes = "[[data.mix]]\nname = \"a\"\npath = \"a.jsonl\"";
        let mut spec = spec(folder.path(), &format!("order = \"{order}\"\ntotal_samples = 24"), mixes);
        spec.seed = u64::from(seed);
        let mut batches = Vec::new();
        for cache in [None, Some(&*root), Some(&*root)] {
            let (found, _) = documents(&folder.path().join("a.jsonl"), &tokenizer, &Cache::at(cache));
            prop_assert_eq!(found.expect("tokens"), by_hand(&texts));
            let mut data = match Data::open(&spec, 100, Some(&tokenizer), &Cache::at(cache), &mut |_| {}) {
                Ok(data) => data,
                Err(DataError::TooShort { .. }) => return Ok(()),
                Err(error) => panic!("{error}"),
            };
            let mut seen = Vec::new();
            for update in 0..10 {
                let batch = data.next_batch(2).expect("tokens").expect("samples");
                // Half of them are read ahead.
                if update % 2 == 0 {
                    data.read_ahead(2);
                }
                seen.push((batch.chained(Sha256::of("")), batch.inputs, batch.contexts));
            }
            batches.push((seen, data.position().clone(), data.files()));
        }
        prop_assert_eq!(&batches[0], &batches[1]);
        prop_assert_eq!(&batches[0], &batches[2]);
    }
}

#[test]
fn a_text_is_tokenised_once() {
    let bench = Bench::new();
    assert!(bench.open().read);
    let heard = bench.open();
    assert!(!heard.read && heard.notes.is_empty(), "{heard:?}");
    // The same content under another name, and compressed: another file, but no other text.
    fs_err::rename(bench.file(), bench.folder.path().join("b.jsonl")).expect("moved");
    fs_err::rename(bench.folder.path().join("b.jsonl"), bench.file()).expect("moved back");
    assert!(!bench.open().read, "what the tokens are kept under is the content");
}

#[test]
fn the_pair_is_megatrons() {
    let bench = Bench::new();
    bench.open();
    let idx = fs_err::read(bench.tokens().join("tokens.idx")).expect("an index");
    let texts = by_hand(&some_texts());
    let number = |at: usize| u64::from_le_bytes(idx[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!((&idx[..9], number(9), idx[17]), (&b"MMIDIDX\0\0"[..], 1, 8), "version 1, uint16");
    assert_eq!((number(18), number(26)), (39, 40), "sequences, and documents with their end");
    let (mut begin, places) = (0, 34 + 4 * 39);
    for (n, text) in texts.iter().enumerate() {
        let length = u32::from_le_bytes(idx[34 + 4 * n..38 + 4 * n].try_into().expect("four bytes"));
        assert_eq!((length as usize, number(places + 8 * n)), (text.len(), begin), "sequence {n}");
        assert_eq!(number(places + 8 * 39 + 8 * n), n as u64);
        begin += 2 * u64::from(length);
    }
    assert_eq!(idx.len(), places + 8 * 39 + 8 * 40);
    assert_eq!(fs_err::metadata(bench.tokens().join("tokens.bin")).expect("tokens").len(), begin);
}

#[test]
fn a_changed_text_is_another_one_and_a_touched_one_is_not() {
    let bench = Bench::new();
    bench.open();
    let old = fs_err::read(bench.file()).expect("a text");
    let cache = || Cache::at(Some(&bench.root()));
    let sha256 = cache().sha256(&bench.file()).expect("hashed");
    // As long as it was, a moment later.
    fs_err::write(bench.file(), String::from_utf8(old.clone()).expect("text").replace('a', "b"))
        .expect("written");
    assert_ne!(cache().sha256(&bench.file()).expect("hashed"), sha256);
    fs_err::write(bench.file(), old).expect("written");
    assert_eq!(cache().sha256(&bench.file()).expect("hashed"), sha256);
    assert!(!bench.open().read, "another time of writing, the same tokens");
}

#[test]
fn what_was_written_in_the_tick_of_its_stamp_is_hashed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    fs_err::write(&file, "a").expect("written");
    let stamp = sekisho_weights::stamp(&file).expect("there");
    let known = |looked| Known { path: file.clone(), stamp: stamp.clone(), looked, sha256: Sha256::of("a") };
    assert!(!known(stamp.changed).holds(&stamp));
    assert!(known(stamp.changed + Known::tick(stamp.changed)).holds(&stamp));
    let mut other = stamp.clone();
    other.inode += 1;
    assert!(!known(stamp.changed + Known::tick(stamp.changed)).holds(&other));
}

#[test]
fn damaged_tokens_are_found_and_made_again() {
    let bench = Bench::new();
    bench.open();
    let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = bench.tokens().join(name);
        let mut bytes = fs_err::read(&path).expect("a file");
        change(&mut bytes);
        // The file system's clock counts in ticks, and nobody damages a file within one.
        std::thread::sleep(Duration::from_millis(25));
        fs_err::write(&path, bytes).expect("damaged");
        let heard = bench.open();
        assert!(
            heard.read && heard.notes.iter().any(|note| note.contains("are damaged")),
            "{name}: {heard:?}"
        );
        assert!(!bench.open().read, "{name}: whole again");
    };
    damage("tokens.bin", &|bytes| bytes[10] ^= 1);
    damage("tokens.bin", &|bytes| bytes.truncate(20));
    damage("tokens.idx", &|bytes| bytes[40] ^= 1);
    damage("meta.json", &|bytes| bytes.truncate(30));
    damage("meta.json", &|bytes| bytes.clear());
    fs_err::remove_file(bench.tokens().join("tokens.bin")).expect("removed");
    assert!(bench.open().read, "tokens that are gone");
    for entry in fs_err::read_dir(bench.root().join("places")).expect("places") {
        fs_err::write(entry.expect("an entry").path(), "nothing").expect("damaged");
    }
    for entry in fs_err::read_dir(bench.root().join("files")).expect("files") {
        fs_err::write(entry.expect("an entry").path(), "{").expect("damaged");
    }
    assert!(!bench.open().read, "they are learned again from the tokens");
}

#[test]
fn what_killed_writers_left_is_removed_and_what_living_ones_write_is_not() {
    let bench = Bench::new();
    bench.open();
    let (tokens, done) = (bench.root().join("tokens"), bench.tokens());
    let left = |key: &str| {
        let folder = tokens.join(format!(".{key}.partial"));
        fs_err::create_dir_all(&folder).expect("a folder");
        fs_err::write(folder.join("tokens.bin"), "half of").expect("written");
    };
    left(&done.file_name().expect("a name").to_string_lossy());
    left("dead");
    left("alive");
    let lock = fs_err::File::create(tokens.join("alive.lock")).expect("a lock");
    lock.file().lock().expect("free");
    fs_err::remove_dir_all(&done).expect("as if it had never been finished");
    assert!(bench.open().read);
    let mut names = bench.names();
    names.sort();
    assert_eq!(
        names,
        [".alive.partial".to_owned(), done.file_name().expect("a name").to_string_lossy().into()]
    );
}

#[test]
fn of_those_who_come_at_once_one_tokenises() {
    let bench = Bench::new();
    let read = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| read.fetch_add(usize::from(bench.open().read), Ordering::Relaxed));
        }
    });
    assert_eq!(read.into_inner(), 1);
    bench.tokens();
}

#[test]
fn a_cache_that_cannot_be_written_costs_time_and_nothing_else() {
    let bench = Bench::new();
    // A file where a folder should be: nobody may write there, not even root.
    fs_err::write(bench.root(), "").expect("written");
    let heard = bench.open();
    let says =
        |text: &str| heard.notes.iter().any(|note| note.contains(text) && note.contains("SEKISHO_CACHE"));
    assert!(heard.read && says("are kept in memory") && says("cannot be written to"), "{heard:?}");
}

#[test]
fn wrong_text_leaves_nothing_behind() {
    let bench = Bench::new();
    let texts = fs_err::read_to_string(bench.file()).expect("a text");
    for (bad, says) in [("{\"text\": \"\"}\n", "a.jsonl:40: its \"text\" is empty"), ("[", "a.jsonl:40: ")] {
        fs_err::write(bench.file(), format!("{texts}{bad}{bad}")).expect("written");
        let (found, _) = documents(&bench.file(), &bench.tokenizer, &Cache::at(Some(&bench.root())));
        let error = found.expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(bench.names(), [""; 0]);
    }
}

#[test]
fn the_library_that_makes_tokens_is_the_one_that_the_cache_names() {
    let lock =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).expect("a lock file");
    let (name, version) = super::tokens::LIBRARY.split_once(' ').expect("name and version");
    let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    assert!(lock.contains(&entry), "tokens may be others now: name the new version of {name} in LIBRARY");
}

/// This test's executable, for the test `name` of this file, on the text and the cache in `folder`.
fn child(folder: &Path, name: &str) -> Command {
    let mut command = Command::new("sh");
    // Where nobody may fill a disk, no file may be larger than this: `limited` has 512 bytes, too few for the tokens.
    let limit = if name == "a_limited_process" { "trap '' XFSZ; ulimit -f 1;" } else { "" };
    command
        .args(["-c", &format!("{limit} exec \"$@\""), "sh"])
        .arg(std::env::current_exe().expect("this test"));
    command.args(["--ignored", "--exact", &format!("data::cache::tests::{name}")]);
    command.env("SEKISHO_TEST_CACHED", folder).stdout(std::process::Stdio::null());
    command
}

/// More tokens than a limited process may write, and enough to be killed in the middle.
fn long_texts() -> Vec<String> {
    (0..4000).map(|n| "abあ".chars().cycle().skip(n % 3).take(200 + n % 100).collect()).collect()
}

#[test]
fn killed_at_any_moment_the_next_one_has_all_tokens() {
    let bench = Bench::new();
    write(&bench.file(), &long_texts());
    let expected = by_hand(&long_texts());
    for n in 0..8 {
        let mut child = child(bench.folder.path(), "the_process_that_is_killed").spawn().expect("a process");
        std::thread::sleep(Duration::from_millis(n * n * 6));
        // It may have ended; then there is nothing to kill.
        let _ = child.kill();
        child.wait().expect("a dead process");
        let (found, heard) = documents(&bench.file(), &bench.tokenizer, &Cache::at(Some(&bench.root())));
        assert!(found.expect("tokens") == expected, "{n}: {heard:?}");
        assert!(!bench.names().iter().any(|name| name.starts_with('.')), "{:?}", bench.names());
        fs_err::remove_dir_all(bench.root()).expect("from the beginning");
    }
}

#[test]
#[ignore = "the process that killed_at_any_moment_the_next_one_has_all_tokens kills"]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os("SEKISHO_TEST_CACHED").map(PathBuf::from) else { return };
    let cache = Cache::at(Some(&folder.join("cache")));
    documents(&folder.join("a.jsonl"), &tokenizer(&folder, true), &cache).0.expect("tokens");
}

#[test]
fn a_full_disk_costs_time_and_nothing_else() {
    let bench = Bench::new();
    write(&bench.file(), &long_texts());
    let ended =
        child(bench.folder.path(), "a_limited_process").stderr(std::process::Stdio::inherit()).status();
    assert!(ended.expect("a process").success());
    assert_eq!(bench.names(), [""; 0], "nothing half-written");
    let (found, heard) = documents(&bench.file(), &bench.tokenizer, &Cache::at(Some(&bench.root())));
    assert!(found.expect("tokens") == by_hand(&long_texts()) && heard.notes.is_empty(), "{heard:?}");
}

#[test]
#[ignore = "the process of a_full_disk_costs_time_and_nothing_else"]
fn a_limited_process() {
    let Some(folder) = std::env::var_os("SEKISHO_TEST_CACHED").map(PathBuf::from) else { return };
    // Its tokenizer is there already, in a file that is larger than it may write.
    let tokenizer = Tokenizer::load(&folder.join("ends")).expect("a tokenizer");
    let (found, heard) =
        documents(&folder.join("a.jsonl"), &tokenizer, &Cache::at(Some(&folder.join("cache"))));
    assert!(found.expect("tokens") == by_hand(&long_texts()));
    assert!(heard.notes.iter().any(|note| note.contains("are kept in memory")), "{heard:?}");
}
