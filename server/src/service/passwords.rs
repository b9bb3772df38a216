//! Passwords, kept as argon2id, and how often somebody may try one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use sekisho_domain::{Sha256, Timestamp};
use sekisho_store::{Password, User};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::people;
use crate::{Actor, App, Proof, WebError};

/// NIST SP 800-63B-4 §3.1.1.2: at least 15 characters where a password stands alone.
const SHORTEST: usize = 15;
/// What is hashed is bounded, so that a long one is no way to keep the service busy.
const LONGEST: usize = 1_000;

/// Wrong tries for one account, or from one address, within [`WINDOW_SECONDS`].
const TRIES: u32 = 5;
const TRIES_FROM_ONE_ADDRESS: u32 = 30;
const WINDOW_SECONDS: i64 = 15 * 60;
/// Passwords hashed at once: each takes 19 MiB and a core for a moment.
const HASHED_AT_ONCE: usize = 2;

/// Sets the password of one's own account and ends its other sessions. `session` is the hash of the one that stays.
///
/// # Errors
/// 403 for a token, 400 for one that is too short or too long.
pub async fn set(app: &App, actor: &Actor, password: &str, session: Option<Sha256>) -> Result<(), WebError> {
    let Proof::Session { makers, .. } = &actor.proof else {
        let detail = "A password is set in the browser, signed in as the account itself.";
        return Err(WebError::forbidden("browser-needed", detail));
    };
    let length = password.chars().count();
    if length < SHORTEST || password.len() > LONGEST {
        let detail = format!(
            "A password has at least {SHORTEST} characters and at most {LONGEST} bytes. A few words in a row are a good one."
        );
        let ja = format!(
            "パスワードは{SHORTEST}文字以上、{LONGEST}バイト以内で設定してください。複数の単語を並べると覚えやすくなります。"
        );
        return Err(WebError::bad_request("password", detail).or_ja(ja));
    }
    let password = password.to_owned();
    let hash = hashing(app, move || hash(&password)).await??;
    let kept = Password { hash, makers: makers.clone() };
    let audit = people::entry(app, actor, "user.password", &actor.user.name, "done", Value::Null);
    Ok(app.store.set_password(actor.user.id, Some(&kept), session, &audit).await?)
}

/// Does the work of a hash, when its turn has come.
async fn hashing<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WebError> {
    let _turn = app.tries.turns.acquire().await.map_err(WebError::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(WebError::internal)
}

fn hash(password: &str) -> Result<String, WebError> {
    let hashed = Argon2::default().hash_password(password.as_bytes()).map_err(WebError::internal)?;
    Ok(hashed.to_string())
}

/// The account behind a name and a password. Which of the two was wrong is not told, and an unknown name takes as long as a known one.
///
/// # Errors
/// 403 `password-wrong`, 429 `too-many-tries`; both are in the audit log.
pub async fn check(app: &App, name: &str, password: &str, from: &str) -> Result<(User, Password), WebError> {
    let keys = [(format!("account:{name}"), TRIES), (format!("address:{from}"), TRIES_FROM_ONE_ADDRESS)];
    // Counted before anything is hashed: of a thousand tries at once five are looked at.
    if let Err(Wait { seconds, is_news }) = app.tries.begin(&keys, app.now()) {
        if is_news {
            refused(app, name, from, "too-many-tries").await?;
        }
        return Err(too_many(seconds));
    }
    let user = app.store.user_by_name(name).await?;
    let kept = match &user {
        Some(user) => app.store.password(user.id).await?,
        None => None,
    };
    let against = kept.as_ref().map_or_else(|| NOBODY.to_owned(), |kept| kept.hash.clone());
    let password = if password.len() > LONGEST { String::new() } else { password.to_owned() };
    let fits = hashing(app, move || fits(&password, &against)).await?;
    match (user, kept) {
        (Some(user), Some(kept)) if fits => {
            app.tries.good(&keys);
            Ok((user, kept))
        }
        _ => {
            refused(app, name, from, "password-wrong").await?;
            let detail = "The name or the password is wrong. An admin can make a sign-in link: `sekisho user link NAME`.";
            Err(WebError::forbidden("password-wrong", detail))
        }
    }
}

fn too_many(seconds: i64) -> WebError {
    let minutes = seconds.div_euclid(60) + 1;
    let detail = format!(
        "Too many wrong passwords. Try again in {minutes} minutes, or ask an admin for a sign-in link."
    );
    let ja = format!(
        "パスワードの誤りが続いたため、受け付けを停止しています。{minutes}分後にもう一度試すか、管理者にログイン用リンクの発行を依頼してください。"
    );
    WebError::too_many("too-many-tries", detail).or_ja(ja)
}

/// A password that nobody has, hashed with the same parameters.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2VraXNob3Nla2lzaG8$K0RP3VvSoT/yFc0bnPJ0Cw0hCDnFCVZm4YgJb4gHq1M";

fn fits(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The name is what somebody typed, perhaps a password by mistake: it is kept only where there is such an account.
async fn refused(app: &App, name: &str, from: &str, code: &str) -> Result<(), WebError> {
    let known = app.store.user_by_name(name).await?.map_or_else(|| "unknown".to_owned(), |user| user.name);
    let detail = serde_json::json!({ "code": code, "from": from });
    Ok(app.store.append_audit(&people::system_entry(app, "user.sign_in", &known, "refused", detail)).await?)
}

/// Tries of late that were not good. In memory: a restart forgets them, which costs an attacker more than it gives.
#[derive(Debug)]
pub struct Tries {
    of_late: Mutex<HashMap<String, Tried>>,
    turns: Semaphore,
}

/// The tries under one key.
#[derive(Clone, Copy, Debug)]
struct Tried {
    count: u32,
    since: Timestamp,
    /// That no more are taken is in the audit log.
    told: bool,
}

/// No try is taken now.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wait {
    /// Until one is.
    seconds: i64,
    /// Nobody was turned away under this key before, in this window.
    is_news: bool,
}

impl Default for Tries {
    fn default() -> Self {
        Self { of_late: Mutex::default(), turns: Semaphore::new(HASHED_AT_ONCE) }
    }
}

impl Tries {
    /// Takes a try under several keys with their limits and counts it as a wrong one, in one step.
    fn begin(&self, keys: &[(String, u32)], now: Timestamp) -> Result<(), Wait> {
        let mut tries = self.of_late();
        let left = |since: Timestamp| WINDOW_SECONDS - (now.unix_ms() - since.unix_ms()) / 1000;
        tries.retain(|_, tried| left(tried.since) > 0);
        let full: Vec<&String> = keys
            .iter()
            .filter(|(key, most)| tries.get(key).is_some_and(|tried| tried.count >= *most))
            .map(|(key, _)| key)
            .collect();
        let mut wait: Option<Wait> = None;
        for key in full {
            let Some(tried) = tries.get_mut(key) else { continue };
            let is_news = !std::mem::replace(&mut tried.told, true);
            let seconds = left(tried.since);
            let longest = wait.map_or(seconds, |wait| wait.seconds.max(seconds));
            wait = Some(Wait { seconds: longest, is_news: is_news || wait.is_some_and(|wait| wait.is_news) });
        }
        if let Some(wait) = wait {
            return Err(wait);
        }
        for (key, _) in keys {
            tries.entry(key.clone()).or_insert(Tried { count: 0, since: now, told: false }).count += 1;
        }
        Ok(())
    }

    /// A try was good: the account begins anew, and its address has this one back.
    fn good(&self, keys: &[(String, u32)]) {
        let mut tries = self.of_late();
        for (i, (key, _)) in keys.iter().enumerate() {
            if i == 0 {
                tries.remove(key);
            } else if let Some(tried) = tries.get_mut(key) {
                tried.count = tried.count.saturating_sub(1);
            }
        }
    }

    fn of_late(&self) -> MutexGuard<'_, HashMap<String, Tried>> {
        self.of_late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Timestamp;

    use super::{Tries, Wait, fits, hash};

    #[test]
    fn a_password_fits_its_own_hash_alone() {
        let kept = hash("東海道五十三次の関所を越える").expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(fits("東海道五十三次の関所を越える", &kept));
        assert!(!fits("東海道五十三次の関所を越えた", &kept) && !fits("", &kept) && !fits("x", "no hash"));
    }

    #[test]
    fn after_so_many_wrong_tries_one_waits() {
        let tries = Tries::default();
        let keys = [("account:ueda".to_owned(), 2), ("address:10.0.0.1".to_owned(), 4)];
        let at = |seconds: i64| Timestamp::from_unix_ms(0).plus_seconds(seconds);
        let begin = |seconds: i64| tries.begin(&keys, at(seconds));
        assert_eq!(
            (begin(0), begin(10)),
            (Ok(()), Ok(())),
            "counted when they begin, whatever comes of them"
        );
        assert_eq!(begin(60), Err(Wait { seconds: 840, is_news: true }));
        assert_eq!(begin(61), Err(Wait { seconds: 839, is_news: false }), "the log has it already");
        assert_eq!(begin(901), Ok(()), "the window is over");
        assert_eq!(begin(902), Ok(()));
        tries.good(&keys);
        assert_eq!((begin(903), begin(904)), (Ok(()), Ok(())), "the account begins anew");
        tries.good(&keys);
        assert_eq!((begin(905), begin(906)), (Ok(()), Ok(())), "six from the address, two of them were good");
        let other = [("account:mori".to_owned(), 2), keys[1].clone()];
        let wait = Wait { seconds: 894, is_news: true };
        assert_eq!(tries.begin(&other, at(907)), Err(wait), "other accounts wait too");
    }
}
