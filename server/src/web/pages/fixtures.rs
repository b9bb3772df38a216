//! The running example of the pages' tests: run `v4-8b-exp2` and a few rows beside it.

mod compare;
mod corpora;
mod queue;
mod release;
mod run;
mod samples;
mod scored;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use sekisho_domain::user::Role;
use sekisho_domain::{Language, Sha256, Timestamp, UserId};
use sekisho_store::User;

use crate::web::frame::{Frame, Theme};

pub(super) use compare::compare_facts;
pub(super) use corpora::{mix_column, mixes, subsets};
pub(super) use queue::{counts, launch, launcher};
pub(crate) use release::release;
pub(super) use release::{approvals, comments, lineage_graph, refused_release, release_facts, yank};
pub(super) use run::about;
pub(crate) use run::{event, run};
pub(super) use run::{run_data, run_facts};
pub(super) use samples::{items, records};
pub(crate) use scored::{changed_checkpoint, refused_checkpoint, verified_checkpoint};
pub(super) use scored::{checkpoint, half_done, scored, standings, suite, tries};

/// Where the running example is talked about.
pub(super) const ISSUE: &str = "https://issues.example.org/12";

/// 2026-11-21 14:03 in Tokyo.
const NOW: i64 = 1_795_237_380_000;

pub(crate) fn frame(lang: Language, path: &str) -> Frame {
    Frame {
        lang,
        theme: Theme::Auto,
        nonce: "n0nce".to_owned(),
        user: None,
        csrf: String::new(),
        path: path.to_owned(),
        query: Vec::new(),
        now: now(),
        zone: TimeZone::fixed(jiff::tz::offset(9)),
        site: None,
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW)
}

/// An id made from a name, the same every time.
pub(crate) fn id<T: std::str::FromStr>(name: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    // Ids are base 32 without I, L, O and U; hexadecimal digits are a part of that.
    format!("0{}", &Sha256::of(name).hex()[..25]).parse().expect("an id")
}

pub(crate) fn user(name: &str, id: UserId, roles: &[Role]) -> User {
    User { id, name: name.to_owned(), roles: roles.to_vec(), projects: BTreeMap::new(), created: now() }
}
