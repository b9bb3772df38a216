//! Git LFS transfers `basic` and `multipart`, streamed: memory does not grow with the file.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use futures::stream::try_unfold;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Url};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;

use super::{Meter, changed, open};
use crate::remote::{
    LfsAction, LfsActions, Remote, backoff, hub_words, safe_address, transient_pause, unreachable_because,
};
use crate::{BundleFile, PublishError};

const BLOCK: u64 = 256 * 1024;
/// A line slower than this is taken for dead.
const SLOWEST_BYTES_PER_SECOND: u64 = 50_000;

/// Stores one object and lets the Hub verify it.
pub(super) async fn store(
    remote: &Remote,
    file: &BundleFile,
    actions: &LfsActions,
    meter: &Meter,
) -> Result<(), PublishError> {
    let Some(upload) = &actions.upload else { return Ok(()) };
    match upload.header.get("chunk_size") {
        None => basic(remote, file, upload, meter).await?,
        Some(chunk) => multipart(remote, file, upload, chunk, meter).await?,
    }
    if let Some(verify) = &actions.verify {
        let url = remote.own_address("the verification", &verify.href)?;
        let body = json!({ "oid": file.sha256.hex(), "size": file.size });
        let request =
            |http: &reqwest::Client| http.post(url.clone()).headers(remote.authorization()).json(&body);
        remote.call("lfs verify", request).await.map_err(|error| refused(file, error))?;
    }
    Ok(())
}

/// One `PUT` of the whole file.
async fn basic(
    remote: &Remote,
    file: &BundleFile,
    upload: &LfsAction,
    meter: &Meter,
) -> Result<(), PublishError> {
    let url = safe_address("the storage", &upload.href)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &upload.header {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let mut hasher = Sha256::new();
    let piece = Piece { file, range: 0..file.size, url, headers };
    piece.put(remote, &mut hasher, meter).await?;
    check(file, hasher)
}

/// One `PUT` for each part, then the list of their ETags.
async fn multipart(
    remote: &Remote,
    file: &BundleFile,
    upload: &LfsAction,
    chunk: &str,
    meter: &Meter,
) -> Result<(), PublishError> {
    let chunk =
        chunk.parse().ok().filter(|&chunk: &u64| chunk > 0).ok_or_else(|| wrong_parts("chunk_size"))?;
    let is_number = |name: &&String| name.bytes().all(|byte| byte.is_ascii_digit());
    let addresses: Vec<_> = upload.header.iter().filter(|(name, _)| is_number(name)).collect();
    if addresses.len() as u64 != file.size.div_ceil(chunk) {
        return Err(wrong_parts("number of parts"));
    }
    let mut hasher = Sha256::new();
    let mut parts = Vec::with_capacity(addresses.len());
    for (start, (number, address)) in
        (0..file.size).step_by(usize::try_from(chunk).unwrap_or(usize::MAX)).zip(addresses)
    {
        let number: u32 = number.parse().map_err(|_| wrong_parts("part number"))?;
        let range = start..file.size.min(start + chunk);
        let url = safe_address("the storage", address)?;
        let piece = Piece { file, range, url, headers: HeaderMap::new() };
        let answer = piece.put(remote, &mut hasher, meter).await?;
        let etag = answer.get(ETAG).and_then(|etag| etag.to_str().ok()).ok_or_else(|| wrong_parts("ETag"))?;
        parts.push(json!({ "partNumber": number, "etag": etag }));
    }
    check(file, hasher)?;
    let url = safe_address("the storage", &upload.href)?;
    let body = json!({ "oid": file.sha256.hex(), "parts": parts });
    let request = |http: &reqwest::Client| http.post(url.clone()).json(&body);
    remote.call("lfs multipart", request).await.map(drop).map_err(|error| refused(file, error))
}

/// Part of a file on its way to one address.
struct Piece<'a> {
    file: &'a BundleFile,
    range: Range<u64>,
    url: Url,
    headers: HeaderMap,
}

/// What was read of a piece so far.
struct Tally {
    hasher: Sha256,
    /// Bytes that the line has taken.
    taken: u64,
    /// The file ended before the piece did.
    short: bool,
}

/// Returns once the line has taken nothing for so long.
async fn stalled(tally: &Mutex<Tally>, patience: Duration) {
    let taken = || tally.lock().unwrap_or_else(PoisonError::into_inner).taken;
    let mut before = taken();
    loop {
        tokio::time::sleep(patience).await;
        let now = taken();
        if now == before {
            return;
        }
        before = now;
    }
}

impl Piece<'_> {
    /// Sends it, again after errors that pass, and adds its bytes to the digest. Answers the headers of the answer.
    async fn put(
        &self,
        remote: &Remote,
        hasher: &mut Sha256,
        meter: &Meter,
    ) -> Result<HeaderMap, PublishError> {
        let length = self.range.end - self.range.start;
        let timeout = remote.patience.upload + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND);
        let mut attempt = 1;
        loop {
            let tally = Arc::new(Mutex::new(Tally { hasher: hasher.clone(), taken: 0, short: false }));
            let request = remote
                .http
                .put(self.url.clone())
                .headers(self.headers.clone())
                .header(CONTENT_LENGTH, length)
                .timeout(timeout)
                .body(Body::wrap_stream(self.stream(Arc::clone(&tally), meter.clone())));
            let sent = tokio::select! {
                sent = request.send() => Some(sent),
                () = stalled(&tally, remote.patience.upload) => None,
            };
            let (so_far, taken, short) = {
                let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                (tally.hasher.clone(), tally.taken, tally.short)
            };
            if short {
                return Err(changed(self.file));
            }
            let pause = sent.as_ref().map_or(backoff(attempt), |sent| transient_pause(attempt, sent));
            if let Some(pause) = pause {
                attempt += 1;
                tokio::time::sleep(pause).await;
                continue;
            }
            let reason = || format!("the line took nothing for {:?}", remote.patience.upload);
            let sent =
                sent.ok_or_else(|| PublishError::Unreachable { call: "lfs upload", reason: reason() })?;
            let answer = sent.map_err(|error| unreachable_because("lfs upload", error))?;
            if !answer.status().is_success() {
                let reason = format!("{} {}", answer.status().as_u16(), hub_words(answer).await);
                return Err(PublishError::ObjectRefused { path: self.file.path.clone(), reason });
            }
            if taken < length {
                let status = answer.status().as_u16();
                let reason =
                    format!("the storage answered {status} when it had taken {taken} of {length} bytes");
                return Err(PublishError::ObjectRefused { path: self.file.path.clone(), reason });
            }
            *hasher = so_far;
            return Ok(answer.headers().clone());
        }
    }

    fn stream(
        &self,
        tally: Arc<Mutex<Tally>>,
        meter: Meter,
    ) -> impl Stream<Item = std::io::Result<Vec<u8>>> + use<> {
        let (source, range) = (self.file.source.clone(), self.range.clone());
        try_unfold((None, range.start), move |(reader, at)| {
            let (source, tally, meter) = (source.clone(), Arc::clone(&tally), meter.clone());
            let end = range.end;
            async move {
                if at == end {
                    return Ok(None);
                }
                let mut reader = match reader {
                    Some(reader) => reader,
                    None => open(&source, at).await?,
                };
                let mut block = Vec::new();
                let wanted = BLOCK.min(end - at);
                (&mut reader).take(wanted).read_to_end(&mut block).await?;
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.hasher.update(&block);
                tally.taken += block.len() as u64;
                if (block.len() as u64) < wanted {
                    tally.short = true;
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                let at = at + wanted;
                meter.at(at);
                Ok(Some((block, (Some(reader), at))))
            }
        })
    }
}

/// The bytes that were sent are the approved ones; otherwise no commit may name them.
fn check(file: &BundleFile, hasher: Sha256) -> Result<(), PublishError> {
    let sent = sekisho_domain::Sha256::from_bytes(hasher.finalize().into());
    if sent == file.sha256 { Ok(()) } else { Err(changed(file)) }
}

/// A refusal of the storage names the file.
fn refused(file: &BundleFile, error: PublishError) -> PublishError {
    match error {
        PublishError::Answer { status, message, .. } => {
            PublishError::ObjectRefused { path: file.path.clone(), reason: format!("{status} {message}") }
        }
        other => other,
    }
}

fn wrong_parts(what: &str) -> PublishError {
    PublishError::Malformed { call: "lfs batch", reason: format!("wrong {what} of a multipart upload") }
}
