//! Named check 4: a Hub without Xet gets a large file in a stream. No other request is long, and memory does not grow with the
//! file. The sparse file stands for a shard; the double keeps none of it.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sekisho_domain::Sha256;
use sekisho_domain::manifest::FileEntry;
use sekisho_hub::BundleFile;
use sha2::Digest as _;
use tests::hub_double::{Call, HubDouble, HubOptions, WRITER};
use tests::publication::{REPO, Release};

/// No request may be longer, streamed uploads of large files apart.
const LONGEST_BODY: u64 = 16_000_000;
/// Most memory of this process, the double in it included.
const MOST_MEMORY: u64 = 512 << 20;
/// SHA-256 of 6,000,000,000 bytes of zero (`head -c 6000000000 /dev/zero | sha256sum`).
const ZEROS: &str = "sha256:a20be6ed59ae744e4e4a75d8189334a459090fd6e565469403bcd86eb9f9ff6f";
const SHARD: &str = "model-00001-of-00001.safetensors";

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    let kilobytes: u64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    kilobytes << 10
}

/// Looks at the memory every few milliseconds until it is asked.
struct Watch {
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn begin() -> Self {
        let (most, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (Arc::clone(&most), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                seen.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { most, over, thread }
    }

    fn most(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only looks");
        self.most.load(Ordering::Relaxed)
    }
}

/// Reads and hashes a file once, as anybody must who wants to know its digest.
fn hashed(path: &Path) -> Sha256 {
    let mut file = fs_err::File::open(path).expect("there");
    let (mut hasher, mut buffer) = (sha2::Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).expect("readable") {
            0 => return Sha256::from_bytes(hasher.finalize().into()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

struct Measured {
    most: u64,
    publish: Duration,
    hash: Duration,
}

/// Publishes a release with one sparse shard of this size through LFS. Its digest is computed where it is not known.
async fn published(size: u64, known: Option<Sha256>) -> Measured {
    let hub = HubDouble::start(HubOptions { part: u64::MAX, keeps_nothing: true, ..HubOptions::PLAIN }).await;
    let mut release = Release::new();
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join(SHARD);
    fs_err::File::create(&path).expect("made").set_len(size).expect("sparse");
    let began = Instant::now();
    let sha256 = known.unwrap_or_else(|| hashed(&path));
    let hash = began.elapsed();
    let entry = FileEntry { path: SHARD.to_owned(), size, sha256 };
    release.bundle.files.push(BundleFile::local(&entry, path));

    let (watch, began) = (Watch::begin(), Instant::now());
    release.publish(&hub, WRITER).await.expect("published");
    let publish = began.elapsed();
    let most = watch.most();

    let sent: Vec<_> = hub.log().into_iter().filter(|request| request.call == Call::LfsPut).collect();
    assert!(sent.iter().any(|request| request.body == size), "it went in one stream: {sent:?}");
    for request in hub.log() {
        assert!(request.call == Call::LfsPut || request.body <= LONGEST_BODY, "{request:?}");
    }
    assert!(hub.paths(REPO, "main").contains(&SHARD.to_owned()));
    Measured { most, publish, hash }
}

#[tokio::test(flavor = "multi_thread")]
async fn six_gigabytes_go_through_lfs_in_a_stream() {
    let zeros = ZEROS.parse().expect("a digest");
    let measured = published(6_000_000_000, Some(zeros)).await;
    assert!(measured.most < MOST_MEMORY, "{} bytes resident", measured.most);
}

/// `cargo nextest run --release --run-ignored only release_bytes --no-capture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: several GB are hashed"]
async fn memory_and_time_of_large_shards() {
    println!("shard       peak RSS   publish   read+hash   ratio");
    for megabytes in [512_u32, 1024, 2048] {
        let Measured { most, publish, hash } = published(u64::from(megabytes) << 20, None).await;
        let (publish, hash) = (publish.as_secs_f64(), hash.as_secs_f64());
        println!(
            "{megabytes:>5} MiB  {:>5} MiB  {publish:>6.2} s    {hash:>6.2} s   {:>5.2}",
            most >> 20,
            publish / hash
        );
        assert!(most < MOST_MEMORY, "{most} bytes resident");
    }
}
