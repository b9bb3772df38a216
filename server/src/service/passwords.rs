//! Passwords, kept as argon2id, and how often somebody may try one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use sekisho_domain::{Sha256, Timestamp};
use sekisho_store::{Password, User};
use serde_json::Value;

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
    let hash = tokio::task::spawn_blocking(move || hash(&password)).await.map_err(WebError::internal)??;
    let kept = Password { hash, makers: makers.clone() };
    let audit = people::entry(app, actor, "user.password", &actor.user.name, "done", Value::Null);
    Ok(app.store.set_password(actor.user.id, Some(&kept), session, &audit).await?)
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
    if let Some(seconds) = app.tries.wait(&keys, app.now()) {
        refused(app, name, from, "too-many-tries").await?;
        let minutes = seconds.div_euclid(60) + 1;
        let detail = format!(
            "Too many wrong passwords. Try again in {minutes} minutes, or ask an admin for a sign-in link."
        );
        let ja = format!(
            "パスワードの誤りが続いたため、受け付けを停止しています。{minutes}分後にもう一度試すか、管理者にログイン用リンクの発行を依頼してください。"
        );
        return Err(WebError::too_many(detail).or_ja(ja));
    }
    let user = app.store.user_by_name(name).await?;
    let kept = match &user {
        Some(user) => app.store.password(user.id).await?,
        None => None,
    };
    let against = kept.as_ref().map_or_else(|| NOBODY.to_owned(), |kept| kept.hash.clone());
    let password = if password.len() > LONGEST { String::new() } else { password.to_owned() };
    let fits =
        tokio::task::spawn_blocking(move || fits(&password, &against)).await.map_err(WebError::internal)?;
    match (user, kept) {
        (Some(user), Some(kept)) if fits => {
            app.tries.forget(&keys[0].0);
            Ok((user, kept))
        }
        _ => {
            app.tries.wrong(&keys, app.now());
            refused(app, name, from, "password-wrong").await?;
            let detail = "The name or the password is wrong. An admin can make a sign-in link: `sekisho user link NAME`.";
            Err(WebError::forbidden("password-wrong", detail))
        }
    }
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

/// Wrong passwords of late. In memory: a restart forgets them, which costs an attacker more than it gives.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<String, (u32, Timestamp)>>);

impl Tries {
    /// Seconds until another try is taken; none when it is taken now.
    fn wait(&self, keys: &[(String, u32)], now: Timestamp) -> Option<i64> {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |(key, most): &(String, u32)| {
            let (count, since) = tries.get(key)?;
            let left = WINDOW_SECONDS - (now.unix_ms() - since.unix_ms()) / 1000;
            (count >= most && left > 0).then_some(left)
        };
        keys.iter().filter_map(left).max()
    }

    fn wrong(&self, keys: &[(String, u32)], now: Timestamp) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |since: &Timestamp| now.unix_ms() - since.unix_ms() >= WINDOW_SECONDS * 1000;
        tries.retain(|_, (_, since)| !is_old(since));
        for (key, _) in keys {
            tries.entry(key.clone()).or_insert((0, now)).0 += 1;
        }
    }

    fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Timestamp;

    use super::{Tries, fits, hash};

    #[test]
    fn a_password_fits_its_own_hash_alone() {
        let kept = hash("東海道五十三次の関所を越える").expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(fits("東海道五十三次の関所を越える", &kept));
        assert!(!fits("東海道五十三次の関所を越えた", &kept) && !fits("", &kept) && !fits("x", "no hash"));
    }

    #[test]
    fn after_so_many_wrong_tries_one_waits() {
        let (tries, keys) = (Tries::default(), [("account:ueda".to_owned(), 2)]);
        let at = |seconds: i64| Timestamp::from_unix_ms(0).plus_seconds(seconds);
        tries.wrong(&keys, at(0));
        assert_eq!(tries.wait(&keys, at(1)), None);
        tries.wrong(&keys, at(10));
        assert_eq!(tries.wait(&keys, at(60)), Some(840));
        assert_eq!(tries.wait(&keys, at(901)), None);
        tries.forget("account:ueda");
        assert_eq!(tries.wait(&keys, at(60)), None);
    }
}
